package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/doctor"
)

func publish(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(append([]string{"issuer", "publish"}, args...), strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

// What is published is what a verifier takes: the folder is served, and inspected.
func TestPublishedFolderIsTaken(t *testing.T) {
	cluster, kubeconfig := api(t)
	folder := t.TempDir()
	site := httptest.NewTLSServer(http.StripPrefix("/prod", http.FileServer(http.Dir(folder))))
	defer site.Close()
	// The URL with a slash at its end, as AKS has it, and one without.
	for _, url := range []string{site.URL + "/prod/", site.URL + "/prod"} {
		stdout, stderr, code := publish(t, "--from-cluster", "--kubeconfig", kubeconfig, "--issuer", url, "--folder", folder)
		if code != 0 {
			t.Fatalf("%d: %s", code, stderr)
		}
		if !strings.Contains(stderr, "--service-account-issuer="+url) {
			t.Errorf("nothing is said of an API server that names another issuer: %q", stderr)
		}
		if !strings.Contains(stdout, "written") {
			t.Errorf("printed: %q", stdout)
		}
		roots := site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		i := (&doctor.Reader{Roots: roots, AllowPrivate: true}).Inspect(t.Context(), url)
		if i.ExitCode() != 0 || i.Issuer != url || len(i.Keys) != 1 || i.Keys[0].ID != kids(t, cluster.JWKS())[0] {
			t.Errorf("%s: inspected: %+v", url, i)
		}
	}
	again, _, _ := publish(t, "--from-cluster", "--kubeconfig", kubeconfig, "--issuer", site.URL+"/prod", "--folder", folder)
	if strings.Contains(again, "written") || strings.Count(again, "unchanged") != 2 {
		t.Errorf("again: %q", again)
	}
	if err := cluster.Rotate(); err != nil {
		t.Fatal(err)
	}
	dry, _, _ := publish(t, "--from-cluster", "--kubeconfig", kubeconfig, "--issuer", site.URL+"/prod", "--folder", folder, "--dry-run", "-o", "json")
	var p publishing
	if err := json.Unmarshal([]byte(dry), &p); err != nil || !p.Files[0].Changed || p.Files[1].Changed {
		t.Errorf("dry run after a rotation: %s (%v)", dry, err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, jwksPath)); err != nil || len(kids(t, text)) != 1 {
		t.Errorf("a dry run wrote: %s (%v)", text, err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "*", "*", ".publish-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPublishToStandardOutput(t *testing.T) {
	cluster, kubeconfig := api(t)
	stdout, stderr, code := publish(t, "--from-cluster", "--kubeconfig", kubeconfig)
	if code != 0 || stderr != "" {
		t.Fatalf("%d: %s", code, stderr)
	}
	var p publication
	if err := json.Unmarshal([]byte(stdout), &p); err != nil {
		t.Fatal(err)
	}
	if p.Discovery.Issuer != cluster.URL() || p.Discovery.JWKSURI != strings.TrimSuffix(cluster.URL(), "/")+"/openid/v1/jwks" || len(p.Discovery.Algorithms) != 1 || p.Discovery.Algorithms[0] != "RS256" {
		t.Errorf("discovery: %+v", p.Discovery)
	}
	if len(kids(t, p.JWKS)) != 1 {
		t.Errorf("key set: %s", p.JWKS)
	}
}

func TestPublishToAHostedIssuer(t *testing.T) {
	s := serving(t)
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	id, _ := hosted(t, s, "lab")
	cluster, kubeconfig := api(t)
	stdout, stderr, code := publish(t, "--from-cluster", "--kubeconfig", kubeconfig, "--cluster", "lab", "-g", "pets", "--data-dir", s.caller.dataDir)
	if code != 0 || !strings.Contains(stdout, "added "+kids(t, cluster.JWKS())[0]) {
		t.Fatalf("%d: %s%s", code, stdout, stderr)
	}
	c, err := s.client.Cluster(t.Context(), id)
	if err != nil || len(c.Issuer.KeyIDs) != 1 {
		t.Errorf("cluster: %+v, %v", c, err)
	}
}

func TestPublishRefuses(t *testing.T) {
	cluster, kubeconfig := api(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	write(t, keys, cluster.JWKS())
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no keys", nil, "give either --from-cluster or --keys FILE"},
		{"two sources", []string{"--from-cluster", "--keys", keys}, "give either"},
		{"no issuer", []string{"--keys", keys}, "--issuer is missing"},
		{"an issuer without https", []string{"--keys", keys, "--issuer", "http://oidc.example.org"}, "--issuer: "},
		{"two places", []string{"--keys", keys, "--issuer", "https://oidc.example.org", "--folder", ".", "--cluster", "lab"}, "--folder and --cluster"},
		{"another issuer of a registered cluster", []string{"--from-cluster", "--issuer", "https://oidc.example.org", "--cluster", "lab"}, "--issuer and --cluster"},
		{"a group alone", []string{"--from-cluster", "-g", "pets"}, "--resource-group goes with --cluster"},
		{"a kubeconfig for files", []string{"--keys", keys, "--kubeconfig", kubeconfig}, "go with --from-cluster"},
		{"a template", []string{"--from-cluster", "-o", "jsonpath={"}, "jsonpath"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := publish(t, c.args...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("%d: %q %q", code, stdout, stderr)
			}
		})
	}
}

func TestPrivateName(t *testing.T) {
	for url, want := range map[string]bool{
		"https://kubernetes.default.svc.cluster.local":     true,
		"https://kubernetes.default.svc":                   true,
		"https://kubernetes.default.svc:443/":              true,
		"https://kubernetes.default.svc.example.org/path":  true,
		"https://oidc.example.org/kubernetes.default.svc/": false,
	} {
		if got := isPrivateName(url); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
}
