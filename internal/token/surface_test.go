package token

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/exchange"
)

func TestRoutes(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	for _, route := range w.surface.Routes() {
		path := strings.ReplaceAll(route.Pattern, "{tenant}", w.tenant.ID)
		if route.Action == "instance" {
			path += "?authorization_endpoint=" + w.server.URL + "/common/oauth2/v2.0/authorize"
		}
		other := http.MethodPost
		if route.Method == http.MethodPost {
			other = http.MethodGet
		}
		for _, method := range []string{other, http.MethodDelete, "FOO"} {
			r := w.send(method, path, "")
			if r.code(t) != 900561 || r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != route.Method {
				t.Errorf("%s %s: %d %s", method, path, r.StatusCode, r.body)
			}
			if want := "AADSTS900561: The endpoint only accepts " + route.Method + " requests. Received a " + method + " request. Trace ID"; !strings.Contains(string(r.body), want) {
				t.Errorf("%s", r.body)
			}
		}
		if route.Method == http.MethodGet {
			before, _, _ := strings.Cut(path, "?")
			for _, variant := range []string{path, strings.Replace(path, before, before+"/", 1), "/" + path, strings.Replace(path, before, strings.ToUpper(before), 1)} {
				if r := w.get(variant); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
					t.Errorf("GET %s: %d %s", variant, r.StatusCode, r.body)
				}
			}
			if r := w.send(http.MethodHead, path, ""); r.StatusCode != http.StatusOK || len(r.body) != 0 {
				t.Errorf("HEAD %s: %d %s", path, r.StatusCode, r.body)
			}
		}
	}
	for _, path := range []string{"/", "/nonsense", "/" + w.tenant.ID, "/" + w.tenant.ID + "/oauth2/v2.0/authorize", "/a/b/oauth2/token", "/" + w.tenant.ID + "/oauth2/v2.0/token/x", "/" + w.tenant.ID + "%2foauth2/v2.0/token"} {
		if r := w.get(path); r.code(t) != 9002313 || r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.body)
		}
	}
}

func TestPanic(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	w.surface.config.Host = func(*http.Request) Host { panic("on purpose") }
	if r := w.get("/.well-known/webfinger"); r.StatusCode != http.StatusInternalServerError || r.code(t) != 50000 || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// A panic is logged with its stack, and that without what the request held.
func TestPanicTellsNoSecret(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	var log bytes.Buffer
	w.surface.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.surface.config.Host = func(*http.Request) Host { panic("on purpose") }
	f := w.fields("client_secret", "canary-of-a-secret")
	r := w.post("/adfs/oauth2/token", f, "Authorization", "Bearer canary-of-a-header")
	if r.StatusCode != http.StatusInternalServerError || !strings.Contains(log.String(), "on purpose") || !strings.Contains(log.String(), "surface.go") {
		t.Fatalf("%d %s\n%s", r.StatusCode, r.body, &log)
	}
	for _, secret := range append(strings.Split(f.Get("client_assertion"), "."), "canary") {
		if strings.Contains(log.String()+string(r.body), secret) {
			t.Errorf("%q is told", secret)
		}
	}
}

func TestTraceIsTheServersRequestID(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	const id = "bbbbbbbb-1111-4222-8333-444444444444"
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Request-Id", id)
		w.surface.ServeHTTP(rw, r)
	})
	if got := w.get("/x").object(t)["trace_id"]; got != id {
		t.Errorf("trace id %v", got)
	}
}

func TestCorrelation(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	const id = "aaaaaaaa-1111-4222-8333-444444444444"
	bad := w.fields("grant_type", "x")
	for name, r := range map[string]response{
		"header":         w.post(w.tokenPath(), bad, "Client-Request-Id", id),
		"another header": w.post(w.tokenPath(), bad, "X-Ms-Client-Request-Id", id),
		"field":          w.post(w.tokenPath(), w.fields("grant_type", "x", "client-request-id", id)),
	} {
		if got := r.object(t)["correlation_id"]; got != id {
			t.Errorf("%s: correlation id %v", name, got)
		}
	}
	if got := w.post(w.tokenPath(), bad, "Client-Request-Id", "<script>").object(t)["correlation_id"].(string); len(got) != 36 {
		t.Errorf("correlation id %q", got)
	}
}

// Every reason of the exchange has an answer, and every answer is one that clients take.
func TestAnswers(t *testing.T) {
	reasons := reasonsOfExchange(t)
	if len(reasons) < 30 {
		t.Fatalf("the exchange has the reasons %q", reasons)
	}
	for _, reason := range reasons {
		if _, ok := answers[reason]; !ok {
			t.Errorf("%s has no answer", reason)
		}
	}
	for reason, a := range answers {
		if a.code < 10_000 || a.status < 400 || a.status > 503 || a.error == "" || a.text == "" {
			t.Errorf("%s: %+v", reason, a)
		}
		if filled := fill(a.text, &exchange.Error{}); strings.ContainsAny(filled, "{}") {
			t.Errorf("%s: %q", reason, filled)
		}
	}
}

// reasonsOfExchange reads the constants from the source, so that none is forgotten.
func reasonsOfExchange(t *testing.T) (reasons []exchange.Reason) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "exchange", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, exchange.Reason(value))
		}
		return true
	})
	return reasons
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain ü 日本":                "plain ü 日本",
		"a\r\nb\tc\x00\x1b[31m":     "a��b�c��[31m",
		"\u202egnp.exe\u200b\ufeff": "�gnp.exe��",
		"\xff\xfe":                  "��",
		"{subject}":                 "{subject}",
		strings.Repeat("ü", 600):    strings.Repeat("ü", 600),
		strings.Repeat("ü", 601):    strings.Repeat("ü", 600) + "…",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	// A value is not read as a text with places to fill.
	if got := fill("{subject} {issuer}", &exchange.Error{Subject: "{issuer}", Issuer: "x"}); got != "{issuer} x" {
		t.Errorf("%q", got)
	}
}

func TestReflectedValuesAreClean(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	for _, f := range [][]string{
		{"client_id", "a\r\nX: y\x1b[31m\u202e"},
		{"grant_type", "a\r\nX: y\x1b[31m\u202e" + strings.Repeat("x", 10_000)},
		{"scope", "a\x1b[31m\u202e" + strings.Repeat("x", 10_000)},
	} {
		description := w.post(w.tokenPath(), w.fields(f...)).object(t)["error_description"].(string)
		if strings.ContainsAny(description, "\r\n\x1b\u202e") || len(description) > 1500 {
			t.Errorf("%s: %q", f[0], description)
		}
	}
}
