//go:build unix

package browser_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"image/png"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit/browser"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

// pages are what the tests look at. Their policy is the strict one.
const head = `<!doctype html><html lang="en"><head><title>Pets</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><script src="/script.js" defer></script></head><body><main><h1>Pets</h1>`

var pages = map[string]string{
	"/": head + `<nav aria-label="Main"><a href="/form">New pet</a></nav>
		<p hidden>nobody sees this</p><p>Cats   and
		dogs</p>
		<dl><dt>Kind</dt><dd>cat</dd><dt>Age</dt><dd>7</dd></dl>
		<table><tbody><tr><th scope="row">Tom</th><td>grey</td><td><a href="/form?tom">Edit</a></td></tr>
		<tr><th scope="row">Felix</th><td>black</td><td><a href="/form?felix">Edit</a></td></tr></tbody></table></main></body></html>`,
	"/form": head + `<form method="post" action="/made">
		<label for="name">Name <span aria-hidden="true">*</span></label><input id="name" name="name" required>
		<label>Kind <select name="kind"><option value="">Choose</option><option value="c">Cat</option><option value="d">Guide  dog</option></select></label>
		<label><input type="checkbox" name="tame"> Tame</label>
		<label for="id">Identifier</label><input id="id" readonly value="pet:">
		<button>Save</button></form></main></body></html>`,
	"/faulty":   head + `<img src="/cat.png" width="1" height="1"><p style-x>light grey on white</p></main></body></html>`,
	"/inline":   head + `<p id="p">before</p><script>document.getElementById("p").textContent = "after"</script></main></body></html>`,
	"/alert":    head + `<button id="greet">Greet</button></main></body></html>`,
	"/foreign":  head + `<p>looks out</p><img alt="" src="https://cdn.example.com/cat.png"><img alt="" src="https://203.0.113.7/cat.png"></main></body></html>`,
	"/throws":   head + `<button id="throw">Throw</button></main></body></html>`,
	"/wide":     head + `<p class="wide">too wide</p></main></body></html>`,
	"/covered":  head + `<div class="cover"></div><button>Below</button></main></body></html>`,
	"/twins":    head + `<button>Save</button><button>Save</button></main></body></html>`,
	"/faint":    head + `<button class="faint">Faint</button><button>Clear</button></main></body></html>`,
	"/jumps":    head + `<p id="late"></p><p>pushed down</p></main></body></html>`,
	"/noscript": head + `<noscript>without scripts</noscript></main></body></html>`,
}

const style = `html { scrollbar-gutter: stable } body { font: 16px sans-serif } .wide { width: 2000px } .cover { position: fixed; inset: 0 } .faint:focus { outline: none }
@media (prefers-color-scheme: dark) { html { background: #000; color: #fff } } a { color: inherit }`

const script = `"use strict";
document.getElementById("name")?.addEventListener("input", e => { document.getElementById("id").value = "pet:" + e.target.value });
if (document.getElementById("late")) setTimeout(() => { document.getElementById("late").textContent = "late" }, 200);
document.getElementById("greet")?.addEventListener("click", () => alert("hello"));
document.getElementById("throw")?.addEventListener("click", () => { throw new Error("thrown") });`

// site is a server with its own certificate.
func site(t *testing.T) browser.Site {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		text, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		policy := "default-src 'self'; img-src 'self' data:"
		if r.URL.Path == "/foreign" {
			policy = "default-src * data:"
		}
		w.Header().Set("Content-Security-Policy", policy)
		fmt.Fprint(w, text)
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, style)
	})
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /cat.png", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", "image/png") })
	mux.HandleFunc("POST /made", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "made %s, a %s, tame: %s", r.PostFormValue("name"), r.PostFormValue("kind"), r.PostFormValue("tame"))
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return browser.Site{URL: server.URL, CAFile: ca}
}

func TestPerson(t *testing.T) {
	b := browser.Open(t, site(t))
	b.Go("/twins")
	b.ClickFirst("Save")
	b.Go("/")
	b.See("Cats and dogs")
	b.NotSee("nobody sees this")
	if got := b.Value("Kind") + b.Value("Age") + b.Value("Felix"); got != "cat7black" {
		t.Errorf("values beside their terms: %q", got)
	}
	b.Within("row", "Felix").Click("Edit")
	b.AtURL("/form?felix")
	b.Back()
	b.Click("New pet")
	b.AtURL("/form")

	b.Type("Name", "Kitty")
	b.SeeValue("Identifier", "pet:Kitty")
	b.Type("Name", "!")
	b.SeeValue("Identifier", "pet:Kitty!")
	b.Fill("Name", "Tom <3")
	b.SeeValue("Identifier", "pet:Tom <3")
	b.Fill("Name", "")
	b.SeeValue("Identifier", "pet:")
	b.Fill("Name", "Tom <3")
	if b.Editable("Identifier") || !b.Editable("Name") {
		t.Error("Identifier can be edited, or Name cannot")
	}
	if got := b.Options("Kind"); !slices.Equal(got, []string{"Choose", "Cat", "Guide dog"}) {
		t.Errorf("options %q", got)
	}
	b.Select("Kind", "Guide dog")
	b.SeeValue("Kind", "Guide dog")
	b.Click("Tame")
	b.SeeValue("Tame", "true")
	b.Click("Save")
	b.See("made Tom <3, a d, tame: on")
	if b.Status() != 200 {
		t.Errorf("status %d", b.Status())
	}
}

func TestKeyboard(t *testing.T) {
	b := browser.Open(t, site(t))
	b.Go("/form")
	b.TabTo("textbox", "Name")
	b.Write("Rex")
	b.TabTo("combobox", "Kind")
	b.Press("ArrowDown", "ArrowDown")
	b.TabTo("checkbox", "Tame")
	b.Press("Space")
	b.Press("Tab")
	if role, name := b.Focused(); role != "textbox" || name != "Identifier" {
		t.Errorf("%s %q has the focus", role, name)
	}
	b.Press("Shift+Tab")
	if role, name := b.Focused(); role != "checkbox" || name != "Tame" {
		t.Errorf("after Shift+Tab, %s %q has the focus", role, name)
	}
	b.TabTo("button", "Save")
	b.Press("Enter")
	b.See("made Rex, a d, tame: on")
}

func TestWithoutJavaScript(t *testing.T) {
	b := browser.Open(t, site(t))
	b.JavaScript(false)
	b.Go("/noscript")
	b.See("without scripts")
	b.Go("/form")
	b.Fill("Name", "Tom")
	if got := b.Value("Identifier"); got != "pet:" {
		t.Errorf("the script ran: %q", got)
	}
	b.Select("Kind", "Cat")
	b.Click("Tame")
	b.Click("Save")
	b.See("made Tom, a c, tame: on")
	b.JavaScript(true)
	b.Go("/noscript")
	b.NotSee("without scripts")
}

func TestShape(t *testing.T) {
	b := browser.Open(t, site(t))
	b.Go("/")
	dir := t.TempDir()
	heights := map[int]int{}
	for _, width := range []int{360, 1440} {
		for _, scheme := range []string{"light", "dark"} {
			file := filepath.Join(dir, fmt.Sprint(width, scheme, ".png"))
			b.Screenshot(file, width, 100, scheme)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			if got := picture.Bounds().Dx(); got != width {
				t.Errorf("a picture %d pixels wide, want %d", got, width)
			}
			heights[picture.Bounds().Dy()]++
			if r, _, _, _ := picture.At(width-1, 0).RGBA(); (r == 0) != (scheme == "dark") {
				t.Errorf("%s has the corner %x", scheme, r)
			}
		}
	}
	for height := range heights {
		if height <= 100 {
			t.Errorf("a picture is %d pixels high: not the whole page", height)
		}
	}
	if n := b.Overflow(); n != 0 {
		t.Errorf("%d pixels stick out", n)
	}
	b.Go("/wide")
	if n := b.Overflow(); n < 500 || len(b.Widest()) == 0 {
		t.Errorf("%d pixels stick out: %q", n, b.Widest())
	}
	if jumps := b.Shifts(); len(jumps) != 0 {
		t.Errorf("jumps of a page that stands still: %q", jumps)
	}
	b.Go("/jumps")
	b.See("late")
	if jumps := b.Shifts(); len(jumps) != 1 || !strings.Contains(jumps[0], "<p>pushed down</p>") {
		t.Errorf("jumps %q", jumps)
	}
	b.ReducedMotion()
	var reduced, dark bool
	b.Eval(`matchMedia("(prefers-reduced-motion: reduce)").matches`, &reduced)
	b.Eval(`matchMedia("(prefers-color-scheme: dark)").matches`, &dark)
	if !reduced || !dark {
		t.Errorf("reduced motion %v, dark %v", reduced, dark)
	}
}

func TestAxe(t *testing.T) {
	b := browser.Open(t, site(t))
	b.Go("/form")
	b.Axe()
	b.Go("/faulty")
	found := b.Violations()
	var text string
	for _, v := range found {
		text += v.String() + "\n"
	}
	for _, want := range []string{"image-alt (critical)", `<img src="/cat.png"`, "[img]"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the list of violations:\n%s", want, text)
		}
	}
}

// What a page does, and what the test is told.
func TestMisbehaviour(t *testing.T) {
	where := site(t)
	for _, k := range []struct {
		name string
		do   func(*browser.Browser)
		kind browser.Kind
		part string
	}{
		{"an inline script", func(b *browser.Browser) { b.Go("/inline"); b.See("before") }, browser.Policy, "script-src"},
		{"an alert", func(b *browser.Browser) { b.Go("/alert"); b.Click("Greet"); b.See("Pets") }, browser.Dialog, `"hello"`},
		{"a request to another name", func(b *browser.Browser) { b.Go("/foreign"); b.See("looks out") }, browser.ThirdParty, "https://cdn.example.com/cat.png"},
		{"a request to another address", func(b *browser.Browser) { b.Go("/foreign"); b.See("looks out") }, browser.ThirdParty, "https://203.0.113.7/cat.png"},
		{"an exception", func(b *browser.Browser) { b.Go("/throws"); b.Click("Throw") }, browser.Console, "Error: thrown"},
		{"a page that is not there", func(b *browser.Browser) { b.Go("/none") }, browser.Console, "404"},
	} {
		t.Run(k.name, func(t *testing.T) {
			failures := listen(t, func(t testing.TB) { k.do(browser.Open(t, where)) })
			want := fmt.Sprintf("the page did what it must not: %s: ", k.kind)
			if !slices.ContainsFunc(failures, func(f string) bool { return strings.HasPrefix(f, want) && strings.Contains(f, k.part) }) {
				t.Errorf("no failure %q … %q, but %q", want, k.part, failures)
			}
			if failures := listen(t, func(t testing.TB) {
				b := browser.Open(t, where)
				for _, kind := range []browser.Kind{browser.Policy, browser.Dialog, browser.ThirdParty, browser.Console} {
					if kind == k.kind || kind == browser.Console && k.kind == browser.ThirdParty {
						b.Expect(kind, "")
					}
				}
				k.do(b)
			}); len(failures) != 0 {
				t.Errorf("expected, and a failure all the same: %q", failures)
			}
		})
	}
	failures := listen(t, func(t testing.TB) { b := browser.Open(t, where); b.Expect(browser.Dialog, "hello"); b.Go("/") })
	if len(failures) != 1 || !strings.Contains(failures[0], "expected and not seen: dialog") {
		t.Errorf("an alert that does not come: %q", failures)
	}
}

func TestRequests(t *testing.T) {
	b := browser.Open(t, site(t))
	b.Expect(browser.ThirdParty, "")
	b.Expect(browser.Console, "ERR_NAME_NOT_RESOLVED")
	b.Go("/foreign")
	b.See("looks out")
	seen := map[string]browser.Request{}
	for _, r := range b.Requests() {
		seen[r.Type+" "+r.URL[strings.Index(r.URL, "://")+3:]] = r
		if r.Foreign() != (r.Error == "net::ERR_NAME_NOT_RESOLVED") || r.Foreign() == (r.Status == 200) {
			t.Errorf("%+v", r)
		}
	}
	for _, want := range []string{"Image cdn.example.com/cat.png", "Image 203.0.113.7/cat.png"} {
		if _, ok := seen[want]; !ok {
			t.Errorf("no request %q in %v", want, seen)
		}
	}
	styles := 0
	for name, r := range seen {
		if strings.HasPrefix(name, "Stylesheet ") {
			if styles++; r.Bytes < len(style) {
				t.Errorf("%+v, want %d bytes or more", r, len(style))
			}
		}
	}
	if styles != 1 {
		t.Errorf("%d style sheets", styles)
	}
}

// What a person cannot do, a test cannot do either, and is told why.
func TestFailures(t *testing.T) {
	where := site(t)
	for _, k := range []struct {
		name, page string
		do         func(*browser.Browser)
		want       []string
	}{
		{"a button that is not there", "/form", func(b *browser.Browser) { b.Click("Delete") }, []string{`click on "Delete": there is none, but [option "Choose"`, `button "Save"`, "at https://127.0.0.1", "Guide dog"}},
		{"a text that is not there", "/", func(b *browser.Browser) { b.See("birds") }, []string{`"birds" is not to be seen`, "Cats and dogs"}},
		{"a button that is covered", "/covered", func(b *browser.Browser) { b.Click("Below") }, []string{`it lies below <div class="cover">`}},
		{"two of one name", "/twins", func(b *browser.Browser) { b.Click("Save") }, []string{"there are several"}},
		{"a field to read", "/form", func(b *browser.Browser) { b.Fill("Identifier", "x") }, []string{"it is read-only"}},
		{"an option that is not there", "/form", func(b *browser.Browser) { b.Select("Kind", "Bird") }, []string{`["Choose","Cat","Guide dog"]`}},
		{"a focus that is not shown", "/faint", func(b *browser.Browser) { b.TabTo("button", "Clear") }, []string{`button "Faint" has the focus and does not show it`}},
	} {
		t.Run(k.name, func(t *testing.T) {
			failures := listen(t, func(t testing.TB) {
				b := browser.Open(t, where)
				b.Go(k.page)
				b.Patience = 500 * time.Millisecond
				k.do(b)
			})
			if len(failures) != 1 {
				t.Fatalf("failures %q", failures)
			}
			for _, want := range k.want {
				if !strings.Contains(failures[0], want) {
					t.Errorf("no %q in:\n%s", want, failures[0])
				}
			}
		})
	}
}

// A certificate of another key is refused, although the name is right, and so
// is a service that the CA file does not vouch for.
func TestTrust(t *testing.T) {
	where := site(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	other.StartTLS()
	defer other.Close()
	for _, failures := range [][]string{
		listen(t, func(t testing.TB) { browser.Open(t, where).Go(other.URL) }),
		listen(t, func(t testing.TB) { browser.Open(t, where, browser.Site{URL: other.URL, CAFile: where.CAFile}) }),
	} {
		if len(failures) != 1 || !strings.Contains(failures[0], "ERR_CERT_AUTHORITY_INVALID") && !strings.Contains(failures[0], "certificate signed by unknown authority") {
			t.Errorf("failures %q", failures)
		}
	}
}

// listener is a test whose failures are heard and do not count.
type listener struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

// listen runs a test of its own and returns its failures.
func listen(t *testing.T, run func(testing.TB)) []string {
	t.Helper()
	l := &listener{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		defer func() {
			for _, c := range slices.Backward(l.cleanups) {
				c()
			}
		}()
		run(l)
	}()
	<-done
	return l.failures
}

func (l *listener) Helper()          {}
func (l *listener) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }
func (l *listener) Failed() bool     { return len(l.failures) > 0 }
func (l *listener) Errorf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}
func (l *listener) Error(args ...any) { l.Errorf("%s", fmt.Sprint(args...)) }
func (l *listener) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	runtime.Goexit()
}
func (l *listener) Fatal(args ...any) { l.Fatalf("%s", fmt.Sprint(args...)) }
