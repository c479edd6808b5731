package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/server"
)

// What the quickstart makes and asks for.
const (
	quickNamespace = "pets"
	quickAccount   = "workload-identity-sa"
	quickSubject   = "system:serviceaccount:" + quickNamespace + ":" + quickAccount
	quickAudience  = "api://AzureADTokenExchange"
	quickResource  = "https://vault.azure.net"
	quickName      = "entente-quickstart"
	quickGroup     = "pets"
	tokenFile      = "service-account-token"
)

// quickResult is the document of -o json.
type quickResult struct {
	Authority           string          `json:"authority"`
	CAFile              string          `json:"caFile"`
	TenantID            string          `json:"tenantId"`
	SubscriptionID      string          `json:"subscriptionId"`
	Issuer              string          `json:"issuer"`
	Subject             string          `json:"subject"`
	Application         quickParent     `json:"application"`
	ManagedIdentity     quickParent     `json:"managedIdentity"`
	ServiceAccountToken string          `json:"serviceAccountToken"`
	AccessToken         json.RawMessage `json:"accessToken"` // the claims of the application's
	IdentityAccessToken json.RawMessage `json:"managedIdentityAccessToken"`
	Refusals            []quickRefusal  `json:"refusals"`
	FirstToken          string          `json:"firstToken"`
	Elapsed             string          `json:"elapsed"`
}

type quickParent struct {
	Name         string `json:"name"`
	ID           string `json:"id"`
	ClientID     string `json:"clientId"`
	PrincipalID  string `json:"principalId"`
	CredentialID string `json:"federatedCredentialId"`
}

type quickRefusal struct {
	Case        string `json:"case"`
	Code        int    `json:"code"`
	Status      int    `json:"status"`
	Description string `json:"description"`
}

// walk is one run of the quickstart: what any client could do, over HTTPS, step by step.
type walk struct {
	dir     string
	admin   server.Admin
	cluster cluster
	started time.Time
	say     func(format string, args ...any)

	http   *http.Client
	client *client.Client
	steps  int
	result quickResult
}

// close lets go of the connections, so that the service need not wait for them.
func (w *walk) close() {
	if w.http != nil {
		w.http.CloseIdleConnections()
	}
}

func (w *walk) step(title, format string, args ...any) {
	w.steps++
	w.say("%2d  %-22s %s\n", w.steps, title, fmt.Sprintf(format, args...))
}

func (w *walk) more(format string, args ...any) {
	w.say("    %-22s %s\n", "", fmt.Sprintf(format, args...))
}

func (w *walk) run(ctx context.Context) error {
	ca, err := os.ReadFile(w.admin.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	w.http = &http.Client{Timeout: 30 * time.Second, Transport: traced{&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}}
	a := w.admin
	w.client, err = client.New(client.Config{
		Endpoints: client.Entente(a.Authority), TenantID: a.TenantID, HTTP: w.http,
		Credential: client.ClientSecret(a.Authority, a.TenantID, a.ClientID, a.ClientSecret, w.http),
	})
	if err != nil {
		return err
	}
	w.result = quickResult{Authority: a.Authority, CAFile: a.CAFile, TenantID: a.TenantID, SubscriptionID: a.SubscriptionID, Issuer: w.cluster.issuer(), Subject: quickSubject}
	w.say("Entente quickstart: a pod's token in, an access token out\n\n")
	w.step("service", "%s, tenant %s", a.Authority, a.TenantID)
	w.more("TLS by a local CA that may sign for these names only: %s", a.CAFile)
	for _, do := range []func(context.Context) error{w.trustCluster, w.makeApplication, w.makeIdentity, w.exchange, w.refusals} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	w.result.Elapsed = seconds(time.Since(w.started))
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// trustCluster registers the keys of a real cluster, whose issuer this service may not reach.
func (w *walk) trustCluster(ctx context.Context) error {
	w.step("cluster issuer", "%s", w.cluster.issuer())
	set := w.cluster.keySet()
	if set == nil {
		w.more("publishes discovery and keys as kube-apiserver does")
		return nil
	}
	if _, _, err := w.client.PutIssuer(ctx, quickName, client.IssuerSpec{Issuer: w.cluster.issuer(), KeySource: client.UploadedKeys, KeySet: set}); err != nil {
		return fmt.Errorf("upload the cluster's keys: %w", err)
	}
	w.more("its keys were uploaded, so that it need not be reachable from here")
	return nil
}

func (w *walk) makeApplication(ctx context.Context) error {
	app, err := w.client.ApplicationByName(ctx, quickName)
	if errors.Is(err, client.ErrNotFound) {
		app, err = w.client.CreateApplication(ctx, client.ApplicationSpec{DisplayName: quickName})
	}
	if err != nil {
		return fmt.Errorf("make the application: %w", err)
	}
	sp, err := w.client.ServicePrincipal(ctx, app.AppID)
	if errors.Is(err, client.ErrNotFound) {
		sp, err = w.client.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID})
	}
	if err != nil {
		return fmt.Errorf("make its service principal: %w", err)
	}
	if err := w.putApplicationCredential(ctx, app.ID, w.cluster.issuer()); err != nil {
		return err
	}
	credential, err := w.client.ApplicationCredential(ctx, app.ID, quickName)
	if err != nil {
		return err
	}
	w.result.Application = quickParent{Name: app.DisplayName, ID: app.ID, ClientID: app.AppID, PrincipalID: sp.ID, CredentialID: credential.ID}
	w.step("application", "%s, client id %s (Microsoft Graph)", app.DisplayName, app.AppID)
	w.more("trusts %s", quickSubject)
	return nil
}

func (w *walk) putApplicationCredential(ctx context.Context, applicationID, issuer string) error {
	_, err := w.client.UpsertApplicationCredential(ctx, applicationID, client.FederatedCredential{
		Name: quickName, Issuer: issuer, Subject: quickSubject, Audiences: []string{quickAudience}, Description: "Made by entente quickstart",
	})
	if err != nil {
		return fmt.Errorf("add the application's federated identity credential: %w", err)
	}
	return nil
}

func (w *walk) makeIdentity(ctx context.Context) error {
	spec := client.ResourceSpec{Location: "local"}
	if _, _, err := w.client.PutResourceGroup(ctx, client.ResourceGroupID{SubscriptionID: w.admin.SubscriptionID, Name: quickGroup}, spec); err != nil {
		return fmt.Errorf("make the resource group: %w", err)
	}
	id := client.IdentityID{SubscriptionID: w.admin.SubscriptionID, ResourceGroup: quickGroup, Name: quickName}
	identity, _, err := w.client.PutIdentity(ctx, id, spec)
	if err != nil {
		return fmt.Errorf("make the managed identity: %w", err)
	}
	credential, _, err := w.client.PutIdentityCredential(ctx, id, client.FederatedCredential{
		Name: quickName, Issuer: w.cluster.issuer(), Subject: quickSubject, Audiences: []string{quickAudience},
	})
	if err != nil {
		return fmt.Errorf("add the managed identity's federated identity credential: %w", err)
	}
	w.result.ManagedIdentity = quickParent{Name: identity.Name, ID: identity.ID, ClientID: identity.ClientID, PrincipalID: identity.PrincipalID, CredentialID: credential.ID}
	w.step("managed identity", "%s, client id %s (Azure Resource Manager)", identity.Name, identity.ClientID)
	w.more("trusts %s", quickSubject)
	return nil
}

// exchange gets a token for each parent with the Azure SDK and has it verified by a library that knows only our discovery.
func (w *walk) exchange(ctx context.Context) error {
	token, err := w.cluster.mint(ctx, quickNamespace, quickAccount)
	if err != nil {
		return err
	}
	w.result.ServiceAccountToken = token
	w.step("service account token", "signed by the cluster for %s, %d bytes", quickAudience, len(token))
	for _, p := range []struct {
		kind   string
		parent *quickParent
		claims *json.RawMessage
	}{{"application", &w.result.Application, &w.result.AccessToken}, {"managed identity", &w.result.ManagedIdentity, &w.result.IdentityAccessToken}} {
		access, err := w.azidentity(ctx, p.parent.ClientID, token)
		if err != nil {
			return fmt.Errorf("exchange the token: %w", err)
		}
		if w.result.FirstToken == "" {
			w.result.FirstToken = seconds(time.Since(w.started))
		}
		if *p.claims, err = w.verify(ctx, access); err != nil {
			return fmt.Errorf("verify the access token: %w", err)
		}
		var c struct {
			AppID, OID, Aud string
			Mirid           string `json:"xms_mirid"`
		}
		if err := json.Unmarshal(*p.claims, &c); err != nil {
			return err
		}
		if c.AppID != p.parent.ClientID || c.OID != p.parent.PrincipalID {
			return fmt.Errorf("the access token speaks of %s (%s), not of %s", c.AppID, c.OID, p.parent.ClientID)
		}
		w.step("access token", "for %s, as the %s: got by azidentity.WorkloadIdentityCredential,", c.Aud, p.kind)
		w.more("verified by go-oidc from our discovery and keys alone; oid %s", c.OID)
		if c.Mirid != "" {
			w.more("xms_mirid %s", c.Mirid)
		}
	}
	return nil
}

func (w *walk) azidentity(ctx context.Context, clientID, token string) (string, error) {
	file := filepath.Join(w.dir, tokenFile)
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return "", err
	}
	c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.admin.Authority + "/"}, Transport: w.http},
		ClientID:      clientID, TenantID: w.admin.TenantID, TokenFilePath: file,
		DisableInstanceDiscovery: true, // this authority is not among Microsoft's
	})
	if err != nil {
		return "", err
	}
	t, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{quickResource + "/.default"}})
	return t.Token, err
}

func (w *walk) verify(ctx context.Context, token string) (json.RawMessage, error) {
	ctx = oidc.ClientContext(ctx, w.http)
	provider, err := oidc.NewProvider(ctx, w.admin.Authority+"/"+w.admin.TenantID+"/")
	if err != nil {
		return nil, err
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: quickResource}).Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var claims json.RawMessage
	return claims, verified.Claims(&claims)
}

// refusals shows the two mistakes that cost people the most time.
func (w *walk) refusals(ctx context.Context) error {
	token, err := w.cluster.mint(ctx, quickNamespace, "default")
	if err != nil {
		return err
	}
	if err := w.refused(ctx, "wrong subject", "a token of the service account default", token, 700213); err != nil {
		return err
	}
	// The slash is what people leave out when they copy an issuer. The changed
	// credential counts on the very next request, and so does the mended one.
	other := strings.TrimSuffix(w.cluster.issuer(), "/")
	title := "missing trailing slash"
	if other == w.cluster.issuer() {
		other, title = other+"/", "extra trailing slash"
	}
	app := w.result.Application.ID
	if err := w.putApplicationCredential(ctx, app, other); err != nil {
		return err
	}
	if err := w.refused(ctx, title, "the credential says "+other, w.result.ServiceAccountToken, 700211); err != nil {
		return err
	}
	if err := w.putApplicationCredential(ctx, app, w.cluster.issuer()); err != nil {
		return err
	}
	if _, err := w.azidentity(ctx, w.result.Application.ClientID, w.result.ServiceAccountToken); err != nil {
		return fmt.Errorf("exchange after the credential was mended: %w", err)
	}
	w.more("the mended credential counts on the very next request")
	return nil
}

var aadsts = regexp.MustCompile(`AADSTS(\d+): `)

func (w *walk) refused(ctx context.Context, title, what, token string, want int) error {
	_, err := w.azidentity(ctx, w.result.Application.ClientID, token)
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		return fmt.Errorf("%s: got %v instead of a refusal", title, err)
	}
	text := failed.Error()
	found := aadsts.FindStringSubmatchIndex(text)
	if found == nil {
		return fmt.Errorf("%s: the refusal has no code: %w", title, err)
	}
	code, _ := strconv.Atoi(text[found[2]:found[3]])
	if code != want {
		return fmt.Errorf("%s: refused with AADSTS%d instead of AADSTS%d: %w", title, code, want, err)
	}
	description, _, _ := strings.Cut(text[found[0]:], " Trace ID:")
	w.result.Refusals = append(w.result.Refusals, quickRefusal{Case: title, Code: code, Status: failed.RawResponse.StatusCode, Description: description})
	w.step("refused", "%s (%s): AADSTS%d, status %d", title, what, code, failed.RawResponse.StatusCode)
	return nil
}
