package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
)

// BenchmarkExchangeOverTLS is an exchange as a client waits for it, over one
// connection that stays, with the log and the sign-in record that everybody
// has. Its processor time is the client's too; e2e/load tells them apart.
func BenchmarkExchangeOverTLS(b *testing.B) {
	for _, algorithm := range []string{keys.RS256, keys.ES256} {
		b.Run(algorithm, func(b *testing.B) {
			c := config(b.TempDir(), io.Discard)
			c.SigningAlgorithm, c.RequestRate = algorithm, -1
			s, err := Open(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			go s.Serve(b.Context())
			form := exchangeForm(b, s)
			ca, err := os.ReadFile(filepath.Join(c.DataDir, CAFile))
			if err != nil {
				b.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(ca)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				answer, err := client.Post(s.URL()+"/"+s.defaultTenant+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", strings.NewReader(form))
				if err != nil {
					b.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("access_token")) {
					b.Fatalf("%v %d %s", err, answer.StatusCode, body)
				}
			}
		})
	}
}

// exchangeForm makes an application that trusts a service account, and a good request of it.
func exchangeForm(b *testing.B, s *Service) string {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	caller := directory.System(s.defaultTenant, "benchmark")
	cluster, err := localissuer.New(localissuer.Config{URL: "https://cluster.example.test/"})
	check(err)
	_, _, err = s.directory.PutIssuer(b.Context(), caller, directory.Issuer{Name: "cluster", URL: cluster.URL(), KeySource: directory.UploadedKeys, KeySet: cluster.JWKS()})
	check(err)
	app, err := s.directory.CreateApplication(b.Context(), caller, directory.Application{DisplayName: "benchmark"})
	check(err)
	_, err = s.directory.CreateServicePrincipal(b.Context(), caller, directory.NewPrincipal{AppID: app.AppID})
	check(err)
	_, err = s.directory.AddCredential(b.Context(), caller, directory.Parent{Application: &directory.Ref{ID: app.ID}}, credential.Spec{
		Name: "asker", Issuer: cluster.URL(), Subject: "system:serviceaccount:default:default", Audiences: []string{credential.DefaultAudience},
	})
	check(err)
	proof, err := cluster.Mint(localissuer.Token{Lifetime: 24 * time.Hour})
	check(err)
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app.AppID}, "scope": {"https://vault.azure.net/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {proof},
	}.Encode()
}
