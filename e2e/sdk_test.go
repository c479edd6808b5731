package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

const vault = "https://vault.azure.net"

// claims are what the tests read of an access token.
type claims struct {
	Aud, Iss, TID, OID, Sub, AppID, AppIDAcr, IDTyp, Ver string
	Mirid                                                string `json:"xms_mirid"`
	Roles                                                []string
	Exp, Iat, Nbf                                        int64
}

func decode(t *testing.T, token string) claims {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %.40q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *service) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud: cloud.Configuration{
			ActiveDirectoryAuthorityHost: s.Authority + "/",
			Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: s.Authority, Audience: s.Authority}},
		},
		Transport: s.HTTP,
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil { // people's files end in a line feed
		t.Fatal(err)
	}
	return file
}

// exchange gets a token with azidentity's WorkloadIdentityCredential.
func (s *service) exchange(t *testing.T, clientID, token, scope string) (string, error) {
	t.Helper()
	c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: s.options(), ClientID: clientID, TenantID: s.TenantID, TokenFilePath: tokenFile(t, token), DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	access, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	return access.Token, err
}

func TestWorkloadIdentityCredential(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	c := s.AsAdmin(t)
	_, app := application(t, c, "workload", issuer.URL())
	id, uami := identity(t, s, c, "pets", "workload", issuer.URL())
	for _, k := range []struct {
		name  string
		w     workload
		mirid string
	}{
		{"application", app, ""},
		{"managed identity", uami, "/subscriptions/" + s.SubscriptionID + "/resourcegroups/pets/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + id.Name},
	} {
		t.Run(k.name, func(t *testing.T) {
			token, err := s.exchange(t, k.w.clientID, mint(t, issuer), vault+"/.default")
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, token)
			if got.Aud != vault || got.TID != s.TenantID || got.OID != k.w.principalID || got.Sub != k.w.principalID || got.AppID != k.w.clientID || got.AppIDAcr != "2" || got.IDTyp != "app" || got.Ver != "1.0" || got.Mirid != k.mirid {
				t.Errorf("claims %+v", got)
			}
			ctx := oidc.ClientContext(t.Context(), s.HTTP)
			provider, err := oidc.NewProvider(ctx, got.Iss)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := provider.Verifier(&oidc.Config{ClientID: vault}).Verify(ctx, token); err != nil {
				t.Errorf("an independent library refuses the token: %v", err)
			}
			if _, err := provider.Verifier(&oidc.Config{ClientID: "https://storage.azure.com"}).Verify(ctx, token); err == nil {
				t.Error("an independent library takes the token for another audience")
			}
		})
	}
}

// sdkProcess marks a child process of the tests: an unmodified program that
// uses DefaultAzureCredential and is configured by its environment alone.
const sdkProcess = "ENTENTE_E2E_SDK"

func sdkMain() int {
	c, err := azidentity.NewDefaultAzureCredential(nil)
	if err == nil {
		var token azcore.AccessToken
		if token, err = c.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{os.Getenv(sdkProcess)}}); err == nil {
			fmt.Println(token.Token)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (s *service) defaultCredential(t *testing.T, scope string, env ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append([]string{sdkProcess + "=" + scope, "HOME=" + t.TempDir(), "AZURE_AUTHORITY_HOST=" + s.Authority + "/", "SSL_CERT_FILE=" + s.CAFile}, env...)
	out, err := cmd.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", errors.New(string(e.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

func TestDefaultAzureCredentialByEnvironmentAlone(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	c := s.AsAdmin(t)
	_, app := application(t, c, "workload", issuer.URL())
	_, uami := identity(t, s, c, "pets", "workload", issuer.URL())
	file := tokenFile(t, mint(t, issuer))
	for name, w := range map[string]workload{"application": app, "managed identity": uami} {
		t.Run(name, func(t *testing.T) {
			token, err := s.defaultCredential(t, vault+"/.default", "AZURE_TENANT_ID=adfs", "AZURE_CLIENT_ID="+w.clientID, "AZURE_FEDERATED_TOKEN_FILE="+file)
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, token); got.OID != w.principalID || got.TID != s.TenantID {
				t.Errorf("claims %+v", got)
			}
		})
	}
	t.Run("client secret", func(t *testing.T) {
		token, err := s.defaultCredential(t, s.Authority+"/.default", "AZURE_TENANT_ID=adfs", "AZURE_CLIENT_ID="+s.ClientID, "AZURE_CLIENT_SECRET="+s.ClientSecret)
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, token); got.AppID != s.ClientID || got.AppIDAcr != "1" {
			t.Errorf("claims %+v", got)
		}
	})
	t.Run("entente env", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), testkit.Program, "env", "--data-dir", s.Dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		script := string(out) + "env"
		env, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.defaultCredential(t, "https://graph.microsoft.com/.default", strings.Split(strings.TrimSpace(string(env)), "\n")...)
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, token); got.AppID != s.ClientID || !slices.Contains(got.Roles, "Application.ReadWrite.All") {
			t.Errorf("claims %+v", got)
		}
	})
}

func TestClientSecretCredential(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	c := s.AsAdmin(t)
	app, w := application(t, c, "with a secret", "")
	secret := withSecret(t, c, app)
	get := func(secret string) (string, error) {
		cred, err := azidentity.NewClientSecretCredential(s.TenantID, w.clientID, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: s.options(), DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
		return token.Token, err
	}
	token, err := get(secret)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, token); got.Aud != "https://management.azure.com" || got.AppIDAcr != "1" || got.OID != w.principalID {
		t.Errorf("claims %+v", got)
	}
	_, err = get(secret + "x")
	refused(t, err, 401, "AADSTS7000215: ")
}

// refused checks that the SDK reports a refusal of that status whose text has the code.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok {
		t.Fatalf("got %v, want a refusal with %s", err, code)
	}
	if e.RawResponse == nil || e.RawResponse.StatusCode != status || !strings.Contains(e.Error(), code) {
		t.Errorf("got %v, want status %d and %s", err, status, code)
	}
}

func TestManagedIdentitiesByARMClient(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := serve(t, t.TempDir())
	c := s.AsAdmin(t)
	identity(t, s, c, "pets", "placeholder", "")
	cred, err := azidentity.NewClientSecretCredential(s.TenantID, s.ClientID, s.ClientSecret, &azidentity.ClientSecretCredentialOptions{ClientOptions: s.options(), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	factory, err := armmsi.NewClientFactory(s.SubscriptionID, cred, &arm.ClientOptions{ClientOptions: s.options(), DisableRPRegistration: true})
	if err != nil {
		t.Fatal(err)
	}
	identities, credentials := factory.NewUserAssignedIdentitiesClient(), factory.NewFederatedIdentityCredentialsClient()

	made, err := identities.CreateOrUpdate(ctx, "pets", "cat", armmsi.Identity{Location: to.Ptr("local"), Tags: map[string]*string{"team": to.Ptr("pets")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made.Properties == nil || *made.Properties.TenantID != s.TenantID || *made.Properties.ClientID == *made.Properties.PrincipalID {
		t.Errorf("made %+v", made.Properties)
	}
	again, err := identities.CreateOrUpdate(ctx, "pets", "CAT", armmsi.Identity{Location: to.Ptr("local")}, nil)
	if err != nil || *again.Properties.ClientID != *made.Properties.ClientID {
		t.Errorf("a second put makes another identity (%v)", err)
	}
	if got, err := identities.Update(ctx, "pets", "cat", armmsi.IdentityUpdate{Tags: map[string]*string{"team": to.Ptr("dogs")}}, nil); err != nil || *got.Tags["team"] != "dogs" {
		t.Errorf("update: %+v, %v", got.Tags, err)
	}
	var names []string
	for pager := identities.NewListByResourceGroupPager("pets", nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Value {
			names = append(names, *m.Name)
		}
	}
	if !slices.Equal(names, []string{"cat", "placeholder"}) {
		t.Errorf("identities of the group: %q", names)
	}

	put := func(name, subject string) error {
		_, err := credentials.CreateOrUpdate(ctx, "pets", "cat", name, armmsi.FederatedIdentityCredential{Properties: &armmsi.FederatedIdentityCredentialProperties{
			Issuer: to.Ptr("https://oidc.example.org/cluster/"), Subject: to.Ptr(subject), Audiences: []*string{to.Ptr(audience)},
		}}, nil)
		return err
	}
	for i := range 20 {
		if err := put(fmt.Sprintf("credential-%02d", i), fmt.Sprintf("system:serviceaccount:pets:sa-%02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("credential-20", "system:serviceaccount:pets:sa-20"); status(err) != 400 {
		t.Errorf("the 21st credential: %v", err)
	}
	if err := put("credential-00", "system:serviceaccount:pets:sa-01"); status(err) != 400 {
		t.Errorf("an issuer and subject twice: %v", err)
	}
	if err := put("x", subject); status(err) != 400 {
		t.Errorf("a name that is too short: %v", err)
	}
	pages, listed := 0, 0
	for pager := credentials.NewListPager("pets", "cat", &armmsi.FederatedIdentityCredentialsClientListOptions{Top: to.Ptr[int32](8)}); pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Value)
	}
	if pages != 3 || listed != 20 {
		t.Errorf("%d credentials on %d pages, want 20 on 3", listed, pages)
	}
	if got, err := credentials.Get(ctx, "pets", "cat", "credential-07", nil); err != nil || *got.Properties.Subject != "system:serviceaccount:pets:sa-07" {
		t.Errorf("get: %v", err)
	}
	for range 2 { // the second finds nothing, which is no error
		if _, err := credentials.Delete(ctx, "pets", "cat", "credential-07", nil); err != nil {
			t.Error(err)
		}
	}
	if _, err := credentials.Get(ctx, "pets", "cat", "credential-07", nil); status(err) != 404 {
		t.Errorf("get after delete: %v", err)
	}
	if _, err := identities.Delete(ctx, "pets", "cat", nil); err != nil {
		t.Error(err)
	}
	if _, err := identities.Get(ctx, "pets", "cat", nil); status(err) != 404 {
		t.Errorf("get after delete: %v", err)
	}
}

func status(err error) int {
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}

// What is created, changed, deleted or disabled counts on the very next exchange.
func TestChangesCountOnTheNextExchange(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), flags...)
	c := s.AsAdmin(t)
	app, w := application(t, c, "changing", "")
	id, m := identity(t, s, c, "pets", "changing", "")
	token := mint(t, issuer)
	try := func(w workload) error {
		_, err := s.exchange(t, w.clientID, token, vault+"/.default")
		return err
	}
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	credential := trustIn(issuer)
	refused(t, try(w), 401, "AADSTS70025: ")
	refused(t, try(m), 401, "AADSTS70025: ")

	_, err := c.CreateApplicationCredential(ctx, app.ID, credential)
	ok("create", err)
	ok("exchange after create", try(w))
	ok("change", c.UpdateApplicationCredential(ctx, app.ID, "cluster", subjectUpdate("system:serviceaccount:pets:other")))
	refused(t, try(w), 401, "AADSTS700213: ")
	ok("change back", c.UpdateApplicationCredential(ctx, app.ID, "cluster", subjectUpdate(subject)))
	ok("exchange after change", try(w))
	ok("delete", c.DeleteApplicationCredential(ctx, app.ID, "cluster"))
	refused(t, try(w), 401, "AADSTS70025: ")
	_, err = c.CreateApplicationCredential(ctx, app.ID, credential)
	ok("create again", err)
	ok("delete the application", c.DeleteApplication(ctx, app.ID))
	refused(t, try(w), 400, "AADSTS700016: ")

	_, _, err = c.PutIdentityCredential(ctx, id, credential)
	ok("put", err)
	ok("exchange after put", try(m))
	changed := credential
	changed.Issuer += "other/"
	_, _, err = c.PutIdentityCredential(ctx, id, changed)
	ok("put another issuer", err)
	refused(t, try(m), 401, "AADSTS700211: ")
	_, _, err = c.PutIdentityCredential(ctx, id, credential)
	ok("put back", err)
	ok("exchange after put back", try(m))
	ok("delete the identity", c.DeleteIdentity(ctx, id))
	refused(t, try(m), 400, "AADSTS700016: ")
}

// A valid token for another subject, and one with a slash too few, as Entra refuses them.
func TestRefusalsReachTheSDK(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), flags...)
	_, w := application(t, s.AsAdmin(t), "refusing", issuer.URL())
	bare := strings.TrimSuffix(issuer.URL(), "/")
	for _, k := range []struct {
		name, code string
		change     func(*localissuer.Token)
	}{
		{"another subject", "AADSTS700213: ", func(k *localissuer.Token) { k.ServiceAccount = "other" }},
		{"missing slash", "AADSTS700211: ", func(k *localissuer.Token) { k.Issuer = &bare }},
		{"another audience", "AADSTS700212: ", func(k *localissuer.Token) { k.Audiences = []string{"https://kubernetes.default.svc"} }},
	} {
		t.Run(k.name, func(t *testing.T) {
			_, err := s.exchange(t, w.clientID, mint(t, issuer, k.change), vault+"/.default")
			refused(t, err, 401, k.code)
		})
	}
}

// The way of AKS identity bindings: all requests go to a proxy address, under
// the name of Microsoft's authority, which the service answers as its own.
func TestTokenProxy(t *testing.T) {
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--host", "login.microsoftonline.com")...)
	_, w := application(t, s.AsAdmin(t), "behind a proxy", issuer.URL())
	t.Setenv("AZURE_KUBERNETES_TOKEN_PROXY", s.Authority)
	t.Setenv("AZURE_KUBERNETES_CA_FILE", s.CAFile)
	t.Setenv("AZURE_KUBERNETES_SNI_NAME", "localhost")
	c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientID: w.clientID, TenantID: s.TenantID, TokenFilePath: tokenFile(t, mint(t, issuer)), EnableAzureProxy: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{vault + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, token.Token); got.OID != w.principalID || got.Iss != s.Authority+"/"+s.TenantID+"/" {
		t.Errorf("claims %+v", got)
	}
}
