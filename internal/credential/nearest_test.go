package credential

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestNearestDifference(t *testing.T) {
	const (
		iss = "https://oidc.example/t1/"
		sub = "system:serviceaccount:ns1:sa1"
	)
	for _, tt := range []struct {
		name      string
		field     Field
		want, got string
		at        int
		reasons   []Reason
		hint      string
	}{
		{"slash missing in the credential", Issuer, "https://oidc.example/t1", iss, 23, []Reason{TrailingSlash}, `the token's issuer ends with "/", the credential's does not`},
		{"slash missing in the token", Issuer, iss, "https://oidc.example/t1", 23, []Reason{TrailingSlash}, `the credential's issuer ends with "/", the token's does not`},
		{"one slash of two missing in the credential", Issuer, iss, iss + "/", 24, []Reason{TrailingSlash}, `the credential's issuer ends with "/", the token's with "//"`},
		{"two slashes, and one in the token", Issuer, iss + "/", iss, 24, []Reason{TrailingSlash}, `the credential's issuer ends with "//", the token's with "/"`},
		{"two slashes, and none in the token", Issuer, iss + "/", "https://oidc.example/t1", 23, []Reason{TrailingSlash}, `the credential's issuer ends with "//", the token's does not`},
		{"two slashes in the token, and none", Issuer, "https://oidc.example/t1", iss + "/", 23, []Reason{TrailingSlash}, `the token's issuer ends with "//", the credential's does not`},
		{"no path, and two slashes", Issuer, "https://oidc.example", "https://oidc.example//", 20, []Reason{TrailingSlash}, `the token's issuer ends with "//", the credential's does not`},
		{"a slash more behind the host", Issuer, "https://oidc.example//", "https://oidc.example/", 21, []Reason{TrailingSlash}, `the credential's issuer ends with "//", the token's with "/"`},
		{"slashes and a space", Issuer, iss + "/ ", iss, 24, []Reason{WhiteSpace, TrailingSlash}, `the credential's issuer begins or ends with white space; the credential's issuer ends with "//", the token's with "/"`},
		{"two slashes within are a path", Issuer, "https://oidc.example//t1/", iss, 21, []Reason{Path}, `the path differs: "//t1/" in the credential, "/t1/" in the token`},
		{"host in capitals", Issuer, "https://OIDC.example/t1/", iss, 8, []Reason{Case}, `upper and lower case letters differ in the issuer, from character 9 on`},
		{"http in the credential", Issuer, "http://oidc.example/t1/", iss, 4, []Reason{Scheme}, `the credential's issuer begins with http, the token's with https`},
		{"http in the token", Issuer, iss, "http://oidc.example/t1/", 4, []Reason{Scheme}, `the token's issuer begins with http, the credential's with https`},
		{"port in the credential", Issuer, "https://oidc.example:443/t1/", iss, 20, []Reason{Port}, `the credential's issuer says ":443", the token's does not`},
		{"port in the token", Issuer, iss, "https://oidc.example:443/t1/", 20, []Reason{Port}, `the token's issuer says ":443", the credential's does not`},
		{"slash and case", Issuer, "https://oidc.example/T1", iss, 21, []Reason{Case, TrailingSlash}, `upper and lower case letters differ in the issuer, from character 22 on; the token's issuer ends with "/", the credential's does not`},
		{"space in the token", Issuer, iss, iss + " ", 24, []Reason{WhiteSpace}, `the token's issuer begins or ends with white space`},
		{"space before the slash is none of that", Issuer, iss, "https://oidc.example/t1 /", 23, []Reason{Path}, `the path differs: "/t1/" in the credential, "/t1 /" in the token`},
		{"host", Issuer, iss, "https://oidc2.example/t1/", 12, []Reason{Host}, `the host differs: "oidc.example" in the credential, "oidc2.example" in the token`},
		{"path", Issuer, iss, "https://oidc.example/t2/", 22, []Reason{Path}, `the path differs: "/t1/" in the credential, "/t2/" in the token`},
		{"port and path", Issuer, "https://oidc.example:8443/", "https://oidc.example/t2/", 20, []Reason{Port, Path}, `the port differs: "8443" in the credential, none in the token; the path differs: "/" in the credential, "/t2/" in the token`},
		{"scheme and host", Issuer, "https://a/", "http://b/", 4, []Reason{Scheme, Host}, `the scheme differs: "https" in the credential, "http" in the token; the host differs: "a" in the credential, "b" in the token`},
		{"IPv6 port", Issuer, "https://[::1]:1/", "https://[::1]:2/", 14, []Reason{Port}, `the port differs: "1" in the credential, "2" in the token`},
		{"not a URL in the token", Issuer, iss, "kubernetes/serviceaccount", 0, []Reason{Other}, `the issuer differs from the first character on: "https://oidc.example/t1/" in the credential, "kubernetes/serviceaccount" in the token`},
		{"no issuer", Issuer, iss, "", 0, []Reason{Absent}, `the token has no issuer`},
		{"wildcard in a host", Issuer, "https://*.example/", "https://a.example/", 8, []Reason{Host, Wildcard}, `the host differs: "*.example" in the credential, "a.example" in the token; "*" in the credential's issuer stands for itself and is no wildcard`},

		{"namespace", Subject, sub, "system:serviceaccount:ns2:sa1", 24, []Reason{Namespace}, `the namespace differs: "ns1" in the credential, "ns2" in the token`},
		{"service account", Subject, sub, "system:serviceaccount:ns1:default", 26, []Reason{ServiceAccount}, `the service account differs: "sa1" in the credential, "default" in the token`},
		{"both", Subject, sub, "system:serviceaccount:a:b", 22, []Reason{Namespace, ServiceAccount}, `the namespace differs: "ns1" in the credential, "a" in the token; the service account differs: "sa1" in the credential, "b" in the token`},
		{"case", Subject, "system:serviceaccount:ns1:SA1", sub, 26, []Reason{Case}, `upper and lower case letters differ in the subject, from character 27 on`},
		{"space at the end", Subject, sub + " ", sub, 29, []Reason{WhiteSpace}, `the credential's subject begins or ends with white space`},
		{"space at the beginning", Subject, "\t" + sub, sub, 0, []Reason{WhiteSpace}, `the credential's subject begins or ends with white space`},
		{"no-break space at the end", Subject, sub + "\u00a0", sub, 29, []Reason{WhiteSpace}, `the credential's subject begins or ends with white space`},
		{"Cyrillic a", Subject, "system:serviceaccount:ns1:s\u0430" + "1", sub, 27, []Reason{LookAlike}, `character 28 of the credential's subject is U+0430 "а", which looks like "a"`},
		{"Cyrillic a in the token", Subject, sub, "system:serviceaccount:ns1:s\u0430" + "1", 27, []Reason{LookAlike}, `character 28 of the token's subject is U+0430 "а", which looks like "a"`},
		{"long s", Subject, "system:serviceaccount:ns1:\u017Fa1", sub, 26, []Reason{LookAlike}, `character 27 of the credential's subject is U+017F "ſ", which looks like "s"`},
		{"full-width colon", Subject, "system:serviceaccount:ns1\uFF1Asa1", sub, 25, []Reason{LookAlike}, `character 26 of the credential's subject is U+FF1A "：", which looks like ":"`},
		{"kelvin, which looks like a capital", Subject, "k8s", "\u212A8s", 0, []Reason{LookAlike, Case}, "character 1 of the token's subject is U+212A \"\u212A\", which looks like \"K\"; upper and lower case letters differ in the subject, from character 1 on"},
		{"zero width space", Subject, "system:serviceaccount:ns1\u200b:sa1", sub, 25, []Reason{Invisible}, `character 26 of the credential's subject is invisible U+200B`},
		{"byte order mark", Subject, "\ufeff" + sub, sub, 0, []Reason{Invisible}, `character 1 of the credential's subject is invisible U+FEFF`},
		{"dash", Subject, "repo:org/my\u2013app", "repo:org/my-app", 11, []Reason{LookAlike}, `character 12 of the credential's subject is U+2013 "–", which looks like "-"`},
		{"the same look-alike on both sides", Subject, "\u0430b\u0435", "\u0430be", 2, []Reason{LookAlike}, `character 3 of the credential's subject is U+0435 "е", which looks like "e"`},
		{"longer in the token", Subject, "repo:org/app:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main2", 32, []Reason{Other}, `the token's subject goes on after character 32 with "2"`},
		{"longer in the credential", Subject, "repo:org/app", "repo:org", 8, []Reason{Other}, `the credential's subject goes on after character 8 with "/app"`},
		{"wildcard", Subject, "repo:org/*", "repo:org/app", 9, []Reason{Wildcard}, `"*" in the credential's subject stands for itself and is no wildcard`},
		{"in the middle", Subject, "repo:org/app:environment:prod", "repo:org/app:ref:refs/heads/main", 13, []Reason{Other}, `the subject differs from character 14 on: "environment:prod" in the credential, "ref:refs/heads/main" in the token`},
		{"characters, not bytes", Subject, "日本a", "日本b", 2, []Reason{Other}, `the subject differs from character 3 on: "a" in the credential, "b" in the token`},
		{"characters with common bytes", Subject, "é", "è", 0, []Reason{Other}, `the subject differs from the first character on: "é" in the credential, "è" in the token`},
		{"invalid UTF-8", Subject, "a\xff", "a\xfe", 1, []Reason{Other}, `the subject differs from character 2 on: "\xff" in the credential, "\xfe" in the token`},
		{"no subject", Subject, sub, "", 0, []Reason{Absent}, `the token has no subject`},

		{"audience", Audiences, DefaultAudience, "https://kubernetes.default.svc", 0, []Reason{Other}, `the audience differs from the first character on: "api://AzureADTokenExchange" in the credential, "https://kubernetes.default.svc" in the token`},
		{"audience in other case", Audiences, DefaultAudience, "api://azureadtokenexchange", 6, []Reason{Case}, `upper and lower case letters differ in the audience, from character 7 on`},
		{"audience with a slash", Audiences, "api://x", "api://x/", 7, []Reason{TrailingSlash}, `the token's audience ends with "/", the credential's does not`},
		{"empty audience", Audiences, "api://x", "", 0, []Reason{Absent}, `the token has no audience`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trust := Trust{"1", iss, sub, DefaultAudience}
			a := Assertion{iss, sub, []string{DefaultAudience}}
			switch tt.field {
			case Issuer:
				trust.Issuer, a.Issuer = tt.want, tt.got
			case Subject:
				trust.Subject, a.Subject = tt.want, tt.got
			case Audiences:
				trust.Audience, a.Audiences = tt.want, []string{tt.got}
			}
			got, diffs := Nearest([]Trust{trust}, a)
			if got != trust {
				t.Errorf("trust %+v", got)
			}
			want := []Difference{{tt.field, tt.want, tt.got, tt.at, tt.reasons, tt.hint}}
			if diff := cmp.Diff(want, diffs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A port or a scheme of one's own is no slip, though the reason has the same name.
func TestSlips(t *testing.T) {
	const trusted = "https://a.example/"
	for got, want := range map[string]bool{
		"https://a.example": true, "https://A.example/ ": true, "https://a.example:443/": true, "http://a.example/": true,
		trusted: false, "": false, "https://b.example/": false, "https://a.example:8443/": false, "http://b.example/": false,
	} {
		_, d := Nearest([]Trust{{Issuer: trusted, Subject: "s", Audience: "a"}}, Assertion{Issuer: got, Subject: "s", Audiences: []string{"a"}})
		if Slips(d) != want {
			t.Errorf("%q: %+v", got, d)
		}
	}
	_, d := Nearest([]Trust{{Issuer: trusted, Subject: "s", Audience: "a"}}, Assertion{Issuer: "https://a.example", Subject: "s", Audiences: []string{"a"}})
	if got, want := d[0].HintFor("that one", "this one"), `that one ends with "/", this one does not`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNearestChoice(t *testing.T) {
	const (
		iss = "https://oidc.example/t1/"
		sub = "system:serviceaccount:ns1:sa1"
		aud = DefaultAudience
	)
	for _, tt := range []struct {
		name   string
		trusts []Trust
		a      Assertion
		id     string
		fields []Field
	}{
		{"none", nil, Assertion{iss, sub, []string{aud}}, "", nil},
		{"equal", []Trust{{"1", iss, "x", aud}, {"2", iss, sub, aud}}, Assertion{iss, sub, []string{aud}}, "2", nil},
		{"the same subject before the same issuer", []Trust{{"1", iss, "system:serviceaccount:ns1:sa2", aud}, {"2", "https://elsewhere.example/", sub, aud}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Issuer}},
		{"the same issuer before a likely subject", []Trust{{"1", "https://elsewhere.example/", "system:serviceaccount:ns2:sa1", aud}, {"2", iss, "system:serviceaccount:ns1:sa2", aud}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Subject}},
		{"the same but for the audience before what is overlooked", []Trust{{"1", "https://oidc.example/t1", sub, aud}, {"2", iss, sub, "api://y"}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Audiences}},
		{"what is overlooked in the subject before another issuer", []Trust{{"1", "https://elsewhere.example/", sub, aud}, {"2", iss, "system:serviceaccount:ns1:SA1", aud}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Subject}},
		{"the same subject before the same audience", []Trust{{"1", iss, "x", aud}, {"2", iss, sub, "api://y"}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Audiences}},
		{"the least to mend", []Trust{{"1", iss, "system:serviceaccount:other:app", aud}, {"2", iss, "system:serviceaccount:ns1:sa2", aud}, {"3", iss, sub + " ", aud}}, Assertion{iss, sub, []string{aud}}, "3", []Field{Subject}},
		{"the nearer subject", []Trust{{"1", iss, "system:serviceaccount:other:app", aud}, {"2", iss, "system:serviceaccount:ns1:sa2", aud}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Subject}},
		{"the nearer issuer", []Trust{{"1", "https://elsewhere.example/", sub, aud}, {"2", "https://oidc.example/t1", sub, aud}}, Assertion{iss, sub, []string{aud}}, "2", []Field{Issuer}},
		{"the first of equals", []Trust{{"1", iss, "a", aud}, {"2", iss, "b", aud}}, Assertion{iss, "c", []string{aud}}, "1", []Field{Subject}},
		{"every field", []Trust{{"1", "https://a/", "b", "c"}}, Assertion{iss, sub, []string{aud}}, "1", []Field{Issuer, Subject, Audiences}},
		{"nothing claimed", []Trust{{"1", iss, sub, aud}}, Assertion{}, "1", []Field{Issuer, Subject, Audiences}},
		{"the nearer audience decides", []Trust{{"1", iss, "a", "api://x"}, {"2", iss, "b", "api://AzureADTokenExchang"}}, Assertion{iss, "c", []string{aud}}, "2", []Field{Subject, Audiences}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trust, diffs := Nearest(tt.trusts, tt.a)
			var fields []Field
			for _, d := range diffs {
				fields = append(fields, d.Field)
			}
			if trust.ID != tt.id {
				t.Errorf("nearest is %q, want %q", trust.ID, tt.id)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// A client's credentials for other workloads of the cluster are not nearer than
// the one that somebody has mistyped, whichever comes first.
func TestNearestAmongSiblings(t *testing.T) {
	const (
		iss = "https://oidc.example/t1/"
		sub = "system:serviceaccount:ns1:n1"
		aud = DefaultAudience
	)
	siblings := []Trust{
		{"n2", iss, "system:serviceaccount:ns1:n2", aud},
		{"n", iss, "system:serviceaccount:ns1:n", aud},
		{"other", iss, "system:serviceaccount:ns9:other", aud},
		{"repo", "https://token.actions.example", "repo:org/app", aud},
	}
	for _, tt := range []struct {
		name   string
		meant  Trust
		token  Assertion
		field  Field
		reason Reason
	}{
		{"missing slash", Trust{"1", "https://oidc.example/t1", sub, aud}, Assertion{iss, sub, []string{aud}}, Issuer, TrailingSlash},
		{"extra slash", Trust{"1", iss + "/", sub, aud}, Assertion{iss, sub, []string{aud}}, Issuer, TrailingSlash},
		{"case in issuer", Trust{"1", "https://OIDC.example/t1/", sub, aud}, Assertion{iss, sub, []string{aud}}, Issuer, Case},
		{"old cluster's issuer", Trust{"1", "https://oidc.example/0123456789/", sub, aud}, Assertion{iss, sub, []string{aud}}, Issuer, Path},
		{"issuer elsewhere", Trust{"1", "https://localhost:8443", sub, aud}, Assertion{iss, sub, []string{aud}}, Issuer, Host},
		{"case in subject", Trust{"1", iss, "system:serviceaccount:ns1:N1", aud}, Assertion{iss, sub, []string{aud}}, Subject, Case},
		{"look-alike in subject", Trust{"1", iss, sub + "\u200b", aud}, Assertion{iss, sub, []string{aud}}, Subject, Invisible},
		{"wrong namespace", Trust{"1", iss, "system:serviceaccount:elsewhere:n1", aud}, Assertion{iss, sub, []string{aud}}, Subject, Namespace},
		{"wildcard", Trust{"1", iss, "system:serviceaccount:*:n1", aud}, Assertion{iss, sub, []string{aud}}, Subject, Wildcard},
		{"wrong audience", Trust{"1", iss, sub, "https://vault.example"}, Assertion{iss, sub, []string{aud}}, Audiences, Other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, trusts := range [][]Trust{append([]Trust{tt.meant}, siblings...), append(slices.Clone(siblings), tt.meant)} {
				got, diffs := Nearest(trusts, tt.token)
				if got != tt.meant || len(diffs) != 1 || diffs[0].Field != tt.field || !slices.Contains(diffs[0].Reasons, tt.reason) {
					t.Errorf("nearest is %q, which differs by %+v; want %q by %s: %s", got.ID, diffs, tt.meant.ID, tt.field, tt.reason)
				}
			}
		})
	}
}

func TestNearestSeveralAudiences(t *testing.T) {
	trust := Trust{"1", "https://x/", "s", "api://a"}
	of := func(audiences ...string) []Difference {
		_, diffs := Nearest([]Trust{trust}, Assertion{"https://x/", "s", audiences})
		return diffs
	}
	const hint = "the token has 2 audiences, and one is accepted"
	for _, tt := range []struct {
		name      string
		audiences []string
		want      []Difference
	}{
		{"one of them fits", []string{"api://b", "api://a"}, []Difference{{Audiences, "api://a", "api://a", 7, []Reason{SeveralAudiences}, hint}}},
		{"none fits", []string{"xyz", "API://a"}, []Difference{{Audiences, "api://a", "API://a", 0, []Reason{Case, SeveralAudiences}, "upper and lower case letters differ in the audience, from character 1 on; " + hint}}},
	} {
		if diff := cmp.Diff(tt.want, of(tt.audiences...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Long values are cut in hints and never searched letter by letter.
func TestNearestLong(t *testing.T) {
	trusts, a := trusts(20)
	a.Subject = strings.Repeat("\u0430\u200b", 1<<20)
	a.Issuer = strings.Repeat(" ", 1<<20)
	_, diffs := Nearest(trusts, a)
	for _, d := range diffs {
		if len(d.Hint) > 1000 {
			t.Errorf("hint of %d bytes", len(d.Hint))
		}
	}
}

func TestResembled(t *testing.T) {
	if len(resembled) < 90 {
		t.Errorf("only %d look-alikes", len(resembled))
	}
	for other, ascii := range resembled {
		if other < utf8.RuneSelf || ascii >= utf8.RuneSelf {
			t.Errorf("%q for %q is the wrong way round", other, ascii)
		}
	}
	for other, ascii := range map[rune]rune{
		'\u0430': 'a', '\u0405': 'S', '\u03BF': 'o', '\u017F': 's', '\u212A': 'K', '\u0131': 'i', '\u04CF': 'l',
		'\uFF41': 'a', '\uFF1A': ':', '\uFF0F': '/', '\uFF5E': '~', '\uFF01': '!', '\u2013': '-', '\u2215': '/', '\uA789': ':',
		'\U0001D400': 'A', '\U0001D433': 'z', '\U0001D6A3': 'z', '\U0001D7CE': '0', '\U0001D7FF': '9', '\u00A0': ' ', '\u3000': ' ',
		'a': 'a', '/': '/', 'é': 'é', 'ж': 'ж', '日': '日',
	} {
		if got := resemble(other); got != ascii {
			t.Errorf("resemble(%U) = %q, want %q", other, got, ascii)
		}
	}
}
