package e2e

import (
	"fmt"
	"sync"
	"testing"

	"github.com/entente-id/entente/client"
)

// 60 writers at once on a parent that holds 18: two succeed, the others are
// told that there is no room, and nobody gets a server error. An administrator
// can raise the limit.
func TestLimitHoldsUnderParallelWrites(t *testing.T) {
	ctx := t.Context()
	s := serve(t, t.TempDir())
	c := s.AsAdmin(t)
	app, _ := application(t, c, "full", "")
	id, _ := identity(t, s, c, "pets", "full", "")
	for name, add := range map[string]func(client.FederatedCredential) error{
		"application": func(f client.FederatedCredential) error {
			_, err := c.CreateApplicationCredential(ctx, app.ID, f)
			return err
		},
		"managed identity": func(f client.FederatedCredential) error {
			_, _, err := c.PutIdentityCredential(ctx, id, f)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			credential := func(i int) client.FederatedCredential {
				return client.FederatedCredential{Name: fmt.Sprintf("credential-%d", i), Issuer: "https://oidc.example.org/cluster/", Subject: fmt.Sprintf("system:serviceaccount:pets:sa-%d", i), Audiences: []string{audience}}
			}
			for i := range 18 {
				if err := add(credential(i)); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			statuses := map[int]int{}
			for i := range 60 {
				wg.Go(func() {
					err := add(credential(100 + i))
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						statuses[0]++
					} else {
						statuses[statusOf(err)]++
					}
				})
			}
			wg.Wait()
			if statuses[0] != 2 || statuses[400] != 58 {
				t.Errorf("answers %v, want 2 successes and 58 times 400", statuses)
			}
		})
	}
	for parent, list := range map[string]func() ([]client.FederatedCredential, error){
		"application":      func() ([]client.FederatedCredential, error) { return c.ApplicationCredentials(ctx, app.ID) },
		"managed identity": func() ([]client.FederatedCredential, error) { return c.IdentityCredentials(ctx, id) },
	} {
		if found, err := list(); err != nil || len(found) != 20 {
			t.Errorf("%s: %d credentials (%v), want 20", parent, len(found), err)
		}
	}
	if _, err := c.PutPolicy(ctx, client.Policy{MaxFederatedIdentityCredentials: 21}); err != nil {
		t.Fatal(err)
	}
	one := client.FederatedCredential{Name: "one-more", Issuer: "https://oidc.example.org/cluster/", Subject: "system:serviceaccount:pets:one-more", Audiences: []string{audience}}
	if _, err := c.CreateApplicationCredential(ctx, app.ID, one); err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
}
