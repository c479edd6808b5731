package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/localissuer"
)

// A refused request is one line of the catalogue: for each reason what is sent,
// and the whole of what comes back. It is written out here once more, so that
// the table of the answers cannot change without this one.
type refused struct {
	reason exchange.Reason
	code   int
	status int
	error  string
	text   string // between the code and the trace id; see values
	page   bool   // error_uri is there
	// send makes the request in the world of the catalogue, or in one of its own
	// that it returns.
	send func(t *testing.T, w *world) (*world, response)
}

// neverTold are the codes of Entra for token requests that are known
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes, and
// what its users quote) and that this service has no use for.
var neverTold = map[int]string{
	16000:   "interactive sign-in: nobody signs in here",
	28003:   "a scope that is empty is a parameter that is missing: 900144",
	50012:   "a signature that does not verify is 50027, certificate or not",
	50105:   "the assignment of users; that of applications is 501051",
	50146:   "an application has no signing key of its own",
	50166:   "an older form of 501661",
	50196:   "loops of interactive clients",
	65001:   "consent: there are no delegated permissions",
	70000:   "authorization codes and refresh tokens are other grants",
	70002:   "an older form of the codes about credentials",
	70021:   "the form before 700211, 700212 and 700213",
	70052:   "an assertion of Entra's own tenant; ours are 700222",
	90013:   "says less than 9002313",
	90014:   "an older form of 900144",
	90061:   "an older form of 501661",
	500131:  "on-behalf-of is another grant",
	500133:  "on-behalf-of is another grant; ours is 700024",
	501461:  "claims mapping: tokens have no custom claims",
	700021:  "an assertion of another client is one of an issuer that nobody trusts: 700211",
	700223:  "no tenant policy switches federation off",
	700229:  "an assertion of Entra's own tenant; ours are 700222",
	700238:  "no tenant policy constrains issuers",
	900382:  "there is one cloud",
	7000113: "on-behalf-of is another grant",
	7000114: "on-behalf-of is another grant",
	7000218: "the same of the other grants; of this one it is 7000216",
	7002131: "there are no expressions in credentials",
	7002137: "subjects of Entra's own services",
	7002381: "no tenant policy constrains issuers",
}

// TestCatalogue produces every answer that the endpoint has, each by a request
// over HTTP, and compares all of it.
func TestCatalogue(t *testing.T) {
	shared := newWorld(t, "127.0.0.1")
	api := shared.application(directory.Application{DisplayName: "api", IdentifierURIs: []string{"api://api"}})
	closed := shared.application(directory.Application{DisplayName: "closed", IdentifierURIs: []string{"api://closed"}})
	bare := shared.application(directory.Application{DisplayName: "bare"})
	off := shared.application(directory.Application{DisplayName: "off"})
	orphan, err := shared.dir.CreateApplication(t.Context(), shared.caller, directory.Application{DisplayName: "orphan"})
	shared.check(err)
	no, yes := false, true
	shared.check(shared.dir.UpdateServicePrincipal(t.Context(), shared.caller, directory.Ref{AppID: off.AppID}, directory.PrincipalEdit{Enabled: &no}))
	shared.check(shared.dir.UpdateServicePrincipal(t.Context(), shared.caller, directory.Ref{AppID: closed.AppID}, directory.PrincipalEdit{Enabled: &no}))
	shared.check(shared.dir.UpdateServicePrincipal(t.Context(), shared.caller, directory.Ref{AppID: api.AppID}, directory.PrincipalEdit{AssignmentRequired: &yes}))
	// The keys are RSA keys; ES256 is allowed, but no key fits it.
	_, _, err = shared.dir.PutIssuer(t.Context(), shared.caller, directory.Issuer{Name: "cluster", URL: shared.issuer.URL(), Algorithms: []string{"RS256", "ES256"}})
	shared.check(err)
	ownToken := shared.post(shared.tokenPath(), shared.fields()).object(t)["access_token"].(string)
	expired := shared.secret(directory.NewSecret{Start: shared.clock.Now().Add(-2 * time.Hour), End: shared.clock.Now().Add(-time.Hour)})
	good, over, unknown := shared.holder(), shared.holder(), shared.holder()
	shared.certify(good.certificate(), directory.Certificate{DER: over.der, End: shared.clock.Now().Add(-time.Minute)})
	used := good.sign(nil)
	if r := shared.post(shared.tokenPath(), shared.fields("client_assertion", used)); r.StatusCode != http.StatusOK {
		t.Fatalf("%s", r.body)
	}
	at := func(d time.Duration) *time.Time { moment := shared.clock.Now().Add(d); return &moment }

	const correlation = "aaaaaaaa-1111-4222-8333-444444444444"
	named := []string{"Client-Request-Id", correlation}
	post := func(changes ...string) func(*testing.T, *world) (*world, response) {
		return func(_ *testing.T, w *world) (*world, response) {
			return w, w.post(w.tokenPath(), w.fields(changes...), named...)
		}
	}
	presented := func(token localissuer.Token) func(*testing.T, *world) (*world, response) {
		return func(t *testing.T, w *world) (*world, response) { return post("client_assertion", w.mint(token))(t, w) }
	}
	signed := func(by *holder, claims members) func(*testing.T, *world) (*world, response) {
		return func(t *testing.T, w *world) (*world, response) {
			return post("client_assertion", by.sign(claims))(t, w)
		}
	}
	tenant := func(name string) func(*testing.T, *world) (*world, response) {
		return func(_ *testing.T, w *world) (*world, response) {
			return w, w.post("/"+name+"/oauth2/v2.0/token", w.fields(), named...)
		}
	}
	get := func(path string) func(*testing.T, *world) (*world, response) {
		return func(_ *testing.T, w *world) (*world, response) { return w, w.get(path, named...) }
	}
	body := func(text string, headers ...string) func(*testing.T, *world) (*world, response) {
		return func(_ *testing.T, w *world) (*world, response) {
			return w, w.send(http.MethodPost, w.tokenPath(), text, append(headers, named...)...)
		}
	}
	troubled := func(allow string, faults localissuer.Faults) func(*testing.T, *world) (*world, response) {
		return func(t *testing.T, _ *world) (*world, response) {
			w := newWorld(t, allow)
			w.issuer.SetFaults(faults)
			return post()(t, w)
		}
	}
	const form = "application/x-www-form-urlencoded"
	const (
		match       = "No matching federated identity record found for presented assertion "
		check       = " Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
		outside     = "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {…}, expiry time of assertion {…}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
		installed   = " This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
		oidc        = "Request to External OIDC endpoint failed."
		badJWT      = "JWT token is invalid or malformed."
		unsupported = "Invalid JWT token. Unsupported key for the signing algorithm."
		badRequest  = "Invalid request. Request is malformed or invalid."
	)

	catalogue := []refused{
		{exchange.TenantEmpty, 900021, 400, "invalid_request", "Requested tenant identifier '00000000-0000-0000-0000-000000000000' is not valid. Tenant identifiers may not be an empty GUID.", false, tenant("00000000-0000-0000-0000-000000000000")},
		{exchange.TenantMalformed, 900023, 400, "invalid_request", "Specified tenant identifier 'contoso' is neither a valid DNS name, nor a valid external domain.", false, tenant("contoso")},
		{exchange.TenantNotFound, 90002, 400, "invalid_request", "Tenant 'other.example.test' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", true, tenant("other.example.test")},
		{exchange.TenantNotFound, 90002, 400, "invalid_tenant", "Tenant 'other.example.test' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", true, get("/other.example.test/v2.0/.well-known/openid-configuration")},
		{exchange.ParameterMissing, 900144, 400, "invalid_request", "The request body must contain the following parameter: 'client_id'.", true, post("client_id", "")},
		{exchange.ClientNotFound, 700016, 400, "unauthorized_client", "Application with identifier '{tenantId}' was not found in the directory 'Example'." + installed + "You may have sent your authentication request to the wrong tenant.", true, post("client_id", shared.tenant.ID)},
		{exchange.PrincipalNotFound, 7000229, 401, "unauthorized_client", "The client application " + orphan.AppID + " is missing service principal in the tenant {tenantId}.", false, post("client_id", orphan.AppID)},
		{exchange.ClientDisabled, 7000112, 400, "unauthorized_client", "Application '" + off.AppID + "'(off) is disabled.", false, post("client_id", off.AppID)},
		{exchange.ProofMissing, 7000216, 401, "invalid_client", "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.", true, post("client_assertion", "")},

		{exchange.AssertionMalformed, 50027, 400, "invalid_request", badJWT, true, post("client_assertion", "nonsense")},
		{exchange.CertificateSubject, 50048, 401, "invalid_client", "Subject must match the issuer claim in the client assertion.", true, signed(good, members{"sub": "other"})},
		{exchange.CertificateAudience, 700023, 401, "invalid_client", "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .", true, signed(good, members{"aud": "https://login.microsoftonline.com/" + shared.tenant.ID + "/oauth2/v2.0/token"})},
		{exchange.CertificateNotFound, 700027, 401, "invalid_client", "Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client: '" + unknown.thumbprint() + "']", true, signed(unknown, nil)},
		{exchange.CertificateNotFound, 700027, 401, "invalid_client", "Client assertion contains an invalid signature. [Reason - The key was not found.]", true, presented(localissuer.Token{Issuer: &shared.clientID, Subject: &shared.clientID, Audiences: []string{shared.server.URL + "/" + shared.tenant.ID}})},
		{exchange.CertificateExpired, 700027, 401, "invalid_client", "Client assertion contains an invalid signature. [Reason - The key used is expired., Thumbprint of key used by client: '" + over.thumbprint() + "']", true, signed(over, nil)},
		{exchange.CertificateSignature, 700027, 401, "invalid_client", "Client assertion contains an invalid signature. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '" + good.thumbprint() + "']", true, signed(&holder{shared, unknown.key, good.der}, nil)},
		{exchange.AssertionLasting, 700024, 401, "invalid_client", outside + " It may expire at most 24 hours ahead.", true, signed(good, members{"exp": shared.clock.Now().Add(25 * time.Hour).Unix()})},
		{exchange.AssertionSpent, 50013, 401, "invalid_client", "Assertion is invalid: it was used for this resource before. Sign a new one, with a 'jti' of its own, for each request.", true, post("client_assertion", used)},
		{exchange.OwnToken, 700222, 401, "invalid_client", "AAD-issued tokens may not be used for federated identity flows.", false, post("client_assertion", ownToken)},
		{exchange.NoCredential, 70025, 401, "invalid_client", "The client '" + bare.AppID + "'(bare) has no configured federated identity credentials.", false, post("client_id", bare.AppID)},
		{exchange.IssuerMiss, 700211, 401, "invalid_client", match + "issuer 'https://elsewhere.example.test/'." + check, false, presented(localissuer.Token{Issuer: text("https://elsewhere.example.test/")})},
		{exchange.SubjectMiss, 700213, 401, "invalid_client", match + "subject 'system:serviceaccount:default:other'." + check, false, presented(localissuer.Token{ServiceAccount: "other"})},
		{exchange.SubjectCaseMiss, 7002138, 401, "invalid_client", match + "subject 'system:serviceaccount:default:Default'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. See documentation at: https://learn.microsoft.com/entra/workload-id/workload-identity-federation. See breaking change notification and remediation at: https://learn.microsoft.com/en-us/entra/identity-platform/reference-breaking-changes#august-2024. ", false, presented(localissuer.Token{ServiceAccount: "Default"})},
		{exchange.AudienceMiss, 700212, 401, "invalid_client", match + "audience 'https://kubernetes.default.svc'." + check, false, presented(localissuer.Token{Audiences: []string{"https://kubernetes.default.svc"}})},
		{exchange.AssertionExpired, 700024, 401, "invalid_client", outside, true, presented(localissuer.Token{Expiry: at(-6 * time.Minute)})},
		{exchange.AssertionEarly, 700024, 401, "invalid_client", outside, true, presented(localissuer.Token{NotBefore: at(6 * time.Minute)})},
		{exchange.AlgorithmNotAllowed, 5002730, 400, "invalid_request", unsupported, false, presented(localissuer.Token{Header: map[string]any{"alg": "HS256"}})},
		{exchange.KeyUnsuitable, 5002730, 400, "invalid_request", unsupported, false, presented(localissuer.Token{Header: map[string]any{"alg": "ES256"}})},
		{exchange.BadSignature, 50027, 400, "invalid_request", badJWT, true, presented(localissuer.Token{BadSignature: true})},
		{exchange.IssuerUnreachable, 501661, 400, "invalid_request", oidc, false, troubled("127.0.0.1", localissuer.Faults{Status: 500})},
		{exchange.IssuerInvalid, 501661, 400, "invalid_request", oidc, false, troubled("127.0.0.1", localissuer.Faults{Body: []byte("{}")})},
		{exchange.IssuerAddressRefused, 501661, 400, "invalid_request", oidc + " The issuer's address is private or reserved: to allow it, start the server with --issuer-allow and the host name, address or CIDR of the issuer.", false, troubled("", localissuer.Faults{})},
		{exchange.SecretWrong, 7000215, 401, "invalid_client", "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.", true, post("client_assertion", "", "client_secret", expired+"x")},
		{exchange.SecretExpired, 7000222, 401, "invalid_client", "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", true, post("client_assertion", "", "client_secret", expired)},

		{exchange.ScopeInvalid, 1002012, 400, "invalid_scope", "The provided value for scope https://vault.azure.net/x openid is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", false, post("scope", "https://vault.azure.net/x openid")},
		{exchange.ScopeMixed, 70011, 400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid. The scope api://api/.default api://api/x is not valid.", true, post("scope", "api://api/.default api://api/x")},
		{exchange.ScopeManyResources, 700022, 400, "invalid_scope", "The provided value for the input parameter 'scope' isn't valid because it contains more than one resource. Scope api://api/.default api://b/.default is not valid.", false, post("scope", "api://api/.default api://b/.default")},
		{exchange.ResourceNotFound, 500011, 400, "invalid_resource", "The resource principal named api://unknown was not found in the tenant named Example." + installed + "You might have sent your authentication request to the wrong tenant.", true, post("scope", "api://unknown/.default")},
		{exchange.ResourceNotFoundV1, 50001, 400, "invalid_resource", "The application named api://unknown was not found in the tenant named {tenantId}." + installed + "You might have sent your authentication request to the wrong tenant.", true, func(_ *testing.T, w *world) (*world, response) {
			return w, w.post("/"+w.tenant.ID+"/oauth2/token", w.fields("scope", "", "resource", "api://unknown"), named...)
		}},
		{exchange.ResourceDisabled, 500014, 400, "invalid_resource", "The service principal for resource 'api://closed' is disabled. This indicate that a subscription within the tenant has lapsed, or that the administrator for this tenant has disabled the application, preventing tokens from being issued for it.", true, post("scope", "api://closed/.default")},
		{exchange.NotAssigned, 501051, 400, "invalid_grant", "Application '{client}'(workload) is not assigned to a role for the application '" + api.AppID + "'(api).", false, post("scope", "api://api/.default")},
		{exchange.Overloaded, 90055, 429, "temporarily_unavailable", "There are too many incoming requests. Please try again in a moment.", false, func(t *testing.T, _ *world) (*world, response) {
			return post()(t, newWorld(t, "127.0.0.1", func(c *exchange.Config) { c.Queue = -1 }))
		}},

		{methodRefused, 900561, 405, "invalid_request", "The endpoint only accepts POST requests. Received a GET request.", false, get(shared.tokenPath())},
		{routeUnknown, 9002313, 404, "invalid_request", badRequest, true, get("/" + shared.tenant.ID + "/oauth2/v2.0/devicecode")},
		{formMalformed, 9002313, 400, "invalid_request", badRequest, true, body("grant_type=client_credentials&grant_type=client_credentials", "Content-Type", form)},
		{formTooLarge, 9002313, 413, "invalid_request", badRequest, true, body(strings.Repeat("a", maxBody+1), "Content-Type", form)},
		{encodingRefused, 9002313, 415, "invalid_request", badRequest, true, body("grant_type=x", "Content-Type", form, "Content-Encoding", "br")},
		{grantRefused, 70003, 400, "unsupported_grant_type", "The app requested an unsupported grant type 'urn:ietf:params:oauth:grant-type:jwt-bearer'.", false, post("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")},
		{resourceRefused, 901002, 400, "invalid_request", "The 'resource' request parameter isn't supported.", false, post("resource", "https://vault.azure.net")},
		{instanceUnknown, 50049, 400, "invalid_instance", "Unknown or invalid instance.", true, get("/common/discovery/instance?authorization_endpoint=https://elsewhere.example.test/common/oauth2/authorize")},
		{unavailable, 90033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again.", false, func(t *testing.T, _ *world) (*world, response) {
			w := newWorld(t, "127.0.0.1")
			w.check(w.dir.DB.Close())
			return post()(t, w)
		}},
		{broken, 50000, 500, "server_error", "There was an error issuing a token.", false, func(t *testing.T, _ *world) (*world, response) {
			w := newWorld(t, "127.0.0.1")
			w.surface.config.Host = func(*http.Request) Host { panic("on purpose") }
			return get("/.well-known/webfinger")(t, w)
		}},

		// Last: after these the issuer has been asked in vain.
		{exchange.KeyNotFound, 7000272, 401, "invalid_client", "The certificate with identifier made-up used to sign the federated credential could not be found in the metadata of identity provider {issuer}. Please validate that your Identity Provider's metadata exposes the key used to sign the incoming token.", true, func(t *testing.T, w *world) (*world, response) {
			w.clock.Add(6 * time.Second) // past the cool-down of the first fetch
			return presented(localissuer.Token{KeyID: text("made-up")})(t, w)
		}},
		{exchange.InDoubt, 90033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again. The key of the presented assertion is not known yet and its issuer was asked a moment ago.", false, presented(localissuer.Token{KeyID: text("another")})},
	}

	shared.recorded()
	told, codes := map[exchange.Reason]bool{}, map[int]bool{}
	for _, c := range catalogue {
		told[c.reason], codes[c.code] = true, true
		t.Run(fmt.Sprint(c.code, " ", c.reason), func(t *testing.T) {
			w, r := c.send(t, shared)
			if records := w.recorded(); len(records) > 1 || len(records) == 1 && (records[0].code != c.code || reasonOf(records[0].err) != c.reason) {
				t.Errorf("it is recorded as %+v", records)
			}
			c.compare(t, w, r, correlation)
		})
	}
	if want := slices.Sorted(maps.Keys(answers)); !slices.Equal(slices.Sorted(maps.Keys(told)), want) {
		t.Errorf("the reasons of the catalogue are\n%q\nand those of the answers\n%q", slices.Sorted(maps.Keys(told)), want)
	}
	for code, why := range neverTold {
		if codes[code] || why == "" {
			t.Errorf("%d is listed as never told because %q, and told: %v", code, why, codes[code])
		}
	}
}

// reasonOf is the reason of what Record was told.
func reasonOf(err error) exchange.Reason {
	if e, ok := errors.AsType[*exchange.Error](err); ok {
		return e.Reason
	}
	return unavailable
}

// compare looks at all of an answer: status, headers, and every member of the body.
func (c refused) compare(t *testing.T, w *world, r response, correlation string) {
	t.Helper()
	if r.StatusCode != c.status {
		t.Errorf("status %d, want %d", r.StatusCode, c.status)
	}
	var got map[string]any
	if err := json.Unmarshal(r.body, &got); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	members := []string{"correlation_id", "error", "error_codes", "error_description", "timestamp", "trace_id"}
	if c.page {
		members = append(members, "error_uri")
		if want := fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", c.code); got["error_uri"] != want {
			t.Errorf("error_uri %v, want %q", got["error_uri"], want)
		}
	}
	slices.Sort(members)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, members) {
		t.Errorf("members %q, want %q", names, members)
	}
	if got["error"] != c.error {
		t.Errorf("error %v, want %q", got["error"], c.error)
	}
	if codes := fmt.Sprint(got["error_codes"]); codes != fmt.Sprint([]float64{float64(c.code)}) {
		t.Errorf("error_codes %s, want %d", codes, c.code)
	}
	timestamp, trace := w.clock.Now().UTC().Format("2006-01-02 15:04:05Z"), r.Header.Get("X-Ms-Request-Id")
	if got["timestamp"] != timestamp || got["trace_id"] != trace || !directory.IsID(trace) || got["correlation_id"] != correlation {
		t.Errorf("timestamp %v, trace_id %v, correlation_id %v; want %s, %s, %s", got["timestamp"], got["trace_id"], got["correlation_id"], timestamp, trace, correlation)
	}

	const moment = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z`
	want := strings.NewReplacer("{tenantId}", w.tenant.ID, "{client}", w.clientID, "{issuer}", w.issuer.URL(), "{now}", w.clock.Now().UTC().Format("2006-01-02T15:04:05.0000000Z")).Replace(c.text)
	want = fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", c.code, want, trace, correlation, timestamp)
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), regexp.QuoteMeta("{…}"), moment) + "$")
	if description, _ := got["error_description"].(string); !pattern.MatchString(description) {
		t.Errorf("description\n%q, want\n%q", description, want)
	}

	if retry := r.Header.Get("Retry-After"); (retry != "") != (c.status == 429 || c.status >= 500) {
		t.Errorf("Retry-After %q with %d", retry, c.status)
	}
	if allow := r.Header.Get("Allow"); (allow != "") != (c.status == 405) {
		t.Errorf("Allow %q with %d", allow, c.status)
	}
	for name, value := range map[string]string{"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "Content-Type": "application/json; charset=utf-8", "X-Content-Type-Options": "nosniff"} {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s %q, want %q", name, got, value)
		}
	}
}
