package credential

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func valid() Spec {
	return Spec{
		Name:      "prod-app",
		Issuer:    "https://oidc.example/t1/",
		Subject:   "system:serviceaccount:ns1:sa1",
		Audiences: []string{DefaultAudience},
	}
}

func TestValidate(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	wide := func(n int) string { return strings.Repeat("€", n) }
	type want struct {
		field Field
		rule  Rule
	}
	ok := want{}
	for _, tt := range []struct {
		name string
		edit func(*Spec)
		kind ParentKind // empty: both
		want want
	}{
		{"as it should be", func(s *Spec) {}, "", ok},

		{"no name", func(s *Spec) { s.Name = "" }, "", want{Name, Missing}},
		{"one character, application", func(s *Spec) { s.Name = "a" }, Application, ok},
		{"one character, identity", func(s *Spec) { s.Name = "a" }, ManagedIdentity, want{Name, TooShort}},
		{"two characters, identity", func(s *Spec) { s.Name = "ab" }, ManagedIdentity, want{Name, TooShort}},
		{"three characters", func(s *Spec) { s.Name = "a-_" }, "", ok},
		{"120 characters", func(s *Spec) { s.Name = long(120) }, "", ok},
		{"121 characters", func(s *Spec) { s.Name = long(121) }, "", want{Name, TooLong}},
		{"a megabyte", func(s *Spec) { s.Name = long(1 << 20) }, "", want{Name, TooLong}},
		{"azwi's name, application", func(s *Spec) { s.Name = AzwiName("ns", "sa", "https://x/") }, Application, ok},
		{"azwi's name, identity", func(s *Spec) { s.Name = AzwiName("ns", "sa", "https://x/") }, ManagedIdentity, want{Name, Malformed}},
		{"first a dash, application", func(s *Spec) { s.Name = "-abc=" }, Application, ok},
		{"first a dash, identity", func(s *Spec) { s.Name = "-abc" }, ManagedIdentity, want{Name, Malformed}},
		{"first an underscore, application", func(s *Spec) { s.Name = "_abc" }, Application, ok},
		{"first an underscore, identity", func(s *Spec) { s.Name = "_abc" }, ManagedIdentity, want{Name, Malformed}},
		{"unreserved characters, application", func(s *Spec) { s.Name = "a.b~c" }, Application, ok},
		{"unreserved characters, identity", func(s *Spec) { s.Name = "a.b~c" }, ManagedIdentity, want{Name, Malformed}},
		{"dot", func(s *Spec) { s.Name = "." }, Application, want{Name, Forbidden}},
		{"dots", func(s *Spec) { s.Name = ".." }, Application, want{Name, Forbidden}},
		{"three dots", func(s *Spec) { s.Name = "..." }, Application, ok},
		{"dots, identity", func(s *Spec) { s.Name = ".." }, ManagedIdentity, want{Name, Malformed}},
		{"slash", func(s *Spec) { s.Name = "a/b" }, "", want{Name, Malformed}},
		{"space", func(s *Spec) { s.Name = "a b" }, "", want{Name, Malformed}},
		{"quote", func(s *Spec) { s.Name = "a'b" }, "", want{Name, Malformed}},
		{"plus", func(s *Spec) { s.Name = "a+b" }, "", want{Name, Malformed}},
		{"percent", func(s *Spec) { s.Name = "a%2fb" }, "", want{Name, Malformed}},
		{"line break at the end", func(s *Spec) { s.Name = "abc\n" }, "", want{Name, Malformed}},
		{"another alphabet", func(s *Spec) { s.Name = "аbc" }, "", want{Name, Malformed}},
		{"invalid UTF-8 in the name", func(s *Spec) { s.Name = "abc\xff" }, "", want{Name, Malformed}},

		{"no issuer", func(s *Spec) { s.Issuer = "" }, "", want{Issuer, Missing}},
		{"http", func(s *Spec) { s.Issuer = "http://x/" }, "", want{Issuer, Forbidden}},

		{"no subject", func(s *Spec) { s.Subject = "" }, "", want{Subject, Missing}},
		{"600 characters of subject", func(s *Spec) { s.Subject = wide(600) }, "", ok},
		{"601 characters of subject", func(s *Spec) { s.Subject = wide(601) }, "", want{Subject, TooLong}},
		{"subject with a space at the end", func(s *Spec) { s.Subject += " " }, "", ok},
		{"subject with wildcards", func(s *Spec) { s.Subject = "system:serviceaccount:*:?" }, "", ok},
		{"subject with markup", func(s *Spec) { s.Subject = "<img src=x onerror=alert(1)>" }, "", ok},
		{"subject in another alphabet", func(s *Spec) { s.Subject = "repo:компания/репо" }, "", ok},
		{"subject with NUL", func(s *Spec) { s.Subject = "a\x00" }, "", want{Subject, Malformed}},
		{"subject with a line break", func(s *Spec) { s.Subject = "a\nb" }, "", want{Subject, Malformed}},
		{"subject with a C1 control", func(s *Spec) { s.Subject = "a\u0085b" }, "", want{Subject, Malformed}},
		{"subject with DEL", func(s *Spec) { s.Subject = "a\x7f" }, "", want{Subject, Malformed}},
		{"subject with invalid UTF-8", func(s *Spec) { s.Subject = "a\xc3" }, "", want{Subject, Malformed}},
		{"subject with a surrogate", func(s *Spec) { s.Subject = "a\xed\xa0\x80" }, "", want{Subject, Malformed}},

		{"nil audiences", func(s *Spec) { s.Audiences = nil }, "", want{Audiences, Missing}},
		{"no audience", func(s *Spec) { s.Audiences = []string{} }, "", want{Audiences, Missing}},
		{"empty audience", func(s *Spec) { s.Audiences = []string{""} }, "", want{Audiences, Missing}},
		{"two audiences", func(s *Spec) { s.Audiences = []string{"a", "b"} }, "", want{Audiences, NotOne}},
		{"the same audience twice", func(s *Spec) { s.Audiences = []string{"a", "a"} }, "", want{Audiences, NotOne}},
		{"another audience", func(s *Spec) { s.Audiences = []string{"api://x"} }, "", ok},
		{"600 characters of audience", func(s *Spec) { s.Audiences = []string{wide(600)} }, "", ok},
		{"601 characters of audience", func(s *Spec) { s.Audiences = []string{wide(601)} }, "", want{Audiences, TooLong}},
		{"audience with NUL", func(s *Spec) { s.Audiences = []string{"a\x00"} }, "", want{Audiences, Malformed}},
		{"audience with invalid UTF-8", func(s *Spec) { s.Audiences = []string{"\xff"} }, "", want{Audiences, Malformed}},

		{"600 characters of description", func(s *Spec) { s.Description = wide(600) }, "", ok},
		{"601 characters of description", func(s *Spec) { s.Description = wide(601) }, "", want{Description, TooLong}},
		{"description of two lines", func(s *Spec) { s.Description = "a\nb\t" }, "", ok},
		{"description with NUL", func(s *Spec) { s.Description = "a\x00b" }, "", want{Description, Malformed}},
		{"description with invalid UTF-8", func(s *Spec) { s.Description = "\xff" }, "", want{Description, Malformed}},

		{"everything wrong: name first", func(s *Spec) { *s = Spec{Description: "\xff"} }, "", want{Name, Missing}},
		{"then issuer", func(s *Spec) { *s = Spec{Name: "abc", Description: "\xff"} }, "", want{Issuer, Missing}},
		{"then subject", func(s *Spec) { *s = Spec{Name: "abc", Issuer: "https://x", Description: "\xff"} }, "", want{Subject, Missing}},
		{"then audiences", func(s *Spec) { *s = Spec{Name: "abc", Issuer: "https://x", Subject: "s", Description: "\xff"} }, "", want{Audiences, Missing}},
	} {
		kinds := []ParentKind{tt.kind}
		if tt.kind == "" {
			kinds = []ParentKind{Application, ManagedIdentity}
		}
		for _, kind := range kinds {
			t.Run(tt.name+"/"+string(kind), func(t *testing.T) {
				s := valid()
				tt.edit(&s)
				err := s.Validate(kind)
				if tt.want == ok {
					if err != nil {
						t.Fatalf("refused: %v", err)
					}
					return
				}
				var v *Violation
				if !errors.As(err, &v) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if got := (want{v.Field, v.Rule}); got != tt.want {
					t.Errorf("got %v (%v), want %v", got, err, tt.want)
				}
				if v.Detail == "" || len(err.Error()) > 1000 {
					t.Errorf("no detail, or too long a message: %v", err)
				}
			})
		}
	}
}

func TestValidateIssuer(t *testing.T) {
	long := func(n int) string { return "https://x/" + strings.Repeat("a", n-10) }
	for _, tt := range []struct {
		issuer string
		rule   Rule // empty: valid
	}{
		{"https://x", ""},
		{"https://x/", ""},
		{"https://X.Example/A/", ""},
		{"https://oidc.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/", ""},
		{"https://kubernetes.default.svc.cluster.local", ""},
		{"https://token.actions.githubusercontent.com", ""},
		{"https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0", ""},
		{"https://under_score.example", ""},
		{"https://xn--80ak6aa92e.example/", ""},
		{"https://10.0.0.1/", ""},
		{"https://localhost:8443/a//b", ""},
		{"https://[::1]:8443/", ""},
		{"https://[2001:db8::1]", ""},
		{"https://x:1", ""},
		{"https://x:65535/", ""},
		{"https://x./", ""},
		{"https://x/a%20b/~user/(1)/@;=+$,!'*&", ""},
		{long(600), ""},

		{"", Missing},
		{long(601), TooLong},
		{"https://x/" + strings.Repeat("é", 601), TooLong},
		{strings.Repeat("a", 1<<20), TooLong},
		{"http://x/", Forbidden},
		{"HTTP://x/", Forbidden},
		{"HTTPS://x/", Malformed},
		{"hTTps://x/", Malformed},
		{"x", Malformed},
		{"//x/", Malformed},
		{"/x", Malformed},
		{"https:/x", Malformed},
		{"https:x", Malformed},
		{"ftp://x/", Malformed},
		{"javascript:alert(1)", Malformed},
		{"file:///etc/passwd", Malformed},
		{"https://", Malformed},
		{"https:///path", Malformed},
		{"https://:443/", Malformed},
		{"https://?", Forbidden},
		{"https://x?", Forbidden},
		{"https://x/?a", Forbidden},
		{"https://x/#", Forbidden},
		{"https://x#a", Forbidden},
		{"https://u@x/", Forbidden},
		{"https://u:p@x/", Forbidden},
		{"https://@x/", Forbidden},
		{"https://good.example@evil.example/", Forbidden},
		{" https://x", Malformed},
		{"https://x ", Malformed},
		{"https://x/a b", Malformed},
		{"https://x\t/", Malformed},
		{"https://x/\n", Malformed},
		{"https://x/\r\nHost: y", Malformed},
		{"https://x/\x00", Malformed},
		{"https://x/\x7f", Malformed},
		{"https://x/\xff", Malformed},
		{"https://x/%00", Malformed},
		{"https://x/%0d%0a", Malformed},
		{"https://x/%7F", Malformed},
		{"https://x/%", Malformed},
		{"https://x/%4", Malformed},
		{"https://x/%zz", Malformed},
		{"https://x/%+1", Malformed},
		{"https://x%2e/", Malformed},
		{"https://x\\y/", Malformed},
		{"https://x/\\y", Malformed},
		{"https://x/<script>", Malformed},
		{"https://x/\"", Malformed},
		{"https://x/{id}", Malformed},
		{"https://x/[a]", Malformed},
		{"https://а.example/", Malformed},
		{"https://x/é", Malformed},
		{"https://x\u200b/", Malformed},
		{"https://x\u00a0/", Malformed},
		{"https://.x/", Malformed},
		{"https://x..y/", Malformed},
		{"https://x;y/", Malformed},
		{"https://x,y/", Malformed},
		{"https://*.example/", Malformed},
		{"https://x:/", Malformed},
		{"https://x:0/", Malformed},
		{"https://x:65536/", Malformed},
		{"https://x:+1/", Malformed},
		{"https://x:a/", Malformed},
		{"https://x:1:2/", Malformed},
		{"https://::1/", Malformed},
		{"https://[::1/", Malformed},
		{"https://[::1]x/", Malformed},
		{"https://[::1]:/", Malformed},
		{"https://[]/", Malformed},
		{"https://[10.0.0.1]/", Malformed},
		{"https://[fe80::1%25eth0]/", Malformed},
		{"https://[fe80::1%eth0]/", Malformed},
	} {
		err := ValidateIssuer(tt.issuer)
		var v *Violation
		switch {
		case tt.rule == "":
			if err != nil {
				t.Errorf("%.80q: %v", tt.issuer, err)
			}
		case !errors.As(err, &v):
			t.Errorf("%.80q: got %v, want %s", tt.issuer, err, tt.rule)
		case v.Field != Issuer || v.Rule != tt.rule || v.Value != tt.issuer:
			t.Errorf("%.80q: got %s %s, want %s %s", tt.issuer, v.Field, v.Rule, Issuer, tt.rule)
		}
	}
}

// The inputs of testdata/values.json, with what we chose where a choice is free.
func TestValues(t *testing.T) {
	data, err := os.ReadFile("testdata/values.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID, Expect, Note      string
			Name, Issuer, Subject *string
			Audiences             *[]string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	accepted := map[string]bool{ // what is a matter of policy
		"name-case":   false, // holds spaces
		"iss-private": true,  // the fetch is refused
		"iss-html":    false, // "<" stands in no URL
		"sub-star":    true,  // a literal, with a caution
		"sub-ws":      true,  // a literal, with a caution
		"aud-other":   true,
	}
	for _, v := range file.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			s := valid()
			if v.Name != nil {
				s.Name = *v.Name
			}
			if v.Issuer != nil {
				s.Issuer = *v.Issuer
			}
			if v.Subject != nil {
				s.Subject = *v.Subject
			}
			if v.Audiences != nil {
				s.Audiences = *v.Audiences
			}
			want := v.Expect == "2xx"
			if v.Expect == "policy" {
				var known bool
				if want, known = accepted[v.ID]; !known {
					t.Fatalf("no choice made for %s: %s", v.ID, v.Note)
				}
			}
			if err := s.Validate(ManagedIdentity); (err == nil) != want {
				t.Errorf("got %v, want acceptance: %v (%s)", err, want, v.Note)
			}
		})
	}
	if len(file.Vectors) < 24 {
		t.Errorf("only %d vectors", len(file.Vectors))
	}
}

func TestViolationError(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{Spec{}.Validate(Application), `name must not be empty`},
		{ValidateIssuer("http://x"), `issuer "http://x" must use https`},
		{ValidateName("a b", ManagedIdentity), `name "a b" must consist of letters, digits, "-" and "_" and begin with a letter or digit`},
		{ValidateIssuer(strings.Repeat("é", 2000)), `issuer "` + strings.Repeat("é", 100) + `"… must have at most 600 characters`},
		{ValidateIssuer("https://x/\x00"), `issuer "https://x/\x00" must not hold control characters`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", tt.err, tt.want)
		}
	}
	if err := ValidateName("abc", ManagedIdentity); err != nil {
		t.Errorf("a nil *Violation became an error: %v", err)
	}
}

func TestCautions(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Spec)
		want []Field
	}{
		{"none", func(s *Spec) {}, nil},
		{"not of Kubernetes", func(s *Spec) { s.Subject = "repo:org/app:ref:refs/heads/main" }, nil},
		{"space after the subject", func(s *Spec) { s.Subject = "x " }, []Field{Subject}},
		{"star", func(s *Spec) { s.Subject = "repo:org/*" }, []Field{Subject}},
		{"look-alike", func(s *Spec) { s.Subject = "repo:оrg/app" }, []Field{Subject}},
		{"zero width", func(s *Spec) { s.Subject = "repo:org\u200b/app" }, []Field{Subject}},
		{"other alphabets are no look-alikes", func(s *Spec) { s.Subject = "日本/é" }, nil},
		{"a look-alike in a service account is all that is wrong with it", func(s *Spec) { s.Subject = "system:serviceaccount:ns:s\u0430" }, []Field{Subject}},
		{"a look-alike, and no service account without it", func(s *Spec) { s.Subject = "system:serviceaccount:n\u0455" }, []Field{Subject, Subject}},
		{"service account without a name", func(s *Spec) { s.Subject = "system:serviceaccount:ns" }, []Field{Subject}},
		{"service account in capitals", func(s *Spec) { s.Subject = "System:ServiceAccount:ns:sa" }, []Field{Subject}},
		{"audience", func(s *Spec) { s.Audiences = []string{"api://x\u00a0"} }, []Field{Audiences, Audiences}},
		{"AKS without its slash", func(s *Spec) { s.Issuer = "https://westeurope.oic.prod-aks.azure.com/t/c" }, []Field{Issuer}},
		{"AKS with its slash", func(s *Spec) { s.Issuer = "https://westeurope.oic.prod-aks.azure.com/t/c/" }, nil},
		{"AKS of old without its slash", func(s *Spec) { s.Issuer = "https://oidc.prod-aks.azure.com/c" }, []Field{Issuer}},
		{"AKS identity bindings", func(s *Spec) { s.Issuer = "https://ib.oic.prod-aks.azure.com/t/c" }, nil},
		{"discovery document", func(s *Spec) { s.Issuer = "https://x/.well-known/openid-configuration" }, []Field{Issuer}},
	} {
		s := valid()
		tt.edit(&s)
		if err := s.Validate(Application); err != nil {
			t.Errorf("%s: not valid: %v", tt.name, err)
		}
		var got []Field
		for _, c := range s.Cautions() {
			got = append(got, c.Field)
			if c.Detail == "" {
				t.Errorf("%s: no detail", tt.name)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, s.Cautions(), diff)
		}
	}
}

// A letter that only looks right is named with its place.
func TestLookAlikes(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://oidc.ex\u0430mple/":   `must be ASCII, and holds U+0430 "а" at position 16, which looks like "a"`,
		"https://oidc\u200b.example/":  `must be ASCII, and holds the invisible character U+200B at position 13`,
		"https://b\u00fccher.example/": `must be ASCII, and holds U+00FC "ü" at position 10: a host is written in its "xn--" form, a path percent-encoded`,
		"https://oidc.example/\xff":    `must be ASCII: a host is written in its "xn--" form, a path percent-encoded`,
	} {
		if v, ok := errors.AsType[*Violation](ValidateIssuer(issuer)); !ok || v.Detail != want {
			t.Errorf("%q: %v, want %q", issuer, v, want)
		}
	}
	s := valid()
	s.Subject = "system:serviceaccount:pets:w\u0435b\u200b"
	want := []Caution{{Subject, `holds U+0435 "е" at position 29, which looks like "e"`, "system:serviceaccount:pets:web"}}
	if diff := cmp.Diff(want, s.Cautions()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Plain("日本/é"); got != "日本/é" {
		t.Errorf("%q", got)
	}
}

// What passes is what the rules promise, as other code of the same purpose reads it.
func FuzzValidate(f *testing.F) {
	for _, s := range []Spec{valid(), {Name: "-a=", Issuer: "https://[::1]:1/%41", Subject: "é", Audiences: []string{"x"}, Description: "\n"}} {
		f.Add(s.Name, s.Issuer, s.Subject, s.Audiences[0], s.Description)
	}
	f.Add("..", "https://u@x/?#", "\x00", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, name, issuer, subject, audience, description string) {
		s := Spec{name, issuer, subject, description, []string{audience}}
		s.Cautions()
		app, identity := s.Validate(Application), s.Validate(ManagedIdentity)
		if app != nil && identity == nil {
			t.Errorf("%q is valid for an identity and not for an application: %v", s, app)
		}
		if ValidateIssuer(issuer) == nil {
			u, err := url.Parse(issuer)
			if err != nil {
				t.Fatalf("%q: %v", issuer, err)
			}
			if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || u.String() != issuer {
				t.Errorf("%q is read as %#v", issuer, u)
			}
		}
		if app != nil {
			if app.Error() == "" || len(app.Error()) > 2000 {
				t.Errorf("message of %d bytes", len(app.Error()))
			}
			return
		}
		if url.PathEscape(strings.ReplaceAll(name, "=", "")) != strings.ReplaceAll(name, "=", "") {
			t.Errorf("name %q is not URL friendly", name)
		}
		for value, limit := range map[string]int{name: MaxName, issuer: MaxIssuer, subject: MaxSubject, audience: MaxAudience} {
			if n := utf8.RuneCountInString(value); n == 0 || n > 600 || value == name && n > limit {
				t.Errorf("%q has %d characters", value, n)
			}
			if !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\n\r") {
				t.Errorf("%q passed", value)
			}
		}
		if !utf8.ValidString(description) || strings.Contains(description, "\x00") || utf8.RuneCountInString(description) > MaxDescription {
			t.Errorf("description %q passed", description)
		}
	})
}
