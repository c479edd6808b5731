package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/client"
)

// 11. A real exchange.
func (x *exam) checkExchange(ctx context.Context) {
	c := x.check(exchangeCheck)
	switch {
	case x.Target.Authority == "":
		c.skip("no authority is known")
		return
	case x.NoExchange:
		c.skip("not tried (--no-exchange)")
		return
	case x.raw == "" || x.token == nil:
		c.skip("there is no token to exchange")
		return
	case x.clientID == "":
		c.skip("no client id is known")
		return
	}
	x.say("exchanging the token at %s", x.Target.Authority)
	hc, _ := x.watch()
	ctx, cancel := context.WithTimeout(ctx, 4*x.patience())
	defer cancel()
	source := client.Federated(x.Target.Authority, cmp.Or(x.tenant, "common"), x.clientID, func(context.Context) (string, error) { return x.raw, nil }, hc)
	token, err := source.Token(ctx, x.Target.Scope)
	if err == nil {
		x.accepted = true
		c.pass(fmt.Sprintf("an access token for %s, good until %s", x.Target.Scope, stamp(token.ExpiresOn)), "")
		return
	}
	if e, ok := errors.AsType[*client.TokenError](err); ok {
		x.refusal = e
		c.find(x.explainRefusal(ctx, e))
		return
	}
	c.find(x.authorityTrouble(err))
}

// authorityTrouble is the finding that the token endpoint cannot be reached.
func (x *exam) authorityTrouble(err error) Finding {
	u, parseErr := url.Parse(x.Target.Authority)
	if parseErr != nil {
		return fault(AuthorityUnreachable, err.Error())
	}
	t := explain(err, u, nil, "")
	switch t.cause {
	case TLSUntrusted, TLSName, TLSExpired, TLSOther:
		f := fault(AuthorityUntrusted, "the authority is not trusted here: "+t.text).saw(t.seen, t.expected)
		if t.cause == TLSUntrusted && x.Target.Kind == Entente {
			f = f.mend(Mend{Text: "name the service's CA: to this verb, and to the programs that use it (of a service that made its own: ca.pem in its data directory)", Commands: []string{"entente doctor --ca FILE", "export SSL_CERT_FILE=FILE"}})
		}
		return f
	}
	f := fault(AuthorityUnreachable, "the authority cannot be asked: "+t.text).saw(t.seen, t.expected)
	way := Mend{Text: "open the way from here to it: name server, firewall, proxy"}
	if x.Target.Kind != Entente {
		return f.mend(way)
	}
	way.When, way.Text = "this is its address", "start the service, or "+way.Text
	return f.mend(way, Mend{When: "it has another", Text: "name that, by --url or by the context that has it", Commands: []string{"entente context list"}})
}

// stage is how far an authority goes before it refuses. What stands before the
// stage of a refusal has been passed.
type stage int

const (
	clientStage stage = iota
	matchStage
	timeStage
	keysStage
	resourceStage
	noStage // it says nothing of how far it has come
)

// code is what an AADSTS number says. Sources:
// learn.microsoft.com/entra/identity-platform/reference-error-codes, and what
// Entra answers.
type code struct {
	stage stage
	cause Cause // if nothing tells more
	text  string
	// explains are the classes of causes that lead to this code.
	explains []Class
}

var codes = map[int]code{
	90002:   {clientStage, TenantNotFound, "the authority knows no such tenant", []Class{Client}},
	900021:  {clientStage, TenantNotFound, "the tenant's id is empty", []Class{Client}},
	900023:  {clientStage, TenantNotFound, "the tenant's name is neither an id nor a domain", []Class{Client, ServiceAccount}},
	700016:  {clientStage, ClientNotFound, "the tenant has no client with this id: it was deleted, or the client id or the tenant is another", []Class{Client}},
	7000229: {clientStage, PrincipalMissing, "the application has no service principal in the tenant", []Class{Client}},
	7000112: {clientStage, ClientDisabled, "the client is disabled", []Class{Client}},
	7000216: {clientStage, TokenMissing, "the request had neither a token nor a secret", []Class{Token, Injection}},
	7000218: {clientStage, TokenMissing, "the request had neither a token nor a secret", []Class{Token, Injection}},
	7000215: {clientStage, SDKOther, "a client secret was sent, and a wrong one: this is no exchange of a service account's token", []Class{SDK, Injection}},
	7000222: {clientStage, SDKOther, "a client secret was sent, and an expired one: this is no exchange of a service account's token", []Class{SDK, Injection}},
	50027:   {noStage, TokenMalformed, "the token is no JWT, or its signature is wrong", []Class{Token, Keys}},
	700222:  {matchStage, TokenOfAuthority, "the token is one that an authority gave, not one of a cluster", []Class{Token}},
	70025:   {matchStage, NoCredential, "the client has no federated credential", []Class{Credential}},
	70021:   {matchStage, NoneMatches, "no credential of the client fits the token", []Class{Credential, CredentialIssuer, CredentialSubject, CredentialAudience, IssuerDocument, Token}},
	700211:  {matchStage, NoneMatches, "no credential of the client names the token's issuer: most often it is a slash at its end, or the issuer of another cluster", []Class{Credential, CredentialIssuer, IssuerDocument, Token}},
	700212:  {matchStage, AudienceOther, "the credential has another audience than the token", []Class{CredentialAudience}},
	700213:  {matchStage, SubjectOther, "no credential of the client names the token's subject: the namespace or the service account is another", []Class{CredentialSubject, Credential}},
	7002131: {matchStage, SubjectOther, "no credential of the client names the token's subject, and no expression fits it", []Class{CredentialSubject, Credential}},
	7002138: {matchStage, SubjectCase, "upper and lower case letters differ in the subject", []Class{CredentialSubject}},
	700024:  {timeStage, TokenExpired, "the token has expired, or is not valid yet: an old token, or a clock", []Class{Token, Clock}},
	501661:  {keysStage, DiscoveryUnreachable, "the authority could not read the issuer's documents", []Class{Network, TLS, IssuerDocument, Keys}},
	50166:   {keysStage, DiscoveryUnreachable, "the authority could not read the issuer's documents", []Class{Network, TLS, IssuerDocument, Keys}},
	90061:   {keysStage, DiscoveryUnreachable, "the authority could not read the issuer's documents", []Class{Network, TLS, IssuerDocument, Keys}},
	7000272: {keysStage, KeyUnpublished, "the issuer does not publish the key that signed the token, as far as the authority knows", []Class{Keys}},
	5002730: {keysStage, AlgorithmNotAllowed, "the authority does not accept the token's algorithm of this issuer, or the key does not fit it", []Class{Keys, IssuerDocument}},
	700027:  {keysStage, SignatureWrong, "the token was taken for one that the client signs with a certificate: its issuer and subject are the client", []Class{Token, Keys}},
	500011:  {resourceStage, ResourceNotFound, "the tenant does not know the resource that a token was asked for", []Class{Resource}},
	50001:   {resourceStage, ResourceNotFound, "the tenant does not know the resource that a token was asked for", []Class{Resource}},
	500014:  {resourceStage, ResourceRefused, "the resource is disabled", []Class{Resource}},
	501051:  {resourceStage, ResourceRefused, "the resource wants a role to be assigned to the client, and there is none", []Class{Resource}},
	50105:   {resourceStage, ResourceRefused, "the resource wants a role to be assigned to the client, and there is none", []Class{Resource}},
	1002012: {resourceStage, ScopeInvalid, "the scope does not end with /.default", []Class{Resource}},
	70011:   {resourceStage, ScopeInvalid, "the scope is not valid", []Class{Resource}},
	90033:   {noStage, AuthorityBusy, "the authority is busy, or in doubt about a key that is new: the same request may succeed in some seconds", []Class{Authority, Keys}},
	90055:   {noStage, AuthorityBusy, "the authority is busy", []Class{Authority}},
	50049:   {noStage, InstanceDiscovery, "the SDK asked Microsoft whether the authority is known, and it is not", []Class{SDK}},
}

func codeOf(numbers []int) (int, code, bool) {
	for _, n := range numbers {
		if c, ok := codes[n]; ok {
			return n, c, true
		}
	}
	return 0, code{stage: noStage}, false
}

// explainRefusal is the finding of a refusal: of an earlier check, if one explains it.
func (x *exam) explainRefusal(ctx context.Context, e *client.TokenError) Finding {
	n, known, ok := codeOf(e.Codes)
	said := fmt.Sprintf("status %d: %s", e.Status, e.Description)
	if !ok {
		return fault(ExchangeRefused, "the authority refuses the exchange, for a reason that no check here knows").saw(said, "an access token")
	}
	if number, f := x.explaining(known); f != nil {
		return Finding{State: Failed, Cause: f.Cause, Class: f.Class, Text: fmt.Sprintf("refused with AADSTS%d, as check %d explains", n, number)}.saw(said, "an access token")
	}
	cause, text, mends := known.cause, known.text, []Mend(nil)
	switch {
	case known.stage == matchStage && n != 700222 && x.hit:
		cause = NotEffective
		text = "the credential that fits is there, and the authority does not go by it yet"
		mends = []Mend{{Text: "wait some minutes and try again: Azure takes a while until a new or changed credential counts everywhere"}}
		if x.Target.Kind == Entente {
			text, mends = "the credential that fits is there, and the authority does not go by it: it was changed at this moment, or belongs to another tenant", nil
		}
	case n == 700024 && x.fresh:
		cause, text = ClocksDiffer, "the token is new, and not valid by the authority's clock; which clock is wrong cannot be told"
	case known.stage == keysStage:
		cause, text, mends = x.explainKeys(ctx, e, n, known)
	case n == 70025:
		mends = []Mend{{Text: "have somebody add one who may", Commands: x.list(x.clientID)}}
	case known.stage == matchStage && x.parent == nil:
		mends = []Mend{{Text: "compare them character by character with what check 4 shows; have somebody list them who may", Commands: x.list(x.clientID)}}
	case n == 700016 || n == 90002:
		text += "; which of them cannot be told"
	case known.stage == resourceStage:
		mends = []Mend{{Text: "the exchange itself works: --resource names the resource that the program wants"}}
	}
	return fault(cause, fmt.Sprintf("refused with AADSTS%d: %s", n, text)).saw(said, "an access token").mend(mends...)
}

// explaining finds the fault of an earlier check that leads to a code. A trouble
// that was only suspected counts too: the refusal confirms it.
func (x *exam) explaining(k code) (int, *Finding) {
	for i := range x.report.Checks[:exchangeCheck] {
		c := &x.report.Checks[i]
		for j := range c.Findings {
			f := &c.Findings[j]
			if f.State == Failed && slices.Contains(k.explains, f.Class) {
				return c.Number, f
			}
		}
	}
	return 0, nil
}

// explainKeys says why an authority could not read or use the issuer's keys when
// nothing is wrong with them as seen from here.
func (x *exam) explainKeys(ctx context.Context, e *client.TokenError, n int, known code) (Cause, string, []Mend) {
	upload := func(when string) []Mend {
		if m, ok := x.uploadMend(when); ok {
			return []Mend{m}
		}
		return nil
	}
	host := x.issuer
	if u, err := url.Parse(x.issuer); err == nil {
		host = u.Hostname()
	}
	if n == 7000272 {
		if x.inspection != nil && x.check(keysCheck).failed() == nil && x.check(keysCheck).Seen != "" {
			text := "the key is published, and the authority still goes by the keys from before"
			if x.Target.Kind == Azure {
				return KeysOutdated, text, []Mend{{Text: "wait and try again: Microsoft keeps an issuer's keys for a while; publish a new key a day before it signs"}}
			}
			return KeysOutdated, text, []Mend{{Text: "try again in five seconds: the authority asks the issuer again for a key that it does not know"}}
		}
		return KeyUnpublished, known.text, nil
	}
	if n == 501661 || n == 50166 || n == 90061 {
		switch x.signInReason(ctx, e) {
		case "issuer_address_refused":
			return AddressRefused, "the service does not ask the issuer, whose address is private, before it is told to", append([]Mend{allowMend(host)}, upload("the issuer should stay unasked")...)
		case "issuer_unreachable":
			return DiscoveryUnreachable, "the issuer can be read from here, and the service cannot reach it: another network, or a CA that it does not trust; which of them its log says, at " + e.TraceID,
				append(upload("the issuer should stay unasked"), x.trustMend())
		case "issuer_invalid":
			return DocumentInvalid, "the service cannot use what it reads of the issuer; its log says why, at " + e.TraceID, nil
		}
		if x.private && x.Target.Kind == Azure {
			return AddressRefused, "the issuer has a private address, which Microsoft Entra cannot ask", []Mend{{Text: "publish the two documents where the Internet can read them"}}
		}
		text := known.text + ", which can be read from here: its network, its name server or the CAs that it trusts are others"
		if x.Target.Kind == Azure {
			return DiscoveryUnreachable, text, []Mend{{Text: "the documents must be reachable from the Internet, without a firewall, under a certificate of a public CA"}}
		}
		mends := []Mend{x.trustMend()}
		if x.private {
			mends = append([]Mend{allowMend(host)}, mends...)
			mends[0].When = "the service was not told to ask private addresses"
		}
		return DiscoveryUnreachable, text + "; which of them cannot be told", append(mends, upload("the issuer should stay unasked")...)
	}
	return known.cause, known.text, nil
}

// signInReason is what the service has noted on a refusal, for those who may read
// it. Its records are written once a second.
func (x *exam) signInReason(ctx context.Context, e *client.TokenError) string {
	if x.Target.Kind != Entente || x.Target.Client == nil || e.TraceID == "" {
		return ""
	}
	for range 4 {
		records, err := x.Target.Client.Records(ctx, client.SignIns, 50)
		if err != nil {
			return ""
		}
		for _, raw := range records {
			var r struct {
				Properties struct{ RequestID, Reason string }
			}
			if json.Unmarshal(raw, &r) == nil && strings.EqualFold(r.Properties.RequestID, e.TraceID) {
				return r.Properties.Reason
			}
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(500 * time.Millisecond):
		}
	}
	return ""
}
