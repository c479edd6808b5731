package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestValidate(t *testing.T) {
	binding := TokenProxyConfig{Suffix: "identity-binding", Audience: "api://AKSIdentityBinding", Endpoint: "https://p/x"}
	with := func(change func(*TokenProxyConfig)) Config {
		t := binding
		change(&t)
		return Config{TokenProxy: t}
	}
	for name, test := range map[string]struct {
		config Config
		has    string // of the error; "" = none
	}{
		"zero":                       {Config{}, ""},
		"mode":                       {Config{Mode: "x"}, "--mode"},
		"managed-identity":           {Config{Mode: ManagedIdentity, ProxyImage: "p"}, ""},
		"managed-identity, no image": {Config{Mode: ManagedIdentity}, "PROXY_IMAGE"},
		"authority":                  {Config{AuthorityHost: "https://entente.test:8443/"}, ""},
		"authority http":             {Config{AuthorityHost: "http://entente.test/"}, "--authority-host"},
		"authority with a query":     {Config{AuthorityHost: "https://entente.test/?x"}, "--authority-host"},
		"authority no URL":           {Config{AuthorityHost: "https://%"}, "--authority-host"},
		"version":                    {Config{KubernetesVersion: "v1.34.10+k3s1"}, ""},
		"version no version":         {Config{KubernetesVersion: "new"}, "version of the cluster"},
		"token proxy":                {Config{TokenProxy: binding}, ""},
		"token proxy by mode":        {Config{Mode: TokenProxy}, "AZURE_KUBERNETES_TOKEN_PROXY"},
		"token proxy, no endpoint":   {with(func(t *TokenProxyConfig) { t.Endpoint = "" }), "AZURE_KUBERNETES_TOKEN_PROXY"},
		"token proxy, http":          {with(func(t *TokenProxyConfig) { t.Endpoint = "http://p" }), "AZURE_KUBERNETES_TOKEN_PROXY"},
		"no audience":                {with(func(t *TokenProxyConfig) { t.Audience = "" }), "--custom-token-endpoint-audience"},
		"the same audience":          {with(func(t *TokenProxyConfig) { t.Audience = DefaultAudience }), "another"},
		"suffix":                     {with(func(t *TokenProxyConfig) { t.Suffix = "a/b" }), "--custom-token-endpoint-annotation-suffix"},
		"two CAs":                    {with(func(t *TokenProxyConfig) { t.CAData, t.CAConfigMap = "a", "b" }), "only one"},
		"selector, no signer":        {with(func(t *TokenProxyConfig) { t.CATrustLabelSelector = "a=b" }), "SIGNER_NAME"},
		"selector":                   {with(func(t *TokenProxyConfig) { t.CATrustSigner, t.CATrustLabelSelector = "s", "a="+"=b=" }), "LABEL_SELECTOR"},
		"selector as JSON":           {with(func(t *TokenProxyConfig) { t.CATrustSigner, t.CATrustLabelSelector = "s", `{"matchLabels":{"a":"b"}}` }), ""},
		"selector as other JSON":     {with(func(t *TokenProxyConfig) { t.CATrustSigner, t.CATrustLabelSelector = "s", `{"labels":{"a":"b"}}` }), "LABEL_SELECTOR"},
		"selector as wrong JSON": {with(func(t *TokenProxyConfig) {
			t.CATrustSigner, t.CATrustLabelSelector = "s", `{"matchExpressions":[{"key":"a","operator":"Is"}]}`
		}), "LABEL_SELECTOR"},
	} {
		err := test.config.Validate()
		if (err == nil) != (test.has == "") || err != nil && !strings.Contains(err.Error(), test.has) {
			t.Errorf("%s: %v, want %q", name, err, test.has)
		}
	}
}

func TestAuthorityOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cloud.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"name":"own","activeDirectoryEndpoint":"https://login.own.test/"}`)
	for name, want := range map[string]string{
		"":                       "https://login.microsoftonline.com/",
		"AzurePublicCloud":       "https://login.microsoftonline.com/",
		"AZUREPUBLICCLOUD":       "https://login.microsoftonline.com/",
		"AzureUSGovernmentCloud": "https://login.microsoftonline.us/",
		"AzureChinaCloud":        "https://login.chinacloudapi.cn/",
		"AzureStackCloud":        "https://login.own.test/",
	} {
		if got, err := AuthorityOf(name, file); err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, text := range []string{`{`, `{}`, `{"activeDirectoryEndpoint":"http://x/"}`} {
		write(text)
		if got, err := AuthorityOf("AzureStackCloud", file); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
	if _, err := AuthorityOf("AzureStackCloud", file+"x"); err == nil || !strings.Contains(err.Error(), "AZURE_ENVIRONMENT_FILEPATH") {
		t.Error(err)
	}
	if _, err := AuthorityOf("AzureGermanCloud", ""); err == nil || !strings.Contains(err.Error(), "AzureGermanCloud") {
		t.Error(err)
	}
}

func TestLabelSelector(t *testing.T) {
	for text, want := range map[string]*metav1.LabelSelector{
		"":                         nil,
		" ":                        nil,
		"a=b":                      {MatchLabels: map[string]string{"a": "b"}, MatchExpressions: []metav1.LabelSelectorRequirement{}},
		`{"matchLabels":{"a":""}}`: {MatchLabels: map[string]string{"a": ""}},
	} {
		got, err := labelSelector(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range append(Modes(), "") {
		if got, err := ParseMode(string(m)); err != nil || got != m && (m != "" || got != Workload) {
			t.Errorf("%q: %q, %v", m, got, err)
		}
	}
	if _, err := ParseMode("Workload"); err == nil {
		t.Error("modes are written in one way")
	}
}
