package credential

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	const (
		iss = "https://oidc.example/t1/"
		sub = "system:serviceaccount:ns1:sa1"
		aud = DefaultAudience
	)
	one := []Trust{{"1", iss, sub, aud}}
	several := []Trust{
		{"1", iss, "system:serviceaccount:ns1:sa2", aud},
		{"2", "https://oidc.example/t2/", sub, aud},
		{"3", iss, sub, "api://other"},
		{"4", iss, sub, aud},
		{"5", iss, sub, aud},
	}
	is := func(issuer, subject string, audiences ...string) Assertion {
		return Assertion{issuer, subject, audiences}
	}
	for _, tt := range []struct {
		name   string
		trusts []Trust
		a      Assertion
		many   bool
		index  int
		miss   Miss
	}{
		{"equal", one, is(iss, sub, aud), false, 0, Hit},
		{"no credential", nil, is(iss, sub, aud), false, -1, NoCredential},
		{"no claim at all", one, Assertion{}, false, -1, IssuerMiss},

		{"slash missing in the token", one, is(strings.TrimSuffix(iss, "/"), sub, aud), false, -1, IssuerMiss},
		{"slash too many", one, is(iss+"/", sub, aud), false, -1, IssuerMiss},
		{"issuer in capitals", one, is("https://OIDC.example/t1/", sub, aud), false, -1, IssuerMiss},
		{"http", one, is("http://oidc.example/t1/", sub, aud), false, -1, IssuerMiss},
		{"white space before the issuer", one, is(" "+iss, sub, aud), false, -1, IssuerMiss},
		{"white space after the issuer", one, is(iss+"\n", sub, aud), false, -1, IssuerMiss},
		{"default port", one, is("https://oidc.example:443/t1/", sub, aud), false, -1, IssuerMiss},
		{"escaped issuer", one, is("https://oidc.example/%741/", sub, aud), false, -1, IssuerMiss},
		{"empty issuer", one, is("", sub, aud), false, -1, IssuerMiss},

		{"another subject", one, is(iss, "system:serviceaccount:ns1:sa2", aud), false, -1, SubjectMiss},
		{"a longer subject", one, is(iss, sub+"0", aud), false, -1, SubjectMiss},
		{"a shorter subject", one, is(iss, sub[:len(sub)-1], aud), false, -1, SubjectMiss},
		{"white space after the subject", one, is(iss, sub+" ", aud), false, -1, SubjectMiss},
		{"subject in capitals", one, is(iss, strings.ToUpper(sub), aud), false, -1, SubjectCaseMiss},
		{"one capital", one, is(iss, "system:serviceAccount:ns1:sa1", aud), false, -1, SubjectCaseMiss},
		{"long s is not the other case of s", one, is(iss, "\u017Fystem:serviceaccount:ns1:sa1", aud), false, -1, SubjectMiss},
		{"kelvin is not the other case of k", []Trust{{"1", iss, "k", aud}}, is(iss, "\u212A", aud), false, -1, SubjectMiss},
		{"case beyond ASCII", []Trust{{"1", iss, "é", aud}}, is(iss, "É", aud), false, -1, SubjectCaseMiss},
		{"three cases of sigma", []Trust{{"1", iss, "ς", aud}}, is(iss, "Σ", aud), false, -1, SubjectCaseMiss},
		{"look-alike", one, is(iss, "system:serviceaccount:ns1:s\u0430"+"1", aud), false, -1, SubjectMiss},
		{"empty subject", one, is(iss, "", aud), false, -1, SubjectMiss},
		{"different invalid bytes", []Trust{{"1", iss, "a\xff", aud}}, is(iss, "a\xfe", aud), false, -1, SubjectMiss},

		{"another audience", one, is(iss, sub, "api://x"), false, -1, AudienceMiss},
		{"audience in capitals", one, is(iss, sub, strings.ToUpper(aud)), false, -1, AudienceMiss},
		{"audience with a slash", one, is(iss, sub, aud+"/"), false, -1, AudienceMiss},
		{"no audience", one, is(iss, sub), false, -1, AudienceMiss},
		{"empty audience", one, is(iss, sub, ""), false, -1, AudienceMiss},
		{"two audiences", one, is(iss, sub, aud, "api://x"), false, -1, AudienceMiss},
		{"the same audience twice", one, is(iss, sub, aud, aud), false, -1, AudienceMiss},
		{"two audiences, allowed", one, is(iss, sub, "api://x", aud), true, 0, Hit},
		{"two wrong audiences, allowed", one, is(iss, sub, "api://x", "api://y"), true, -1, AudienceMiss},
		{"one audience where many are allowed", one, is(iss, sub, aud), true, 0, Hit},
		{"no audience where many are allowed", one, is(iss, sub), true, -1, AudienceMiss},
		{"many audiences do not mend the subject", one, is(iss, "x", aud, "y"), true, -1, SubjectMiss},

		{"the first of equals", several, is(iss, sub, aud), false, 3, Hit},
		{"by audience", several, is(iss, sub, "api://other"), false, 2, Hit},
		{"by issuer", several, is("https://oidc.example/t2/", sub, aud), false, 1, Hit},
		{"nothing is mixed from two", several, is("https://oidc.example/t2/", "system:serviceaccount:ns1:sa2", aud), false, -1, SubjectMiss},
		{"the furthest miss wins: audience", several, is(iss, sub, "api://x"), false, -1, AudienceMiss},
		{"the furthest miss wins: case", several, is(iss, "system:serviceaccount:NS1:sa2", aud), false, -1, SubjectCaseMiss},
		{"the furthest miss wins: case, then others", several, is(iss, "system:serviceaccount:ns1:SA2", aud), false, -1, SubjectCaseMiss},

		{"star is a star", []Trust{{"1", iss, "*", aud}}, is(iss, sub, aud), false, -1, SubjectMiss},
		{"star in a subject", []Trust{{"1", iss, "system:serviceaccount:ns1:*", aud}}, is(iss, sub, aud), false, -1, SubjectMiss},
		{"star equals a star", []Trust{{"1", iss, "*", aud}}, is(iss, "*", aud), false, 0, Hit},
		{"percent, underscore, dot", []Trust{{"1", iss, "%", aud}, {"2", iss, "_", aud}, {"3", iss, ".", aud}}, is(iss, "a", aud), false, -1, SubjectMiss},
		{"expression", []Trust{{"1", iss, ".*", aud}}, is(iss, sub, aud), false, -1, SubjectMiss},
		{"star as audience", []Trust{{"1", iss, sub, "*"}}, is(iss, sub, aud), false, -1, AudienceMiss},
		{"star as issuer", []Trust{{"1", "*", sub, aud}}, is(iss, sub, aud), false, -1, IssuerMiss},
		{"an empty trust fits nothing", []Trust{{}}, Assertion{"", "", []string{""}}, true, -1, IssuerMiss},
		{"an empty subject fits nothing", []Trust{{"1", iss, "", aud}}, is(iss, "", aud), false, -1, SubjectMiss},
		{"an empty audience fits nothing", []Trust{{"1", iss, sub, ""}}, is(iss, sub, ""), false, -1, AudienceMiss},
	} {
		t.Run(tt.name, func(t *testing.T) {
			index, miss := Match(tt.trusts, tt.a, tt.many)
			if index != tt.index || miss != tt.miss {
				t.Errorf("Match = %d, %q, want %d, %q", index, miss, tt.index, tt.miss)
			}
		})
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	trusts, a := trusts(20)
	a.Subject = strings.ToUpper(a.Subject)
	if n := testing.AllocsPerRun(10, func() { Match(trusts, a, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	trusts, a := trusts(20)
	b.ReportAllocs()
	for b.Loop() {
		if _, miss := Match(trusts, a, false); miss != Hit {
			b.Fatal(miss)
		}
	}
}

// trusts returns n of them and an assertion that fits the last.
func trusts(n int) ([]Trust, Assertion) {
	var list []Trust
	for i := range n {
		list = append(list, Trust{
			ID: string(rune('a' + i)), Issuer: "https://oidc.example/t1/",
			Subject: ServiceAccountSubject("ns", "app-"+string(rune('a'+i))), Audience: DefaultAudience,
		})
	}
	last := list[n-1]
	return list, Assertion{last.Issuer, last.Subject, []string{last.Audience}}
}

// A hit is equality of every field and nothing else; a miss is explained by
// Nearest, in the field that Match names.
func FuzzMatch(f *testing.F) {
	f.Add("https://x/", "s", "a", "https://x", "S", "a", "b", byte(1))
	f.Add("https://x/", "s", "a", "https://x/", "s", "a", "", byte(1))
	f.Add("https://x/", "s", "a", "https://x/", "\u017F", "a", "a", byte(2))
	f.Add("http://X:443", "\u200bs ", "\uff41", "https://x/", "s", "a", "a", byte(3))
	f.Add("\xff", "\xc3", "\xe2\x82", "\xfe", "\xc3\xa9", "\xe2", "", byte(2))
	f.Fuzz(func(t *testing.T, iss, sub, aud, iss2, sub2, aud2, aud3 string, n byte) {
		if iss == "" || sub == "" || aud == "" {
			return // no such trust is stored
		}
		a := Assertion{iss2, sub2, []string{aud2, aud3}[:n%3]}
		many := n > 127
		list := []Trust{{"1", "https://other.example/", "other", "other"}, {"2", iss, sub, aud}}
		fits := func(t Trust) bool {
			any := false
			for _, p := range a.Audiences {
				any = any || p == t.Audience
			}
			return t.Issuer == a.Issuer && t.Subject == a.Subject && any && (many || len(a.Audiences) == 1)
		}
		index, miss := Match(list, a, many)
		if (miss == Hit) != (fits(list[0]) || fits(list[1])) || (miss == Hit) != (index >= 0) || index >= 0 && !fits(list[index]) {
			t.Fatalf("Match(%q, %q) = %d, %q", list, a, index, miss)
		}
		_, diffs := Nearest(list, a)
		for _, d := range diffs {
			if len(d.Reasons) == 0 || d.Hint == "" || d.At < 0 || d.At > len(d.Want) || d.Field != Audiences && d.Want == d.Got {
				t.Errorf("%q against %q: %+v", list, a, d)
			}
		}
		if miss == Hit {
			if len(diffs) > 0 && len(a.Audiences) == 1 {
				t.Errorf("a hit with differences: %+v", diffs)
			}
			return
		}
		if len(diffs) == 0 {
			t.Fatalf("Nearest(%q, %q) sees no difference, Match says %q", list, a, miss)
		}
		want := map[Miss]Field{IssuerMiss: Issuer, SubjectMiss: Subject, SubjectCaseMiss: Subject, AudienceMiss: Audiences}[miss]
		if diffs[0].Field != want {
			t.Errorf("first difference in %q, Match says %q", diffs[0].Field, miss)
		}
	})
}
