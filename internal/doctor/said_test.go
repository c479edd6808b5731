package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/doctor"
)

// What programs print, in the words of their SDKs.
func TestReadError(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		codes []int
		cause doctor.Cause
		check int
	}{
		"Go, another subject": {`WorkloadIdentityCredential authentication failed.
POST https://login.microsoftonline.com/t/oauth2/v2.0/token
RESPONSE 401: Unauthorized
{
  "error": "invalid_client",
  "error_description": "AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:zoo:cat'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
  "error_codes": [700213]
}`, []int{700213}, doctor.SubjectOther, 10},
		"Node.js, another issuer":       {`AuthenticationRequiredError: invalid_client: Error(s): 700211 - Timestamp: 2024-03-01 07:41:07Z - Description: AADSTS700211: No matching federated identity record found for presented assertion issuer 'https://oidc.example'. - Correlation ID: c - Trace ID: t`, []int{700211}, doctor.NoneMatches, 10},
		"the old code, with everything": {`AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'https://oidc.example/'. Assertion Subject: 'system:serviceaccount:pets:cat'. Assertion Audience: 'api://AzureADTokenExchange'.`, []int{70021}, doctor.NoneMatches, 10},
		"audience":                      {`AADSTS700212: No matching federated identity record found for presented assertion audience 'x'.`, []int{700212}, doctor.AudienceOther, 10},
		"no client":                     {`AADSTS700016: Application with identifier '8be2fa73-eb7b-443e-88da-53dbd1a8c5d4' was not found in the directory 'Contoso'.`, []int{700016}, doctor.ClientNotFound, 9},
		"no credential":                 {`AADSTS70025: The client '8be2fa73-eb7b-443e-88da-53dbd1a8c5d4'(cat) has no configured federated identity credentials.`, []int{70025}, doctor.NoCredential, 10},
		"expired":                       {`AADSTS700024: Client assertion is not within its valid time range. Current time: 2024-06-04T11:40:28Z`, []int{700024}, doctor.TokenExpired, 5},
		"keys":                          {`AADSTS7000272: The certificate with identifier  used to sign the federated credential could not be found`, []int{7000272}, doctor.KeyUnpublished, 8},
		"documents":                     {`AADSTS501661: Request to External OIDC endpoint failed.`, []int{501661}, doctor.DiscoveryUnreachable, 6},
		"resource":                      {`AADSTS500011: The resource principal named https://x was not found in the tenant`, []int{500011}, doctor.ResourceNotFound, 11},
		"two codes":                     {`AADSTS90072 AADSTS700213 AADSTS700213`, []int{90072, 700213}, doctor.SubjectOther, 10},

		"Go, nothing injected":      {imds, nil, doctor.ClientIDMissing, 2},
		"Node.js, nothing injected": {`CredentialUnavailableError: WorkloadIdentityCredential: is unavailable. tenantId, clientId, and federatedTokenFilePath are required parameters.`, nil, doctor.NotInjected, 3},
		"Python, nothing injected":  {`WorkloadIdentityCredential authentication unavailable. The workload options are not fully configured. See the troubleshooting guide`, nil, doctor.NotInjected, 3},
		"IMDS, Python":              {`ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint.`, nil, doctor.AsksIMDS, 3},
		"IMDS, .NET":                {`Azure.Identity.CredentialUnavailableException: ManagedIdentityCredential authentication unavailable. No Managed Identity endpoint found.`, nil, doctor.AsksIMDS, 3},
		"IMDS, Java":                {`com.azure.identity.CredentialUnavailableException: Managed Identity authentication is not available.`, nil, doctor.AsksIMDS, 3},
		"IMDS, Go":                  {`ManagedIdentityCredential: failed to authenticate a system assigned identity. Get "http://169.254.169.254/metadata/identity/oauth2/token": context deadline exceeded`, nil, doctor.AsksIMDS, 3},
		"no file":                   {`open /var/run/secrets/azure/wi/token/azure-identity-token: no such file or directory`, nil, doctor.TokenFileNotMounted, 3},
		"no file, Node.js":          {`Error: ENOENT: no such file or directory, open '/var/run/secrets/azure/wi/token/azure-identity-token'`, nil, doctor.TokenFileNotMounted, 3},
		"instance discovery":        {`{"error":"invalid_instance","error_description":"AADSTS50049: Unknown or invalid instance."}`, []int{50049}, doctor.InstanceDiscovery, 11},
		"issuer and authority":      {`TenantDiscoveryResponse: issuer 'https://entente.example/t/v2.0' does not match authority 'https://login.entente.example/'`, nil, doctor.InstanceDiscovery, 11},
		"CA, Go":                    {`Post "https://entente.example/adfs/oauth2/v2.0/token": tls: failed to verify certificate: x509: certificate signed by unknown authority`, nil, doctor.AuthorityUntrusted, 11},
		"CA, Java":                  {`javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path`, nil, doctor.AuthorityUntrusted, 11},
		"CA, Python":                {`[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain`, nil, doctor.AuthorityUntrusted, 11},
		"name":                      {`dial tcp: lookup entente.example on 10.96.0.10:53: no such host`, nil, doctor.AuthorityUnreachable, 11},
		"configuration":             {`CredentialUnavailableError: endpoints_resolution_error: Endpoints cannot be resolved`, nil, doctor.AuthorityUnreachable, 11},
		"something else":            {`Segmentation fault`, nil, "", 0},
		"nothing":                   {``, nil, "", 0},
		"much":                      {strings.Repeat("x", 1<<20) + "AADSTS700213", nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := doctor.ReadError(c.text)
			if s.Cause != c.cause || s.Check != c.check || !slices.Equal(s.Codes, c.codes) || (s.Meaning == "") != (c.cause == "") {
				t.Errorf("%+v", s)
			}
			r := doctor.OfError(s)
			want := doctor.Faulty
			if c.cause == "" {
				want = doctor.Undetermined
			}
			if r.Verdict != want || r.Cause != c.cause || len(r.Checks) != 11 {
				t.Errorf("%s", show(r))
			}
		})
	}
	s := doctor.ReadError(`AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'i'. Assertion Subject: 's'. Assertion Audience: 'a'. Application with identifier 'c'`)
	if s.Issuer != "i" || s.Subject != "s" || s.Audience != "a" || s.ClientID != "c" {
		t.Errorf("%+v", s)
	}
	r := doctor.OfError(doctor.ReadError(`AADSTS700213: presented assertion subject 'system:serviceaccount:zoo:cat'.`))
	if got := r.Faults()[0].Mends[0].Commands; !slices.Equal(got, []string{"entente doctor serviceaccount cat --namespace zoo"}) {
		t.Errorf("%q", got)
	}
}

// An error beside what is seen: explained by it, not explained, or about something else.
func TestErrorBesideChecks(t *testing.T) {
	for name, c := range map[string]struct {
		error   string
		seed    func(*scene)
		want    doctor.Cause
		verdict doctor.Verdict
		by      int
		has     string
	}{
		"the slash": {`AADSTS700211: presented assertion issuer 'ISSUER'.`, func(s *scene) { s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/") }, doctor.IssuerSlashMissing, doctor.Faulty, 10, ""},
		"the label": {imds, (*scene).unlabel, doctor.LabelMissing, doctor.Faulty, 1, ""},
		"the annotation": {imds, func(s *scene) {
			s.account.Annotations = nil
			s.unsetEnv("AZURE_CLIENT_ID")
		}, doctor.ClientIDMissing, doctor.Faulty, 2, ""},
		"an old SDK":              {oldSDK, nil, doctor.AsksIMDS, doctor.Faulty, 3, "1.13.0 (Python)"},
		"mended since":            {`AADSTS700211: presented assertion issuer 'ISSUER'.`, nil, "", doctor.Undetermined, 0, "the exchange works now"},
		"another service account": {`AADSTS700213: presented assertion subject 'system:serviceaccount:zoo:cat'.`, nil, "", doctor.Undetermined, 0, "entente doctor serviceaccount cat --namespace zoo"},
		"another issuer":          {`AADSTS700211: presented assertion issuer 'https://old.example/'.`, nil, "", doctor.Undetermined, 0, "it is older, or of another cluster"},
		"the SDK's own doing":     {`issuer 'x' does not match authority 'y'`, nil, doctor.InstanceDiscovery, doctor.Faulty, 11, "AZURE_TENANT_ID=adfs"},
		"the program's CAs":       {`x509: certificate signed by unknown authority`, nil, doctor.AuthorityUntrusted, doctor.Faulty, 3, "SSL_CERT_FILE"},
		"anything":                {`boom`, nil, "", doctor.Undetermined, 0, "is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if c.seed != nil {
				c.seed(s)
			}
			s.register()
			s.question.Said = doctor.ReadError(strings.ReplaceAll(c.error, "ISSUER", s.issuer.URL()))
			r := s.examine()
			if r.Verdict != c.verdict || r.Cause != c.want || r.Error.ExplainedBy != c.by || !strings.Contains(unescape(show(r)), c.has) {
				t.Errorf("got %s %q by %d, want %s %q by %d: %s", r.Verdict, r.Cause, r.Error.ExplainedBy, c.verdict, c.want, c.by, show(r))
			}
		})
	}
}
