package roles

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clusterContributor is Azure Kubernetes Service Contributor Role.
const clusterContributor = "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8"

func TestAllows(t *testing.T) {
	custom := func(actions, not string) Definition {
		return Definition{Actions: strings.Fields(actions), NotActions: strings.Fields(not)}
	}
	byID := func(id string) Definition {
		t.Helper()
		d, ok := ByID(id)
		if !ok {
			t.Fatalf("ByID(%q): not found", id)
		}
		return d
	}
	const (
		identityWrite   = "Microsoft.ManagedIdentity/userAssignedIdentities/write"
		credentialWrite = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"
		assign          = "Microsoft.Authorization/roleAssignments/write"
		issuerWrite     = "Entente.Federation/issuers/write"
		issuerRead      = "Entente.Federation/issuers/read"
	)
	for _, tt := range []struct {
		name   string
		role   Definition
		action string
		want   bool
	}{
		{"owner writes identities", byID(Owner), identityWrite, true},
		{"owner assigns", byID(Owner), assign, true},
		{"owner has no issuers", byID(Owner), issuerWrite, false},
		{"owner has no issuers, to read", byID(Owner), issuerRead, false},
		{"owner has no issuers in capitals", byID(Owner), "ENTENTE.FEDERATION/ISSUERS/WRITE", false},
		{"contributor writes credentials", byID(Contributor), credentialWrite, true},
		{"contributor does not assign", byID(Contributor), assign, false},
		{"contributor does not assign in lower case", byID(Contributor), strings.ToLower(assign), false},
		{"contributor reads assignments", byID(Contributor), "Microsoft.Authorization/roleAssignments/read", true},
		{"contributor does not elevate", byID(Contributor), "Microsoft.Authorization/elevateAccess/action", false},
		{"contributor has no issuers", byID(Contributor), issuerWrite, false},
		{"reader reads", byID(Reader), "Microsoft.ManagedIdentity/userAssignedIdentities/read", true},
		{"reader does not write", byID(Reader), identityWrite, false},
		{"reader has no issuers", byID(Reader), issuerRead, false},
		{"reader: read is the last word", byID(Reader), "Microsoft.Foo/read/action", false},
		{"access administrator assigns", byID(UserAccessAdministrator), assign, true},
		{"access administrator does not write identities", byID(UserAccessAdministrator), identityWrite, false},
		{"access administrator has no issuers", byID(UserAccessAdministrator), issuerRead, false},
		{"identity contributor writes credentials", byID(ManagedIdentityContributor), credentialWrite, true},
		{"identity contributor does not assign", byID(ManagedIdentityContributor), assign, false},
		{"identity operator assigns identities", byID(ManagedIdentityOperator), "Microsoft.ManagedIdentity/userAssignedIdentities/x/assign/action", true},
		{"identity operator does not write", byID(ManagedIdentityOperator), credentialWrite, false},
		{"contributor registers clusters", byID(Contributor), "Microsoft.ContainerService/managedClusters/write", true},
		{"cluster contributor registers clusters", byID(clusterContributor), "Microsoft.ContainerService/managedClusters/write", true},
		{"cluster contributor has no issuers", byID(clusterContributor), issuerWrite, false},
		{"cluster user reads clusters", byID("4abbcc35-e782-43d8-92c5-2d3f1bd2253f"), "Microsoft.ContainerService/managedClusters/read", true},
		{"cluster user registers none", byID("4abbcc35-e782-43d8-92c5-2d3f1bd2253f"), "Microsoft.ContainerService/managedClusters/write", false},
		{"identity contributor registers no clusters", byID(ManagedIdentityContributor), "Microsoft.ContainerService/managedClusters/write", false},
		{"federation administrator", byID(FederationAdministrator), issuerWrite, true},
		{"federation administrator, any case", byID(FederationAdministrator), "entente.federation/Issuers/WRITE", true},
		{"federation administrator has no resources", byID(FederationAdministrator), identityWrite, false},
		{"cluster reporter reports", byID(ClusterReporter), "Microsoft.ContainerService/managedClusters/serviceAccounts/write", true},
		{"cluster reporter changes no cluster", byID(ClusterReporter), "Microsoft.ContainerService/managedClusters/write", false},
		{"cluster reporter does not read", byID(ClusterReporter), "Microsoft.ContainerService/managedClusters/read", false},
		{"reader reports nothing", byID(Reader), "Microsoft.ContainerService/managedClusters/serviceAccounts/write", false},
		{"federation reader reads", byID(FederationReader), issuerRead, true},
		{"federation reader does not write", byID(FederationReader), issuerWrite, false},
		{"federation reader rotates no keys", byID(FederationReader), "Entente.Federation/signingKeys/rotate/action", false},

		{"empty action", custom("*", ""), "", false},
		{"no actions", Definition{}, identityWrite, false},
		{"exact", custom(identityWrite, ""), identityWrite, true},
		{"longer than the pattern", custom("A/b", ""), "A/b/c", false},
		{"shorter than the pattern", custom("A/b/c", ""), "A/b", false},
		{"star is empty too", custom("A/*b", ""), "A/b", true},
		{"star crosses slashes", custom("A/*/read", ""), "A/b/c/d/read", true},
		{"star between slashes may be no segment", custom("A/*/read", ""), "A/read", true},
		{"star between slashes, not of another type", custom("A/*/read", ""), "Ax/read", false},
		{"identity operator reads identities", byID(ManagedIdentityOperator), "Microsoft.ManagedIdentity/userAssignedIdentities/read", true},
		{"pieces do not overlap", custom("ab*ba", ""), "aba", false},
		{"pieces keep their order", custom("*b*a*", ""), "ab", false},
		{"several stars", custom("**/r*d", ""), "x/read", true},
		{"a star in the action is a character", custom("A/b", ""), "A/*", false},
		{"a question mark is a character", custom("A/?", ""), "A/b", false},
		{"a dot is a character", custom("A.b/c", ""), "Axb/c", false},
		{"not beats allowed", custom("A/* A/b", "A/b"), "A/b", false},
		{"not in other case", custom("A/*", "a/B"), "A/b", false},
		{"not of something else", custom("A/*", "A/c"), "A/b", true},
		{"long s is not s", custom("Microsoft.X/sub", ""), "Microsoft.X/\u017Fub", false},
		{"kelvin is not k", custom("A/k", ""), "A/\u212A", false},

		{"reserved by name", custom(issuerWrite, ""), issuerWrite, true},
		{"reserved by prefix", custom("entente.federation/*", ""), issuerWrite, true},
		{"reserved, star before the provider", custom("*Entente.Federation/*", ""), issuerWrite, false},
		{"reserved, star inside the provider", custom("Entente.*/issuers/write", ""), issuerWrite, false},
		{"reserved, star instead of the slash", custom("Entente.Federation*", ""), issuerWrite, false},
		{"reserved, star at the end of the action", custom("*/write", ""), issuerWrite, false},
		{"reserved, taken away by any pattern", custom("Entente.Federation/*", "*/write"), issuerWrite, false},
		{"a provider that only begins alike", custom("*", ""), "Entente.FederationX/issuers/write", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.role.Allows(tt.action); got != tt.want {
				t.Errorf("Allows(%q) = %v, want %v", tt.action, got, tt.want)
			}
		})
	}
}

func TestReachesReserved(t *testing.T) {
	for _, d := range BuiltIn() {
		want := d.ID == FederationAdministrator || d.ID == FederationReader
		if got := d.ReachesReserved(); got != want {
			t.Errorf("%s: ReachesReserved() = %v, want %v", d.Name, got, want)
		}
		if got := d.Allows("Entente.Federation/issuers/read"); got != want {
			t.Errorf("%s: allows reading issuers: %v, want %v", d.Name, got, want)
		}
	}
	if !(Definition{Actions: []string{"A/b", "ENTENTE.federation/x"}}).ReachesReserved() {
		t.Error("a later pattern in another case is missed")
	}
}

// A matcher that backtracks takes longer than the universe for this.
func TestMatchIsLinear(t *testing.T) {
	pattern := strings.Repeat("a*", 2000) + "b"
	if match(pattern, strings.Repeat("a", 1<<20)) {
		t.Error("matched without its last character")
	}
	if !match(pattern, strings.Repeat("a", 1<<20)+"b") {
		t.Error("did not match")
	}
}

func TestCovers(t *testing.T) {
	const (
		sub   = "/subscriptions/00000000-0000-0000-0000-00000000000a"
		group = sub + "/resourceGroups/rg1"
		ident = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
	)
	for _, tt := range []struct {
		assigned, scope string
		want            bool
	}{
		{"/", "/", true},
		{"/", sub, true},
		{"/", ident, true},
		{sub, sub, true},
		{sub, group, true},
		{sub, ident, true},
		{group, ident, true},
		{ident, ident, true},
		{group, sub, false},
		{ident, group, false},
		{sub, "/", false},
		{group, group + "0", false},
		{group, group + "0/providers/x", false},
		{group, sub + "/resourceGroups/rg", false},
		{sub, "/subscriptions/00000000-0000-0000-0000-00000000000b/resourceGroups/rg1", false},
		{"/Subscriptions/00000000-0000-0000-0000-00000000000A/RESOURCEGROUPS/RG1", strings.ToLower(ident), true},
		{group + "/", ident, true},
		{group, group + "/", true},
		{group + "/", group, true},

		{"", sub, false},
		{"/", "", false},
		{"subscriptions/x", "subscriptions/x", false},
		{"//", sub, false},
		{"/", "//", false},
		{sub + "//", sub + "//x", false},
		{"/", sub + "//resourceGroups/rg1", false},
		{sub, sub + "/../00000000-0000-0000-0000-00000000000b", false},
		{sub, sub + "/resourceGroups/.", false},
		{"/", "/..", false},
		{"/a/..", "/a/../b", false},
		{"/a/...", "/a/.../b", true},
		{"/a/rgs", "/a/rg\u017F", false},
		{"/a/\u212A", "/a/k", false},
		{"/a/é", "/a/é/b", true},
	} {
		if got := Covers(tt.assigned, tt.scope); got != tt.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", tt.assigned, tt.scope, got, tt.want)
		}
	}
}

func TestBuiltIn(t *testing.T) {
	guid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	ids, names := map[string]bool{}, map[string]bool{}
	for _, d := range BuiltIn() {
		if !guid.MatchString(d.ID) || ids[d.ID] {
			t.Errorf("%s: id %q is malformed or there twice", d.Name, d.ID)
		}
		if n := strings.ToLower(d.Name); n == "" || names[n] {
			t.Errorf("%s: name %q is empty or there twice", d.ID, d.Name)
		}
		ids[d.ID], names[strings.ToLower(d.Name)] = true, true
		if d.Description == "" || len(d.Actions)+len(d.DataActions) == 0 {
			t.Errorf("%s: no description or no actions", d.Name)
		}
		if diff := cmp.Diff([]string{"/"}, d.AssignableScopes); diff != "" {
			t.Errorf("%s: assignable scopes (-want +got):\n%s", d.Name, diff)
		}
		for _, find := range []struct {
			by string
			f  func() (Definition, bool)
		}{
			{"id", func() (Definition, bool) { return ByID(d.ID) }},
			{"id in capitals", func() (Definition, bool) { return ByID(strings.ToUpper(d.ID)) }},
			{"name", func() (Definition, bool) { return ByName(d.Name) }},
			{"name in lower case", func() (Definition, bool) { return ByName(strings.ToLower(d.Name)) }},
		} {
			got, ok := find.f()
			if !ok {
				t.Errorf("%s: not found by %s", d.Name, find.by)
			} else if diff := cmp.Diff(d, got); diff != "" {
				t.Errorf("%s by %s (-want +got):\n%s", d.Name, find.by, diff)
			}
		}
	}
	for id, name := range map[string]string{
		Owner:                      "Owner",
		Contributor:                "Contributor",
		Reader:                     "Reader",
		UserAccessAdministrator:    "User Access Administrator",
		ManagedIdentityContributor: "Managed Identity Contributor",
		ManagedIdentityOperator:    "Managed Identity Operator",
		FederationAdministrator:    "Federation Administrator",
		FederationReader:           "Federation Reader",
		ClusterReporter:            "Cluster Reporter",
	} {
		if d, ok := ByID(id); !ok || d.Name != name {
			t.Errorf("ByID(%q) = %q, %v, want %q", id, d.Name, ok, name)
		}
	}
	for _, unknown := range []string{"", "no such role", "Owner ", Owner + "0"} {
		if d, ok := ByID(unknown); ok {
			t.Errorf("ByID(%q) found %q", unknown, d.Name)
		}
		if d, ok := ByName(unknown); ok {
			t.Errorf("ByName(%q) found %q", unknown, d.Name)
		}
	}
}

func TestBuiltInIsACopy(t *testing.T) {
	BuiltIn()[0].Actions[0] = "*"
	d, _ := ByID(FederationReader)
	d.Actions[0] = "*"
	for _, d := range BuiltIn()[:2] {
		if d.Actions[0] == "*" {
			t.Errorf("%s was changed through a result", d.Name)
		}
	}
	if diff := cmp.Diff(BuiltIn(), BuiltIn()); diff != "" {
		t.Errorf("order is not stable:\n%s", diff)
	}
}

func TestGraphAppRoles(t *testing.T) {
	want := map[string]string{
		"Application.Read.All":            "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
		"Application.ReadWrite.All":       "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
		"Application.ReadWrite.OwnedBy":   "18a4783c-866b-4cc7-a460-3d5e5662c884",
		"Directory.Read.All":              "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
		"Directory.ReadWrite.All":         "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
		"AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
	}
	got := map[string]string{}
	for _, r := range GraphAppRoles() {
		got[r.Value] = r.ID
		if r.DisplayName == "" || r.Description == "" {
			t.Errorf("%s: no display name or description", r.Value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The matcher agrees with a regular expression of the same meaning.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"*", ""}, {"", ""}, {"a*b*c", "aXbXc"}, {"*/read", "a/b/read"}, {"ab*ba", "aba"}, {"**", "x"}, {"a", "A"}, {"\xff*", "\xff\xfe"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		quoted := strings.ReplaceAll(regexp.QuoteMeta(hex(pattern)), `\*`, ".*")
		re, err := regexp.Compile("^" + quoted + "$")
		if err != nil {
			t.Skip("too large for the reference")
		}
		if got, want := match(pattern, s), re.MatchString(hex(s)); got != want {
			t.Errorf("match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
		d := Definition{Actions: []string{pattern}}
		if strings.HasPrefix(strings.ToLower(s), "entente.federation/") && d.Allows(s) && !d.ReachesReserved() {
			t.Errorf("%q grants the reserved %q", pattern, s)
		}
	})
}

// hex spells s so that one byte is one letter to a regular expression, which
// counts in characters; stars stay.
func hex(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '*' {
			b.WriteByte('*')
		} else {
			b.WriteRune(rune(s[i]) + 0x100)
		}
	}
	return b.String()
}

func FuzzCovers(f *testing.F) {
	f.Add("/", "/a/b")
	f.Add("/a", "/A/b")
	f.Add("/a/", "/a//b")
	f.Add("/a/..", "/b")
	f.Fuzz(func(t *testing.T, a, s string) {
		segments := func(p string) ([]string, bool) {
			if p == "/" {
				return nil, true
			}
			p, ok := strings.CutPrefix(strings.TrimSuffix(p, "/"), "/")
			list := strings.Split(p, "/")
			for _, e := range list {
				ok = ok && e != "" && e != "." && e != ".."
			}
			return list, ok
		}
		as, aok := segments(a)
		ss, sok := segments(s)
		want := aok && sok && len(as) <= len(ss)
		for i := range as {
			want = want && lower(as[i]) == lower(ss[i])
		}
		if got := Covers(a, s); got != want {
			t.Errorf("Covers(%q, %q) = %v, want %v", a, s, got, want)
		}
	})
}

func BenchmarkAllows(b *testing.B) {
	d, _ := ByID(Contributor)
	b.ReportAllocs()
	for b.Loop() {
		d.Allows("Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write")
	}
}
