package portal

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/browser"
)

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:workload-identity-sa"

	// The credential that a document shows.
	shownIssuer = "https://australiaeast.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/00000000-0000-0000-0000-000000000000/"
)

// town is one service with people and things in it.
type town struct {
	*testkit.Service
	issuer   *localissuer.Issuer // a cluster's
	provider *provider           // at which people sign in
	admin    *client.Client
	site     browser.Site

	app      client.Application // my-app
	group    client.ResourceGroupID
	identity client.Identity // my-identity
	cluster  client.ClusterID

	shown              client.Application // pets-api, which no walk changes
	accepted, stranger string             // tokens that it takes, and does not
}

func newTown(t *testing.T) *town {
	t.Helper()
	issuer, flags := testkit.Issuer(t, localissuer.Config{Algorithm: "RS256"})
	p := newProvider(t)
	s := testkit.Serve(t, t.TempDir(), append(p.flags(), flags...)...)
	w := &town{Service: s, issuer: issuer, provider: p, admin: s.AsAdmin(t), site: browser.Site{URL: s.Authority, CAFile: s.CAFile}}

	ctx := t.Context()
	w.app = w.application(t, "my-app")
	w.group = client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "my-rg"}
	if _, _, err := w.admin.PutResourceGroup(ctx, w.group, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	w.identity = w.managedIdentity(t, "my-identity")
	w.cluster = client.ClusterID{SubscriptionID: s.SubscriptionID, ResourceGroup: w.group.Name, Name: "my-cluster"}
	if _, _, err := w.admin.PutCluster(ctx, w.cluster, client.ClusterSpec{Location: "local", Issuer: &client.ClusterIssuerSpec{URL: issuer.URL(), KeySource: client.DiscoveredKeys}}); err != nil {
		t.Fatal(err)
	}
	w.people(t)
	w.furnish(t)
	return w
}

// application makes an application with its service principal.
func (w *town) application(t *testing.T, name string) client.Application {
	t.Helper()
	app, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: app.AppID}); err != nil {
		t.Fatal(err)
	}
	return app
}

func (w *town) identityID(name string) client.IdentityID {
	return client.IdentityID{SubscriptionID: w.SubscriptionID, ResourceGroup: w.group.Name, Name: name}
}

func (w *town) managedIdentity(t *testing.T, name string) client.Identity {
	t.Helper()
	m, _, err := w.admin.PutIdentity(t.Context(), w.identityID(name), client.ResourceSpec{Location: "local"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trust adds a credential to an application.
func (w *town) trust(t *testing.T, app client.Application, f client.FederatedCredential) client.FederatedCredential {
	t.Helper()
	f.Audiences = []string{audience}
	made, err := w.admin.CreateApplicationCredential(t.Context(), app.ID, f)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// people fills the town: what pages show when they have something to show.
func (w *town) people(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"billing", "checkout", "image-builder", "mail", "search indexer", "storefront"} {
		app := w.application(t, name)
		w.trust(t, app, client.FederatedCredential{Name: "cluster", Issuer: w.issuer.URL(), Subject: "system:serviceaccount:shop:" + strings.ReplaceAll(name, " ", "-")})
	}
	w.shown = w.application(t, "pets-api")
	w.trust(t, w.shown, client.FederatedCredential{Name: "kubernetes", Issuer: w.issuer.URL(), Subject: subject, Description: "The pets' API in production"})
	w.trust(t, w.shown, client.FederatedCredential{Name: "deploy", Issuer: "https://token.actions.githubusercontent.com", Subject: "repo:pets/api:environment:production"})
	for _, name := range []string{"ci", "laptop"} {
		if _, err := w.admin.AddPassword(ctx, w.shown.ID, client.PasswordSpec{DisplayName: name, EndDateTime: time.Now().Add(20 * 24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	w.managedIdentity(t, "pets")
	id := w.identityID("pets")
	for _, f := range []client.FederatedCredential{
		{Name: "my-credential", Issuer: shownIssuer, Subject: subject, Audiences: []string{audience}},
		{Name: "in-the-cluster", Issuer: w.issuer.URL(), Subject: subject, Audiences: []string{audience}},
	} {
		if _, _, err := w.admin.PutIdentityCredential(ctx, id, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"reports", "webhooks"} {
		w.managedIdentity(t, name)
	}
	w.accepted, w.stranger = w.mint(t, "pets", "workload-identity-sa"), w.mint(t, "pets", "workload-identity-SA")
	for range 3 {
		if _, err := w.exchange(t, w.shown.AppID, w.accepted); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.exchange(t, w.shown.AppID, w.stranger); err == nil {
		t.Fatal("a stranger got a token")
	}
}

// mint is a token of a service account of the cluster.
func (w *town) mint(t *testing.T, namespace, account string) string {
	t.Helper()
	token, err := w.issuer.Mint(localissuer.Token{Namespace: namespace, ServiceAccount: account, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// exchange gets a token as pods do, with the Azure SDK.
func (w *town) exchange(t *testing.T, clientID, token string) (claims map[string]any, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: w.Authority + "/"},
			Transport: w.HTTP, Retry: policy.RetryOptions{MaxRetries: -1},
		},
		ClientID: clientID, TenantID: w.TenantID, TokenFilePath: file, DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	access, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{w.Authority + "/.default"}})
	if err != nil {
		return nil, err
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(access.Token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatalf("read the token: %v", err)
	}
	return claims, nil
}

// works fails the test unless the cluster's service account now gets tokens.
func (w *town) works(t *testing.T, clientID, namespace, account string) {
	t.Helper()
	claims, err := w.exchange(t, clientID, w.mint(t, namespace, account))
	if err != nil {
		t.Fatalf("the exchange: %v", err)
	}
	if claims["appid"] != clientID {
		t.Errorf("a token of %v, want %s", claims["appid"], clientID)
	}
}

var linkLine = regexp.MustCompile(`https://\S+/portal/link\?token=\S+`)

// link is a one-time link, as "entente portal-link" prints it to somebody with
// an environment; the administrator has the service's data directory.
func (w *town) link(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testkit.Program, "portal-link")
	if env == nil {
		env = []string{"ENTENTE_DATA_DIR=" + w.Dir}
	}
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("entente portal-link: %v\n%s%s", err, out.String(), stderr.String())
	}
	link := linkLine.FindString(out.String())
	if link == "" {
		t.Fatalf("entente portal-link printed no link:\n%s", out.String())
	}
	return link
}

// open is a window of somebody who has signed in; nil env: the administrator.
func (w *town) open(t *testing.T, env ...string) *browser.Browser {
	t.Helper()
	b := browser.Open(t, w.site)
	w.signIn(t, b, env...)
	return b
}

func (w *town) signIn(t *testing.T, b *browser.Browser, env ...string) {
	t.Helper()
	link, err := url.Parse(w.link(t, env...))
	if err != nil {
		t.Fatal(err)
	}
	b.Go(link.RequestURI())
	b.Click("Sign in")
	b.AtURL("/portal")
	b.See("Sign out")
	if strings.Contains(b.URL(), "token") {
		t.Errorf("the address %q still has the link's token", b.URL())
	}
}

// somebody is an application with a secret and a role on the resource group,
// as the environment of its owner; role "" is none.
func (w *town) somebody(t *testing.T, name, role string) []string {
	t.Helper()
	ctx := t.Context()
	app, err := w.admin.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := w.admin.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID})
	if err != nil {
		t.Fatal(err)
	}
	if role != "" {
		definition, err := w.admin.RoleDefinitionByName(ctx, w.group.String(), role)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.PutRoleAssignment(ctx, w.group.String(), client.RoleAssignmentSpec{RoleDefinitionID: definition.ID, PrincipalID: sp.ID}); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := w.admin.AddPassword(ctx, app.ID, client.PasswordSpec{DisplayName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return []string{"ENTENTE_URL=" + w.Authority, "ENTENTE_CA=" + w.CAFile, "ENTENTE_TENANT=" + w.TenantID,
		"AZURE_TENANT_ID=" + w.TenantID, "AZURE_CLIENT_ID=" + app.AppID, "AZURE_CLIENT_SECRET=" + secret.SecretText}
}

// credentials are those of an application, by name.
func (w *town) credentials(t *testing.T, app client.Application) map[string]client.FederatedCredential {
	t.Helper()
	all, err := w.admin.ApplicationCredentials(t.Context(), app.ID)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]client.FederatedCredential{}
	for _, f := range all {
		f.ID = ""
		named[f.Name] = f
	}
	return named
}

// otherSite is a site of somebody else, on this machine, with its own key.
func otherSite(t *testing.T, h http.Handler) browser.Site {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "elsewhere"}, DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	return browser.Site{URL: "https://localhost:" + port, CAFile: ca}
}
