package directory_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
)

func TestNamePart(t *testing.T) {
	each(t, func(w *world) {
		for _, name := range []string{"pets", "Pets Shop", "vfo", "off", "a%b_c", "Ünï Käse", "O'Brien", strings.Repeat("x", 256), strings.Repeat("gv", 128)} {
			w.client(name)
		}
		for part, want := range map[string][]string{
			"PET":                    {"pets", "Pets Shop"},
			"s s":                    {"Pets Shop"},
			"shop":                   {"Pets Shop"},
			"ff":                     {"off"}, // whose digits 6666 stand in vfo too, between its bytes
			"wf":                     {},      // 7766, which stands in 67766776 nowhere but between
			"vG":                     {strings.Repeat("gv", 128)},
			"%":                      {"a%b_c"},
			"_":                      {"a%b_c"},
			"käse":                   {"Ünï Käse"},
			"NÏ":                     {"Ünï Käse"},
			"'":                      {"O'Brien"},
			"petz":                   {},
			strings.Repeat("x", 256): {strings.Repeat("x", 256)},
			strings.Repeat("x", 257): {},
			"\x00":                   {},
		} {
			apps, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePart: &part}, directory.Page{Count: true})
			w.ok(err)
			got := []string{}
			for _, a := range apps.Items {
				got = append(got, a.DisplayName)
			}
			principals, err := w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{NamePart: &part}, directory.Page{Count: true})
			w.ok(err)
			if !cmp.Equal(got, want) || apps.Total != len(want) || len(principals.Items) != len(want) || principals.Total != len(want) {
				w.Errorf("%q: %q (%d) and %d service principals, want %q", part, got, apps.Total, principals.Total, want)
			}
		}
		all := ""
		list, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePart: &all}, directory.Page{})
		w.ok(err)
		if len(list.Items) < 8 {
			w.Errorf("nothing is a part of %d names", len(list.Items))
		}
	})
}

func TestExtraOfServicePrincipals(t *testing.T) {
	each(t, func(w *world) {
		app := w.app("a")
		kept := map[string]json.RawMessage{"description": json.RawMessage(`"d"`), "notes": json.RawMessage(`"n"`)}
		made, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: app.AppID, Extra: kept})
		w.ok(err)
		ref := directory.Ref{ID: made.ID}
		read := func(want map[string]json.RawMessage) {
			w.Helper()
			p, err := w.dir.ServicePrincipal(w.ctx(), w.system, ref)
			w.ok(err)
			if diff := cmp.Diff(want, p.Extra); diff != "" {
				w.Errorf("(-want +got):\n%s", diff)
			}
		}
		read(kept)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, ref, directory.PrincipalEdit{Tags: &[]string{}}))
		read(kept)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, ref, directory.PrincipalEdit{Extra: &map[string]json.RawMessage{"notes": nil, "description": json.RawMessage(`"e"`), "none": nil}}))
		read(map[string]json.RawMessage{"description": json.RawMessage(`"e"`)})
		large := map[string]json.RawMessage{"notes": json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)}
		if e := w.kind(w.dir.UpdateServicePrincipal(w.ctx(), w.system, ref, directory.PrincipalEdit{Extra: &large}), directory.Invalid); e.Object != directory.PrincipalObject {
			w.Errorf("got %+v", e)
		}
		_, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: w.app("b").AppID, Extra: large})
		w.kind(err, directory.Invalid)
		read(map[string]json.RawMessage{"description": json.RawMessage(`"e"`)})
	})
}
