package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
)

// under is a command under "entente run": with little in its environment, and
// with a directory for temporary files that must be empty at the end.
func under(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	home, temporary := t.TempDir(), t.TempDir()
	cmd := exec.CommandContext(t.Context(), testkit.Program, append([]string{"run"}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + temporary}, env...)
	testkit.EndWithUs(cmd)
	t.Cleanup(func() {
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	})
	return cmd
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, complaint(err))
	}
	return string(out)
}

// runProcess marks a child process of the tests: a program made for Azure,
// which knows nothing of Entente.
const runProcess = "ENTENTE_E2E_RUN"

// azurePrograms are what it can do, by the marker's value.
var azurePrograms = map[string]func(context.Context) (any, error){"manage": manageAzure, "token": azureToken, "shapes": azwiShapes}

func runMain() int {
	result, err := azurePrograms[os.Getenv(runProcess)](context.Background())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func azureToken(ctx context.Context) (any, error) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{vault + "/.default"}})
	return token.Token, err
}

// managed is what manageAzure saw.
type managed struct {
	Listed      []string // names of credentials, over several pages
	Application string   // client id
	Issuer      string   // of a token that go-oidc has verified
	Certificate string   // client id in the token that a certificate got
}

// manageAzure makes an identity with the resource manager's client, and an
// application with a certificate with plain requests to Graph, which then logs in.
func manageAzure(ctx context.Context) (any, error) {
	var m managed
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return m, err
	}
	subscription := os.Getenv("AZURE_SUBSCRIPTION_ID")
	manager, err := arm.NewClient("e2e", "v1.0.0", credential, nil)
	if err != nil {
		return m, err
	}
	group, err := runtime.NewRequest(ctx, http.MethodPut, runtime.JoinPaths(manager.Endpoint(), "/subscriptions/"+subscription+"/resourceGroups/pets?api-version=2021-04-01"))
	if err != nil {
		return m, err
	}
	if err := runtime.MarshalAsJSON(group, map[string]string{"location": "westeurope"}); err != nil {
		return m, err
	}
	if resp, err := manager.Pipeline().Do(group); err != nil || resp.StatusCode >= 300 {
		return m, fmt.Errorf("resource group: %v, %w", resp, err)
	}
	factory, err := armmsi.NewClientFactory(subscription, credential, nil)
	if err != nil {
		return m, err
	}
	if _, err := factory.NewUserAssignedIdentitiesClient().CreateOrUpdate(ctx, "pets", "cat", armmsi.Identity{Location: to.Ptr("westeurope")}, nil); err != nil {
		return m, err
	}
	credentials := factory.NewFederatedIdentityCredentialsClient()
	for _, name := range []string{"one", "two", "three"} {
		properties := &armmsi.FederatedIdentityCredentialProperties{Issuer: to.Ptr("https://oidc.example.org/"), Subject: to.Ptr("system:serviceaccount:pets:" + name), Audiences: []*string{to.Ptr(audience)}}
		if _, err := credentials.CreateOrUpdate(ctx, "pets", "cat", name, armmsi.FederatedIdentityCredential{Properties: properties}, nil); err != nil {
			return m, err
		}
	}
	for pager := credentials.NewListPager("pets", "cat", &armmsi.FederatedIdentityCredentialsClientListOptions{Top: to.Ptr[int32](1)}); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return m, err
		}
		for _, c := range page.Value {
			m.Listed = append(m.Listed, *c.Name)
		}
	}
	slices.Sort(m.Listed)

	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	if err != nil {
		return m, err
	}
	tenant := os.Getenv("AZURE_TENANT_ID")
	m.Issuer = "https://login.microsoftonline.com/" + tenant + "/"
	provider, err := oidc.NewProvider(ctx, m.Issuer)
	if err != nil {
		return m, err
	}
	if _, err := provider.Verifier(&oidc.Config{ClientID: "https://graph.microsoft.com"}).Verify(ctx, token.Token); err != nil {
		return m, err
	}
	key, certificate, err := selfSigned()
	if err != nil {
		return m, err
	}
	body := fmt.Sprintf(`{"displayName":"certified","keyCredentials":[{"type":"AsymmetricX509Cert","usage":"Verify","key":%q}]}`, base64.StdEncoding.EncodeToString(certificate.Raw))
	if m.Application, err = post(ctx, token.Token, "applications", body); err != nil {
		return m, err
	}
	if _, err := post(ctx, token.Token, "servicePrincipals", `{"appId":"`+m.Application+`"}`); err != nil {
		return m, err
	}
	certified, err := azidentity.NewClientCertificateCredential(tenant, m.Application, []*x509.Certificate{certificate}, key, nil)
	if err != nil {
		return m, err
	}
	access, err := certified.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{vault + "/.default"}})
	if err != nil {
		return m, err
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(access.Token, ".")[1])
	if err != nil {
		return m, err
	}
	var c claims
	err = json.Unmarshal(payload, &c)
	m.Certificate = c.AppID
	return m, err
}

func post(ctx context.Context, token, set, body string) (appID string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://graph.microsoft.com/v1.0/"+set, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("%s: %s %s %w", set, resp.Status, answer, err)
	}
	var made struct{ AppID string }
	err = json.Unmarshal(answer, &made)
	return made.AppID, err
}

func selfSigned() (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "workload"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return key, certificate, err
}

func self(t *testing.T) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// An unmodified Go program manages a new service as if it were Azure.
func TestRunWithoutService(t *testing.T) {
	t.Parallel()
	var got managed
	if err := json.Unmarshal([]byte(output(t, under(t, []string{runProcess + "=manage"}, "--", self(t)))), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Listed, []string{"one", "three", "two"}) || got.Application == "" || got.Certificate != got.Application {
		t.Errorf("the program saw %+v", got)
	}
}

// azwiShapes sends what azwi's libraries send (MSAL, Azure's resource manager client
// and Graph's with its kiota), as they send it: bodies compressed, filters escaped,
// a header twice, an authority looked up before it is believed, and paths with an
// empty segment where a look-up has failed.
func azwiShapes(ctx context.Context) (any, error) {
	const login, graph, management = "https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0", "https://management.azure.com"
	tenant, subscription, clientID := os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_SUBSCRIPTION_ID"), os.Getenv("AZURE_CLIENT_ID")
	http1 := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	for protocol, transport := range map[int]http.RoundTripper{2: http.DefaultTransport, 1: http1} {
		c := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		do := func(want int, bearer, method, url, contentType, body string, into any) (http.Header, error) {
			var reader io.Reader
			if body != "" {
				var z bytes.Buffer
				w := gzip.NewWriter(&z)
				io.WriteString(w, body)
				w.Close()
				reader = &z
			}
			r, err := http.NewRequestWithContext(ctx, method, url, reader)
			if err != nil {
				return nil, err
			}
			r.Header["client-request-id"] = []string{"11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000001"}
			r.Header.Set("Accept", "application/json")
			r.Header.Set("Authorization", "Bearer "+bearer)
			if body != "" {
				r.Header.Set("Content-Type", contentType)
				r.Header.Set("Content-Encoding", "gzip")
			}
			resp, err := c.Do(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err == nil && (resp.StatusCode != want || resp.ProtoMajor != protocol) {
				err = fmt.Errorf("HTTP/%d %s %s: %d, want %d: %s", resp.ProtoMajor, method, url, resp.StatusCode, want, text)
			}
			if err == nil && into != nil {
				err = json.Unmarshal(text, into)
			}
			return resp.Header, err
		}
		const form, object = "application/x-www-form-urlencoded; charset=utf-8", "application/json"

		// Which tenant the subscription is of, asked without a token.
		header, err := do(401, "", "GET", management+"/subscriptions/"+subscription+"?api-version=2021-01-01", "", "", nil)
		if err != nil {
			return nil, err
		}
		if m := regexp.MustCompile(`authorization_uri=".*/([0-9a-f\-]+)"`).FindStringSubmatch(header.Get("WWW-Authenticate")); m == nil || m[1] != tenant {
			return nil, fmt.Errorf("the tenant is not in %q", header.Get("WWW-Authenticate"))
		}

		// Whether the authority is one, and where it is.
		var instance struct {
			Endpoint string `json:"tenant_discovery_endpoint"`
		}
		if _, err := do(200, "", "GET", login+"/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(login+"/"+tenant+"/oauth2/v2.0/authorize"), "", "", &instance); err != nil {
			return nil, err
		}
		var configuration struct {
			TokenEndpoint string `json:"token_endpoint"`
		}
		if _, err := do(200, "", "GET", instance.Endpoint+"?", "", "", &configuration); err != nil {
			return nil, err
		}
		token := func(scope, claims string) (string, error) {
			fields := url.Values{"client_id": {clientID}, "client_secret": {os.Getenv("AZURE_CLIENT_SECRET")}, "grant_type": {"client_credentials"}, "scope": {scope + " openid offline_access profile"}}
			if claims != "" {
				fields.Set("claims", claims)
			}
			var got struct {
				Token string `json:"access_token"`
			}
			_, err := do(200, "", "POST", configuration.TokenEndpoint, form, fields.Encode(), &got)
			return got.Token, err
		}
		graphToken, err := token("https://graph.microsoft.com/.default", "")
		if err != nil {
			return nil, err
		}
		managementToken, err := token("https://management.core.windows.net//.default", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`)
		if err != nil {
			return nil, err
		}

		// The phases, with a name that azwi makes up.
		name := fmt.Sprintf("pets-cat-%d7Ng_S9Q2E-SeafgxuQKqR4q6zTrsPjDdrvN79Y=", protocol)
		var found struct{ Value []struct{ ID, AppID string } }
		var app, principal, trust struct{ ID, AppID, Name string }
		var refused struct{ Error struct{ Code string } }
		by := "?$filter=displayName%20eq%20%27" + url.QueryEscape(name) + "%27"
		credential := `{"audiences":["api://AzureADTokenExchange"],"description":"Federated Service Account for pets/cat","issuer":"https://azwi.blob.core.windows.net/oidc-test/","name":"7Vx1FQd2-_mbNJm--lEKnB2ZFCq1uPhEGEXZ9T0TfVQ=","subject":"system:serviceaccount:pets:cat"}`
		for _, step := range []func() (http.Header, error){
			func() (http.Header, error) {
				return do(200, graphToken, "GET", graph+"/applications"+by, "", "", &found)
			},
			func() (http.Header, error) {
				return do(201, graphToken, "POST", graph+"/applications", object, `{"@odata.type":"#microsoft.graph.application","displayName":"`+name+`"}`, &app)
			},
			func() (http.Header, error) {
				return do(201, graphToken, "POST", graph+"/servicePrincipals", object, `{"@odata.type":"#microsoft.graph.servicePrincipal","appId":"`+app.AppID+`","tags":["azwi version: v1.6.0, commit: 04d01a2"]}`, &principal)
			},
			func() (http.Header, error) {
				return do(200, graphToken, "GET", graph+"/servicePrincipals"+by, "", "", &found)
			},
			func() (http.Header, error) {
				return do(201, graphToken, "POST", graph+"/applications/"+app.ID+"/federatedIdentityCredentials", object, credential, &trust)
			},
			func() (http.Header, error) {
				return do(409, graphToken, "POST", graph+"/applications/"+app.ID+"/federatedIdentityCredentials", object, credential, &refused)
			},
			func() (http.Header, error) {
				return do(200, graphToken, "GET", graph+"/applications/"+app.ID+"/federatedIdentityCredentials?$filter=subject%20eq%20%27system%3Aserviceaccount%3Apets%3Acat%27", "", "", &found)
			},
			func() (http.Header, error) {
				return do(204, graphToken, "DELETE", graph+"/applications/"+app.ID+"/federatedIdentityCredentials/"+trust.ID, "", "", nil)
			},
			func() (http.Header, error) {
				return do(400, graphToken, "POST", graph+"/applications//federatedIdentityCredentials", object, credential, &refused)
			},
			func() (http.Header, error) {
				return do(400, graphToken, "DELETE", graph+"/applications/", "", "", &refused)
			},
			func() (http.Header, error) {
				return do(200, managementToken, "GET", management+"/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName+eq+'Reader'&api-version=2015-07-01", "", "", &found)
			},
			func() (http.Header, error) {
				r, err := http.NewRequestWithContext(ctx, "PUT", management+"/subscriptions/"+subscription+"/providers/Microsoft.Authorization/roleAssignments/"+fmt.Sprintf("%08d-0000-4000-8000-000000000001", protocol)+"?api-version=2015-07-01",
					strings.NewReader(`{"properties":{"principalId":"`+principal.ID+`","roleDefinitionId":"`+found.Value[0].ID+`"}}`))
				if err != nil {
					return nil, err
				}
				r.Header.Set("Authorization", "Bearer "+managementToken)
				r.Header.Set("Content-Type", "application/json")
				resp, err := c.Do(r)
				if err != nil {
					return nil, err
				}
				defer resp.Body.Close()
				if resp.StatusCode != 201 {
					return nil, fmt.Errorf("the role assignment: %s", resp.Status)
				}
				return nil, nil
			},
			func() (http.Header, error) {
				return do(204, graphToken, "DELETE", graph+"/applications/"+app.ID, "", "", nil)
			},
		} {
			if _, err := step(); err != nil {
				return nil, err
			}
		}
		if refused.Error.Code == "" || trust.Name != "7Vx1FQd2-_mbNJm--lEKnB2ZFCq1uPhEGEXZ9T0TfVQ=" {
			return nil, fmt.Errorf("%+v, %+v", refused, trust)
		}
	}
	return "done", nil
}

// What an unmodified azwi sends, to the letter, is answered.
func TestRunAzwiShapes(t *testing.T) {
	t.Parallel()
	if out := output(t, under(t, []string{runProcess + "=shapes"}, "--", self(t))); out != "\"done\"\n" {
		t.Error(out)
	}
}

// A workload's token is exchanged by the service that was chosen, under the
// names of each cloud. The shell was pointed at that service before.
func TestRunWithService(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	c := s.AsAdmin(t)
	_, app := application(t, c, "workload", issuer.URL())
	identityID, uami := identity(t, s, c, "pets", "workload", issuer.URL())
	permit(t, c, uami, "Application.ReadWrite.All")
	assign(t, c, uami, client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "pets"}, "Contributor")
	file := tokenFile(t, mint(t, issuer))
	for _, host := range []string{"", "https://login.microsoftonline.us/", "https://login.chinacloudapi.cn/", s.Authority} {
		for name, env := range map[string][]string{
			"--data-dir": {"AZURE_TENANT_ID=" + s.TenantID},
			"--url":      {"AZURE_TENANT_ID=adfs", "SSL_CERT_FILE=" + s.CAFile, "ENTENTE_CA=" + s.CAFile},
		} {
			args := map[string][]string{"--data-dir": {"--data-dir", s.Dir}, "--url": {"--url", s.Authority}}[name]
			env = append(env, runProcess+"=token", "AZURE_CLIENT_ID="+app.clientID, "AZURE_FEDERATED_TOKEN_FILE="+file, "AZURE_AUTHORITY_HOST="+host)
			var token string
			if err := json.Unmarshal([]byte(output(t, under(t, env, append(args, "--", self(t))...))), &token); err != nil {
				t.Fatal(err)
			}
			if got := decode(t, token); got.OID != app.principalID || got.AppIDAcr != "2" || got.Iss != s.Authority+"/"+s.TenantID+"/" {
				t.Errorf("%s by %s: claims %+v", host, name, got)
			}
		}
	}
	t.Run("as administrator", func(t *testing.T) {
		var token string
		if err := json.Unmarshal([]byte(output(t, under(t, []string{runProcess + "=token"}, "--data-dir", s.Dir, "--as-admin", "--", self(t)))), &token); err != nil {
			t.Fatal(err)
		}
		if got := decode(t, token); got.AppID != s.ClientID {
			t.Errorf("claims %+v", got)
		}
	})
	t.Run("of a context", func(t *testing.T) {
		config := filepath.Join(t.TempDir(), "contexts.json")
		entente := func(args ...string) {
			cmd := exec.CommandContext(t.Context(), testkit.Program, args...)
			cmd.Env = []string{"ENTENTE_CONFIG=" + config}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		env := []string{"ENTENTE_CONFIG=" + config, runProcess + "=token", "AZURE_TENANT_ID=" + s.TenantID, "AZURE_CLIENT_ID=" + app.clientID, "AZURE_FEDERATED_TOKEN_FILE=" + file}
		issuer := func(args ...string) string {
			t.Helper()
			var token string
			if err := json.Unmarshal([]byte(output(t, under(t, env, append(args, "--", self(t))...))), &token); err != nil {
				t.Fatal(err)
			}
			return decode(t, token).Iss
		}
		entente("context", "add", "lab", "--url", s.Authority, "--ca", s.CAFile)
		if iss := issuer(); !strings.HasPrefix(iss, s.Authority) {
			t.Errorf("in the current context the issuer is %s", iss)
		}
		entente("context", "use", "public")
		if iss := issuer(); !strings.HasPrefix(iss, "https://login.microsoftonline.com/") {
			t.Errorf("in Azure's context the issuer is %s", iss)
		}
		if iss := issuer("--context", "lab"); !strings.HasPrefix(iss, s.Authority) {
			t.Errorf("with --context the issuer is %s", iss)
		}
		_, err := under(t, env, "--cloud", "public", "--", "true").Output()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 2 || !strings.Contains(complaint(err), "public is Azure itself") {
			t.Errorf("--cloud public: %s", complaint(err))
		}
	})
	t.Run("Terraform", func(t *testing.T) {
		built, err := terraform()
		if err != nil {
			t.Fatal(err)
		}
		other, _ := application(t, c, "terraformed", "")
		out := output(t, under(t, []string{
			"ARM_METADATA_HOSTNAME=management.azure.com", "ARM_USE_OIDC=true", "ARM_TENANT_ID=" + s.TenantID, "ARM_CLIENT_ID=" + uami.clientID, "ARM_OIDC_TOKEN_FILE_PATH=" + file,
		}, "--data-dir", s.Dir, "--", built, "-identity", identityID.String(), "-application", other.AppID, "-issuer", issuer.URL(), "-subject", "system:serviceaccount:pets:x", "-audience", audience))
		if !strings.Contains(out, `"login":"https://login.microsoftonline.com"`) || !strings.Contains(out, `"application":"system:serviceaccount:pets:x"`) {
			t.Errorf("the layer below Terraform's providers saw %s", out)
		}
	})
	t.Run("nothing answers", func(t *testing.T) {
		s.Stop()
		cmd := under(t, nil, "--data-dir", s.Dir, "--", "echo", "started")
		if out, err := cmd.Output(); err == nil || len(out) > 0 || !strings.Contains(complaint(err), "hint: nothing answers at "+s.Authority) {
			t.Errorf("%s%s", out, complaint(err))
		}
	})
}

func TestRunNode(t *testing.T) {
	t.Parallel()
	dir, err := nodePrograms()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := under(t, nil, "--", "node", filepath.Join(dir, "tokens.mjs"))
	cmd.Stdin = strings.NewReader(`[{"credential":"DefaultAzureCredential","scope":"` + vault + `/.default"}]`)
	var got []struct{ Token, Message string }
	if err := json.Unmarshal([]byte(output(t, cmd)), &got); err != nil || len(got) != 1 || got[0].Token == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if c := decode(t, got[0].Token); !strings.HasPrefix(c.Iss, "https://login.microsoftonline.com/") {
		t.Errorf("claims %+v", c)
	}
}

// Programs of other kinds find the proxy, its password and its CA by the environment alone.
func TestRunOtherClients(t *testing.T) {
	t.Parallel()
	const url = "https://login.microsoftonline.com/$AZURE_TENANT_ID/v2.0/.well-known/openid-configuration"
	java := filepath.Join(t.TempDir(), "Get.java")
	if err := os.WriteFile(java, []byte(`
		import java.net.*; import java.net.http.*;
		public class Get { public static void main(String[] a) throws Exception {
			System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body());
		} }`), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(t.TempDir(), "Asked.java") // with the credential that Java's properties have
	if err := os.WriteFile(asked, []byte(`
		import java.net.*;
		public class Asked { public static void main(String[] a) throws Exception {
			Authenticator.setDefault(new Authenticator() { protected PasswordAuthentication getPasswordAuthentication() {
				return new PasswordAuthentication(System.getProperty("https.proxyUser"), System.getProperty("https.proxyPassword").toCharArray());
			} });
			System.out.println(new String(new URL(a[0]).openStream().readAllBytes()));
		} }`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		needs, script string
		flags         []string
	}{
		"Java, asked for a password": {"javac", `java ` + asked + ` "` + url + `"`, nil},
		"curl":                       {"curl", `curl -sS "` + url + `"`, nil},
		"curl by HTTP/1.1":           {"curl", `curl -sS --http1.1 "` + url + `"`, nil},
		"Python's urllib":            {"python3", `python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' "` + url + `"`, nil},
		"Python's requests":          {"/usr/bin/az", `/usr/bin/python3 -c 'import sys, requests as r; print(r.get(sys.argv[1]).text)' "` + url + `"`, nil},
		"Java":                       {"javac", `java ` + java + ` "` + url + `"`, []string{"--any-client"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(k.needs); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			if out := output(t, under(t, nil, append(k.flags, "--", "sh", "-c", k.script)...)); !strings.Contains(out, `"token_endpoint":"https://login.microsoftonline.com/`) {
				t.Error(out)
			}
		})
	}
}

// Debian's az in its own cloud, with its own cloud's names, and no setting.
func TestRunAz(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("az"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out := output(t, under(t, nil, "--", "sh", "-ec", `
		mkdir $HOME/.azure
		az login --service-principal -u $AZURE_CLIENT_ID -p $AZURE_CLIENT_SECRET --tenant $AZURE_TENANT_ID --query '[0].cloudName' -o tsv
		az group create -n pets -l westeurope --query location -o tsv
		az identity create -n cat -g pets --query name -o tsv
		az identity federated-credential create --identity-name cat -g pets --name cluster --issuer https://oidc.example.org/ --subject s --query issuer -o tsv
		az ad app create --display-name dog --query displayName -o tsv`))
	if want := "AzureCloud\nwesteurope\ncat\nhttps://oidc.example.org/\ndog\n"; out != want {
		t.Errorf("az says\n%s", out)
	}
}

// The exit code is the command's, and so are input and output.
func TestRunIsItsCommand(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--", "sh", "-c", "cat; echo aside >&2"}, 0, "aside\n"},
		{[]string{"sh", "-c", "cat; exit 7"}, 7, ""},
		{[]string{"--", "sh", "-c", "cat; kill -KILL $$"}, 137, ""},
		{[]string{"--", "sh", "-c", "cat; curl -sS https://example.org"}, 56, "curl: (56) CONNECT tunnel failed, response 403\n"},
	} {
		cmd := under(t, nil, k.args...)
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("input"), &out, &errs
		cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != k.code || out.String() != "input" || errs.String() != k.stderr {
			t.Errorf("%q: %d, %q, %q", k.args, code, out.String(), errs.String())
		}
	}
	for name, k := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":          {nil, 2, "entente run --help has examples"},
		"no such command":  {[]string{"--", "there-is-no-such-command"}, 127, `error: exec: "there-is-no-such-command": executable file not found`},
		"no such file":     {[]string{"--", "/there/is/none"}, 127, "error: "},
		"a directory":      {[]string{"--", "/"}, 126, "error: "},
		"two services":     {[]string{"--embedded", "--url", "https://x.test", "--", "true"}, 2, "--url names a service"},
		"Azure's own":      {[]string{"--pass", "graph.microsoft.com", "--", "true"}, 2, `--pass: "graph.microsoft.com" is answered by the service`},
		"no data there":    {[]string{"--data-dir", "/there/is/none", "--", "true"}, 1, "there is no /there/is/none/admin.json"},
		"no seed there":    {[]string{"--seed", "/there/is/none", "--", "true"}, 1, "/there/is/none"},
		"what was refused": {[]string{"-v", "--", "sh", "-c", "curl -s https://example.org; exit 3"}, 3, "msg=refused method=CONNECT host=example.org port=443 pass=example.org"},
	} {
		_, err := under(t, nil, k.args...).Output()
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok || e.ExitCode() != k.code || !strings.Contains(string(e.Stderr), k.want) {
			t.Errorf("%s: %v %s, want %d %q", name, err, complaint(err), k.code, k.want)
		}
	}
}

// Signals reach the command, which decides what they mean; until it has ended,
// everything it needs is there.
func TestRunSignals(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		signal syscall.Signal
		script string
		code   int
	}{
		{syscall.SIGTERM, `trap 'curl -sSf -o /dev/null https://login.microsoftonline.com/common/discovery/keys; exit $((7 + $?))' TERM; echo ready; while :; do sleep 0.05; done`, 7},
		{syscall.SIGINT, `trap 'exit 8' INT; echo ready; while :; do sleep 0.05; done`, 8},
		{syscall.SIGUSR1, `trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done`, 9},
		{syscall.SIGTERM, `echo ready; exec sleep 60`, 128 + int(syscall.SIGTERM)},
	} {
		cmd := under(t, nil, "--", "sh", "-c", k.script)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ready := make([]byte, len("ready\n"))
		if _, err := io.ReadFull(out, ready); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(k.signal)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != k.code {
			t.Errorf("%v on %s: %d, want %d", k.signal, k.script, code, k.code)
		}
	}
}

// What the command's files hold besides those of a new service: certificates.
func TestRunKeepsItsKeyInMemory(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	out := output(t, under(t, nil, "--data-dir", s.Dir, "--", "sh", "-c", `cd $TMPDIR/entente-run-* && stat -c '%A %n' . * && ! grep -rlE 'PRIVATE|SECRET' .`))
	if want := "drwx------ .\n-rw------- ca.pem\n-rw------- certificates.jks\n-rw------- certificates.pem\n"; out != want {
		t.Errorf("the files:\n%s", out)
	}
}

// A terminal interrupts the command once, although both are in front of it.
func TestRunTerminal(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := under(t, nil)
	cmd.Path, cmd.Args = script, []string{script, "-qec", "exec " + testkit.Program + ` run -- bash -c 'trap "echo interrupted" INT; echo ready; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; exit 5'`, "/dev/null"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("it says %q", lines.Text())
	}
	io.WriteString(in, "\x03")
	interrupted := 0
	for lines.Scan() {
		interrupted += strings.Count(lines.Text(), "interrupted")
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 || interrupted != 1 {
		t.Errorf("interrupted %d times, exit code %d", interrupted, code)
	}
}
