package cluster

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// upload registers the keys of a cluster's issuer under a name.
func upload(t *testing.T, c *client.Client, name, url string, set []byte) (client.Issuer, error) {
	t.Helper()
	i, _, err := c.PutIssuer(t.Context(), name, client.IssuerSpec{Issuer: url, KeySource: client.UploadedKeys, KeySet: set})
	return i, err
}

// A cluster that nobody can reach is trusted by its uploaded keys: its issuer
// has a name that resolves in the cluster only, the service may ask no private
// address, and the API server is down.
func TestUploadedKeysOfAClusterOutOfReach(t *testing.T) {
	c := start(t, controlplane.Config{Issuer: inside})
	s := testkit.Serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	cat := application(t, admin, inside)
	token, dog := c.Token(t, "pets", "cat", audience), c.Token(t, "pets", "dog", audience)
	set := c.KeySet(t)
	refused(t, s, cat, token, 400, 501661) // by discovery
	c.Stop()

	if _, err := upload(t, admin, "on-premises", inside, set); err != nil {
		t.Fatal(err)
	}
	accepted(t, s, cat, token)
	refused(t, s, cat, dog, 401, 700213)
	refused(t, s, cat, tampered(token), 400, 50027)

	// The keys are rotated by hand: the next set counts from the next request on.
	c.Keys = []crypto.Signer{rsaKey(t)}
	c.Restart(t)
	next := c.Token(t, "pets", "cat", audience)
	refused(t, s, cat, next, 401, 7000272)
	if _, err := upload(t, admin, "on-premises", inside, c.KeySet(t)); err != nil {
		t.Fatal(err)
	}
	accepted(t, s, cat, next)
	refused(t, s, cat, token, 401, 7000272)
}

// Two clusters have the same issuer, as clusters with default settings do. Only
// one of them can speak for it in a tenant; another tenant may know the other.
func TestTwoClustersWithOneIssuer(t *testing.T) {
	one, two := start(t, controlplane.Config{Issuer: inside}), start(t, controlplane.Config{Issuer: inside})
	s := testkit.Serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	cat := application(t, admin, inside)
	ofOne, ofTwo := one.Token(t, "pets", "cat", audience), two.Token(t, "pets", "cat", audience)

	if _, err := upload(t, admin, "one", inside, one.KeySet(t)); err != nil {
		t.Fatal(err)
	}
	_, err := upload(t, admin, "two", inside, two.KeySet(t))
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 409 {
		t.Errorf("a second cluster's keys for the same issuer: %v, want 409", err)
	}
	accepted(t, s, cat, ofOne)
	refused(t, s, cat, ofTwo, 401, 7000272)

	other := uuid.NewString()
	tenant, _, err := admin.PutHostedTenant(t.Context(), other, client.HostedTenantSpec{DisplayName: "Other"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := &testkit.Service{Admin: s.Admin, HTTP: s.HTTP} // the same one, asked for the other tenant
	theirs.TenantID = other
	their := s.As(t, other, tenant.Administrator.ClientID, tenant.Administrator.ClientSecret)
	if _, err := upload(t, their, "two", inside, two.KeySet(t)); err != nil {
		t.Fatal(err)
	}
	theirCat := application(t, their, inside)
	accepted(t, theirs, theirCat, ofTwo)
	refused(t, theirs, theirCat, ofOne, 401, 7000272)
	accepted(t, s, cat, ofOne)
	refused(t, s, cat, ofTwo, 401, 7000272)
}

// The key set of an AKS cluster, as published with an article: its keys have
// 4,104 bits, and the first kid is not canonical base64url. It can be used, and
// is given back as it was.
func TestKeySetOfAnAKSCluster(t *testing.T) {
	set, err := os.ReadFile("testdata/aks-keys.json")
	if err != nil {
		t.Fatal(err)
	}
	keys, problems, err := issuer.ParseKeySet(set)
	if err != nil || len(problems) > 0 || len(keys) != 2 {
		t.Fatalf("usable are %v; problems %v, %v", keys, problems, err)
	}
	for n, id := range []string{"4gZVAbix5cXrHnMF9D6rp-EOpB92gfamRWVG873e9s5", "wQ4TGh1obxJ6l8nxEiV-hf-lccLnJwXxx7Rw8E-UDBo"} {
		if k := keys[n]; k.ID != id || k.Bits != 4104 || k.Type != "RSA" || k.Algorithm != "RS256" {
			t.Errorf("key %d is %+v", n, k)
		}
	}

	const url = "https://australiaeast.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/00000000-0000-0000-0000-000000000000/"
	admin := testkit.Serve(t, t.TempDir()).AsAdmin(t)
	put, err := upload(t, admin, "aks", url, set)
	if err != nil {
		t.Fatal(err)
	}
	got, err := admin.Issuer(t.Context(), "aks")
	if err != nil || got.Issuer != url || got.KeySource != client.UploadedKeys || got.Revision != put.Revision {
		t.Fatalf("the issuer is %+v (%v)", got, err)
	}
	if diff := cmp.Diff(members(t, set), members(t, got.KeySet)); diff != "" {
		t.Errorf("the key set was changed (-uploaded +given back):\n%s", diff)
	}
}

// members are those of a document, in its order.
func members(t *testing.T, document []byte) []json.Token {
	t.Helper()
	var all []json.Token
	for d := json.NewDecoder(bytes.NewReader(document)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, token)
	}
}
