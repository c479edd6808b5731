package controlplane_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

func TestClusterMintsTokensAndSaysHowToCheckThem(t *testing.T) {
	c := controlplane.Start(t, controlplane.Config{Issuer: "/", ControllerManager: true})
	c.ServiceAccount(t, "pets", "cat")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(c.Token(t, "pets", "cat", "api://AzureADTokenExchange"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Iss, Sub string
		Aud      []string
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Iss != c.URL+"/" || claims.Sub != "system:serviceaccount:pets:cat" || len(claims.Aud) != 1 {
		t.Errorf("a token says %s", payload)
	}

	nobody := c.ClientAs(t, "").RESTClient()
	document, err := nobody.Get().AbsPath("/.well-known/openid-configuration").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var discovery struct {
		Issuer string
		URI    string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &discovery); err != nil || discovery.Issuer != c.Issuer || discovery.URI != c.JWKSURI {
		t.Errorf("the discovery document says %s (%v)", document, err)
	}
	before := c.KeySet(t)
	c.Restart(t)
	if after := c.KeySet(t); !bytes.Equal(before, after) {
		t.Errorf("after a restart the keys are %s, were %s", after, before)
	}

	kubectl := exec.Command(filepath.Join(controlplane.Programs(t), "kubectl"), "--kubeconfig", c.Kubeconfig, "get", "serviceaccounts", "--all-namespaces")
	out, err := kubectl.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "cat") {
		t.Errorf("kubectl: %v\n%s", err, out)
	}
}
