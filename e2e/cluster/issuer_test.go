package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// The cluster's issuer in each of the forms that people give it. All that the
// service is told is the issuer's URL in a credential.
func TestIssuerByDiscovery(t *testing.T) {
	for name, issuer := range map[string]string{"without a slash": "", "with a slash": "/", "under a path": "/clusters/a/"} {
		t.Run(name, func(t *testing.T) {
			config := controlplane.Config{Issuer: issuer, Authority: controlplane.NewAuthority(t)}
			var behind func(*controlplane.Cluster)
			if strings.HasPrefix(issuer, "/clusters") {
				config.Issuer, behind = front(t, config.Authority, issuer)
				config.JWKSURI = config.Issuer + "openid/v1/jwks"
			}
			c := start(t, config)
			if behind != nil {
				behind(c)
			}
			s := testkit.Serve(t, t.TempDir(), private(t, c.Authority)...)
			admin := s.AsAdmin(t)
			cat := application(t, admin, c.Issuer)
			token := c.Token(t, "pets", "cat", audience)
			if h := decode[header](t, token, 0); h.Alg != "RS256" {
				t.Fatalf("the cluster signs with %s", h.Alg)
			}
			accepted(t, s, cat, token)
			refused(t, s, cat, tampered(token), 400, 50027)
			refused(t, s, cat, c.Token(t, "pets", "dog", audience), 401, 700213)
			refused(t, s, cat, c.Token(t, "pets", "cat", vault), 401, 700212)
			refused(t, s, cat, c.Token(t, "pets", "cat"), 401, 700212) // the audience of the API server

			near := strings.TrimSuffix(c.Issuer, "/")
			if near == c.Issuer {
				near += "/"
			}
			refused(t, s, application(t, admin, near), token, 401, 700211)
		})
	}
}

// front serves a cluster's two documents under a path, as people do whose API
// server cannot be reached by others. It stands before the cluster that is given
// to behind.
func front(t *testing.T, a *controlplane.Authority, path string) (issuer string, behind func(*controlplane.Cluster)) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.Certificate(t)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + path, func(c *controlplane.Cluster) {
		target, err := url.Parse(c.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := http.StripPrefix(strings.TrimSuffix(path, "/"), &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: transport,
		})
		mux.Handle("GET "+path+".well-known/openid-configuration", proxy)
		mux.Handle("GET "+path+"openid/v1/jwks", proxy)
	}
}

// Clusters sign with ES256 as well. That takes an administrator's word.
func TestES256ByOptIn(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, controlplane.Config{Issuer: "/", Keys: []crypto.Signer{key}})
	s := testkit.Serve(t, t.TempDir(), private(t, c.Authority)...)
	admin := s.AsAdmin(t)
	cat := application(t, admin, c.Issuer)
	token := c.Token(t, "pets", "cat", audience)
	if h := decode[header](t, token, 0); h.Alg != "ES256" {
		t.Fatalf("the cluster signs with %s", h.Alg)
	}
	refused(t, s, cat, token, 400, 5002730)
	if _, _, err := admin.PutIssuer(t.Context(), "cluster", client.IssuerSpec{Issuer: c.Issuer, Algorithms: []string{"ES256"}}); err != nil {
		t.Fatal(err)
	}
	accepted(t, s, cat, token)
	refused(t, s, cat, tampered(token), 400, 50027)
	if _, _, err := admin.PutIssuer(t.Context(), "cluster", client.IssuerSpec{Issuer: c.Issuer, Algorithms: []string{"RS256", "ES384"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, s, cat, token, 400, 5002730)
}
