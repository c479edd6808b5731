package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Names of roles have spaces, so that these lists are not separated by them.
func TestRolesOfTheEnvironment(t *testing.T) {
	const twin = "groups=platform:Federation Administrator\n\n  groups=a b:Reader \r\n"
	want := lines{"groups=platform:Federation Administrator", "groups=a b:Reader"}
	o := &lines{}
	cmd := newServe()
	if err := fromEnvironment(cmd.Flags(), func(name string) (string, bool) { return twin, name == "ENTENTE_PORTAL_OIDC_ROLE" }); err != nil {
		t.Fatal(err)
	}
	if got := cmd.Flags().Lookup("portal-oidc-role").Value.String(); got != strings.Join(want, "\n") {
		t.Errorf("the environment gave %q", got)
	}
	for _, text := range want {
		if err := o.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(&want, o); diff != "" {
		t.Errorf("the command line: %s", diff)
	}
}
