package intercept

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The files that Environ writes.
const (
	bundleFile = "certificates.pem" // the CA and those that the programs trusted before
	caFile     = "ca.pem"           // the CA alone
	storeFile  = "certificates.jks"
)

// Variables that name a file of certificates, and whose programs then trust no
// others: Go, OpenSSL, .NET and Python; Python's requests and az; curl; git.
var replacing = []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"}

// Variables that stand for proxies, in both cases.
var proxying = []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"}

// unproxied is what programs reach by themselves: this machine.
const unproxied = "localhost,127.0.0.1,::1"

// systemBundles are where systems keep the certificates that they trust.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Alpine, Arch
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
	"/etc/pki/tls/certs/ca-bundle.crt",                  // older ones of them
	"/etc/ssl/ca-bundle.pem",                            // SUSE
	"/etc/ssl/cert.pem",                                 // macOS, BSDs
	"/usr/local/etc/ssl/cert.pem",
}

// Environ is the environment of a command that is to use the proxy: parent,
// in which the variables that programs read for proxies and certificates are
// replaced. It writes the files that they name to dir, which is the caller's
// to remove: certificates only, never a key.
func (p *Proxy) Environ(parent []string, dir string) ([]string, error) {
	old := func(name string) string {
		for _, pair := range slices.Backward(parent) {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
	var sources []string
	for _, name := range append([]string{"NODE_EXTRA_CA_CERTS"}, replacing...) {
		if file := old(name); file != "" {
			sources = append(sources, file)
		}
	}
	trusted, err := collect(append(sources, systemBundle()), p.authority.certificate.Raw)
	if err != nil {
		return nil, err
	}
	var bundle bytes.Buffer
	for _, der := range trusted {
		if err := pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string][]byte{caFile: p.CAPEM(), bundleFile: bundle.Bytes(), storeFile: javaStore(trusted, p.now())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}

	proxy, file := p.URL().String(), filepath.Join(dir, bundleFile)
	set := map[string]string{"NODE_EXTRA_CA_CERTS": file, "NODE_USE_ENV_PROXY": "1"}
	for _, name := range replacing {
		set[name] = file
	}
	for _, name := range proxying {
		set[name], set[strings.ToLower(name)] = proxy, proxy
	}
	set["NO_PROXY"], set["no_proxy"] = unproxied, unproxied
	set["ALL_PROXY"], set["all_proxy"] = "", ""
	set["JAVA_TOOL_OPTIONS"] = strings.TrimSpace(old("JAVA_TOOL_OPTIONS") + " " + p.javaOptions(filepath.Join(dir, storeFile)))
	return With(parent, set), nil
}

// javaOptions are the properties that Java's own clients and the Azure SDK for Java read.
func (p *Proxy) javaOptions(store string) string {
	u := p.URL()
	secret, _ := u.User.Password()
	var options []string
	for _, scheme := range []string{"http", "https"} {
		for _, property := range [][2]string{{"proxyHost", u.Hostname()}, {"proxyPort", u.Port()}, {"proxyUser", u.User.Username()}, {"proxyPassword", secret}} {
			options = append(options, "-D"+scheme+"."+property[0]+"="+property[1])
		}
	}
	return strings.Join(append(options,
		"-Dhttp.nonProxyHosts=localhost|127.*|[::1]",
		"-Djdk.http.auth.tunneling.disabledSchemes=", // Basic is one of them otherwise
		`-Djavax.net.ssl.trustStore="`+store+`"`,
		"-Djavax.net.ssl.trustStoreType=JKS",
		"-Djavax.net.ssl.trustStorePassword="+storePassword,
	), " ")
}

// With is an environment with some variables replaced; those that are set to
// nothing are taken out.
func With(environ []string, set map[string]string) []string {
	out := slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		_, replaced := set[name]
		return replaced
	})
	for name, value := range set {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	slices.Sort(out[len(out)-count(set):])
	return out
}

func count(set map[string]string) (n int) {
	for _, value := range set {
		if value != "" {
			n++
		}
	}
	return n
}

func systemBundle() string {
	for _, name := range systemBundles {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return ""
}

// maxBundle is the most that is read of a file of certificates.
const maxBundle = 8 << 20

// collect is first and the certificates in files, each once. A file that a
// variable names and that is not there is none.
func collect(files []string, first []byte) ([][]byte, error) {
	all, seen := [][]byte{first}, map[string]bool{string(first): true}
	for _, name := range slices.Compact(files) {
		if at, err := os.Stat(name); name == "" || err == nil && at.IsDir() {
			continue // directories are OpenSSL's affair, and curl's
		}
		text, err := readBundle(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the certificates that programs trust: %w", err)
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" && !seen[string(block.Bytes)] {
				seen[string(block.Bytes)] = true
				all = append(all, block.Bytes)
			}
		}
	}
	return all, nil
}

func readBundle(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	if err == nil && len(text) > maxBundle {
		err = fmt.Errorf("%s has more than %d bytes", name, maxBundle)
	}
	return text, err
}
