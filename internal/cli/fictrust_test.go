package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

func TestSubjects(t *testing.T) {
	for want, o := range map[string]trustOptions{
		"":                                          {},
		"anything":                                  {subject: "anything"},
		"system:serviceaccount:pets:web":            {serviceAccount: "pets/web"},
		"repo:contoso/shop:ref:refs/heads/main":     {github: "contoso/shop", branch: "main"},
		"repo:contoso/shop:ref:refs/heads/a/b":      {github: "contoso/shop", branch: "refs/heads/a/b"},
		"repo:contoso/shop:ref:refs/tags/v1":        {github: "contoso/shop", tag: "v1"},
		"repo:contoso/shop:pull_request":            {github: "contoso/shop", pullRequest: true},
		"repo:contoso/shop:environment:Prod%3Awest": {github: "contoso/shop", environment: "Prod:west"},
	} {
		if got, err := o.subjectOf(); got != want || err != nil {
			t.Errorf("%+v: %q, %v, want %q", o, got, err, want)
		}
	}
	for _, o := range []trustOptions{
		{subject: "x", serviceAccount: "a/b"}, {github: "contoso/shop"}, {github: "contoso/shop", branch: "a", tag: "b"}, {github: "shop", branch: "a"},
		{github: "a/b/c", branch: "a"}, {branch: "a"}, {serviceAccount: "web"}, {serviceAccount: "a/b/c"}, {serviceAccount: "A/b"}, {serviceAccount: "/b"},
	} {
		if got, err := o.subjectOf(); exitCode(err) != exitUsage {
			t.Errorf("%+v: %q, %v", o, got, err)
		}
	}
}

// Names by default can be those of both kinds of parent.
func TestDefaultNames(t *testing.T) {
	seen := map[string]bool{}
	for subject, want := range map[string]string{
		"system:serviceaccount:pets:web.v1":      "pets-web-v1-",
		"repo:contoso/shop:ref:refs/heads/a/b":   "github-contoso-shop-branch-a-b-",
		"repo:contoso/shop:ref:refs/tags/v1":     "github-contoso-shop-tag-v1-",
		"repo:contoso/shop:environment:Prod%3Aw": "github-contoso-shop-environment-Prod-3Aw-",
		strings.Repeat("é/", 200):                "",
		strings.Repeat("x", 600):                 strings.Repeat("x", 100) + "-",
		"*":                                      "",
	} {
		for _, issuer := range []string{"https://a.example/", "https://a.example"} {
			name := defaultName(issuer, subject)
			if !strings.HasPrefix(name, want) || seen[name] {
				t.Errorf("%s: %q", subject, name)
			}
			seen[name] = true
			for _, kind := range []credential.ParentKind{credential.Application, credential.ManagedIdentity} {
				if err := credential.ValidateName(name, kind); err != nil {
					t.Errorf("%s: %v", subject, err)
				}
			}
		}
	}
}

func TestNearlyTheSame(t *testing.T) {
	there := []client.FederatedCredential{{Name: "web", Issuer: "https://a.example/", Subject: "system:serviceaccount:pets:web"}}
	for _, tt := range []struct {
		issuer, subject string
		want            bool
	}{
		{"https://a.example", "system:serviceaccount:pets:web", true},
		{"https://A.example/", "system:serviceaccount:pets:Web", true},
		{"https://a.example/", "system:serviceaccount:pets:wеb", true},
		{"https://a.example/", "system:serviceaccount:pets:web2", false},
		{"https://b.example/", "system:serviceaccount:pets:web", false},
		{"https://a.example:8443/", "system:serviceaccount:pets:web", false},
		{"https://a.example/", "system:serviceaccount:pets:web", false}, // is the same
	} {
		if _, d := nearestOf(there, tt.issuer, tt.subject); credential.Slips(d) != tt.want {
			t.Errorf("%s, %s: %+v", tt.issuer, tt.subject, d)
		}
	}
}

// What ends by itself is waited for, and nothing else.
func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		err              error
		azure, inEntente bool
	}{
		{&client.TokenError{Status: 400, Codes: []int{70021}}, true, false},
		{&client.TokenError{Status: 401, Codes: []int{700213}}, true, false},
		{&client.TokenError{Status: 401, Codes: []int{700024}}, false, false}, // expired
		{&client.TokenError{Status: 503}, true, true},
		{&client.TokenError{Status: 429}, true, true},
		{errors.New("x"), false, false},
	} {
		if isPassing(tt.err, true) != tt.azure || isPassing(tt.err, false) != tt.inEntente {
			t.Errorf("%v", tt.err)
		}
	}
}

func TestWrongUsageOfLoginAndCredentials(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"ENTENTE_CONFIG", "ENTENTE_URL", "ENTENTE_CONTEXT", "ENTENTE_CLOUD", "ENTENTE_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "AZURE_CLIENT_SECRET"} {
		t.Setenv(name, "")
	}
	for line, want := range map[string]string{
		"login": "there is no current context",
		"login --cloud public --use-az --managed-identity":                         "give one way to log in",
		"login --cloud public --use-az --client-id x":                              "--client-id does not go with --use-az",
		"login --cloud public --certificate x":                                     "--client-id is missing",
		"login --cloud public --client-id x":                                       "nobody is there to ask for the client secret",
		"login --context a --cloud b":                                              "are two contexts",
		"context add lab":                                                          "give --url URL",
		"context add lab --url http://x":                                           "is not an https URL",
		"context add ../x --url https://x":                                         "is not up to 64",
		"context add lab --cloud mars":                                             `"mars" is none of public`,
		"context add lab --cloud public --url https://x":                           "--cloud is for Azure",
		"fic list --application a --managed-identity b -g c":                       "give one of --application",
		"fic create --application a --subject s":                                   "say whom to trust",
		"fic create --application a --subject s --issuer https://x --wait":         "--wait needs a token of the subject",
		"fic create --application a --subject s --issuer https://x --token-file y": "go with --wait",
		"fic update web --application a":                                           "say what to change",
		"whoami -o xml":                                                            "is none of table",
	} {
		code, out, errs := run(t, strings.Fields(line)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d\n%s%s\nwant %q", line, code, out, errs, want)
		}
	}
}
