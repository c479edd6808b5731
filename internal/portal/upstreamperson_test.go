package portal

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

func TestPerson(t *testing.T) {
	owner, reader := directory.PortalRole{Name: "Owner"}, directory.PortalRole{Name: "Reader"}
	when := func(claim, value string) []ClaimRole { return []ClaimRole{{claim, value, owner}} }
	for name, tt := range map[string]struct {
		claims string
		roles  []ClaimRole
		by     string // NameClaim
		want   Person
		refuse string // part of the text; empty: none
	}{
		"an element of an array":              {claims: `{"groups":["a","platform"]}`, roles: when("groups", "platform"), want: Person{"7", "7", []directory.PortalRole{owner}}},
		"a string":                            {claims: `{"role":"platform"}`, roles: when("role", "platform"), want: Person{"7", "7", []directory.PortalRole{owner}}},
		"a boolean":                           {claims: `{"admin":true}`, roles: when("admin", "true"), want: Person{"7", "7", []directory.PortalRole{owner}}},
		"false":                               {claims: `{"admin":false}`, roles: when("admin", "true"), refuse: "admin"},
		"several":                             {claims: `{"groups":["a","b"]}`, roles: []ClaimRole{{"groups", "b", reader}, {"groups", "a", owner}, {"groups", "a", reader}}, want: Person{"7", "7", []directory.PortalRole{reader, owner}}},
		"a claim whose name is a URL":         {claims: `{"https://example.org/roles":["x"]}`, roles: when("https://example.org/roles", "x"), want: Person{"7", "7", []directory.PortalRole{owner}}},
		"an address that is verified":         {claims: `{"email":"a@example.org","email_verified":true}`, roles: when("email", "a@example.org"), want: Person{"7", "a@example.org", []directory.PortalRole{owner}}},
		"verified, in a string":               {claims: `{"email":"a@example.org","email_verified":"true"}`, roles: when("email", "a@example.org"), want: Person{"7", "a@example.org", []directory.PortalRole{owner}}},
		"an address that is not":              {claims: `{"email":"a@example.org","email_verified":false}`, roles: when("email", "a@example.org"), refuse: "not verified"},
		"an address of which nothing is said": {claims: `{"email":"a@example.org"}`, roles: when("email", "a@example.org"), refuse: "not verified"},

		"a part of a string":        {claims: `{"groups":"platform-guests"}`, roles: when("groups", "platform"), refuse: "groups"},
		"words in a string":         {claims: `{"groups":"a platform"}`, roles: when("groups", "platform"), refuse: "groups"},
		"another case":              {claims: `{"groups":["Platform"]}`, roles: when("groups", "platform"), refuse: "groups"},
		"another case of the claim": {claims: `{"Groups":["platform"]}`, roles: when("groups", "platform"), refuse: "groups"},
		"nested":                    {claims: `{"groups":[["platform"],{"platform":true}],"realm":{"groups":["platform"]}}`, roles: when("groups", "platform"), refuse: "groups"},
		"a number":                  {claims: `{"level":1}`, roles: when("level", "1"), refuse: "level"},
		"null":                      {claims: `{"level":null}`, roles: when("level", "null"), refuse: "level"},
		"nothing":                   {claims: `{}`, roles: when("groups", ""), refuse: "groups"},
		"no mapping":                {claims: `{"groups":["a"]}`, refuse: "role"},
		"claims looked for":         {claims: `{"groups":["secret-group"]}`, roles: []ClaimRole{{"roles", "x", owner}, {"groups", "platform", owner}, {"roles", "y", owner}}, refuse: "ID token: groups, roles."},
		"groups are elsewhere":      {claims: `{"_claim_names":{"groups":"src1"}}`, roles: when("groups", "platform"), refuse: "more groups than fit"},

		"by the user name":             {claims: `{"admin":true,"name":"Jane","email":"j@example.org","preferred_username":"jane"}`, roles: when("admin", "true"), want: Person{"7", "jane", []directory.PortalRole{owner}}},
		"by the address":               {claims: `{"admin":true,"name":"Jane","email":"j@example.org","preferred_username":" "}`, roles: when("admin", "true"), want: Person{"7", "j@example.org", []directory.PortalRole{owner}}},
		"by the name":                  {claims: `{"admin":true,"name":"Jane Doe","email":7}`, roles: when("admin", "true"), want: Person{"7", "Jane Doe", []directory.PortalRole{owner}}},
		"by a claim of the operator's": {claims: `{"admin":true,"name":"Jane","upn":"j@corp"}`, by: "upn", roles: when("admin", "true"), want: Person{"7", "j@corp", []directory.PortalRole{owner}}},
		"by that alone":                {claims: `{"admin":true,"name":"Jane"}`, by: "upn", roles: when("admin", "true"), want: Person{"7", "7", []directory.PortalRole{owner}}},
		"by a name in disguise":        {claims: `{"admin":true,"name":"\u202eenaJ\u0007\n"}`, roles: when("admin", "true"), want: Person{"7", "enaJ", []directory.PortalRole{owner}}},
		"by an endless name":           {claims: `{"admin":true,"name":"` + strings.Repeat("é", 1000) + `"}`, roles: when("admin", "true"), want: Person{"7", strings.Repeat("é", maxName), []directory.PortalRole{owner}}},
	} {
		t.Run(name, func(t *testing.T) {
			claims, err := strictjson.ParseObject([]byte(tt.claims))
			if err != nil {
				t.Fatal(err)
			}
			p := Provider{Roles: tt.roles, NameClaim: tt.by}
			who, err := p.person(idToken{"7", claims})
			if tt.refuse == "" {
				if diff := cmp.Diff(tt.want, who); diff != "" || err != nil {
					t.Errorf("%v\n%s", err, diff)
				}
				return
			}
			var e *signInError
			if !errors.As(err, &e) || e.Status != http.StatusForbidden || !strings.Contains(e.Text, tt.refuse) || strings.Contains(e.Text, "platform") || strings.Contains(e.Text, "secret-group") {
				t.Errorf("got %+v and %v, want a refusal with %q and without values", who, err, tt.refuse)
			}
		})
	}
}

func TestPersonInRecords(t *testing.T) {
	for want, p := range map[string]Person{"jane (7)": {Subject: "7", Name: "jane"}, "7": {Subject: "7", Name: "7"}} {
		if p.String() != want {
			t.Errorf("got %q, want %q", p, want)
		}
	}
}

func TestParseClaimRole(t *testing.T) {
	root := directory.PortalRole{Name: "Owner"}
	const group = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/shop"
	for text, want := range map[string]ClaimRole{
		"groups=platform:Owner":                         {"groups", "platform", root},
		"email=ann@example.org:Owner":                   {"email", "ann@example.org", root},
		"https://example.org/roles=urn:x:admin=1:Owner": {"https://example.org/roles", "urn:x:admin=1", root},
		"groups=a b:Federation Administrator":           {"groups", "a b", directory.PortalRole{Name: "Federation Administrator"}},
		"groups=pay@ments:Reader@" + group:              {"groups", "pay@ments", directory.PortalRole{Name: "Reader", Scope: group}},
		"groups=8a7b:Application.Read.All":              {"groups", "8a7b", directory.PortalRole{Name: "Application.Read.All"}},
	} {
		got, err := ParseClaimRole(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"", "groups", "groups=platform", "=platform:Owner", "groups=:Owner", "groups=platform:", "groups=platform:Wizard", "groups=platform:Application.Read.All@/subscriptions/x", "groups:platform=Owner"} {
		if got, err := ParseClaimRole(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestMarkOfAProvider(t *testing.T) {
	role := func(claim, value, name string) ClaimRole {
		return ClaimRole{claim, value, directory.PortalRole{Name: name}}
	}
	base := Provider{Issuer: "https://a.example.org", ClientID: "c", Roles: []ClaimRole{role("g", "x", "Owner"), role("g", "y", "Reader")}}
	same := base
	same.Roles = []ClaimRole{base.Roles[1], base.Roles[0], base.Roles[1]}
	same.ClientSecret, same.Scopes = "new", []string{"groups"}
	if base.mark() != same.mark() || len(base.mark()) != 64 {
		t.Error("the order of roles, a new secret or another scope ends sessions")
	}
	for name, change := range map[string]func(*Provider){
		"issuer": func(p *Provider) { p.Issuer += "/" },
		"client": func(p *Provider) { p.ClientID = "d" },
		"role":   func(p *Provider) { p.Roles = []ClaimRole{role("g", "x", "Reader"), role("g", "y", "Reader")} },
		"scope": func(p *Provider) {
			r := base.Roles[0]
			r.Role.Scope = "/subscriptions/x"
			p.Roles = []ClaimRole{r, base.Roles[1]}
		},
		"fewer": func(p *Provider) { p.Roles = p.Roles[:1] },
		"seams": func(p *Provider) { p.Roles = []ClaimRole{role("g", "x\",\"Owner", ""), base.Roles[1]} },
	} {
		other := base
		if change(&other); other.mark() == base.mark() {
			t.Errorf("another %s has the same mark", name)
		}
	}
}

func TestReturnPath(t *testing.T) {
	for _, keep := range []string{"/portal", "/portal/", "/portal?x=1", "/portal/applications", "/portal/applications?q=a%20b&sort=name", "/portal/groups/s/g/identities/n", "/portal/linked", "/portal/issuers/a%2Fb"} {
		if got := returnPath(keep); got != keep {
			t.Errorf("%q became %q", keep, got)
		}
	}
	for _, drop := range []string{
		"", "/", "portal", "/portals", "/portalx/y", "//portal", "//evil.example.org/portal", "/portal//evil", "/portal/../x", "/portal/%2e%2e/x", "/portal/..%2fx", "/portal/./x",
		`/portal\evil`, `/\evil.example.org`, "/portal/%5c%5cevil", "/portal/%2f%2fevil", "https://evil.example.org/portal", "https:/portal", "javascript:alert(1)", "/portal#x", "/portal/\r\nX: y",
		"/portal/%0d%0a", "/portal/é", " /portal", "/portal/\x00", "/portal/%zz", "/portal/" + strings.Repeat("x", maxReturn),
		"/portal/sign-in", "/portal/sign-in/callback?code=x", "/portal/sign-in/provider", "/portal/sign-out", "/portal/link?token=x", "/portal/%73ign-in",
	} {
		if got := returnPath(drop); got != "/portal" {
			t.Errorf("%q became %q", drop, got)
		}
	}
}

func rawURL(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func newRSAKey(t *testing.T) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
