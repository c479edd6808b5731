package portal

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/signin"
)

var signInsPages = []route{
	{"GET " + signInLogPath, (*call).signIns, false},
	{"GET " + signInLogPath + "/{id}", (*call).signInRecord, false},
}

const (
	signInLogPath = Path + "/sign-ins"
	readSignIns   = "Entente.Federation/signIns/read"
)

// The results by which sign-ins are filtered.
const (
	refusedResult = "refused"
	grantedResult = "granted"
)

type signInsView struct {
	List    *listing
	Rows    []signInRow
	Errors  []string
	Search  field
	Result  choice
	Code    field
	Client  field
	From    field
	To      field
	More    bool // of the filters, those that are folded away are in use
	Partial bool // the page looked at a part of the log, and found nothing in it
	Days    int
	// Credential is what the log is narrowed to, by the page of a credential.
	Credential, WithoutCredential string
}

type signInRow struct {
	To                           string
	At                           time.Time
	Client, ClientID             string
	Granted                      bool
	Code                         int
	Reason                       string
	Subject, Issuer, By, Address string
}

func (c *call) signIns() error {
	if err := c.Directory.Permit(c, c.caller, readSignIns, "/"); err != nil {
		return err
	}
	l := c.list("q", "result", "code", "client", "credential", "from", "to")
	v := signInsView{
		List: l, Days: int(c.SignIns.Keeps() / (24 * time.Hour)), Credential: l.Get("credential"), WithoutCredential: l.With("credential", ""),
		Search: field{Name: "q", Label: "Search", Value: l.Get("q"), Placeholder: "Client, issuer, subject, or an id", Max: 256},
		Result: choice{Name: "result", Label: "Result", Value: l.Get("result"), Options: []option{{"", "All"}, {refusedResult, "Refused"}, {grantedResult, "Granted"}}},
		Code:   field{Name: "code", Label: "AADSTS code", Value: l.Get("code"), Max: 16},
		Client: field{Name: "client", Label: "Client id", Value: l.Get("client"), Max: 64},
		From:   field{Name: "from", Label: "From (UTC)", Value: l.Get("from"), Placeholder: momentExample, Max: 30},
		To:     field{Name: "to", Label: "To (UTC)", Value: l.Get("to"), Placeholder: momentExample, Max: 30},
	}
	v.More = v.Client.Value != "" || v.From.Value != "" || v.To.Value != ""
	at := l.page()
	q := signin.Query{
		TenantID: c.caller.TenantID, ClientID: strings.ToLower(strings.TrimSpace(v.Client.Value)), CredentialID: strings.ToLower(v.Credential), Search: at.Search,
		OnlyFailures: v.Result.Value == refusedResult, OnlyGranted: v.Result.Value == grantedResult, After: at.After, Limit: at.Limit,
	}
	var err error
	if q.Code, err = parseCode(v.Code.Value); err != nil {
		v.Code.Error = "A number, such as 700213."
	}
	q.From, v.From.Error = parseMoment(v.From.Value)
	q.To, v.To.Error = parseMoment(v.To.Value)
	p := page{template: "sign-ins", title: "Sign-ins", wide: true}
	if v.Code.Error+v.From.Error+v.To.Error != "" {
		p.status, v.Errors = http.StatusUnprocessableEntity, []string{"A filter cannot be read. See the marked field."}
		return c.show(p, v)
	}
	records, next, err := c.SignIns.List(c, q)
	if errors.Is(err, signin.ErrAfter) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	l.Next, l.Shown, v.Partial = next, len(records), len(records) == 0 && next != ""
	for _, r := range records {
		v.Rows = append(v.Rows, rowOf(r))
	}
	return c.show(p, v)
}

func rowOf(r signin.Record) signInRow {
	row := signInRow{
		To: pathTo("sign-ins", r.ID), At: r.At, Client: cmp.Or(r.ClientName, r.ClientID, "Unknown client"), ClientID: r.ClientID,
		Granted: r.Code == 0, Code: r.Code, Subject: r.Subject, Issuer: r.Issuer, By: methodWords(r.Method), Address: r.Address,
	}
	if !row.Granted {
		row.Reason = verdictOf(r.Reason).text
	}
	return row
}

// methodWords says how a client proved who it is.
func methodWords(method string) string {
	switch method {
	case exchange.ByAssertion:
		return "Token of a trusted issuer"
	case exchange.ByCertificate:
		return "Certificate"
	case exchange.BySecret:
		return "Client secret"
	}
	return ""
}

// parseCode reads the number of AADSTS700213, with or without the letters.
func parseCode(text string) (int, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(text, "AADSTS"))
	if err == nil && n <= 0 {
		err = errors.New("no code")
	}
	return n, err
}

const momentExample = "2026-11-22 14:00"

// parseMoment reads a time of a filter, in UTC; wrong is what to tell who wrote it.
func parseMoment(text string) (at time.Time, wrong string) {
	if text = strings.TrimSpace(text); text == "" {
		return at, ""
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05 UTC", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), ""
		}
	}
	return at, "A day, or a day and a time: " + momentExample + "."
}

type signInView struct {
	At                          time.Time
	Granted                     bool
	Code                        int
	Reason, Mend                string
	Client, ClientTo, ClientID  string
	Kind, PrincipalID           string
	Method                      string
	Issuer, Subject, Audience   []pieceView
	Resource                    []pieceView
	Address, RequestID, TokenID string
	Credential                  *credentialLink
	CredentialGone              string // the id of one that is not there any more, or not for this caller to see
	Nearest                     *nearestView
	Similar, SameClient, Test   string
}

// credentialLink leads to a credential.
type credentialLink struct{ Name, To string }

// signInRecord is one record, and for a refused one what a person wants to know
// next: which credential was probably meant, and how it differs.
func (c *call) signInRecord() error {
	if err := c.Directory.Permit(c, c.caller, readSignIns, "/"); err != nil {
		return err
	}
	r, err := c.SignIns.Get(c, c.caller.TenantID, c.value("id"))
	if errors.Is(err, signin.ErrNone) {
		return &problem{status: http.StatusNotFound, title: "This sign-in is not there", text: "Sign-ins are kept for " + span(c.SignIns.Keeps()) + "."}
	}
	if err != nil {
		return err
	}
	reason := verdictOf(r.Reason)
	v := signInView{
		At: r.At, Granted: r.Code == 0, Code: r.Code, Reason: reason.text, Mend: reason.mend, Client: cmp.Or(r.ClientName, r.ClientID), ClientID: r.ClientID,
		Kind: kindWords(credential.ParentKind(r.ClientKind)), PrincipalID: r.PrincipalID, Method: methodWords(r.Method), Issuer: shown(r.Issuer), Subject: shown(r.Subject), Audience: shown(r.Audience),
		Resource: shown(r.Resource), Address: r.Address, RequestID: r.RequestID, TokenID: r.TokenID,
	}
	l := &listing{Path: signInLogPath}
	if r.ClientID != "" {
		v.SameClient = l.With("client", r.ClientID)
	}
	if !v.Granted {
		v.Similar = l.With("code", strconv.Itoa(r.Code))
	}
	client, err := c.findClient(r.ClientID)
	known := err == nil
	if err != nil && !isNotFound(err) && !isForbidden(err) {
		return err
	}
	if known {
		v.ClientTo = client.to()
		if r.Issuer != "" && r.Method == exchange.ByAssertion {
			v.Test = tokenTestPath + "?" + url.Values{"client": {client.id}, "with": {byClaims}, "issuer": {r.Issuer}, "subject": {r.Subject}, "audience": {firstOf(r.Audience)}}.Encode()
		}
	}
	if r.CredentialID != "" && r.Method == exchange.ByAssertion {
		found, parent, err := c.Directory.CredentialByID(c, c.caller, r.CredentialID)
		switch {
		case isNotFound(err):
			v.CredentialGone = r.CredentialID
		case err != nil:
			return err
		default:
			v.Credential = &credentialLink{found.Name, holderPath(parent, "credentials", found.ID)}
		}
	}
	if matching[exchange.Reason(r.Reason)] && r.Issuer != "" {
		if v.Nearest, err = c.nearestOf(r, client, known); err != nil {
			return err
		}
	}
	p := page{template: "sign-in", title: "Sign-in granted", trail: []crumb{{"Sign-ins", signInLogPath}}}
	if !v.Granted {
		p.title = "Sign-in refused"
	}
	return c.show(p, v)
}

// firstOf is the first of a record's audiences.
func firstOf(audiences string) string {
	first, _, _ := strings.Cut(audiences, " ")
	return first
}

// nearestView compares what a refused exchange presented with the credentials
// of the client as they are now.
type nearestView struct {
	Hidden    bool // the caller may not see the client's credentials
	Shortened bool // the record does not hold the whole of what was presented
	Fits      bool // by now one does
	Pairs     []pairView
	Actions   []action
}

func (c *call) nearestOf(r signin.Record, client knownClient, known bool) (*nearestView, error) {
	if !known {
		return &nearestView{Hidden: true}, nil
	}
	a := credential.Assertion{Issuer: r.Issuer, Subject: r.Subject, Audiences: strings.Fields(r.Audience)}
	v := &nearestView{Shortened: strings.HasSuffix(r.Issuer, "…") || strings.HasSuffix(r.Subject, "…") || strings.HasSuffix(r.Audience, "…")}
	report, err := c.Exchange.Presume(c, exchange.Request{Tenant: c.caller.TenantID, ClientID: r.ClientID, Scope: defaultScope}, a)
	if err != nil {
		return nil, err
	}
	v.Fits = report.Steps[1].State == exchange.Passed
	v.Pairs = pairs(ofCredential(report.Steps[1].Compared))
	v.Actions, err = c.mend(client, report.Refusal, a)
	return v, err
}

// kindWords names a sort of client.
func kindWords(k credential.ParentKind) string {
	switch k {
	case credential.Application:
		return "Application"
	case credential.ManagedIdentity:
		return "Managed identity"
	}
	return string(k)
}

// holderPath is a page below what credentials hang off.
func holderPath(p directory.Parent, more ...string) string {
	if p.Application != nil {
		return applicationPath(p.Application.ID, more...)
	}
	return identityPath(*p.Identity, more...)
}
