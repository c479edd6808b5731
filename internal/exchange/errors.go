package exchange

import (
	"fmt"
	"strings"
	"time"
)

// Reason says why a request was refused. The set is closed, so that it may
// label a metric and so that a wire can have one answer for each.
type Reason string

// The reasons, by the step that finds them.
const (
	// 1. Peek.
	AssertionMalformed Reason = "assertion_malformed" // is no JWT, or not of the one form that is read
	OwnToken           Reason = "own_token"           // signed by this service

	// 2. Match, in the order in which they are told.
	TenantMalformed   Reason = "tenant_malformed"  // neither a GUID nor a domain name
	TenantEmpty       Reason = "tenant_empty"      // the GUID of zeros
	TenantNotFound    Reason = "tenant_not_found"  // no such tenant
	ParameterMissing  Reason = "parameter_missing" // Error.Parameter is required
	ClientNotFound    Reason = "client_not_found"  // no such client in the tenant
	PrincipalNotFound Reason = "principal_missing" // an application without service principal
	ClientDisabled    Reason = "client_disabled"   // its service principal is disabled
	ProofMissing      Reason = "proof_missing"     // neither assertion nor secret
	NoCredential      Reason = "no_credential"     // the client has no federated identity credential at all
	IssuerMiss        Reason = "issuer_miss"       // none of its credentials names the issuer
	SubjectMiss       Reason = "subject_miss"      // none of those names the subject
	SubjectCaseMiss   Reason = "subject_case_miss" // one of them does but for the case
	AudienceMiss      Reason = "audience_miss"     // the one that names both has another audience, or there are several

	// 2. Match, of an assertion that the client signed itself.
	CertificateSubject  Reason = "certificate_subject"  // its subject is not the client
	CertificateAudience Reason = "certificate_audience" // it is for another tenant, or another service
	CertificateNotFound Reason = "certificate_missing"  // it names no certificate that the client has
	CertificateExpired  Reason = "certificate_expired"  // or not valid yet

	// 3. Verify.
	AssertionExpired     Reason = "assertion_expired"
	AssertionEarly       Reason = "assertion_early"   // not valid yet
	AssertionLasting     Reason = "assertion_lasting" // the client's own, and valid for more than a day
	AlgorithmNotAllowed  Reason = "algorithm_not_allowed"
	KeyNotFound          Reason = "key_not_found"
	KeyUnsuitable        Reason = "key_unsuitable"
	BadSignature         Reason = "bad_signature"
	IssuerUnreachable    Reason = "issuer_unreachable"
	IssuerAddressRefused Reason = "issuer_address_refused"
	IssuerInvalid        Reason = "issuer_invalid"        // its documents cannot be used
	InDoubt              Reason = "in_doubt"              // the same request may succeed a moment later
	CertificateSignature Reason = "certificate_signature" // the certificate's key did not sign it
	SecretWrong          Reason = "secret_wrong"
	SecretExpired        Reason = "secret_expired"

	// 4. Decide.
	ScopeInvalid       Reason = "scope_invalid"         // not of the form RESOURCE/.default
	ScopeMixed         Reason = "scope_mixed"           // RESOURCE/.default and other scopes
	ScopeManyResources Reason = "scope_many_resources"  // more than one resource
	ResourceNotFound   Reason = "resource_not_found"    // no such resource in the tenant
	ResourceNotFoundV1 Reason = "resource_not_found_v1" // the same, in the words of the older endpoint
	ResourceDisabled   Reason = "resource_disabled"     // its service principal is disabled
	NotAssigned        Reason = "not_assigned"          // the resource wants an assignment and there is none

	// 5. Sign.
	Overloaded     Reason = "overloaded"      // too many requests wait for a signature
	AssertionSpent Reason = "assertion_spent" // the client's own, which it has used for the resource before
)

// Error is every refusal. The fields hold what a text about it may need, raw
// as the client sent it: whoever prints them cleans them.
type Error struct {
	Reason Reason

	Tenant     string // as asked for
	TenantID   string // empty until the tenant is known
	TenantName string // display name, or the id
	ClientID   string
	ClientName string

	Issuer, Subject string
	Audiences       []string
	KeyID           string
	Algorithm       string
	Thumbprint      string // of the certificate that the client's own assertion names, in upper-case hexadecimal

	Parameter    string // name of a request parameter
	Given        string // its value
	Scope        string
	Resource     string // as asked for, or the client id of the resource
	ResourceName string

	Now, NotBefore, Expiry time.Time

	RetryAfter time.Duration // when the same request may be answered otherwise; 0: it will not be
	Err        error         // the cause, for logs and Explain; may be nil
}

func (e *Error) Error() string {
	text := strings.ReplaceAll(string(e.Reason), "_", " ")
	for _, v := range []struct{ name, value string }{
		{"tenant", e.Tenant}, {"client", e.ClientID}, {"issuer", e.Issuer}, {"subject", e.Subject}, {"audience", strings.Join(e.Audiences, ", ")},
		{"key", e.KeyID}, {"thumbprint", e.Thumbprint}, {"parameter", e.Parameter}, {"scope", e.Scope}, {"resource", e.Resource},
	} {
		if v.value != "" {
			text += fmt.Sprintf(" %s=%.200q", v.name, v.value)
		}
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }
