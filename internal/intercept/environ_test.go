package intercept

import (
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEnviron(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	other := behind(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	theirs := filepath.Join(t.TempDir(), "theirs.pem")
	if err := os.WriteFile(theirs, append([]byte("text before\n"), other.CAPEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got, err := p.Environ([]string{
		"PATH=/bin", "https_proxy=http://corporate.test:8080", "NO_PROXY=*", "ALL_PROXY=socks5://x", "JAVA_TOOL_OPTIONS=-Xmx1g",
		"SSL_CERT_FILE=" + theirs, "REQUESTS_CA_BUNDLE=" + theirs, "CURL_CA_BUNDLE=/nowhere", "GIT_SSL_CAINFO=" + dir,
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	bundle, proxy := filepath.Join(dir, bundleFile), p.URL().String()
	for _, want := range []string{
		"PATH=/bin", "HTTPS_PROXY=" + proxy, "https_proxy=" + proxy, "HTTP_PROXY=" + proxy, "http_proxy=" + proxy, "NO_PROXY=" + unproxied, "no_proxy=" + unproxied,
		"SSL_CERT_FILE=" + bundle, "REQUESTS_CA_BUNDLE=" + bundle, "CURL_CA_BUNDLE=" + bundle, "GIT_SSL_CAINFO=" + bundle, "NODE_EXTRA_CA_CERTS=" + bundle, "NODE_USE_ENV_PROXY=1",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
	names := map[string]bool{}
	for _, pair := range got {
		name, value, _ := strings.Cut(pair, "=")
		if names[name] {
			t.Errorf("%s stands there twice", name)
		}
		names[name] = true
		if name == "JAVA_TOOL_OPTIONS" && !strings.HasPrefix(value, "-Xmx1g -Dhttp.proxyHost=127.0.0.1 ") {
			t.Errorf("%s", pair)
		}
	}
	if names["ALL_PROXY"] || names["all_proxy"] {
		t.Error("ALL_PROXY is still there")
	}

	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string][]byte{"our CA": p.CAPEM(), "theirs": other.CAPEM()} {
		if n := strings.Count(string(text), string(want)); n != 1 {
			t.Errorf("%s is %d times in the bundle", who, n)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || strings.Contains(string(text), "PRIVATE") {
			t.Errorf("%s holds a key (%v)", f.Name(), err)
		}
	}
}

// Java reads the key store, with its password and without.
func TestJavaStore(t *testing.T) {
	t.Parallel()
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		const missing = "there is no keytool (apt-get install default-jdk-headless)"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	p := behind(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	file := filepath.Join(t.TempDir(), "store.jks")
	if err := os.WriteFile(file, javaStore([][]byte{p.authority.certificate.Raw}, p.now()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), keytool, "-exportcert", "-rfc", "-alias", "ca-0", "-keystore", file, "-storepass", storePassword).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if block, _ := pem.Decode(out); block == nil || !slices.Equal(block.Bytes, p.authority.certificate.Raw) {
		t.Errorf("Java reads\n%s", out)
	}
}
