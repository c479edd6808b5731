package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path/filepath"
)

//go:embed assets
var assetFiles embed.FS

const assetsPath = Path + "/assets"

// An asset's URL holds a digest of it, so that browsers may keep it for ever.
type asset struct {
	body []byte
	kind string
	url  string
}

var assets = func() map[string]asset {
	all := map[string]asset{}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		digest := sha256.Sum256(body)
		all[e.Name()] = asset{body, kinds[filepath.Ext(e.Name())], assetsPath + "/" + hex.EncodeToString(digest[:8]) + "/" + e.Name()}
	}
	return all
}()

// assetURL is for templates.
func assetURL(name string) template.URL { return template.URL(assets[name].url) } //nolint:gosec // ours

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("name")]
	if !ok || r.URL.Path != a.url {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.body)
}
