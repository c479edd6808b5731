package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/localissuer"
)

// refusing is an authority that refuses everything by one code.
func refusing(t *testing.T, w *world, status, code int) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprintf(out, `{"issuer":"https://%s/%s/v2.0"}`, r.Host, w.TenantID)
			return
		}
		out.WriteHeader(status)
		fmt.Fprintf(out, `{"error":"invalid_client","error_description":"AADSTS%d: no.","error_codes":[%d],"trace_id":"t"}`, code, code)
	}))
	t.Cleanup(s.Close)
	return s
}

// What an authority says when nothing that was seen explains it.
func TestRefusals(t *testing.T) {
	noRights := func(s *scene) { s.doctor.Target.Client = nil }
	for name, c := range map[string]struct {
		code int
		kind doctor.Kind
		seed func(*scene)
		want doctor.Cause
		has  string
	}{
		"no client":                         {700016, doctor.Azure, noRights, doctor.ClientNotFound, "which of them cannot be told"},
		"no tenant":                         {90002, doctor.Azure, noRights, doctor.TenantNotFound, "which of them cannot be told"},
		"no credential":                     {70025, doctor.Azure, noRights, doctor.NoCredential, "az ad app federated-credential list --id"},
		"another issuer":                    {700211, doctor.Azure, noRights, doctor.NoneMatches, "az ad app federated-credential list --id"},
		"another issuer, at an Entente":     {700211, doctor.Entente, noRights, doctor.NoneMatches, "entente federated-credential list --application"},
		"another audience":                  {700212, doctor.Azure, noRights, doctor.AudienceOther, ""},
		"another case":                      {7002138, doctor.Azure, noRights, doctor.SubjectCase, ""},
		"not known yet, with Azure":         {70025, doctor.Azure, nil, doctor.NotEffective, "wait some minutes"},
		"not known yet, 70021":              {70021, doctor.Azure, nil, doctor.NotEffective, "wait some minutes"},
		"not known yet, with Entente":       {700213, doctor.Entente, nil, doctor.NotEffective, "belongs to another tenant"},
		"expired, and new":                  {700024, doctor.Azure, nil, doctor.ClocksDiffer, "which clock is wrong cannot be told"},
		"keys of before, with Azure":        {7000272, doctor.Azure, nil, doctor.KeysOutdated, "Microsoft keeps an issuer's keys for a while"},
		"keys of before, with Entente":      {7000272, doctor.Entente, nil, doctor.KeysOutdated, "five seconds"},
		"documents, from a private address": {501661, doctor.Azure, nil, doctor.AddressRefused, "publish the two documents"},
		"documents, of old":                 {90061, doctor.Azure, nil, doctor.AddressRefused, ""},
		"documents, with Entente":           {501661, doctor.Entente, noRights, doctor.DiscoveryUnreachable, "which of them cannot be told"},
		"algorithm":                         {5002730, doctor.Azure, nil, doctor.AlgorithmNotAllowed, ""},
		"malformed":                         {50027, doctor.Azure, nil, doctor.TokenMalformed, ""},
		"an access token":                   {700222, doctor.Azure, nil, doctor.TokenOfAuthority, ""},
		"disabled":                          {7000112, doctor.Azure, noRights, doctor.ClientDisabled, ""},
		"no service principal":              {7000229, doctor.Azure, noRights, doctor.PrincipalMissing, ""},
		"no resource":                       {500011, doctor.Azure, nil, doctor.ResourceNotFound, "--resource names"},
		"no role":                           {501051, doctor.Azure, nil, doctor.ResourceRefused, ""},
		"scope":                             {1002012, doctor.Azure, nil, doctor.ScopeInvalid, ""},
		"a code that nobody knows":          {123456, doctor.Azure, nil, doctor.ExchangeRefused, "no check here knows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if c.seed != nil {
				c.seed(s)
			}
			authority := refusing(t, s.w, http.StatusBadRequest, c.code)
			s.doctor.Target.Kind, s.doctor.Target.Authority, s.doctor.Target.HTTP = c.kind, authority.URL, authority.Client()
			s.setEnv("AZURE_AUTHORITY_HOST", authority.URL)
			s.doctor.Roots = s.trusted()
			s.register()
			r := s.examine()
			if r.Verdict != doctor.Faulty || r.Cause != c.want || r.Checks[10].State != doctor.Failed {
				t.Fatalf("got %s %q, want %q: %s", r.Verdict, r.Cause, c.want, show(r))
			}
			if !strings.Contains(unescape(show(r)), c.has) {
				t.Errorf("no %q: %s", c.has, show(r))
			}
			if len(r.Faults()) != 1 {
				t.Errorf("more than one fault: %s", show(r))
			}
		})
	}
}

// A fault that an authority has gone past is none, and one that it has not come to may be.
func TestAuthorityKnowsBetter(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		after func(*scene)
		want  doctor.Cause
		check int
		state doctor.State
	}{
		// The documents are down as seen from here, and the refusal is about something before or after them.
		"before it reads documents": {700016, func(s *scene) { s.issuer.Close() }, doctor.ClientNotFound, 6, doctor.Unknown},
		"when it reads documents":   {501661, func(s *scene) { s.issuer.Close() }, doctor.DiscoveryRefused, 6, doctor.Failed},
		"after it read documents":   {500011, func(s *scene) { s.issuer.Close() }, doctor.ResourceNotFound, 6, doctor.Noted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			authority := refusing(t, s.w, http.StatusBadRequest, c.code)
			s.doctor.Target = doctor.Target{Kind: doctor.Azure, Authority: authority.URL, HTTP: authority.Client(), TenantID: s.w.TenantID, Scope: "x/.default"}
			s.setEnv("AZURE_AUTHORITY_HOST", authority.URL)
			s.doctor.Roots = s.trusted()
			s.register()
			c.after(s)
			r := s.examine()
			if r.Cause != c.want || r.Checks[c.check-1].State != c.state {
				t.Errorf("got %q, check %d %s, want %q and %s: %s", r.Cause, c.check, r.Checks[c.check-1].State, c.want, c.state, show(r))
			}
		})
	}
}

// What is particular to Azure and to its clouds.
func TestAzure(t *testing.T) {
	for authority, want := range map[string]string{
		"": audience, "https://login.microsoftonline.com": audience, "https://login.microsoftonline.us/": audience + "USGov",
		"https://login.chinacloudapi.cn": audience + "China", "https://login.partner.microsoftonline.cn": audience + "China", "https://entente.example": audience, "https://%": audience,
	} {
		if got := doctor.UsualAudience(authority); got != want {
			t.Errorf("%s: %s", authority, got)
		}
	}
	for name, c := range map[string]struct {
		config func(*localissuer.Config)
		seed   func(*scene)
		want   doctor.Cause
		has    string
	}{
		"issuer not enabled on AKS": {
			func(c *localissuer.Config) { c.URL = "https://pets-dns-1.hcp.westeurope.azmk8s.io" }, nil, doctor.IssuerNotEnabled, "az aks update --resource-group GROUP --name CLUSTER --enable-oidc-issuer",
		},
		"issuer not enabled elsewhere": {
			func(c *localissuer.Config) { c.URL = "https://kubernetes.default.svc" }, nil, doctor.IssuerNotEnabled, "--service-account-issuer",
		},
		// A credential that names the issuer which the cluster is to have is not what is wrong.
		"issuer not enabled, and a credential that is ahead of it": {
			func(c *localissuer.Config) { c.URL = "https://kubernetes.default.svc" },
			func(s *scene) { s.credential.Issuer = "https://westeurope.oic.prod-aks.azure.com/t/c/" },
			doctor.IssuerNotEnabled, "can be told when the cluster has one",
		},
		"a token of a Secret": {
			func(c *localissuer.Config) { c.URL, c.Path = "kubernetes/serviceaccount", "/" },
			func(s *scene) { s.credential.Issuer = "https://westeurope.oic.prod-aks.azure.com/t/c/" },
			doctor.IssuerNotEnabled, "of the kind before projected tokens",
		},
		"a CA that Entra does not trust": {nil, func(s *scene) { s.doctor.Roots = s.otherRoots() }, doctor.TLSUntrusted, "trusts public CAs alone"},
		"a caller who may read Azure's resources alone": {nil, func(s *scene) {
			s.doctor.Target.Client = s.as("00000000-0000-4000-8000-00000000dead", "wrong")
		}, doctor.ExchangeRefused, "may not read them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*localissuer.Config)
			if c.config != nil {
				change = append(change, c.config)
			}
			s := newScene(t, change...)
			s.spec = client.IssuerSpec{}
			code := 501661
			if c.want == doctor.ExchangeRefused {
				code = 1
			}
			authority := refusing(t, s.w, http.StatusBadRequest, code)
			s.doctor.Target.Kind, s.doctor.Target.Authority, s.doctor.Target.HTTP = doctor.Azure, authority.URL, authority.Client()
			s.setEnv("AZURE_AUTHORITY_HOST", authority.URL)
			s.doctor.Roots = s.trusted()
			s.credential.Issuer = s.issuer.URL()
			if c.seed != nil {
				c.seed(s)
			}
			s.register()
			r := s.examine()
			if r.Cause != c.want || !strings.Contains(unescape(show(r)), c.has) {
				t.Errorf("got %q, want %q and %q: %s", r.Cause, c.want, c.has, show(r))
			}
		})
	}
}
