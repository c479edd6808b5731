package manifest_test

import (
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/manifest"
)

func TestOwnerOf(t *testing.T) {
	for name, want := range map[string]string{
		"pets--cluster":                     "pets",
		"pets-prod--a--b":                   "pets-prod",
		"pets--":                            "pets",
		"cluster":                           "",
		"pets-cluster":                      "",
		"--cluster":                         "",
		"Pets--cluster":                     "",
		"pets---cluster":                    "pets",
		"pe.ts--cluster":                    "",
		strings.Repeat("a", 41) + "--x":     "",
		"7Vx1FQd2-_mbNJm--lEKnB2ZFCq1uPhE=": "",
	} {
		if got := manifest.OwnerOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for owner, ok := range map[string]bool{
		"pets": true, "pets-2": true, "": false, "Pets": false, "-pets": false, "pets-": false, "pets--x": false, "pets.x": false, "ä": false,
		strings.Repeat("a", 40): true, strings.Repeat("a", 41): false,
	} {
		if got := problems(t, "owner: '"+owner+"'\n"); (got == nil) != ok {
			t.Errorf("%q: %q", owner, got)
		}
		if ok && manifest.OwnerOf(owner+"--x") != owner {
			t.Errorf("%q does not own its own", owner)
		}
	}
}
