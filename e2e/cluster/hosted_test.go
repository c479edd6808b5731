package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// register registers a cluster whose issuer the service publishes.
func register(t *testing.T, s *testkit.Service, c *client.Client, name string) client.Cluster {
	t.Helper()
	group := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "myResourceGroup"}
	if _, _, err := c.PutResourceGroup(t.Context(), group, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	registered, created, err := c.PutCluster(t.Context(), clusterID(s, name), client.ClusterSpec{Location: "local", Issuer: &client.ClusterIssuerSpec{KeySource: client.HostedKeys}})
	if err != nil || !created || registered.Issuer == nil {
		t.Fatalf("registered %+v, created %v: %v", registered, created, err)
	}
	return registered
}

func clusterID(s *testkit.Service, name string) client.ClusterID {
	return client.ClusterID{SubscriptionID: s.SubscriptionID, ResourceGroup: "myResourceGroup", Name: name}
}

// push gives the service the keys that a cluster publishes, which are its only way out.
func push(t *testing.T, s *testkit.Service, admin *client.Client, name string, set []byte) client.Cluster {
	t.Helper()
	c, err := admin.UpdateClusterKeys(t.Context(), clusterID(s, name), set)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fetch reads a document that the service publishes, as anybody can.
func fetch(t *testing.T, s *testkit.Service, url string) (text, kind string) {
	t.Helper()
	response, err := s.HTTP.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s: %s %s (%v)", url, response.Status, body, err)
	}
	return string(body), response.Header.Get("Content-Type")
}

// An API server with a hosted issuer's URL needs no way in: its keys were
// pushed, and its pods get tokens. The service publishes what the API server
// would, byte by byte, and whoever trusts the issuer by its URL verifies the
// tokens with it.
func TestHostedIssuer(t *testing.T) {
	s := testkit.Serve(t, t.TempDir()) // may ask no private address, and need not
	admin := s.AsAdmin(t)
	registered := register(t, s, admin, "prod")
	issuer := registered.Issuer.URL
	if want := s.Authority + "/oic/" + s.TenantID + "/" + registered.ClusterID + "/"; issuer != want {
		t.Fatalf("the issuer is %s, want %s", issuer, want)
	}
	if empty, _ := fetch(t, s, issuer+"openid/v1/jwks"); empty != `{"keys":[]}` {
		t.Errorf("before there are keys: %s", empty)
	}
	c := start(t, controlplane.Config{Issuer: issuer, JWKSURI: issuer + "openid/v1/jwks"})
	cat := application(t, admin, issuer)
	token := c.Token(t, "pets", "cat", audience)
	refused(t, s, cat, token, 401, 7000272) // nobody has told its keys

	set := c.KeySet(t)
	if pushed := push(t, s, admin, "prod", set); len(pushed.Issuer.KeyIDs) != 1 || pushed.Issuer.KeyIDs[0] != decode[header](t, token, 0).Kid {
		t.Errorf("pushed: %+v", pushed.Issuer)
	}
	accepted(t, s, cat, token)
	refused(t, s, cat, tampered(token), 400, 50027)
	refused(t, s, cat, c.Token(t, "pets", "dog", audience), 401, 700213)
	refused(t, s, cat, c.Token(t, "pets", "cat", vault), 401, 700212)

	for document, kind := range map[string]string{".well-known/openid-configuration": "application/json", "openid/v1/jwks": "application/jwk-set+json"} {
		own, err := c.Client(t).RESTClient().Get().AbsPath("/" + document).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, slash := range []string{"", "/", "//"} { // the URL ends in one, and people put another behind it
			published, k := fetch(t, s, issuer+slash+document)
			if published != string(own) || k != kind {
				t.Errorf("%s%s is %s %s, and the API server's own %s", slash, document, k, published, own)
			}
		}
	}

	provider, err := oidc.NewProvider(oidc.ClientContext(t.Context(), s.HTTP), issuer)
	if err != nil {
		t.Fatalf("go-oidc cannot discover the issuer: %v", err)
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(oidc.ClientContext(t.Context(), s.HTTP), token)
	if err != nil || verified.Subject != subject || verified.Issuer != issuer {
		t.Errorf("go-oidc reads %+v: %v", verified, err)
	}
	if _, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(oidc.ClientContext(t.Context(), s.HTTP), tampered(token)); err == nil {
		t.Error("go-oidc takes a token that was tampered with")
	}

	// While a credential trusts it, the issuer stays.
	if err := admin.DeleteCluster(t.Context(), clusterID(s, "prod")); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "cat/cat") {
		t.Errorf("deleted: %v", err)
	}
	accepted(t, s, cat, token)
}

// The cluster's keys are rotated, and a key of another type comes: what was
// pushed counts from the next request on, and what is no longer in the set
// does not.
func TestRotationOfAHostedIssuer(t *testing.T) {
	s := testkit.Serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	issuer := register(t, s, admin, "prod").Issuer.URL
	older := rsaKey(t)
	newer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, controlplane.Config{Issuer: issuer, JWKSURI: issuer + "openid/v1/jwks", Keys: []crypto.Signer{older}})
	cat := application(t, admin, issuer)
	push(t, s, admin, "prod", c.KeySet(t))
	before := c.Token(t, "pets", "cat", audience)
	accepted(t, s, cat, before)

	c.Keys = []crypto.Signer{newer, older}
	c.Restart(t)
	after := c.Token(t, "pets", "cat", audience)
	if h := decode[header](t, after, 0); h.Alg != "ES256" {
		t.Fatalf("the cluster signs with %s", h.Alg)
	}
	refused(t, s, cat, after, 400, 5002730) // not pushed yet: neither the key nor that the cluster signs so
	push(t, s, admin, "prod", c.KeySet(t))
	accepted(t, s, cat, after)
	accepted(t, s, cat, before)
	if text, _ := fetch(t, s, issuer+".well-known/openid-configuration"); !strings.Contains(text, `"id_token_signing_alg_values_supported":["`) || !strings.Contains(text, "ES256") || !strings.Contains(text, "RS256") {
		t.Errorf("while both keys count: %s", text)
	}

	c.Keys = []crypto.Signer{newer}
	c.Restart(t)
	last := push(t, s, admin, "prod", c.KeySet(t))
	accepted(t, s, cat, after)
	refused(t, s, cat, before, 400, 5002730)
	again := push(t, s, admin, "prod", c.KeySet(t))
	if !again.Issuer.KeysUpdatedAt.Equal(last.Issuer.KeysUpdatedAt) {
		t.Errorf("the same keys again were set at %v, after %v", again.Issuer.KeysUpdatedAt, last.Issuer.KeysUpdatedAt)
	}

	// A service that was moved to another address keeps the issuers that its clusters' tokens name.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.Authority, "https://"), ":")
	moved := testkit.Serve(t, s.Dir, "--listen", "127.0.0.1:"+port, "--issuer-url", "https://moved.example")
	if next := register(t, moved, moved.AsAdmin(t), "next").Issuer.URL; !strings.HasPrefix(next, "https://moved.example/oic/") {
		t.Errorf("a new cluster's issuer is %s", next)
	}
	accepted(t, moved, cat, after)
	refused(t, moved, cat, before, 400, 5002730)
}

// The check that people make of a cluster's issuer, in the shape that an
// article about AKS prints: the keys, member by member.
func TestHostedKeysInTheShapeOfAKS(t *testing.T) {
	set, err := os.ReadFile("testdata/aks-keys.json")
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	issuer := register(t, s, admin, "myAKScluster").Issuer.URL
	pushed := push(t, s, admin, "myAKScluster", set)
	if want := []string{"4gZVAbix5cXrHnMF9D6rp-EOpB92gfamRWVG873e9s5", "wQ4TGh1obxJ6l8nxEiV-hf-lccLnJwXxx7Rw8E-UDBo"}; !slices.Equal(pushed.Issuer.KeyIDs, want) {
		t.Errorf("the keys are %q", pushed.Issuer.KeyIDs)
	}
	published, _ := fetch(t, s, issuer+"/openid/v1/jwks") // as the article has it: the issuer, with its slash, and "/openid/v1/jwks"
	if diff := cmp.Diff(members(t, set), members(t, []byte(published))); diff != "" {
		t.Errorf("published (-article +service):\n%s", diff)
	}
}
