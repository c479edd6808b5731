package token

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/entente-id/entente/internal/exchange"
)

// The reasons that only the wire knows.
const (
	methodRefused   exchange.Reason = "method_refused"
	routeUnknown    exchange.Reason = "route_unknown"
	formMalformed   exchange.Reason = "form_malformed"
	formTooLarge    exchange.Reason = "form_too_large"
	encodingRefused exchange.Reason = "encoding_refused"
	grantRefused    exchange.Reason = "grant_refused"
	resourceRefused exchange.Reason = "resource_refused" // the parameter, on the endpoint that takes scopes
	instanceUnknown exchange.Reason = "instance_unknown"
	unavailable     exchange.Reason = "unavailable" // the request could not be judged
	broken          exchange.Reason = "broken"      // a fault of ours
)

// An answer is how a reason is told.
type answer struct {
	code   int    // the AADSTS number
	status int    // of the response
	error  string // RFC 6749 section 5.2, and Entra's own
	text   string // {names} are replaced
	page   bool   // Entra has a page about the code, and answers link it
}

const (
	documentation = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	noRecord      = "No matching federated identity record found for presented assertion "
	checkRecord   = " Check your federated identity credential Subject, Audience and Issuer against the presented assertion. " + documentation
	notInstalled  = " This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
	wrongTenant   = "You might have sent your authentication request to the wrong tenant."
	outOfTime     = "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {notBefore}, expiry time of assertion {expiry}. Review the documentation at " + certificates + " ."
	noOIDC        = "Request to External OIDC endpoint failed."
	unsupported   = "Invalid JWT token. Unsupported key for the signing algorithm."
	malformedJWT  = "JWT token is invalid or malformed."
	badAssertion  = "Client assertion contains an invalid signature. [Reason - "
	certificates  = "https://learn.microsoft.com/entra/identity-platform/certificate-credentials"
	malformed     = "Invalid request. Request is malformed or invalid."
)

// The values of error.
const (
	invalidRequest = "invalid_request"
	invalidClient  = "invalid_client"
	invalidScope   = "invalid_scope"
	noResource     = "invalid_resource"
	noClient       = "unauthorized_client"
	comeBack       = "temporarily_unavailable"
)

// answers are the codes and texts of Entra, as they are documented
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes)
// and as its users have quoted them; each in its newest wording.
var answers = map[exchange.Reason]answer{
	exchange.TenantEmpty:       {900021, 400, invalidRequest, "Requested tenant identifier '{tenant}' is not valid. Tenant identifiers may not be an empty GUID.", false},
	exchange.TenantMalformed:   {900023, 400, invalidRequest, "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.", false},
	exchange.TenantNotFound:    {90002, 400, invalidRequest, "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", true},
	exchange.ParameterMissing:  {900144, 400, invalidRequest, "The request body must contain the following parameter: '{parameter}'.", true},
	exchange.ClientNotFound:    {700016, 400, noClient, "Application with identifier '{client}' was not found in the directory '{directory}'." + notInstalled + "You may have sent your authentication request to the wrong tenant.", true},
	exchange.PrincipalNotFound: {7000229, 401, noClient, "The client application {client} is missing service principal in the tenant {tenantId}.", false},
	exchange.ClientDisabled:    {7000112, 400, noClient, "Application '{client}'({clientName}) is disabled.", false},
	exchange.ProofMissing:      {7000216, 401, invalidClient, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.", true},

	exchange.AssertionMalformed: {50027, 400, invalidRequest, malformedJWT, true},
	exchange.OwnToken:           {700222, 401, invalidClient, "AAD-issued tokens may not be used for federated identity flows.", false},

	exchange.NoCredential:    {70025, 401, invalidClient, "The client '{client}'({clientName}) has no configured federated identity credentials.", false},
	exchange.IssuerMiss:      {700211, 401, invalidClient, noRecord + "issuer '{issuer}'." + checkRecord, false},
	exchange.SubjectMiss:     {700213, 401, invalidClient, noRecord + "subject '{subject}'." + checkRecord, false},
	exchange.SubjectCaseMiss: {7002138, 401, invalidClient, noRecord + "subject '{subject}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. See documentation at: " + documentation + ". See breaking change notification and remediation at: https://learn.microsoft.com/en-us/entra/identity-platform/reference-breaking-changes#august-2024. ", false},
	exchange.AudienceMiss:    {700212, 401, invalidClient, noRecord + "audience '{audience}'." + checkRecord, false},

	exchange.CertificateSubject:   {50048, 401, invalidClient, "Subject must match the issuer claim in the client assertion.", true},
	exchange.CertificateAudience:  {700023, 401, invalidClient, "Client assertion audience claim does not match Realm issuer. Review the documentation at " + certificates + " .", true},
	exchange.CertificateNotFound:  {700027, 401, invalidClient, badAssertion + "The key was not found.{thumbprint}]", true},
	exchange.CertificateExpired:   {700027, 401, invalidClient, badAssertion + "The key used is expired.{thumbprint}]", true},
	exchange.CertificateSignature: {700027, 401, invalidClient, badAssertion + "The provided signature value did not match the expected signature value.{thumbprint}]", true},
	exchange.AssertionLasting:     {700024, 401, invalidClient, outOfTime + " It may expire at most 24 hours ahead.", true},
	exchange.AssertionSpent:       {50013, 401, invalidClient, "Assertion is invalid: it was used for this resource before. Sign a new one, with a 'jti' of its own, for each request.", true},

	exchange.AssertionExpired:     {700024, 401, invalidClient, outOfTime, true},
	exchange.AssertionEarly:       {700024, 401, invalidClient, outOfTime, true},
	exchange.AlgorithmNotAllowed:  {5002730, 400, invalidRequest, unsupported, false},
	exchange.KeyUnsuitable:        {5002730, 400, invalidRequest, unsupported, false},
	exchange.KeyNotFound:          {7000272, 401, invalidClient, "The certificate with identifier {keyId} used to sign the federated credential could not be found in the metadata of identity provider {issuer}. Please validate that your Identity Provider's metadata exposes the key used to sign the incoming token.", true},
	exchange.BadSignature:         {50027, 400, invalidRequest, malformedJWT, true},
	exchange.IssuerUnreachable:    {501661, 400, invalidRequest, noOIDC, false},
	exchange.IssuerInvalid:        {501661, 400, invalidRequest, noOIDC, false},
	exchange.IssuerAddressRefused: {501661, 400, invalidRequest, noOIDC + " The issuer's address is private or reserved: to allow it, start the server with --issuer-allow and the host name, address or CIDR of the issuer.", false},
	exchange.InDoubt:              {90033, 503, comeBack, "A transient error has occurred. Please try again. The key of the presented assertion is not known yet and its issuer was asked a moment ago.", false},
	exchange.SecretWrong:          {7000215, 401, invalidClient, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.", true},
	exchange.SecretExpired:        {7000222, 401, invalidClient, "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", true},

	exchange.ScopeInvalid:       {1002012, 400, invalidScope, "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", false},
	exchange.ScopeMixed:         {70011, 400, invalidScope, "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.", true},
	exchange.ScopeManyResources: {700022, 400, invalidScope, "The provided value for the input parameter 'scope' isn't valid because it contains more than one resource. Scope {scope} is not valid.", false},
	exchange.ResourceNotFound:   {500011, 400, noResource, "The resource principal named {resource} was not found in the tenant named {directory}." + notInstalled + wrongTenant, true},
	exchange.ResourceNotFoundV1: {50001, 400, noResource, "The application named {resource} was not found in the tenant named {tenantId}." + notInstalled + wrongTenant, true},
	exchange.ResourceDisabled:   {500014, 400, noResource, "The service principal for resource '{resource}' is disabled. This indicate that a subscription within the tenant has lapsed, or that the administrator for this tenant has disabled the application, preventing tokens from being issued for it.", true},
	exchange.NotAssigned:        {501051, 400, "invalid_grant", "Application '{client}'({clientName}) is not assigned to a role for the application '{resource}'({resourceName}).", false},
	exchange.Overloaded:         {90055, 429, comeBack, "There are too many incoming requests. Please try again in a moment.", false},

	methodRefused:   {900561, 405, invalidRequest, "The endpoint only accepts {parameter} requests. Received a {given} request.", false},
	routeUnknown:    {9002313, 404, invalidRequest, malformed, true},
	formMalformed:   {9002313, 400, invalidRequest, malformed, true},
	formTooLarge:    {9002313, 413, invalidRequest, malformed, true},
	encodingRefused: {9002313, 415, invalidRequest, malformed, true},
	grantRefused:    {70003, 400, "unsupported_grant_type", "The app requested an unsupported grant type '{given}'.", false},
	resourceRefused: {901002, 400, invalidRequest, "The 'resource' request parameter isn't supported.", false},
	instanceUnknown: {50049, 400, "invalid_instance", "Unknown or invalid instance.", true},
	unavailable:     {90033, 503, comeBack, "A transient error has occurred. Please try again.", false},
	broken:          {50000, 500, "server_error", "There was an error issuing a token.", false},
}

// refusal is the body of an error (RFC 6749 section 5.2 with Entra's members).
type refusal struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
}

// refuse is the one writer of errors. It returns the code that it told.
func (s *Surface) refuse(w http.ResponseWriter, r *http.Request, err error) int {
	e, ok := errors.AsType[*exchange.Error](err)
	if !ok {
		if r.Context().Err() == nil { // nobody has gone away
			s.config.Log.ErrorContext(r.Context(), "token request could not be judged", "error", err)
		}
		e = &exchange.Error{Reason: unavailable, RetryAfter: time.Second}
	}
	a, ok := answers[e.Reason]
	if !ok {
		s.config.Log.ErrorContext(r.Context(), "no answer for a reason", "reason", string(e.Reason))
		a = answers[broken]
	}
	if r.Method != http.MethodPost && a.code == 90002 {
		a.error = "invalid_tenant"
	}
	trace, correlation, timestamp := traceID(w), correlationID(r), s.config.Clock().UTC().Format("2006-01-02 15:04:05Z")
	body := refusal{
		Error:       a.error,
		Description: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", a.code, fill(a.text, e), trace, correlation, timestamp),
		Codes:       []int{a.code}, Timestamp: timestamp, TraceID: trace, CorrelationID: correlation,
	}
	if a.page {
		body.URI = fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", a.code)
	}
	if a.status == http.StatusTooManyRequests || a.status >= 500 {
		// MSAL for Node answers itself for a minute when this is missing; with
		// any other status MSAL takes it for a reason not to ask again.
		seconds := max(1, int((e.RetryAfter+time.Second-1)/time.Second))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if a.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="entente"`) // RFC 6749 section 5.2
	}
	attrs := []slog.Attr{slog.String("correlation", correlation)}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", clean(e.Err.Error())))
	}
	s.config.Note(r.Context(), attrs...)
	noStore(w)
	s.write(w, r, a.status, body)
	return a.code
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Expires", "-1")
}

// fill puts the values of an error into a text, cleaned.
func fill(text string, e *exchange.Error) string {
	const moment = "2006-01-02T15:04:05.0000000Z"
	notBefore := e.NotBefore
	if notBefore.IsZero() {
		notBefore = time.Unix(0, 0) // so does Entra
	}
	thumbprint := ""
	if e.Thumbprint != "" {
		thumbprint = fmt.Sprintf(", Thumbprint of key used by client: '%s'", clean(e.Thumbprint))
	}
	return strings.NewReplacer(
		"{thumbprint}", thumbprint, "{tenant}", clean(e.Tenant), "{tenantId}", e.TenantID, "{directory}", clean(e.TenantName),
		"{client}", clean(e.ClientID), "{clientName}", clean(e.ClientName),
		"{issuer}", clean(e.Issuer), "{subject}", clean(e.Subject), "{audience}", clean(strings.Join(e.Audiences, ", ")), "{keyId}", clean(e.KeyID),
		"{parameter}", clean(e.Parameter), "{given}", clean(e.Given), "{scope}", clean(e.Scope), "{resource}", clean(e.Resource), "{resourceName}", clean(e.ResourceName),
		"{now}", e.Now.UTC().Format(moment), "{notBefore}", notBefore.UTC().Format(moment), "{expiry}", e.Expiry.UTC().Format(moment),
	).Replace(text)
}

// longest is how many characters of a value are repeated: as many as an issuer,
// subject or audience may have, so that they can be compared.
const longest = 600

// clean makes what a stranger sent safe to repeat: one line, no characters that
// steer a terminal or turn the direction of text, and not more than longest.
func clean(value string) string {
	var b strings.Builder
	n := 0
	for _, c := range value {
		if n++; n > longest {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(c) {
			c = unicode.ReplacementChar
		}
		b.WriteRune(c)
	}
	return b.String()
}
