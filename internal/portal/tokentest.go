package portal

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
)

// What is tested comes in three forms. Claims are asked for by a URL, which
// people can keep and send to each other; a token only ever comes in the body
// of a POST, and is in no answer.
var tokenTestPages = []route{
	{"GET " + tokenTestPath, (*call).tokenTest, false},
	{"POST " + tokenTestPath, (*call).testToken, false},
}

const tokenTestPath = Path + "/test"

// defaultScope is what a token is for when nobody says.
const defaultScope = "https://management.azure.com/.default"

var commonScopes = []string{defaultScope, "https://graph.microsoft.com/.default", "https://vault.azure.net/.default", "https://storage.azure.com/.default"}

// The forms besides that for a token.
const (
	byAccount = "service-account"
	byClaims  = "claims"
)

type tokenTestView struct {
	Path   string
	Errors []string

	// Of the page on which the client is chosen.
	Search   field
	Clients  []clientRow
	Searched bool
	More     bool
	CarryOn  []part // of the query, besides the client

	// Of the page with a client.
	Client    *clientCard
	Tabs      []link
	With      string // which form
	Token     field
	Scope     field
	Cluster   choice
	Clusters  bool
	Namespace field
	Account   field
	Issuer    field
	Subject   field
	Audience  field
	Reported  string // when the cluster's service accounts were reported

	Result *testResult
}

type clientCard struct{ Name, Kind, ClientID, To, Other string }

// claimKeys are the query of a test of claims, besides the client.
var claimKeys = []string{"with", "cluster", "issuer", "namespace", "account", "subject", "audience", "scope"}

func (c *call) tokenTest() error {
	clientID := strings.TrimSpace(c.query("client"))
	if clientID == "" {
		return c.chooseClient("")
	}
	if !directory.IsID(clientID) {
		return c.redirect(tokenTestPath + "?" + url.Values{"q": {clientID}}.Encode())
	}
	client, err := c.findClient(clientID)
	if isNotFound(err) {
		return c.chooseClient("There is no client with the id " + clientID + " that you may see.")
	}
	if err != nil {
		return err
	}
	if id := c.query("credential"); id != "" {
		return c.testCredential(client, id)
	}
	v := c.testForm(client, c.query("with"), c.query)
	var a credential.Assertion
	switch v.With {
	case byAccount:
		if err := c.offerAccounts(&v); err != nil {
			return err
		}
		if v.Namespace.Value == "" && v.Account.Value == "" {
			return c.showTest(v) // only a cluster was chosen
		}
		v.need("Needed for a test.", &v.Namespace, &v.Account)
		v.need("Choose a cluster, or write its issuer.", &v.Issuer)
		a = credential.Assertion{Issuer: v.Issuer.Value, Subject: credential.ServiceAccountSubject(v.Namespace.Value, v.Account.Value), Audiences: []string{v.Audience.Value}}
	case byClaims:
		if v.Issuer.Value == "" && v.Subject.Value == "" {
			return c.showTest(v)
		}
		v.need("Needed for a test.", &v.Issuer, &v.Subject)
		a = credential.Assertion{Issuer: v.Issuer.Value, Subject: v.Subject.Value, Audiences: []string{v.Audience.Value}}
	default:
		return c.showTest(v)
	}
	if len(v.Errors) > 0 {
		return c.showTest(v)
	}
	report, err := c.Exchange.Presume(c, exchange.Request{Tenant: c.caller.TenantID, ClientID: client.id, Scope: v.Scope.Value}, a)
	if err != nil {
		return err
	}
	if v.Result, err = c.testResult(client, report, a, true); err != nil {
		return err
	}
	return c.showTest(v)
}

// need marks fields that are empty.
func (v *tokenTestView) need(text string, fields ...*field) {
	for _, f := range fields {
		if f.Value == "" {
			f.Error = text
		}
		if f.Error != "" {
			v.Errors = []string{"Nothing was tested. See the marked fields."}
		}
	}
}

// testCredential goes on to the test of what a credential trusts.
func (c *call) testCredential(client knownClient, id string) error {
	found, err := c.Directory.Credential(c, c.caller, client.parent, id)
	if err != nil {
		return err
	}
	q := url.Values{"client": {client.id}, "with": {byClaims}, "issuer": {found.Issuer}, "subject": {found.Subject}, "audience": {found.Audience()}}
	if namespace, name, ok := credential.ParseServiceAccountSubject(found.Subject); ok {
		q.Del("subject")
		q["with"], q["namespace"], q["account"] = []string{byAccount}, []string{namespace}, []string{name}
	}
	return c.redirect(tokenTestPath + "?" + q.Encode())
}

// chooseClient is the page on which a client is looked for.
func (c *call) chooseClient(wrong string) error {
	text := strings.TrimSpace(c.query("q"))
	if directory.IsID(text) {
		q := c.r.URL.Query()
		q.Del("q")
		q.Set("client", text)
		return c.redirect(tokenTestPath + "?" + q.Encode())
	}
	v := tokenTestView{
		Path: tokenTestPath, Searched: text != "",
		Search: field{Name: "q", Label: "Client", Value: text, Hint: "The client id, or a part of the name, of an application or a managed identity.", Max: 256},
	}
	if wrong != "" {
		v.Errors = []string{wrong}
	}
	for _, key := range claimKeys {
		if value := c.query(key); value != "" {
			v.CarryOn = append(v.CarryOn, part{key, value})
		}
	}
	var err error
	v.Clients, v.More, err = c.findClients(text, func(clientID string) string {
		q := url.Values{"client": {clientID}}
		for _, h := range v.CarryOn {
			q.Set(h.Name, h.Value)
		}
		return tokenTestPath + "?" + q.Encode()
	})
	if err != nil {
		return err
	}
	p := page{template: "token-test", title: "Test a token"}
	if wrong != "" {
		p.status = http.StatusNotFound
	}
	return c.show(p, v)
}

// testForm is the page of a client, filled in by what from gives.
func (c *call) testForm(client knownClient, with string, from func(string) string) tokenTestView {
	if with != byAccount && with != byClaims {
		with = ""
	}
	to := testPath(client.id)
	return tokenTestView{
		Path: tokenTestPath, With: with,
		Client: &clientCard{client.name, kindWords(client.kind), client.id, client.to(), tokenTestPath},
		Tabs: []link{
			{Text: "Paste a token", To: to, Current: with == ""},
			{Text: "Pick a service account", To: to + "&with=" + byAccount, Current: with == byAccount},
			{Text: "Write its claims", To: to + "&with=" + byClaims, Current: with == byClaims},
		},
		Token: field{Name: "token", Label: "Token", Lines: 6, Required: true,
			Hint: "What the workload presents, for instance the content of its file AZURE_FEDERATED_TOKEN_FILE. It is used for this test only: it is not kept, logged or shown."},
		Scope:     field{Name: "scope", Label: "Scope", Value: strings.TrimSpace(cmp.Or(from("scope"), defaultScope)), Hint: "What the access token would be for.", Options: commonScopes, Max: 1024},
		Cluster:   choice{Name: "cluster", Label: "Cluster", Value: from("cluster")},
		Issuer:    field{Name: "issuer", Label: "Issuer", Value: strings.TrimSpace(from("issuer")), Max: 1024, Hint: "The iss of the tokens, to the last slash.", Required: true},
		Subject:   field{Name: "subject", Label: "Subject", Value: strings.TrimSpace(from("subject")), Max: 1024, Hint: "The sub of the token, for instance repo:octo-org/octo-repo:environment:production.", Required: true},
		Namespace: field{Name: "namespace", Label: "Namespace", Value: strings.TrimSpace(from("namespace")), Required: true, Max: 253},
		Account:   field{Name: "account", Label: "Service account name", Value: strings.TrimSpace(from("account")), Required: true, Max: 253},
		Audience:  field{Name: "audience", Label: "Audience", Value: strings.TrimSpace(cmp.Or(from("audience"), credential.DefaultAudience)), Max: 600},
	}
}

// mostClusters is how many clusters and namespaces a page offers, and mostAccounts how many service accounts.
const (
	mostClusters = 200
	mostAccounts = 500
)

// offerAccounts offers the clusters that the caller may see, and what the chosen one has reported.
func (c *call) offerAccounts(v *tokenTestView) error {
	clusters, err := c.Directory.Clusters(c, c.caller, "", "", directory.Page{Limit: mostClusters})
	if err != nil {
		return err
	}
	v.Cluster.Options = []option{{"", "None of these: by its issuer"}}
	var chosen *directory.Cluster
	for i, m := range clusters.Items {
		if m.Issuer == nil {
			continue
		}
		id := m.ResourceID()
		v.Cluster.Options = append(v.Cluster.Options, option{id, m.Name + " (" + m.Group + ")"})
		if strings.EqualFold(id, v.Cluster.Value) {
			v.Cluster.Value, chosen = id, &clusters.Items[i]
		}
	}
	v.Clusters = len(v.Cluster.Options) > 1
	if clusters.Next != "" {
		v.Cluster.Hint = fmt.Sprintf("The first %d are here. Test those of others by their issuer.", mostClusters)
	}
	if chosen == nil {
		if v.Cluster.Value != "" {
			v.Cluster.Value, v.Cluster.Error = "", "This cluster is not there, or has no issuer."
		}
		return nil
	}
	v.Issuer.Value, v.Issuer.ReadOnly, v.Issuer.Hint = chosen.Issuer.URL, true, "That of the cluster."
	namespaces, reported, err := c.Directory.Namespaces(c, c.caller, chosen.ClusterRef, directory.Page{Limit: mostClusters})
	if err != nil {
		return err
	}
	for _, n := range namespaces.Items {
		v.Namespace.Options = append(v.Namespace.Options, n.Name)
	}
	accounts, _, err := c.Directory.ServiceAccounts(c, c.caller, chosen.ClusterRef, v.Namespace.Value, directory.Page{Limit: mostAccounts})
	if err != nil {
		return err
	}
	for _, a := range accounts.Items {
		if !slices.Contains(v.Account.Options, a.Name) {
			v.Account.Options = append(v.Account.Options, a.Name)
		}
	}
	if !reported.IsZero() {
		v.Reported = "Its service accounts were reported " + ago(c.Clock(), reported) + "."
	}
	return nil
}

func (c *call) showTest(v tokenTestView) error {
	p := page{template: "token-test", title: "Test a token"}
	if len(v.Errors) > 0 {
		p.status = http.StatusUnprocessableEntity
	}
	return c.show(p, v)
}

// testToken tests a token that was pasted.
func (c *call) testToken() error {
	client, err := c.findClient(c.field("client"))
	if err != nil {
		return err
	}
	v := c.testForm(client, "", c.field)
	token := c.field("token")
	switch {
	case token == "":
		v.Token.Error = "Paste a token."
	case len(token) > issuer.MaxToken:
		v.Token.Error = "That is longer than a token can be: 16 KiB."
	case strings.Count(token, ".") < 2 && len(token) < 200:
		// Too short to be a token, and thus nothing that somebody would miss.
		v.Token.Error = "That is no token: a token has three parts with dots between them."
	}
	if v.Token.Error != "" {
		v.Errors = []string{"Nothing was tested. See the marked field."}
		return c.showTest(v)
	}
	report, err := c.Exchange.Explain(c, exchange.Request{Tenant: c.caller.TenantID, ClientID: client.id, Assertion: token, Scope: v.Scope.Value})
	if err != nil {
		return err
	}
	says := report.Outcome.Assertion
	a := credential.Assertion{Issuer: says.Issuer, Subject: says.Subject, Audiences: says.Audiences}
	if v.Result, err = c.testResult(client, report, a, false); err != nil {
		return err
	}
	v.Result.Header, v.Result.Payload = decoded(token)
	return c.showTest(v)
}

// testResult is what came of a test.
type testResult struct {
	Passed, Presumed bool
	Text, Mend       string
	Code             string // as an SDK shows it
	Actions          []action
	Steps            []stepView
	Header, Payload  string // of the token, decoded
	Claims           string // of the token that would be issued
}

type stepView struct {
	Number      int
	Title, Text string
	State       string // of a badge: good, bad or empty
	Word        string
	Pairs       []pairView
	Side        bool // there is something expected to compare with
}

// action mends what a test or a refusal shows.
type action struct {
	link
	Primary bool
}

// stepWords are the titles of the steps, and what each does, in words.
var stepWords = [...]struct{ title, text string }{
	{"Read the token", "It is read without being believed."},
	{"Find who trusts it", "One of the client's credentials must name exactly its issuer, subject and audience."},
	{"Check that it is genuine", "Its time and its signature are checked, by the keys of the issuer."},
	{"Decide what it is exchanged for", "The resource must be known here, and the client may have to be assigned to it."},
	{"Issue an access token", "A test stops here: it signs nothing."},
}

func (c *call) testResult(client knownClient, report exchange.Report, a credential.Assertion, presumed bool) (*testResult, error) {
	r := &testResult{Passed: report.Refusal == nil, Presumed: presumed, Claims: pretty(report.Claims)}
	switch {
	case !r.Passed:
		words := verdictOf(string(report.Refusal.Reason))
		r.Text, r.Mend = words.text, words.mend
		if c.Refusal != nil {
			code, text := c.Refusal(report.Refusal)
			r.Code = fmt.Sprintf("AADSTS%d: %s", code, text)
		}
	case presumed:
		r.Text = "A token of this service account would be accepted, if it is genuine and within its time."
	default:
		r.Text = "This token would be exchanged for an access token."
	}
	var err error
	if r.Actions, err = c.mend(client, report.Refusal, a); err != nil {
		return nil, err
	}
	for i, s := range report.Steps {
		v := stepView{Number: s.Number, Title: stepWords[i].title, Text: stepWords[i].text, Pairs: pairs(s.Compared), State: "", Word: "Not reached"}
		switch s.State {
		case exchange.Passed:
			v.State, v.Word = "good", "Passed"
		case exchange.Refused:
			v.State, v.Word = "bad", "Refused"
			v.Text = r.Text
		}
		if presumed && i == 2 && s.State == exchange.NotReached && len(s.Compared) > 0 {
			v.Word, v.Text, v.Pairs = "Not tested", "There is no token, so that neither its signature nor its time can be checked.", nil
		}
		v.Side = slices.ContainsFunc(v.Pairs, func(p pairView) bool { return p.Expected })
		r.Steps = append(r.Steps, v)
	}
	return r, nil
}

// mend offers what mends a refusal, as far as the caller may do it.
func (c *call) mend(client knownClient, refusal *exchange.Error, a credential.Assertion) ([]action, error) {
	if refusal == nil {
		return nil, nil
	}
	var actions []action
	add := func(text, to string) { actions = append(actions, action{link{Text: text, To: to}, len(actions) == 0}) }
	switch {
	case matching[refusal.Reason]:
		m, err := c.Directory.MatchCredential(c, c.caller.TenantID, client.id, a)
		if err != nil {
			return nil, err
		}
		nearest, err := c.Directory.Nearest(c, m, a)
		if err != nil {
			return nil, err
		}
		may, err := c.Directory.MayWriteCredentials(c, c.caller, client.parent)
		if err != nil {
			return nil, err
		}
		// A second one for the same issuer and subject is refused: that one has to be changed.
		taken := nearest.ID != "" && nearest.Issuer == a.Issuer && nearest.Subject == a.Subject
		slip := nearest.ID != "" && isSlip(nearest, a)
		open := func() { add("Open the nearest credential", holderPath(client.parent, "credentials", nearest.ID)) }
		if slip {
			open()
		}
		if may && !taken {
			q := url.Values{"issuer": {a.Issuer}, "subject": {a.Subject}}
			if len(a.Audiences) > 0 {
				q.Set("audience", a.Audiences[0])
			}
			add("Add a credential for this token", holderPath(client.parent, "credentials", "new")+"?"+q.Encode())
		}
		if nearest.ID != "" && !slip {
			open()
		}
		if !slip {
			if err := c.mendIssuer(a.Issuer, false, add); err != nil {
				return nil, err
			}
		}
	case ofIssuer[refusal.Reason]:
		if err := c.mendIssuer(a.Issuer, true, add); err != nil {
			return nil, err
		}
	case refusal.Reason == exchange.ClientDisabled, refusal.Reason == exchange.PrincipalNotFound:
		add("Open the client", client.to())
	}
	return actions, nil
}

// isSlip says whether a credential was meant for a token, and differs in one
// thing that a person overlooks.
func isSlip(t credential.Trust, a credential.Assertion) bool {
	_, differences := credential.Nearest([]credential.Trust{t}, a)
	return len(differences) == 1 && differences[0].Slip()
}

// ofIssuer are the reasons that lie with an issuer, or with what is known of it.
var ofIssuer = map[exchange.Reason]bool{
	exchange.AlgorithmNotAllowed: true, exchange.KeyNotFound: true, exchange.KeyUnsuitable: true, exchange.BadSignature: true,
	exchange.IssuerUnreachable: true, exchange.IssuerAddressRefused: true, exchange.IssuerInvalid: true,
}

// mendIssuer leads to an issuer if open is set, and to registering one that is not there.
func (c *call) mendIssuer(issuerURL string, open bool, add func(text, to string)) error {
	found, err := c.Directory.Issuers(c, c.caller, directory.Page{Search: issuerURL})
	if isForbidden(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, i := range found.Items {
		if i.URL == issuerURL {
			if open {
				add("Open the issuer", issuerPath(i.Name))
			}
			return nil
		}
	}
	if found.Next == "" && c.maySetIssuers() {
		add("Register the issuer", newIssuerPath+"?"+url.Values{"url": {issuerURL}}.Encode())
	}
	return nil
}
