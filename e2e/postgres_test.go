package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

// Two processes that start at once on one empty PostgreSQL database make one
// tenant and one administrator, and honour each other's writes on the next request.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	issuer, flags := cluster(t)
	kek := filepath.Join(t.TempDir(), "kek")
	key := make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(kek, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags = append(flags, "--db", testkit.PostgreSQLDSN(t), "--key-encryption-key", kek, "--bootstrap-admin", issuer.URL()+","+subject, "--issuer-url", "https://entente.example.org")

	var both [2]*service
	var wg sync.WaitGroup
	for i := range both {
		dir := t.TempDir()
		wg.Go(func() { both[i] = serve(t, dir, flags...) })
	}
	wg.Wait()
	if both[0] == nil || both[1] == nil {
		t.FailNow()
	}
	tenants, administrators := map[string]bool{}, []string{}
	for _, s := range both {
		_, _, root := s.get(t, "/")
		tenants[strings.Split(strings.TrimPrefix(root["openid_configuration"].(string), s.Authority+"/"), "/")[0]] = true
		if id := administrator(t, s); id != "" {
			administrators = append(administrators, id)
		}
	}
	if len(tenants) != 1 || len(administrators) != 1 {
		t.Fatalf("tenants %v, administrators %v, want one each", tenants, administrators)
	}
	var clients [2]*client.Client
	for i, s := range both {
		for tenant := range tenants {
			s.TenantID = tenant
		}
		clients[i] = s.federated(t, administrators[0], issuer)
	}
	one, other := both[0], both[1]

	app, w := application(t, clients[0], "shared", "")
	token := mint(t, issuer)
	for range 5 {
		if _, err := clients[0].CreateApplicationCredential(ctx, app.ID, trustIn(issuer)); err != nil {
			t.Fatal(err)
		}
		access, err := other.exchange(t, w.clientID, token, vault+"/.default")
		if err != nil {
			t.Fatalf("what one wrote, the other does not honour: %v", err)
		}
		if got := decode(t, access); got.Iss != "https://entente.example.org/"+one.TenantID+"/" {
			t.Errorf("iss %q", got.Iss)
		}
		if err := clients[1].DeleteApplicationCredential(ctx, app.ID, "cluster"); err != nil {
			t.Fatal(err)
		}
		_, err = one.exchange(t, w.clientID, token, vault+"/.default")
		refused(t, err, 401, "AADSTS70025: ")
	}

	// A token that one signed is taken by the other, and so is a page token.
	for i := range 3 {
		application(t, clients[i%2], "page", "")
	}
	if list, err := clients[1].Applications(ctx, ""); err != nil || len(list) != 5 {
		t.Errorf("%d applications (%v), want 5", len(list), err)
	}
}

// administrator is the client id that the log of a first start names; empty when this process did not make it.
func administrator(t *testing.T, s *service) string {
	t.Helper()
	for _, line := range strings.Split(s.Log(), "\n") {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && l["administrator"] != nil {
			return l["administrator"].(string)
		}
	}
	return ""
}

// federated is a client that proves itself with the tests' workload.
func (s *service) federated(t *testing.T, clientID string, issuer *localissuer.Issuer) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(s.Authority), TenantID: s.TenantID, HTTP: s.HTTP,
		Credential: client.Federated(s.Authority, s.TenantID, clientID, func(context.Context) (string, error) { return mint(t, issuer), nil }, s.HTTP),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
