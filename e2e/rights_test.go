package e2e

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
)

// Whoever sets an issuer's keys can speak for all its workloads. Neither an
// owner of an application, nor a Contributor of a resource group, nor the
// administrator of another tenant can.
func TestWhoMaySetAnIssuersKeys(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), flags...)
	admin := s.AsAdmin(t)

	makerApp, maker := application(t, admin, "maker", "")
	permit(t, admin, maker, "Application.ReadWrite.OwnedBy")
	owner := s.As(t, s.TenantID, maker.clientID, withSecret(t, admin, makerApp))
	owned, err := owner.CreateApplication(ctx, client.ApplicationSpec{DisplayName: "owned"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.CreateApplicationCredential(ctx, owned.ID, trustIn(issuer)); err != nil {
		t.Fatalf("an owner cannot add a credential to its application: %v", err)
	}
	if _, err := owner.CreateApplicationCredential(ctx, makerApp.ID, trustIn(issuer)); statusOf(err) != 403 {
		t.Errorf("an owner adds a credential to another application: %v", err)
	}

	contributorApp, contributor := application(t, admin, "contributor", "")
	identity(t, s, admin, "pets", "cat", "")
	assign(t, admin, contributor, client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "pets"}, "Contributor")
	contributing := s.As(t, s.TenantID, contributor.clientID, withSecret(t, admin, contributorApp))
	if _, _, err := contributing.PutIdentityCredential(ctx, client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: "pets", Name: "cat"}, trustIn(issuer)); err != nil {
		t.Fatalf("a Contributor cannot add a credential in its group: %v", err)
	}

	tenant, created, err := admin.PutHostedTenant(ctx, uuid.NewString(), client.HostedTenantSpec{DisplayName: "Other"})
	if err != nil || !created || tenant.Administrator == nil {
		t.Fatalf("make a tenant: %+v, %v", tenant, err)
	}
	foreign := s.As(t, tenant.TenantID, tenant.Administrator.ClientID, tenant.Administrator.ClientSecret)
	if _, _, err := foreign.PutIssuer(ctx, "own", client.IssuerSpec{Issuer: issuer.URL(), KeySource: client.UploadedKeys, KeySet: issuer.JWKS()}); err != nil {
		t.Fatalf("another tenant's administrator cannot set an issuer of its own: %v", err)
	}

	list, err := admin.Issuers(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("issuers of the tenant: %+v (%v), want the one that the credentials name", list, err)
	}
	spec := client.IssuerSpec{Issuer: issuer.URL(), KeySource: client.UploadedKeys, KeySet: issuer.JWKS()}
	for who, c := range map[string]*client.Client{"owner of an application": owner, "Contributor of a group": contributing} {
		for _, name := range []string{list[0].Name, "new"} {
			if _, _, err := c.PutIssuer(ctx, name, spec); statusOf(err) != 403 {
				t.Errorf("%s sets the issuer %s: %v", who, name, err)
			}
			if err := c.DeleteIssuer(ctx, name); statusOf(err) != 403 {
				t.Errorf("%s deletes the issuer %s: %v", who, name, err)
			}
		}
	}
	// The other tenant's administrator sees nothing of this tenant: what it
	// sets by the same name or URL is its own.
	if _, err := foreign.Issuer(ctx, list[0].Name); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("another tenant's administrator reads the issuer: %v", err)
	}
	evil := json.RawMessage(`{"keys":[]}`)
	if _, _, err := foreign.PutIssuer(ctx, "own", client.IssuerSpec{Issuer: issuer.URL(), KeySource: client.UploadedKeys, KeySet: evil}); statusOf(err) != 400 {
		t.Errorf("a key set without keys is taken: %v", err)
	}
	after, err := admin.Issuers(ctx)
	if err != nil || len(after) != 1 || after[0].Revision != list[0].Revision {
		t.Errorf("the issuer changed: %+v (%v)", after, err)
	}
	if _, err := s.exchange(t, contributor.clientID, mint(t, issuer), vault+"/.default"); err == nil {
		t.Error("a client without credentials got a token")
	}
	if _, _, err := admin.PutIssuer(ctx, "new", spec); err != nil {
		t.Errorf("the administrator cannot set the issuer: %v", err)
	}
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Status
	}
	return 0
}

// The administrator's own application is out of reach for those who may write all others.
func TestAdministratorIsGuarded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	app, w := application(t, admin, "writes all", "")
	permit(t, admin, w, "Application.ReadWrite.All")
	c := s.As(t, s.TenantID, w.clientID, withSecret(t, admin, app))
	target, err := c.Application(ctx, s.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddPassword(ctx, target.ID, client.PasswordSpec{}); statusOf(err) != 403 {
		t.Errorf("adds a secret: %v", err)
	}
	if _, err := c.CreateApplicationCredential(ctx, target.ID, client.FederatedCredential{Name: "evil", Issuer: "https://evil.example.org/", Subject: "me", Audiences: []string{audience}}); statusOf(err) != 403 {
		t.Errorf("adds a credential: %v", err)
	}
	if err := c.DeleteApplication(ctx, target.ID); statusOf(err) != 403 {
		t.Errorf("deletes it: %v", err)
	}
	if _, err := admin.AddPassword(ctx, target.ID, client.PasswordSpec{}); err != nil {
		t.Errorf("the administrator cannot give itself a secret: %v", err)
	}
}
