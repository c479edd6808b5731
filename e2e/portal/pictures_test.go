package portal

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit/browser"
)

// guide and pictures are where people see them.
const (
	guide    = "../../docs/guides/portal.md"
	pictures = "../../docs/images/portal"
)

// sizes are the windows: a telephone, a tablet, a desk.
var sizes = []struct{ width, height int }{{360, 740}, {768, 1024}, {1440, 900}}

var schemes = []string{"light", "dark"}

// takePictures makes the pictures of every page in the directory that is
// given: the whole page for each width and theme, and a sheet for each theme
// with the three windows side by side. Sheets that the guide shows are put where
// it looks for them, too. With nothing else to do it takes four minutes.
//
//	go test ./e2e/portal -run TestPortal -screenshots DIR
func takePictures(t *testing.T, dir string) {
	if !filepath.IsAbs(dir) {
		t.Fatalf("-screenshots %q: give a path that begins with /", dir)
	}
	w := newTown(t)
	shown := guidePictures(t)
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	shoot := func(t *testing.T, b *browser.Browser, name string) {
		w.steady(b)
		for _, scheme := range schemes {
			for _, s := range sizes {
				b.Screenshot(picture(dir, name, s.width, scheme), s.width, s.height, scheme)
			}
			file := name + "-" + scheme + ".png"
			sheet, err := sheetOf(dir, name, scheme)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), sheet, 0o644)
			}
			if err == nil && slices.Contains(shown, file) {
				err = os.WriteFile(filepath.Join(pictures, file), sheet, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	w.each(t, func(t *testing.T, b *browser.Browser, p page) { shoot(t, b, p.name) })
	t.Run("outside", func(t *testing.T) {
		b := browser.Open(t, w.site)
		b.Go("/portal/sign-in")
		shoot(t, b, "sign-in")
		b.Go(strings.TrimPrefix(w.link(t), w.Authority))
		shoot(t, b, "link")
		b.Expect(browser.Console, "404")
		b.Go("/portal/link?token=unknown")
		shoot(t, b, "link-used")
	})
}

func picture(dir, name string, width int, scheme string) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
}

//go:embed testdata/steady.js
var steady string

// steady gives what differs from run to run a value that does not.
func (w *town) steady(b *browser.Browser) {
	names, err := json.Marshal([][2]string{
		{w.issuer.URL(), "https://oidc.example.org/my-cluster/"},
		{strings.TrimSuffix(w.issuer.URL(), "/"), "https://oidc.example.org/my-cluster"},
		{strings.TrimPrefix(strings.TrimSuffix(w.issuer.URL(), "/"), "https://"), "oidc.example.org"},
		{w.Authority, "https://entente.example.org"},
		{strings.TrimPrefix(w.Authority, "https://"), "entente.example.org"},
		{"127.0.0.1", "192.0.2.17"},
	})
	if err != nil {
		panic(err)
	}
	// A form that is looked at while one types is left alone until it is quiet.
	b.Eval(`new Promise(done => {
		if (!document.querySelector("form[data-live]")) return done(true);
		const asked = () => performance.getEntriesByType("resource").filter(e => e.name.endsWith("/live/check")).length;
		let last = asked(), quiet = 0;
		const timer = setInterval(() => {
			quiet = asked() === last ? quiet + 1 : 0;
			last = asked();
			if (quiet === 8) { clearInterval(timer); done(true); }
		}, 100);
	})`, nil)
	b.Eval("("+steady+")("+string(names)+")", nil)
}

var pictureName = regexp.MustCompile(`\.\./images/portal/([a-z-]+\.png)`)

// guidePictures are the files that the guide shows.
func guidePictures(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range pictureName.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The guide has the pictures that it shows, in both themes, and no others; none
// is so large that reading it becomes slow.
func TestPicturesOfTheGuide(t *testing.T) {
	shown := guidePictures(t)
	entries, err := os.ReadDir(pictures)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	var sum int64
	for _, e := range entries {
		there = append(there, e.Name())
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if sum += info.Size(); info.Size() > 80<<10 {
			t.Errorf("%s has %d KiB", e.Name(), info.Size()>>10)
		}
	}
	if !slices.Equal(shown, there) {
		t.Errorf("the guide shows\n%q, and there are\n%q", shown, there)
	}
	if sum > 4<<20 {
		t.Errorf("all pictures have %d KiB", sum>>10)
	}
	for _, name := range shown {
		if light, ok := strings.CutSuffix(name, "-light.png"); ok && !slices.Contains(shown, light+"-dark.png") {
			t.Errorf("%s is shown in the light theme alone", light)
		}
	}
}

const (
	tallest = 1400     // pixels of a page that a sheet shows
	margin  = 12       // around and between the windows of a sheet
	largest = 60 << 10 // bytes, with fewer colours if it has to be
)

// sheetOf puts the windows of one page side by side, at half their size.
func sheetOf(dir, name, scheme string) ([]byte, error) {
	var windows []*image.RGBA
	width, height := margin, 0
	for _, s := range slices.Backward(sizes) {
		half, err := halved(picture(dir, name, s.width, scheme))
		if err != nil {
			return nil, err
		}
		windows = append(windows, half)
		width += half.Rect.Dx() + margin
		height = max(height, half.Rect.Dy())
	}
	table := color.RGBA{0xc9, 0xc9, 0xc3, 0xff}
	if scheme == "dark" {
		table = color.RGBA{0x3c, 0x44, 0x4a, 0xff}
	}
	sheet := image.NewRGBA(image.Rect(0, 0, width, height+2*margin))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(table), image.Point{}, draw.Src)
	x := margin
	for _, half := range windows {
		draw.Draw(sheet, half.Rect.Add(image.Pt(x, margin)), half, image.Point{}, draw.Src)
		x += half.Rect.Dx() + margin
	}
	var b bytes.Buffer
	for colours := 256; ; colours /= 2 {
		b.Reset()
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, reduced(sheet, colours)); err != nil {
			return nil, err
		}
		if b.Len() <= largest || colours == 16 {
			return b.Bytes(), nil
		}
	}
}

// halved is the top of a picture at half its size: each pixel is the mean of four.
func halved(file string) (*image.RGBA, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	whole, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	size := whole.Bounds().Size()
	from := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(from, from.Rect, whole, whole.Bounds().Min, draw.Src)
	to := image.NewRGBA(image.Rect(0, 0, size.X/2, min(size.Y, tallest)/2))
	for y := range to.Rect.Dy() {
		for x := range to.Rect.Dx() {
			i, o := from.PixOffset(2*x, 2*y), to.PixOffset(x, y)
			for c := range 4 {
				to.Pix[o+c] = uint8((int(from.Pix[i+c]) + int(from.Pix[i+4+c]) + int(from.Pix[i+from.Stride+c]) + int(from.Pix[i+from.Stride+4+c]) + 2) / 4)
			}
		}
	}
	return to, nil
}

// reduced is a picture in its most frequent colours, of which no two are nearly
// the same; every other becomes the nearest of them.
func reduced(from *image.RGBA, colours int) *image.Paletted {
	count := map[color.RGBA]int{}
	for i := 0; i < len(from.Pix); i += 4 {
		count[color.RGBA{from.Pix[i], from.Pix[i+1], from.Pix[i+2], 0xff}]++
	}
	byCount := make([]color.RGBA, 0, len(count))
	for c := range count {
		byCount = append(byCount, c)
	}
	slices.SortFunc(byCount, func(a, b color.RGBA) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return bytes.Compare([]byte{a.R, a.G, a.B}, []byte{b.R, b.G, b.B})
	})
	distance := func(a, b color.RGBA) int {
		r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
		return r*r + g*g + bl*bl
	}
	var chosen []color.RGBA
	apart := 3 * (16384 / colours) // squared: rare colours get a place before shades of frequent ones
	for _, c := range byCount {
		if len(chosen) < colours && (len(chosen) < 12 || !slices.ContainsFunc(chosen, func(k color.RGBA) bool { return distance(c, k) < apart })) {
			chosen = append(chosen, c)
		}
	}
	palette := make(color.Palette, len(chosen))
	for i, c := range chosen {
		palette[i] = c
	}
	index := make(map[color.RGBA]uint8, len(count))
	for c := range count {
		nearest := 0
		for i := range chosen {
			if distance(c, chosen[i]) < distance(c, chosen[nearest]) {
				nearest = i
			}
		}
		index[c] = uint8(nearest)
	}
	to := image.NewPaletted(from.Rect, palette)
	for i := range to.Pix {
		to.Pix[i] = index[color.RGBA{from.Pix[4*i], from.Pix[4*i+1], from.Pix[4*i+2], 0xff}]
	}
	return to
}
