package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// spdx lists what a program was made of: its modules and the Go distribution.
// Everything in it is in the program itself, where `go version -m` reads it.
// https://spdx.github.io/spdx-spec/v2.3/
func spdx(b *Builder, p Program, platform v1.Platform, program []byte, src source) ([]byte, error) {
	sum := sha256.Sum256(program)
	hash := hex.EncodeToString(sum[:])
	root := spdxPackage{
		ID: "SPDXRef-Program", Name: p.Name, Version: b.Tag, Location: "NOASSERTION", License: "Apache-2.0", Purpose: "APPLICATION",
		Checksums: []spdxChecksum{{"SHA256", hash}}, Comment: platform.OS + "/" + platform.Architecture,
	}
	goVersion := strings.TrimPrefix(src.info.GoVersion, "go")
	packages := []spdxPackage{root, goPackage("stdlib", goVersion, "")}
	for _, m := range src.info.Deps {
		packages = append(packages, goPackage(m.Path, m.Version, sumOf(m)))
	}
	relations := []spdxRelation{{"SPDXRef-DOCUMENT", "DESCRIBES", root.ID}}
	for _, other := range packages[1:] {
		relations = append(relations, spdxRelation{root.ID, "DEPENDS_ON", other.ID})
	}
	return json.MarshalIndent(map[string]any{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
		"name":              fmt.Sprintf("%s-%s-%s-%s", p.Name, b.Tag, platform.OS, platform.Architecture),
		"documentNamespace": "https://entente.id/spdx/" + p.Name + "/" + hash,
		"creationInfo":      map[string]any{"created": src.time.Format("2006-01-02T15:04:05Z"), "creators": []string{"Tool: entente-deploy-images"}},
		"packages":          packages, "relationships": relations,
	}, "", " ")
}

type spdxPackage struct {
	ID         string          `json:"SPDXID"`
	Name       string          `json:"name"`
	Version    string          `json:"versionInfo"`
	Location   string          `json:"downloadLocation"`
	Analyzed   bool            `json:"filesAnalyzed"` // false: there is no list of files, and no code to verify it
	License    string          `json:"licenseDeclared,omitempty"`
	Purpose    string          `json:"primaryPackagePurpose,omitempty"`
	Checksums  []spdxChecksum  `json:"checksums,omitempty"`
	References []spdxReference `json:"externalRefs,omitempty"`
	Comment    string          `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	From string `json:"spdxElementId"`
	How  string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

var notInIDs = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// goPackage describes a module by its package URL (https://github.com/package-url/purl-spec).
func goPackage(path, version, comment string) spdxPackage {
	return spdxPackage{
		ID: "SPDXRef-" + notInIDs.ReplaceAllString(path+"-"+version, "-"), Name: path, Version: version, Location: "NOASSERTION", Comment: comment,
		References: []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + url.PathEscape(version)}},
	}
}

// sumOf is what go.sum says of a module.
func sumOf(m *debug.Module) string {
	if m.Replace != nil {
		return sumOf(m.Replace)
	}
	return m.Sum
}
