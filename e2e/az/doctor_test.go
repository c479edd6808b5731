package az

import (
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

// The commands that the doctor gives for Azure are az's. Run as they are, each
// mends what it was given for.
func TestDoctorsCommands(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	admin := s.AsAdmin(t)
	good := client.FederatedCredential{Name: "web", Issuer: issuer.URL(), Subject: "system:serviceaccount:pets:workload-identity-sa", Audiences: []string{"api://AzureADTokenExchange"}}

	group := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "pets"}
	if _, _, err := admin.PutResourceGroup(t.Context(), group, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	application := func(f client.FederatedCredential, principal bool) client.Application {
		app, err := admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "web's own"})
		if err == nil && principal {
			_, err = admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: app.AppID})
		}
		if err == nil && f.Name != "" {
			_, err = admin.CreateApplicationCredential(t.Context(), app.ID, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	for _, c := range []struct {
		cause doctor.Cause
		make  func() (clientID string)
	}{
		{doctor.IssuerSlashMissing, func() string {
			f := good
			f.Issuer = strings.TrimSuffix(f.Issuer, "/")
			return application(f, true).AppID
		}},
		{doctor.SubjectCase, func() string {
			f := good
			f.Subject = strings.Replace(f.Subject, "pets", "Pets", 1)
			return application(f, true).AppID
		}},
		{doctor.AudienceIsResource, func() string {
			f := good
			f.Audiences = []string{"https://web.vault.azure.net"}
			return application(f, true).AppID
		}},
		{doctor.SubjectNamespace, func() string {
			f := good
			f.Subject = strings.Replace(f.Subject, "pets", "zoo", 1)
			return application(f, true).AppID
		}},
		{doctor.NoCredential, func() string { return application(client.FederatedCredential{}, true).AppID }},
		{doctor.PrincipalMissing, func() string { return application(good, false).AppID }},
		{doctor.ClientDisabled, func() string {
			app := application(good, true)
			p.out(`az ad sp update --id ` + app.AppID + ` --set accountEnabled=false`)
			return app.AppID
		}},
		{doctor.ClientDeleted, func() string {
			app := application(good, true)
			if err := admin.DeleteApplication(t.Context(), app.ID); err != nil {
				t.Fatal(err)
			}
			return app.AppID
		}},
		{doctor.IssuerSlashMissing, func() string {
			f := good
			f.Issuer = strings.TrimSuffix(f.Issuer, "/")
			return identity(t, admin, group, "slash", f)
		}},
		{doctor.NoCredential, func() string { return identity(t, admin, group, "none", client.FederatedCredential{}) }},
	} {
		id := c.make()
		r := examine(t, s, admin, issuer, id)
		if r.Cause != c.cause {
			t.Errorf("%s: found %q: %s", c.cause, r.Cause, inFull(t, r))
			continue
		}
		for _, command := range r.Faults()[0].Mends[0].Commands {
			p.out(command)
		}
		if r := examine(t, s, admin, issuer, id); r.Verdict != doctor.Healthy {
			t.Errorf("%s: not mended: %s", c.cause, inFull(t, r))
		}
		// So that it is not found as another client with the credential that fits.
		p.out(`az ad app delete --id ` + id + ` || az identity delete --ids $(az identity list --query "[?clientId=='` + id + `'].id" -o tsv)`)
	}
}

func identity(t *testing.T, admin *client.Client, group client.ResourceGroupID, name string, f client.FederatedCredential) string {
	t.Helper()
	id := client.IdentityID{SubscriptionID: group.SubscriptionID, ResourceGroup: group.Name, Name: name}
	m, _, err := admin.PutIdentity(t.Context(), id, client.ResourceSpec{Location: "local"})
	if err == nil && f.Name != "" {
		_, _, err = admin.PutIdentityCredential(t.Context(), id, f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.ClientID
}

func examine(t *testing.T, s *testkit.Service, admin *client.Client, issuer *localissuer.Issuer, clientID string) *doctor.Report {
	t.Helper()
	d := doctor.Doctor{
		Target: doctor.Target{Kind: doctor.Azure, Authority: s.Authority, TenantID: s.TenantID, Scope: client.Scope(s.Authority), HTTP: s.HTTP, Client: admin},
		Roots:  x509.NewCertPool(),
	}
	d.Roots.AppendCertsFromPEM(issuer.CAPEM())
	r, err := d.Examine(t.Context(), doctor.Question{Kind: doctor.TokenKind, Token: mint(t, issuer), ClientID: clientID})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inFull(t *testing.T, r *doctor.Report) string {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
