package portal

import (
	"strings"

	"github.com/entente-id/entente/internal/exchange"
)

// A verdict is a refusal of an exchange in plain words.
type verdict struct {
	text string // what is so, as a sentence
	mend string // what a person can do about it; may be empty
}

// verdicts are all reasons that an exchange can be refused for. The sign-in log
// and the test of a token say the same of the same reason.
var verdicts = map[exchange.Reason]verdict{
	exchange.AssertionMalformed: {"The token is not a JWT that can be read.", "Paste the whole of it: three parts with dots between them, on one line."},
	exchange.OwnToken:           {"The token was issued by this service itself.", "Present the token of the cluster or other provider, not one that was exchanged for it."},

	exchange.TenantMalformed:   {"The tenant is neither a GUID nor a domain name.", "Correct the tenant that the client asks."},
	exchange.TenantEmpty:       {"The tenant is the GUID of zeros.", "Correct the tenant that the client asks."},
	exchange.TenantNotFound:    {"There is no such tenant.", "Correct the tenant that the client asks."},
	exchange.ParameterMissing:  {"The request lacked something that it needs.", ""},
	exchange.ClientNotFound:    {"The tenant has no client with this id.", "Compare the client id with that of the application or managed identity: it may have been deleted, or belong to another tenant."},
	exchange.PrincipalNotFound: {"The application has no service principal.", "Make it on the application's overview."},
	exchange.ClientDisabled:    {"The client is disabled.", "Somebody disabled its service principal. Enable it again if that was not meant."},
	exchange.ProofMissing:      {"The request had neither a token nor a secret.", "The workload got no token: see that its service account and its label are set."},
	exchange.NoCredential:      {"The client trusts nobody yet: it has no federated credential.", "Add one for this token."},
	exchange.IssuerMiss:        {"None of the client's credentials names the token's issuer.", "Most often a slash at its end is missing or too much, or it is the issuer of another cluster."},
	exchange.SubjectMiss:       {"The issuer is trusted, but for other subjects.", "Compare namespace and service account. Every subject needs a credential of its own: there are no wildcards."},
	exchange.SubjectCaseMiss:   {"Upper and lower case letters differ in the subject.", "Write it in the credential exactly as the token has it."},
	exchange.AudienceMiss:      {"Issuer and subject are trusted, but for another audience.", "Correct the audience in the credential, or ask the provider for a token with that of the credential. A token may have only one."},

	exchange.CertificateSubject:  {"The client signed the token itself, and its subject is not the client.", "Set its subject to the client id."},
	exchange.CertificateAudience: {"The client signed the token itself, for another tenant or another service.", "Set its audience to the URL of this tenant's token endpoint."},
	exchange.CertificateNotFound: {"The client signed the token itself, with a certificate that it does not have here.", "Upload the certificate, or sign with one that is there."},
	exchange.CertificateExpired:  {"The certificate that signed the token is not valid at this time.", "Upload a new one."},

	exchange.AssertionExpired:     {"The token has expired.", "Get a new one: those of service accounts last an hour, and the kubelet renews them in time. If it is new, a clock is wrong."},
	exchange.AssertionEarly:       {"The token is not valid yet.", "A clock is wrong: that of the provider, or that of this service."},
	exchange.AssertionLasting:     {"The client signed the token itself, and it lasts for more than a day.", "Let it expire sooner."},
	exchange.AlgorithmNotAllowed:  {"The issuer is not trusted to sign with the token's algorithm.", "Allow it for the issuer, or have it sign with RS256."},
	exchange.KeyNotFound:          {"The issuer does not publish the key that signed the token.", "It may have changed its keys: see what it publishes. Of an issuer whose keys were uploaded, upload the new ones."},
	exchange.KeyUnsuitable:        {"The key that signed the token is not meant or too weak for that.", "See what the issuer publishes about the key."},
	exchange.BadSignature:         {"The signature is wrong.", "The token was changed on its way, or somebody else signed it under the name of the issuer."},
	exchange.IssuerUnreachable:    {"The issuer could not be asked for its keys.", "This service must reach it over HTTPS. If it cannot, upload the issuer's keys."},
	exchange.IssuerAddressRefused: {"The issuer is at a private address, which this service was not told to ask.", "Start the service with --issuer-allow and the issuer's host name or address, or upload the issuer's keys."},
	exchange.IssuerInvalid:        {"What the issuer publishes cannot be used.", "Its discovery document must name the very issuer, and its keys must be readable."},
	exchange.InDoubt:              {"The key is new, and the issuer was asked a moment ago.", "Try again in some seconds."},
	exchange.CertificateSignature: {"The certificate's key did not sign the token.", "Sign with the key that belongs to the certificate."},
	exchange.SecretWrong:          {"The client secret is wrong.", "Secrets are shown once. Make a new one if it is lost, or better: use a federated credential."},
	exchange.SecretExpired:        {"The client secret has expired.", "Make a new one, or better: use a federated credential, which does not expire."},

	exchange.ScopeInvalid:       {"The scope does not have the form RESOURCE/.default.", "Write, for instance, https://management.azure.com/.default."},
	exchange.ScopeMixed:         {"The scope names more than RESOURCE/.default.", "Ask for RESOURCE/.default alone."},
	exchange.ScopeManyResources: {"The scope names more than one resource.", "Ask for each with a request of its own."},
	exchange.ResourceNotFound:   {"The tenant does not know the resource.", "Register it as an application with that identifier URI, or correct the scope."},
	exchange.ResourceNotFoundV1: {"The tenant does not know the resource.", "Register it as an application with that identifier URI, or correct it in the request."},
	exchange.ResourceDisabled:   {"The resource is disabled.", "Somebody disabled its service principal."},
	exchange.NotAssigned:        {"The resource wants a role to be assigned to its clients, and this one has none.", "Assign one of the resource's roles to the client."},

	exchange.Overloaded:     {"Too many requests came at once.", "The client was told to come back."},
	exchange.AssertionSpent: {"The client signed the token itself, and used it before.", "Sign a new one for each request."},
}

// verdictOf puts a reason into words; one that is not known is given as it is.
func verdictOf(reason string) verdict {
	if v, ok := verdicts[exchange.Reason(reason)]; ok {
		return v
	}
	return verdict{text: sentence(strings.ReplaceAll(reason, "_", " "))}
}

// matching are the reasons for which no credential fitted: what differs is between the token and a credential.
var matching = map[exchange.Reason]bool{
	exchange.NoCredential: true, exchange.IssuerMiss: true, exchange.SubjectMiss: true, exchange.SubjectCaseMiss: true, exchange.AudienceMiss: true,
}
