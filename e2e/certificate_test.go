package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// certified is a self-signed certificate with its private key.
type certified struct {
	der []byte
	pem []byte // of both, as people keep them for az and the SDKs
}

func certify(t *testing.T) certified {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "workload"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certified{der, slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (c certified) thumbprint() string { return fmt.Sprintf("%X", sha1.Sum(c.der)) }

// keyCredentials is the body that makes it the one certificate of an application or service principal.
func (c certified) keyCredentials() m {
	return m{"keyCredentials": []m{{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "ci", "key": base64.StdEncoding.EncodeToString(c.der)}}}
}

// logins are the ways in which the Azure SDK and MSAL log in by certificate:
// PS256 with x5t#S256 in the layout of a tenant, RS256 with x5t in that of AD FS.
func (s *service) logins(t *testing.T, clientID string, c certified) map[string]func(scope string) (string, error) {
	t.Helper()
	certificates, key, err := azidentity.ParseCertificates(c.pem, nil)
	if err != nil {
		t.Fatal(err)
	}
	logins := map[string]func(string) (string, error){}
	for layout, tenant := range map[string]string{"tenant": s.TenantID, "AD FS": "adfs"} {
		for chain, send := range map[string]bool{"": false, ", with its chain": true} {
			sdk, err := azidentity.NewClientCertificateCredential(tenant, clientID, certificates, key, &azidentity.ClientCertificateCredentialOptions{
				ClientOptions: s.options(), DisableInstanceDiscovery: layout == "tenant", SendCertificateChain: send,
			})
			if err != nil {
				t.Fatal(err)
			}
			logins["azidentity by "+layout+chain] = func(scope string) (string, error) { return tokenOf(t, sdk, scope) }
		}
		credential, err := confidential.NewCredFromCert(certificates, key)
		if err != nil {
			t.Fatal(err)
		}
		options := []confidential.Option{confidential.WithHTTPClient(s.HTTP)}
		if layout == "tenant" {
			options = append(options, confidential.WithInstanceDiscovery(false))
		}
		msal, err := confidential.New(s.Authority+"/"+tenant, clientID, credential, options...)
		if err != nil {
			t.Fatal(err)
		}
		logins["MSAL by "+layout] = func(scope string) (string, error) {
			result, err := msal.AcquireTokenByCredential(t.Context(), []string{scope})
			return result.AccessToken, err
		}
	}
	return logins
}

func tokenOf(t *testing.T, credential azcore.TokenCredential, scope string) (string, error) {
	t.Helper()
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	return token.Token, err
}

// TestCertificates: a certificate that Graph was given logs the Azure SDK and
// MSAL in at once, of the application or of its service principal, and until
// Graph takes it away.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	app, who := application(t, s.AsAdmin(t), "workload", "")
	admin := []string{s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)}
	patch := func(path string, body m) {
		t.Helper()
		if r := s.send(t, admin, http.MethodPatch, path, body); r.status != http.StatusNoContent {
			t.Fatalf("%s: %d %s", path, r.status, r.text)
		}
	}
	one, other := certify(t), certify(t)
	refused := func(t *testing.T, c certified) {
		t.Helper()
		for name, login := range s.logins(t, who.clientID, c) {
			token, err := login(vault + "/.default")
			if err == nil || token != "" || !strings.Contains(err.Error(), "AADSTS700027: ") || strings.Contains(name, "AD FS") && !strings.Contains(err.Error(), c.thumbprint()) {
				t.Errorf("%s: token %q, %v", name, token, err)
			}
		}
	}
	refused(t, one)
	for _, holder := range []string{"/v1.0/applications/" + app.ID, "/v1.0/servicePrincipals/" + who.principalID} {
		t.Run(strings.Split(holder, "/")[2], func(t *testing.T) {
			patch(holder, one.keyCredentials())
			if r := s.send(t, admin, http.MethodGet, holder+"?$select=keyCredentials", nil); r.status != http.StatusOK || !strings.Contains(r.text, base64.StdEncoding.EncodeToString(one.der)) {
				t.Errorf("it is shown as %d %s", r.status, r.text)
			}
			for name, login := range s.logins(t, who.clientID, one) {
				for _, resource := range []string{vault, "https://management.azure.com/", "https://graph.microsoft.com"} {
					token, err := login(resource + "/.default")
					if err != nil {
						t.Errorf("%s, %s: %v", name, resource, err)
						continue
					}
					if got := decode(t, token); got.TID != s.TenantID || got.OID != who.principalID || got.AppID != who.clientID || got.AppIDAcr != "2" || strings.TrimSuffix(got.Aud, "/") != strings.TrimSuffix(resource, "/") {
						t.Errorf("%s, %s: claims %+v", name, resource, got)
					}
				}
			}
			file := filepath.Join(t.TempDir(), "client.pem")
			if err := os.WriteFile(file, one.pem, 0o600); err != nil {
				t.Fatal(err)
			}
			token, err := s.defaultCredential(t, vault+"/.default", "AZURE_TENANT_ID=adfs", "AZURE_CLIENT_ID="+who.clientID, "AZURE_CLIENT_CERTIFICATE_PATH="+file)
			if err != nil {
				t.Error(err)
			} else if got := decode(t, token); got.OID != who.principalID {
				t.Errorf("by the environment alone: claims %+v", got)
			}
			refused(t, other)
			patch(holder, m{"keyCredentials": []m{}})
			refused(t, one)
		})
	}
}
