package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/entente-id/entente/internal/credential"
)

// Said is an error that a program had, as far as it is understood.
type Said struct {
	Codes    []int  `json:"codes,omitempty"` // AADSTS numbers, in the text's order
	Issuer   string `json:"issuer,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Audience string `json:"audience,omitempty"`
	ClientID string `json:"clientId,omitempty"`
	Meaning  string `json:"meaning,omitempty"` // empty: it is not understood
	Cause    Cause  `json:"cause,omitempty"`   // that it has if nothing tells more
	Check    int    `json:"check,omitempty"`   // that looks into it; 0: none
	// ExplainedBy is the check whose fault leads to this error; 0: none does.
	ExplainedBy int `json:"explainedBy,omitempty"`

	explains []Class
	imds     bool
	workload bool // a credential of the chain that reads the injected variables was tried
}

// maxSaid is how much of a text is looked at.
const maxSaid = 256 << 10

var (
	saidCode     = regexp.MustCompile(`AADSTS(\d{4,8})`)
	saidIssuer   = regexp.MustCompile(`assertion issuer '([^']+)'|Assertion Issuer: '([^']+)'`)
	saidSubject  = regexp.MustCompile(`assertion subject '([^']+)'|Assertion Subject: '([^']+)'`)
	saidAudience = regexp.MustCompile(`assertion audience '([^']+)'|Assertion Audience: '([^']+)'`)
	saidClient   = regexp.MustCompile(`Application with identifier '([^']+)'|The client '([0-9a-fA-F-]{36})'`)
	saidIMDS     = regexp.MustCompile(`(?i)169\.254\.169\.254|\bIMDS\b|managed identity endpoint|ManagedIdentityCredential|Managed Identity authentication is not available`)
	saidWorkload = regexp.MustCompile(`(?i)WorkloadIdentityCredential|workload.?identity`)
)

// messages are what SDKs say before any authority is asked (azidentity 1.15,
// @azure/identity 4, azure-identity for Python, .NET and Java), the surest first.
var messages = []struct {
	pattern *regexp.Regexp
	cause   Cause
	check   int
	meaning string
	classes []Class
}{
	{regexp.MustCompile(`(?i)invalid_instance|does not match authority`), InstanceDiscovery, exchangeCheck,
		"the SDK does not take the authority for one: it asked Microsoft about it, or got an issuer of another host", []Class{SDK}},
	{regexp.MustCompile(`(?i)no client ID specified|clientId is a required parameter`), ClientIDMissing, accountCheck,
		"the SDK found no client id: AZURE_CLIENT_ID is not set", []Class{ServiceAccount, Injection}},
	{regexp.MustCompile(`(?i)tenantId, clientId, and federatedTokenFilePath are required|no token file specified|workload options are not fully configured|federatedTokenFilePath is a required|no tenant ID specified`), NotInjected, environmentCheck,
		"the SDK found no injected variables", []Class{Injection, ServiceAccount}},
	{regexp.MustCompile(`(?i)(azure-identity-token|AZURE_FEDERATED_TOKEN_FILE)[^\n]*(no such file|ENOENT|not found|cannot find|NoSuchFile)|(no such file|ENOENT|FileNotFound|NoSuchFile)[^\n]*azure-identity-token`), TokenFileNotMounted, environmentCheck,
		"the file that AZURE_FEDERATED_TOKEN_FILE names is not there", []Class{Injection, Token}},
	{regexp.MustCompile(`(?i)certificate signed by unknown authority|unable to (verify|get local issuer)|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|self.signed certificate|PKIX path building failed|UntrustedRoot|SSL certificate problem`), AuthorityUntrusted, exchangeCheck,
		"the program does not trust the authority's certificate", []Class{Authority}},
	{regexp.MustCompile(`(?i)no such host|ENOTFOUND|EAI_AGAIN|Name or service not known|Name does not resolve|UnknownHostException|nodename nor servname`), AuthorityUnreachable, exchangeCheck,
		"a name could not be resolved in the pod", []Class{Authority}},
	{regexp.MustCompile(`(?i)endpoints_resolution_error`), AuthorityUnreachable, exchangeCheck,
		"the SDK could not read the authority's configuration: its name, its certificate, or Microsoft's word that it is one", []Class{Authority, SDK}},
}

// ReadError reads what a program printed.
func ReadError(text string) *Said {
	text = text[:min(len(text), maxSaid)]
	s := &Said{imds: saidIMDS.MatchString(text), workload: saidWorkload.MatchString(text)}
	for _, m := range saidCode.FindAllStringSubmatch(text, 20) {
		if n, err := strconv.Atoi(m[1]); err == nil && !slices.Contains(s.Codes, n) {
			s.Codes = append(s.Codes, n)
		}
	}
	first := func(r *regexp.Regexp) string {
		for _, group := range append(r.FindStringSubmatch(text), "", "")[1:] {
			if group != "" {
				return group
			}
		}
		return ""
	}
	s.Issuer, s.Subject, s.Audience, s.ClientID = first(saidIssuer), first(saidSubject), first(saidAudience), first(saidClient)
	if n, known, ok := codeOf(s.Codes); ok {
		s.Cause, s.explains, s.Meaning = known.cause, known.explains, fmt.Sprintf("AADSTS%d: %s", n, known.text)
		s.Check = 1 + checkOf(known)
		return s
	}
	for _, m := range messages {
		if m.pattern.MatchString(text) {
			s.Cause, s.Check, s.Meaning, s.explains = m.cause, m.check+1, m.meaning, m.classes
			return s
		}
	}
	if s.imds {
		s.Cause, s.Check, s.explains = AsksIMDS, environmentCheck+1, []Class{Injection, ServiceAccount, SDK}
		s.Meaning = "the SDK fell back to the managed identity of the machine (IMDS): it did not find, or does not know, what is injected into the pod"
	}
	return s
}

// checkOf is the check that looks into what a code says.
func checkOf(k code) int {
	switch k.cause.Class() {
	case Token:
		if k.stage == timeStage {
			return clockCheck
		}
		return tokenCheck
	case Network, TLS:
		return discoveryCheck
	case IssuerDocument:
		return issuerCheck
	case Keys:
		return keysCheck
	case Client:
		return clientCheck
	case Credential, CredentialIssuer, CredentialSubject, CredentialAudience:
		return credentialCheck
	}
	return exchangeCheck
}

// minimalSDKs are the versions from which on the libraries read what is injected
// (learn.microsoft.com/azure/aks/workload-identity-overview).
const minimalSDKs = "Azure.Identity 1.9.0 (.NET), azidentity 1.3.0 (Go), azure-identity 1.9.0 (Java), @azure/identity 3.2.0 (Node.js), azure-identity 1.13.0 (Python), Azure.Identity 1.6.0 (C++)"

// compareSaid relates the error that was given to what was found.
func (x *exam) compareSaid() {
	s := x.Said
	if s == nil {
		return
	}
	if s.Subject != "" && x.subject != "" && s.Subject != x.subject {
		f := unknown("the error is about another service account than was examined: whether it comes from this workload cannot be told").saw(s.Subject, x.subject)
		f.Difference = differ(s.Subject, x.subject, "")
		if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
			f = f.mend(Mend{Text: "examine that one", Commands: []string{x.entente("doctor", "serviceaccount", name, "--namespace", namespace)}})
		}
		x.check(tokenCheck).find(f)
		return
	}
	if s.Issuer != "" && x.issuer != "" && s.Issuer != x.issuer {
		f := unknown("the error is about another issuer: it is older, or of another cluster").saw(s.Issuer, x.issuer)
		f.Difference = differ(s.Issuer, x.issuer, hintOn(s.Issuer, x.issuer))
		x.check(tokenCheck).find(f)
		return
	}
	for _, c := range x.report.Checks {
		for _, f := range c.Findings {
			if f.State == Failed && s.ExplainedBy == 0 && (slices.Contains(s.explains, f.Class) || f.Cause == s.Cause) {
				s.ExplainedBy = c.Number
			}
		}
	}
	switch {
	case s.ExplainedBy != 0:
	case s.imds && len(s.Codes) == 0 && !s.workload && x.check(environmentCheck).State == Passed:
		x.check(environmentCheck).find(fault(AsksIMDS, "everything is injected, and the program asks for the managed identity of the machine (IMDS) all the same: its SDK is too old to know better, or its code asks for that alone (ManagedIdentityCredential)").
			saw("an error about IMDS that does not mention WorkloadIdentityCredential", "DefaultAzureCredential or WorkloadIdentityCredential of "+minimalSDKs).
			mend(Mend{Text: "update the library to one of these versions or newer, and use DefaultAzureCredential or WorkloadIdentityCredential"}))
		s.ExplainedBy = environmentCheck + 1
	case s.Cause != "" && s.Cause.Class() == SDK && s.Cause != AsksIMDS:
		x.check(exchangeCheck).find(fault(s.Cause, s.Meaning).mend(saidMends(s)...))
		s.ExplainedBy = exchangeCheck + 1
	case s.Cause == AuthorityUntrusted && x.accepted:
		x.check(environmentCheck).find(fault(AuthorityUntrusted, "the program does not trust the authority's certificate, which is trusted here").mend(saidMends(s)...))
		s.ExplainedBy = environmentCheck + 1
	case s.Meaning == "":
		x.check(exchangeCheck).find(unknown("the error that was given is not understood"))
	default:
		text := fmt.Sprintf("nothing that was found explains the error that was given (%s)", strings.TrimSuffix(s.Meaning, "."))
		if x.accepted {
			text += ": it may be from before a change, for the exchange works now"
		}
		x.check(exchangeCheck).find(unknown(text))
	}
}

// saidMends are the ways out of what only the program itself can mend.
func saidMends(s *Said) []Mend {
	switch s.Cause {
	case InstanceDiscovery:
		return []Mend{
			{Text: "name the tenant as adfs, with which SDKs do not ask Microsoft about the authority", Commands: []string{"export AZURE_TENANT_ID=adfs"}},
			{Text: "or set DisableInstanceDiscovery (Go, .NET), disableInstanceDiscovery (Node.js, Java), disable_instance_discovery (Python) in the program"},
		}
	case AuthorityUntrusted:
		return []Mend{{Text: "have the program trust the service's CA", Commands: []string{"export SSL_CERT_FILE=FILE", "export NODE_EXTRA_CA_CERTS=FILE", "export REQUESTS_CA_BUNDLE=FILE"}}}
	}
	return nil
}

// OfError is the report when there is nothing but an error to go by.
func OfError(s *Said) *Report {
	r := &Report{Of: "error that was given", Issuer: s.Issuer, Subject: s.Subject, Audience: s.Audience, ClientID: s.ClientID, Error: s}
	for i, name := range checkNames {
		r.Checks = append(r.Checks, Check{Number: i + 1, Name: name, State: Skipped, Seen: "there is only the error to go by"})
	}
	if s.Meaning == "" {
		r.Checks[exchangeCheck].find(unknown("the error that was given is not understood"))
	} else {
		f := fault(s.Cause, s.Meaning)
		f.Mends = saidMends(s)
		target := []string{"entente", "doctor", "pod", "POD", "--namespace", "NAMESPACE"}
		if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
			target = []string{"entente", "doctor", "serviceaccount", name, "--namespace", namespace}
		}
		r.Checks[s.Check-1].find(f.mend(Mend{Text: "what exactly is wrong shows when the workload is examined", Commands: []string{line(target...)}}))
	}
	r.decide(false)
	return r
}
