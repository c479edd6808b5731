package directory_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

func TestCredentialCounts(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, d *db.DB) {
		dir := &directory.Directory{DB: d}
		f, _, err := dir.Bootstrap(t.Context(), directory.NewTenant{})
		if err != nil {
			t.Fatal(err)
		}
		admin := caller(f)
		var ids []string
		want := map[string]int{}
		for n := range 3 {
			app, err := dir.CreateApplication(t.Context(), admin, directory.Application{DisplayName: "app"})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, app.ID)
			for i := range n {
				spec := credential.Spec{Name: fmt.Sprint("name", i), Issuer: "https://issuer.example/", Subject: fmt.Sprint(i), Audiences: []string{credential.DefaultAudience}}
				if _, err := dir.AddCredential(t.Context(), admin, directory.Parent{Application: &directory.Ref{ID: app.ID}}, spec); err != nil {
					t.Fatal(err)
				}
				want[app.ID] = i + 1
			}
		}
		if got, err := dir.CredentialCounts(t.Context(), admin, append(ids, "none")); err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
		if got, err := dir.CredentialCounts(t.Context(), admin, nil); err != nil || len(got) != 0 {
			t.Errorf("of none: %v, %v", got, err)
		}

		app, err := dir.CreateApplication(t.Context(), admin, directory.Application{DisplayName: "stranger"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := dir.CreateServicePrincipal(t.Context(), admin, directory.NewPrincipal{AppID: app.AppID})
		if err != nil {
			t.Fatal(err)
		}
		stranger := directory.Caller{Kind: directory.PrincipalCaller, TenantID: f.Tenant.ID, PrincipalID: p.ID, AppID: app.AppID}
		if got, err := dir.CredentialCounts(t.Context(), stranger, ids); err != nil || len(got) != 0 {
			t.Errorf("to one without rights: %v, %v", got, err)
		}
	})
}
