package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

// stranger is a service account that no credential trusts.
const stranger = "stranger"

// town is one service with what many clients of it need.
type town struct {
	*service
	issuer *localissuer.Issuer
	admin  *client.Client

	application client.Application
	identity    client.IdentityID
	workloads   []townsman // the application and the identity

	token, foreign string // files with a token that is trusted, and with one of a stranger
}

// townsman is a workload of the town.
type townsman struct {
	kind string
	workload
}

// TestClients gives one service to the clients that other people wrote, each as
// an application and as a managed identity.
func TestClients(t *testing.T) {
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	w := &town{
		service: s, issuer: issuer, admin: s.AsAdmin(t),
		token:   tokenFile(t, mint(t, issuer)),
		foreign: tokenFile(t, mint(t, issuer, func(k *localissuer.Token) { k.ServiceAccount = stranger })),
	}
	app, a := application(t, w.admin, "workload", issuer.URL())
	id, m := identity(t, s, w.admin, "pets", "workload", issuer.URL())
	w.application, w.identity = app, id
	w.workloads = []townsman{{"application", a}, {"managed identity", m}}
	for _, who := range w.workloads {
		w.mayManage(t, who.workload)
	}
	for name, test := range map[string]func(*testing.T, *town){
		"azure identity for Node": testAzureIdentityForNode,
		"arm-msi for Node":        testARMClientForNode,
		"MSAL for Go":             testMSAL,
		"Terraform":               testTerraform,
		"verifiers":               testVerifiers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// mayManage lets a workload write applications, and what is in the identity's group.
func (w *town) mayManage(t *testing.T, who workload) {
	t.Helper()
	permit(t, w.admin, who, "Application.ReadWrite.All")
	assign(t, w.admin, who, client.ResourceGroupID{SubscriptionID: w.SubscriptionID, Name: w.identity.ResourceGroup}, "Contributor")
}

// isFor checks that a token was issued to the workload, for its assertion.
func (w *town) isFor(t *testing.T, who workload, token string) {
	t.Helper()
	if got := decode(t, token); got.TID != w.TenantID || got.OID != who.principalID || got.AppID != who.clientID || got.AppIDAcr != "2" {
		t.Errorf("claims %+v", got)
	}
}

// terraform is the built program of goclients/terraform.
var terraform = sync.OnceValues(func() (string, error) {
	for _, dir := range []string{"goclients", "goclients/terraform"} { // looked at, so that a change of it runs these tests again
		if _, err := os.ReadDir(dir); err != nil {
			return "", err
		}
	}
	built := filepath.Join(filepath.Dir(testkit.Program), "terraform")
	build := exec.Command("go", "build", "-o", built, "./terraform")
	build.Dir = "goclients"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the layer below Terraform's providers: %w\n%s", err, out)
	}
	return built, nil
})

// The layer below Terraform's providers, configured as they are for a cloud
// that is not Microsoft's, writes what then counts.
func testTerraform(t *testing.T, w *town) {
	built, err := terraform()
	if err != nil {
		t.Fatal(err)
	}
	apply := func(t *testing.T, who workload, file string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), built, args...)
		cmd.Env = []string{
			"HOME=" + t.TempDir(), "SSL_CERT_FILE=" + w.CAFile, "ARM_METADATA_HOSTNAME=" + strings.TrimPrefix(w.Authority, "https://"),
			"ARM_USE_OIDC=true", "ARM_TENANT_ID=" + w.TenantID, "ARM_CLIENT_ID=" + who.clientID, "ARM_OIDC_TOKEN_FILE_PATH=" + file,
		}
		return cmd.Output()
	}
	for i, who := range w.workloads {
		t.Run(who.kind, func(t *testing.T) {
			name := fmt.Sprintf("terraformed-%d", i)
			_, app := application(t, w.admin, name, "")
			id, m := identity(t, w.service, w.admin, w.identity.ResourceGroup, name, "")
			account := localissuer.Token{Namespace: "pets", ServiceAccount: name, Audiences: []string{audience}}
			subject := "system:serviceaccount:pets:" + name
			out, err := apply(t, who.workload, w.token, "-identity", id.String(), "-application", app.clientID, "-issuer", w.issuer.URL(), "-subject", subject, "-audience", audience)
			if err != nil {
				t.Fatal(complaint(err))
			}
			got, want := map[string]string{}, map[string]string{
				"cloud": "Entente", "login": w.Authority, "tenantID": w.TenantID, "clientID": who.clientID, "objectID": who.principalID, "identity": subject, "application": subject,
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what the layer saw (-want +got):\n%s", diff)
			}
			for _, made := range []workload{app, m} {
				token := mint(t, w.issuer, func(k *localissuer.Token) { *k = account })
				if _, err := w.exchange(t, made.clientID, token, vault+"/.default"); err != nil {
					t.Error(err)
				}
			}
			if _, err := apply(t, who.workload, w.foreign); err == nil || !strings.Contains(complaint(err), "received HTTP status 401") || !strings.Contains(complaint(err), "AADSTS700213: ") {
				t.Errorf("a stranger's token: %v", complaint(err))
			}
		})
	}
}

// complaint is what a program that failed wrote for people.
func complaint(err error) string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(e.Stderr)
	}
	return fmt.Sprint(err)
}

// MSAL for Go as a program uses it without azidentity: through the path that
// names the tenant, and through the one of AD FS.
func testMSAL(t *testing.T, w *town) {
	for _, who := range w.workloads {
		for form, authority := range map[string]string{"tenant": w.TenantID, "adfs": "adfs"} {
			t.Run(who.kind+" by "+form, func(t *testing.T) {
				acquire := func(file string) (first, again confidential.AuthResult, asked int, err error) {
					assertion := confidential.NewCredFromAssertionCallback(func(_ context.Context, o confidential.AssertionRequestOptions) (string, error) {
						asked++
						if o.ClientID != who.clientID || !strings.HasPrefix(o.TokenEndpoint, w.Authority+"/") {
							t.Errorf("the callback is asked for %+v", o)
						}
						text, err := os.ReadFile(file)
						return string(text), err
					})
					options := []confidential.Option{confidential.WithHTTPClient(w.HTTP)}
					if form == "tenant" {
						options = append(options, confidential.WithInstanceDiscovery(false))
					}
					c, err := confidential.New(w.Authority+"/"+authority, who.clientID, assertion, options...)
					if err != nil {
						t.Fatal(err)
					}
					scopes := []string{vault + "/.default"}
					if first, err = c.AcquireTokenByCredential(t.Context(), scopes); err == nil {
						again, err = c.AcquireTokenByCredential(t.Context(), scopes)
					}
					return first, again, asked, err
				}
				first, again, asked, err := acquire(w.token)
				if err != nil {
					t.Fatal(err)
				}
				w.isFor(t, who.workload, first.AccessToken)
				if again.AccessToken != first.AccessToken || again.Metadata.TokenSource != confidential.TokenSourceCache || asked != 1 {
					t.Errorf("the second token is not the cached first (asked %d times)", asked)
				}
				_, _, _, err = acquire(w.foreign)
				e, ok := errors.AsType[msal.CallErr](err)
				if !ok || e.Resp.StatusCode != http.StatusUnauthorized || !strings.Contains(err.Error(), "AADSTS700213: ") {
					t.Errorf("a stranger's token: %v", err)
				}
			})
		}
	}
}
