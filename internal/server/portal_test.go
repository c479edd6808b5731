package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

const portalCookie = "__Host-entente-session"

// portalSession opens one of a principal's, as the link does, and returns its secret.
func (s *service) portalSession(tenantID, principalID string) string {
	s.t.Helper()
	c, err := s.directory.CallerOf(s.t.Context(), tenantID, principalID)
	check(s.t, err)
	link, err := s.directory.MakePortalLink(s.t.Context(), c, 0)
	check(s.t, err)
	w := s.ask("POST", "/portal/link", strings.NewReader(url.Values{"token": {link.Token}}.Encode()), portalForm(""))
	for _, k := range w.Result().Cookies() {
		if k.Name == portalCookie {
			return k.Value
		}
	}
	s.t.Fatalf("no session: %d %s", w.Code, w.Body)
	return ""
}

func (s *service) adminSession() string {
	s.t.Helper()
	p, err := s.directory.ServicePrincipal(s.t.Context(), directory.System(s.admin.TenantID, "test"), directory.Ref{AppID: s.admin.ClientID})
	check(s.t, err)
	return s.portalSession(s.admin.TenantID, p.ID)
}

// portalForm are the headers of a form that the portal's own page sends.
func portalForm(session string) http.Header {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}
	if session != "" {
		h.Set("Cookie", portalCookie+"="+session)
	}
	return h
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// filled is a pattern of the portal with one value in all of its places.
func filled(pattern, value string) string {
	return wildcard.ReplaceAllLiteralString(strings.ReplaceAll(pattern, "{$}", ""), value)
}

// fieldNames are the names that the portal's pages look for in forms and queries.
func fieldNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../portal/*.go")
	check(t, err)
	call := regexp.MustCompile(`\b(?:field|Get|query|list)\("([^)]*)"\)`)
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			names = append(names, strings.Split(found[1], `", "`)...)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 20 || !slices.Contains(names, "limit") {
		t.Fatalf("the fields are %q", names)
	}
	return names
}

// Whatever comes to whichever page of the portal, signed in or not, is no
// failure of the service, and nothing secret of it comes into the log.
func TestPortalIsAskedHostileThings(t *testing.T) {
	s := openService(t, t.TempDir())
	session := s.adminSession()
	const canary = "canary-of-a-secret"
	names := fieldNames(t)
	form := func(value string) string {
		v := url.Values{}
		for _, name := range names {
			v.Set(name, value)
		}
		return v.Encode()
	}
	big := "name=" + strings.Repeat("a", 300<<10)
	type body struct{ text, kind string }
	const plain = "application/x-www-form-urlencoded"
	bodies := map[string]body{
		"nothing":             {"", plain},
		"NUL":                 {form("\x00"), plain},
		"not UTF-8":           {form("a\xff\xfe"), plain},
		"a lone surrogate":    {form("\xed\xa0\x80"), plain},
		"control characters":  {form("a\r\nSet-Cookie: a=b\x1b[2J\u202e"), plain},
		"markup":              {form(`"><script>alert(1)</script>{{.}}`), plain},
		"secrets":             {form(canary), plain},
		"a long text":         {form(strings.Repeat("a", 1500)), plain},
		"numbers":             {form("-99999999999999999999"), plain},
		"300 KiB":             {big, plain},
		"a field twice":       {"name=a&name=b&token=" + canary, plain},
		"many fields":         {strings.Repeat("&a=b", 20000), plain},
		"no escapes":          {"name=%zz&token=" + canary, plain},
		"a semicolon":         {"name=a;b", plain},
		"JSON":                {`{"name":"` + canary + `"}`, "application/json"},
		"parts":               {"--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\na\r\n--x--", "multipart/form-data; boundary=x"},
		"no type":             {"name=a", ""},
		"a type that is none": {"name=a", ";;;"},
	}
	values := []string{
		"x", "%00", "a%00b", "%FF%FE", "%ED%A0%80", "..%2F..%2Fv1.0", "%2e%2e", "%5C", "%0d%0aSet-Cookie:%20a=b", "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%E2%80%AE", "%25", "'", "00000000-0000-0000-0000-000000000000", strings.Repeat("a", 5000),
	}
	queries := []string{"", "?%00", "?%zz", "?a;b", "?" + form("\x00"), "?" + form("\xff"), "?" + form(`"><script>alert(1)</script>`), "?token=" + canary + "&q=" + strings.Repeat("q", 20000), "?after=" + strings.Repeat("x&after=", 300), "?page=-1&after=-1&sort=-1"}

	ask := func(what, method, target string, header http.Header, text string) *httptest.ResponseRecorder {
		t.Helper()
		u, err := url.Parse(s.URL() + target)
		if err != nil {
			u = &url.URL{Scheme: "https", Host: "localhost", Path: "/portal/", RawQuery: target}
		}
		r := httptest.NewRequest(method, s.URL()+"/portal", strings.NewReader(text))
		r.URL, r.RequestURI, r.Header = u, u.RequestURI(), header.Clone()
		w := httptest.NewRecorder()
		s.observed(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Errorf("%s: %s %.200s: %d %.300s", what, method, target, w.Code, w.Body)
		}
		if got := w.Body.String(); strings.Contains(got, "<script>alert") {
			t.Errorf("%s: %s %.200s: the answer has a script", what, method, target)
		}
		for _, k := range w.Result().Cookies() {
			if k.Name == "a" {
				t.Errorf("%s: %s %.200s sets a cookie", what, method, target)
			}
		}
		return w
	}
	for _, who := range []string{"", session} {
		for _, route := range s.portal.Routes() {
			if strings.HasSuffix(route.Pattern, "/sign-out") && who != "" {
				continue // which would end it
			}
			header := portalForm(who)
			if route.Method == http.MethodGet {
				for _, value := range values {
					ask("a path", "GET", filled(route.Pattern, value), header, "")
				}
				for _, query := range queries {
					ask("a query", "GET", filled(route.Pattern, "x")+query, header, "")
				}
				continue
			}
			for _, value := range values {
				ask("a path", route.Method, filled(route.Pattern, value), header, "")
			}
			for what, b := range bodies {
				h := header.Clone()
				h["Content-Type"] = []string{b.kind}
				w := ask(what, route.Method, filled(route.Pattern, "x"), h, b.text)
				if who == "" && !route.Open {
					if w.Code != http.StatusUnauthorized {
						t.Errorf("%s to %s: %d for somebody who has not signed in", what, route.Pattern, w.Code)
					}
					continue
				}
				want := map[string]int{"300 KiB": http.StatusRequestEntityTooLarge, "a field twice": http.StatusBadRequest, "many fields": http.StatusBadRequest, "no escapes": http.StatusBadRequest, "a semicolon": http.StatusBadRequest}[what]
				if b.kind != plain {
					want = http.StatusUnsupportedMediaType
				}
				if want != 0 && w.Code != want {
					t.Errorf("%s to %s: %d, want %d", what, route.Pattern, w.Code, want)
				}
			}
		}
	}

	for name, cookie := range map[string]string{
		"garbage": portalCookie + "=%%%\x01", "two": portalCookie + "=" + session + "; " + portalCookie + "=" + canary, "long": portalCookie + "=" + strings.Repeat("a", 8000),
		"empty": portalCookie + "=", "quoted": portalCookie + `="` + canary + `"`, "without its prefix": "entente-session=" + session, "in another case": strings.ToLower(portalCookie) + "=" + session,
		"a sign-in's": "__Host-entente-signin=" + canary + "; entente-theme=\x00",
	} {
		if w := ask("the cookie "+name, "GET", "/portal", http.Header{"Cookie": {cookie}}, ""); w.Code != http.StatusUnauthorized {
			t.Errorf("the cookie %s: %d", name, w.Code)
		}
	}
	if w := ask("the session", "GET", "/portal", portalForm(session), ""); w.Code != http.StatusOK {
		t.Errorf("the session has ended: %d", w.Code)
	}
	text := s.log.String()
	for _, secret := range []string{canary, session} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("a secret is in the log: …%s", text[max(0, i-300):i+len(secret)])
		}
	}
	if i := strings.Index(text, `"level":"ERROR"`); i >= 0 {
		t.Errorf("something failed: …%.600s", text[max(0, i-100):])
	}
}

// Under a name that is not the service's the portal says nothing of that name.
func TestPortalUnderAForeignHost(t *testing.T) {
	s := openService(t, t.TempDir())
	session := s.adminSession()
	for _, who := range []string{"", session} {
		for _, route := range s.portal.Routes() {
			if route.Method != http.MethodGet {
				continue
			}
			r := httptest.NewRequest("GET", s.URL()+filled(route.Pattern, "x"), nil)
			r.Host = "evil.example"
			r.Header = portalForm(who)
			for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host"} {
				r.Header.Set(name, "evil.example")
			}
			w := httptest.NewRecorder()
			s.observed(w, r)
			if got := w.Body.String() + w.Header().Get("Location") + strings.Join(w.Header().Values("Set-Cookie"), ""); strings.Contains(got, "evil.example") || w.Code >= 500 {
				t.Errorf("%s: %d %s", route.Pattern, w.Code, got)
			}
		}
	}
}

// Over the network: HTTP/2 and 1.1, HEAD as GET, and what a mux would redirect.
func TestPortalOverTheNetwork(t *testing.T) {
	s := openService(t, t.TempDir())
	session := s.adminSession()
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() { <-ended })
	for _, protocols := range []int{1, 2} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: protocols == 2}
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		do := func(method, path, who string) (*http.Response, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(ctx, method, "https://"+s.listener.Addr().String()+path, nil)
			check(t, err)
			r.Header = portalForm(who)
			response, err := client.Do(r)
			check(t, err)
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			check(t, err)
			if response.ProtoMajor != protocols {
				t.Errorf("%s %s is answered in %s", method, path, response.Proto)
			}
			return response, string(text)
		}
		for _, route := range s.portal.Routes() {
			if route.Method != http.MethodGet || strings.Contains(route.Pattern, "{") {
				continue
			}
			for _, who := range []string{"", session} {
				get, text := do("GET", route.Pattern, who)
				head, none := do("HEAD", route.Pattern, who)
				if get.StatusCode != head.StatusCode || none != "" || get.StatusCode >= 500 || get.Header.Get("Strict-Transport-Security") != "" || get.Header.Get("Content-Security-Policy") == "" {
					t.Errorf("%s: %d by GET and %d by HEAD, with %q; %v", route.Pattern, get.StatusCode, head.StatusCode, none, get.Header)
				}
				if who == "" && !route.Open && (get.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "Sign in")) {
					t.Errorf("%s: %d for somebody who has not signed in", route.Pattern, get.StatusCode)
				}
			}
		}
		for method, want := range map[string]int{"DELETE": 405, "PUT": 405, "TRACE": 405, "PROPFIND": 405, "GET": 200} {
			if r, _ := do(method, "/portal/settings", session); r.StatusCode != want || (r.Header.Get("Allow") == "GET, HEAD") != (want == 405) {
				t.Errorf("%s: %d, Allow: %s", method, r.StatusCode, r.Header.Get("Allow"))
			}
		}
		for path, to := range map[string]string{"//portal//settings": "/portal/settings", "/portal/./settings": "/portal/settings", "/portal//evil.example": "/portal/evil.example", "/portal/x/../../v1.0": "/v1.0"} {
			if r, _ := do("GET", path, session); r.StatusCode >= 500 || r.StatusCode/100 == 3 && r.Header.Get("Location") != to {
				t.Errorf("%s: %d to %q", path, r.StatusCode, r.Header.Get("Location"))
			}
		}
		if r, _ := do("GET", "/PORTAL", session); r.StatusCode != http.StatusNotFound {
			t.Errorf("in another case: %d", r.StatusCode)
		}
	}
}
