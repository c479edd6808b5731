package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// azureAlone answers for every host of Azure, as a proxy that a program is told of,
// and remembers what it was asked.
type azureAlone struct {
	proxy, ca string
	carryOn   func(q *http.Request, body []byte) (int, []byte) // nil: answered with little
	mu        sync.Mutex
	asked     []string // "METHOD https://HOST/PATH?QUERY BODY", as whom: RESOURCE
}

func newAzureAlone(t *testing.T) *azureAlone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "azure"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{
			"graph.microsoft.com", "graph.microsoft.us", "microsoftgraph.chinacloudapi.cn", "management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn",
			"login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn",
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &azureAlone{ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(a.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a.proxy = "http://" + l.Addr().String()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil || r.Method != http.MethodConnect {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
		secured := tls.Server(c, config)
		for in := bufio.NewReader(secured); ; {
			q, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			status, text := a.answer(q)
			fmt.Fprintf(secured, "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s", status, time.Now().UTC().Format(http.TimeFormat), len(text), text)
		}
	}))
	return a
}

func (a *azureAlone) answer(q *http.Request) (int, string) {
	body, _ := io.ReadAll(q.Body)
	as := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer for-")
	a.mu.Lock()
	a.asked = append(a.asked, strings.TrimSpace(fmt.Sprintf("%s https://%s%s as %s %s", q.Method, q.Host, q.URL.RequestURI(), as, body)))
	a.mu.Unlock()
	if a.carryOn != nil {
		status, text := a.carryOn(q, body)
		return status, string(text)
	}
	switch path := q.URL.Path; {
	case q.Method != http.MethodGet:
		return http.StatusCreated, string(body)
	case path == "/v1.0/applications":
		return http.StatusOK, `{"value":[{"id":"object","appId":"client","displayName":"pets"}]}`
	case strings.HasSuffix(path, "/federatedIdentityCredentials"):
		return http.StatusOK, `{"value":[]}`
	}
	return http.StatusOK, `{"id":"x","name":"cat","properties":{"clientId":"client"}}`
}

// loggedIn is a directory with an az that somebody is logged in to: its tokens say
// for which resource they are.
func loggedIn(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	script := `#!/bin/sh
for a in "$@"; do case "$a" in https://*) resource="$a";; esac; done
echo "{\"accessToken\":\"for-$resource\",\"expires_on\":4102444800,\"tokenType\":\"Bearer\"}"
`
	if err := os.WriteFile(filepath.Join(bin, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return bin
}

// The same commands send Azure what its API documents, in each of its clouds, as who
// is logged in to az.
func TestFederatedCredentialsInAzure(t *testing.T) {
	t.Parallel()
	bin := loggedIn(t)
	for cloud, host := range map[string]struct{ graph, arm, resource string }{
		"public":                 {"https://graph.microsoft.com", "https://management.azure.com", "https://management.core.windows.net/"},
		"AzureUSGovernmentCloud": {"https://graph.microsoft.us", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/"},
		"china":                  {"https://microsoftgraph.chinacloudapi.cn", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/"},
	} {
		t.Run(cloud, func(t *testing.T) {
			a := newAzureAlone(t)
			me := shell{t, map[string]string{"PATH": bin + ":" + os.Getenv("PATH"), "HTTPS_PROXY": a.proxy, "SSL_CERT_FILE": a.ca}}
			const trust = " --no-check --subject s --issuer https://a.example/ --cloud "
			me.ends(0, "fic create web --application pets"+trust+cloud, "created")
			me.ends(0, "fic create web --managed-identity cat -g pets --subscription sub"+trust+cloud, "created")
			asGraph, asARM := " as "+host.graph, " as "+host.resource
			const credential = `"issuer":"https://a.example/","subject":"s","audiences":["api://AzureADTokenExchange"]`
			fics := host.graph + "/v1.0/applications/object/federatedIdentityCredentials"
			cat := host.arm + "/subscriptions/sub/resourceGroups/pets/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cat"
			const version = "?api-version=2024-11-30"
			want := []string{
				"GET " + host.graph + "/v1.0/applications?$filter=displayName%20eq%20%27pets%27" + asGraph,
				"GET " + fics + asGraph,
				"POST " + fics + asGraph + ` {"name":"web",` + credential + `}`,
				"GET " + cat + version + asARM,
				"GET " + cat + "/federatedIdentityCredentials" + version + asARM,
				"PUT " + cat + "/federatedIdentityCredentials/web" + version + asARM + ` {"properties":{` + credential + `}}`,
			}
			got := append([]string{}, a.asked...)
			for i := range got {
				got[i] = strings.Replace(got[i], "%24filter", "$filter", 1)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
