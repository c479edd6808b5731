package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/signin"
)

func signinsOf(clientID string) signin.Query {
	return signin.Query{TenantID: testTenant, ClientID: clientID}
}

// record writes sign-ins, the last the newest, and returns their ids.
func (w *world) record(list ...signin.Record) (ids []string) {
	w.t.Helper()
	for i := range list {
		if list[i].TenantID == "" {
			list[i].TenantID = testTenant
		}
		if list[i].At.IsZero() {
			list[i].At = w.clock.Now().Add(time.Duration(i-len(list)) * time.Second)
		}
		list[i].RequestID = fmt.Sprintf("request-%d", i)
		w.records.Record(list[i])
	}
	w.must(w.records.Flush(w.t.Context()))
	found, _, err := w.records.List(w.t.Context(), signin.Query{TenantID: testTenant, Limit: signin.MaxLimit})
	w.must(err)
	for i := len(found) - 1; i >= 0; i-- {
		ids = append(ids, found[i].ID)
	}
	return ids
}

func TestSignIns(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	p.shows(p.get("/portal/sign-ins"), http.StatusOK, "Nobody has asked for an access token yet.", "kept for 30 days")

	const shop, till = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
	ids := w.record(
		signin.Record{ClientID: shop, ClientName: "shop", Method: exchange.ByAssertion, Issuer: "https://one.example/", Subject: petsSubject, Address: "192.0.2.7", CredentialID: till},
		signin.Record{ClientID: till, ClientName: hostile, Method: exchange.ByAssertion, Issuer: "https://two.example/", Subject: hostile, Code: 700213, Reason: string(exchange.SubjectMiss), At: w.clock.Now().Add(-48 * time.Hour)},
		signin.Record{ClientID: till, ClientName: "till", Method: exchange.BySecret, Code: 7000215, Reason: string(exchange.SecretWrong)},
		signin.Record{ClientName: "elsewhere", TenantID: "bbbbbbbb-0000-4000-8000-000000000001"},
	)
	if len(ids) != 3 {
		t.Fatalf("%d records", len(ids))
	}
	a := p.get("/portal/sign-ins")
	p.shows(a, http.StatusOK, "Granted", "Refused 7000215 The client secret is wrong.", petsSubject, "192.0.2.7", hostile, "Client secret")
	p.hides(a, "<script>alert", "<img src=x", "elsewhere")
	if strings.Index(a.body, ">till<") > strings.Index(a.body, ">shop<") {
		t.Error("the newest is not the first")
	}

	day := w.clock.Now().Add(-24 * time.Hour).UTC()
	for query, want := range map[string][3]bool{
		"":                                       {true, true, true},
		"result=granted":                         {true, false, false},
		"result=refused":                         {false, true, true},
		"code=AADSTS700213":                      {false, true, false},
		"code=7000215":                           {false, false, true},
		"client=" + strings.ToUpper(shop):        {true, false, false},
		"credential=" + till:                     {true, false, false},
		"q=TWO.example":                          {false, true, false},
		"q=sh":                                   {true, false, false},
		"from=" + day.Format("2006-01-02T15:04"): {true, false, true},
		"to=" + url.QueryEscape(day.Format("2006-01-02 15:04")): {false, true, false},
		"from=" + day.Format(time.RFC3339) + "&result=refused":  {false, false, true},
		"code=1": {},
	} {
		a := p.get("/portal/sign-ins?" + query)
		for i, id := range []string{0: ids[1], 1: ids[0], 2: ids[2]} {
			if got := strings.Contains(a.body, "/portal/sign-ins/"+id); a.status != http.StatusOK || got != want[i] {
				t.Errorf("%q: %d, record %d: %v", query, a.status, i, got)
			}
		}
	}
	p.shows(p.get("/portal/sign-ins?code=1"), http.StatusOK, "No sign-in matches.", "Show all sign-ins")
	p.shows(p.get("/portal/sign-ins?credential="+till), http.StatusOK, "Only sign-ins that used the credential "+till)
	a = p.get("/portal/sign-ins?code=abc&from=" + url.QueryEscape(hostile))
	p.shows(a, http.StatusUnprocessableEntity, "A filter cannot be read.", "A number, such as 700213.", "A day, or a day and a time")
	p.hides(a, "<script>alert", "The client secret is wrong.")
	p.shows(p.get("/portal/sign-ins?after=nonsense"), http.StatusNotFound, "There is no such page")
}

func TestSignInsPages(t *testing.T) {
	w := newWorld(t)
	var list []signin.Record
	for i := range 120 {
		list = append(list, signin.Record{ClientName: fmt.Sprintf("client-%03d", i), Method: exchange.BySecret})
	}
	w.record(list...)
	p := w.signIn(w.admin)
	seen, at := 0, "/portal/sign-ins?result=granted"
	for at != "" {
		a := p.get(at)
		p.shows(a, http.StatusOK)
		seen += strings.Count(a.body, `data-label="Client" `)
		_, rest, more := strings.Cut(a.body, `rel="next"`)
		_ = rest
		if !more {
			break
		}
		before, _, _ := strings.Cut(a.body, `" rel="next"`)
		at = strings.ReplaceAll(before[strings.LastIndex(before, `href="`)+6:], "&amp;", "&")
		if !strings.Contains(at, "result=granted") {
			t.Fatalf("the next page is %s", at)
		}
	}
	if seen != 120 {
		t.Errorf("%d of 120 records are on the pages", seen)
	}
}

func TestSignInsAreForThoseWithTheRight(t *testing.T) {
	w := newWorld(t)
	ids := w.record(signin.Record{ClientName: "till", Method: exchange.BySecret})
	p := w.signIn(w.reader())
	p.shows(p.get("/portal/sign-ins"), http.StatusForbidden, "You may not do this", "Entente.Federation/signIns/read")
	a := p.get("/portal/sign-ins/" + ids[0])
	p.shows(a, http.StatusForbidden)
	p.hides(a, "till", `href="/portal/sign-ins"`)
	p = w.signIn(w.principal("overseer", "/", roles.FederationReader))
	p.shows(p.get("/portal/sign-ins/"+ids[0]), http.StatusOK, "till")
	if a := w.stranger().get("/portal/sign-ins"); a.status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", a.status)
	}
}

func TestRefusedSignInLeadsToTheNearestCredential(t *testing.T) {
	w := newWorkload(t)
	refused := signin.Record{
		ClientID: w.app.AppID, ClientName: "pets", ClientKind: string(credential.Application), Method: exchange.ByAssertion, Code: 700213, Reason: string(exchange.SubjectMiss),
		Issuer: w.issuer.URL(), Subject: "system:serviceaccount:pets:wep", Audience: credential.DefaultAudience, Address: "192.0.2.7",
	}
	granted := refused
	granted.Code, granted.Reason, granted.Subject, granted.CredentialID, granted.TokenID = 0, "", petsSubject, w.trust.ID, "uti-1"
	gone := refused
	gone.ClientID, gone.ClientName = "99999999-9999-4999-8999-999999999999", "gone"
	nasty := refused
	nasty.Subject, nasty.Issuer, nasty.Audience, nasty.ClientName = hostile, hostile, hostile, hostile
	nasty.Address, nasty.Code, nasty.Reason = hostile, 700211, string(exchange.IssuerMiss)
	ids := w.record(refused, granted, gone, nasty)
	p := w.signIn(w.admin)
	nearest := "/portal/applications/" + w.app.ID + "/credentials/" + w.trust.ID

	a := p.get("/portal/sign-ins/" + ids[0])
	p.shows(a, http.StatusOK, "Sign-in refused", "AADSTS700213", "The issuer is trusted, but for other subjects.", "The nearest credential", "The service account differs", "Add a credential for this token", "Open the nearest credential", "192.0.2.7", "request-0")
	for _, want := range []string{`we<mark class="want">b</mark>`, `we<mark>p</mark>`, `href="` + nearest + `"`, `href="/portal/applications/` + w.app.ID + `"`, "Test it once more"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not in:\n%s", want, a.body)
		}
	}
	a = p.get("/portal/sign-ins/" + ids[1])
	p.shows(a, http.StatusOK, "Sign-in granted", "pets got an access token.", "uti-1", "Token of a trusted issuer")
	if !strings.Contains(a.body, `href="`+nearest+`"`) {
		t.Error("the credential that matched is not linked")
	}
	p.hides(a, "The nearest credential")
	p.shows(p.get("/portal/sign-ins/"+ids[2]), http.StatusOK, "You may not see this client's credentials, or it is not there any more.")
	a = p.get("/portal/sign-ins/" + ids[3])
	p.shows(a, http.StatusOK, hostile)
	p.hides(a, "<script>alert", "<img src=x", "onerror='")
	p.shows(p.get("/portal/sign-ins/nothing"), http.StatusNotFound, "This sign-in is not there", "kept for 30 days")

	// Who may read sign-ins may not for that reason read credentials.
	overseer := w.signIn(w.principal("overseer", "/", roles.FederationReader))
	a = overseer.get("/portal/sign-ins/" + ids[0])
	overseer.shows(a, http.StatusOK, "You may not see this client's credentials")
	overseer.hides(a, w.trust.ID, w.app.ID, "Open the nearest")
	a = overseer.get("/portal/sign-ins/" + ids[1])
	overseer.shows(a, http.StatusOK, "removed since, or not for you to see")

	// Once the credential is there, the page says so.
	_, err := w.dir.AddCredential(t.Context(), w.admin, w.parent, credential.Spec{Name: "wep", Issuer: refused.Issuer, Subject: refused.Subject, Audiences: []string{credential.DefaultAudience}})
	w.must(err)
	a = p.get("/portal/sign-ins/" + ids[0])
	p.shows(a, http.StatusOK, "By now a credential of the client fits")
	p.hides(a, "Add a credential for this token")
}

// Every reason has its words: an exchange must not be refused for something
// that the pages cannot say.
func TestVerdicts(t *testing.T) {
	for reason, v := range verdicts {
		if v.text == "" || !strings.HasSuffix(v.text, ".") || v.mend != "" && !strings.HasSuffix(v.mend, ".") {
			t.Errorf("%s: %+v", reason, v)
		}
	}
	if v := verdictOf("never_heard_of"); v.text != "Never heard of." {
		t.Errorf("%+v", v)
	}
}
