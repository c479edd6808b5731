package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/portal"
)

// portalForms are the forms that do something, with which an administrator
// does it and nobody does who may not. A POST without a row fails.
var portalForms = map[string]string{
	"/portal/applications/new":                                                "name=made",
	"/portal/applications/{application}/delete":                               "",
	"/portal/applications/{bare}/principal":                                   "",
	"/portal/applications/{application}/secrets":                              "description=made&days=180",
	"/portal/applications/{application}/secrets/{secret}/delete":              "",
	"/portal/applications/{application}/certificates":                         "description=made&certificate={pem}",
	"/portal/applications/{application}/certificates/{certificate}/delete":    "",
	"/portal/applications/{application}/credentials/new":                      "scenario=other&issuer=https://new.example/&other-subject=s&name=made",
	"/portal/applications/{application}/credentials/{graphCredential}":        "scenario=other&issuer=https://new.example/&other-subject=s",
	"/portal/applications/{application}/credentials/{graphCredential}/delete": "",
	"/portal/groups/new":                                                                          "subscription={subscription}&name={fresh}&location=local",
	"/portal/groups/{subscription}/{group}/delete":                                                "",
	"/portal/groups/{subscription}/{group}/new-identity":                                          "name={freshIdentity}&location=local",
	"/portal/groups/{subscription}/{group}/identities/{identity}/settings":                        "tag-name-0=a&tag-value-0=b",
	"/portal/groups/{subscription}/{group}/identities/{identity}/delete":                          "",
	"/portal/groups/{subscription}/{group}/identities/{identity}/credentials/new":                 "scenario=other&issuer=https://new.example/&other-subject=s&name=made",
	"/portal/groups/{subscription}/{group}/identities/{identity}/credentials/{credential}":        "scenario=other&issuer=https://new.example/&other-subject=s",
	"/portal/groups/{subscription}/{group}/identities/{identity}/credentials/{credential}/delete": "",
	"/portal/clusters/new": "group={subscription}/{group}&name={freshCluster}&source=Discovery&issuer=https://new.example/",
	"/portal/clusters/{subscription}/{group}/{cluster}/keys":   "keyset={keySet}&looked={looked}",
	"/portal/clusters/{subscription}/{group}/{cluster}/delete": "",
	"/portal/issuers/-/new":                                    "name={freshIssuer}&issuer=https://new.example/&source=Discovery",
	"/portal/issuers/{issuer}/edit":                            "source=Discovery&alg-ES256=on",
	"/portal/issuers/{issuer}/delete":                          "",
	"/portal/roles/new":                                        "principal={bystander}&role=" + readerRole + "&scope=/subscriptions/{subscription}/resourceGroups/{other}",
	"/portal/roles/remove":                                     "scope=/subscriptions/{subscription}/resourceGroups/{group}&name={assignment}",
	"/portal/settings/policy":                                  "limit=30",
	"/portal/settings/issuers":                                 "registered-only=yes",
	"/portal/settings/sessions":                                "session={session}",
	"/portal/signing-keys/rotate":                              "",
}

const readerRole = "acdd72a7-3385-48ef-bd42-f606fba81ae7"

// portalLooks are the forms that change nothing, for whoever may send them.
var portalLooks = map[string]string{
	"/portal/clusters/{subscription}/{group}/{cluster}/check": "",
	"/portal/issuers/{issuer}/check":                          "",
	"/portal/live/check":                                      "id={application}&scenario=other&issuer=http://new.example/&other-subject=s&name=made",
	"/portal/test":                                            "client={appId}&token=x",
	"/portal/settings/theme":                                  "theme=dark",
	"/portal/link":                                            "token=x",
}

// portalPath puts names of vars into the places of a pattern.
func portalPath(pattern string) string {
	p := strings.ReplaceAll(pattern, "{$}", "")
	switch {
	case strings.HasSuffix(p, "/principal"):
		p = strings.ReplaceAll(p, "{id}", "{bare}")
	case strings.HasPrefix(p, "/portal/applications/"):
		p = strings.NewReplacer("{id}", "{application}", "{cred}", "{graphCredential}").Replace(p)
	case strings.HasPrefix(p, "/portal/groups/"):
		p = strings.NewReplacer("{name}", "{identity}", "{cred}", "{credential}").Replace(p)
	case strings.HasPrefix(p, "/portal/clusters/"):
		p = strings.ReplaceAll(p, "{name}", "{cluster}")
	case strings.HasPrefix(p, "/portal/issuers/"):
		p = strings.ReplaceAll(p, "{name}", "{issuer}")
	case strings.HasPrefix(p, "/portal/sign-ins/"):
		p = strings.ReplaceAll(p, "{id}", "{nowhere}")
	}
	return strings.ReplaceAll(p, "{sub}", "{subscription}")
}

// runPortal asks every route of the portal as somebody who has not signed in,
// as one who may do nothing, as readers, as another tenant's administrator, and
// as the administrator, whom the same forms obey.
func (m *matrix) runPortal(t *testing.T) {
	m.vars["{pem}"] = selfSigned(t)
	app := directory.Ref{ID: m.vars["{application}"]}
	block, _ := pem.Decode([]byte(m.vars["{pem}"]))
	holds := must[directory.Application](t)(m.directory.UpdateApplication(t.Context(), m.system, app, func(a *directory.Application) error {
		a.Certificates = []directory.Certificate{{DER: block.Bytes}}
		return nil
	}))
	m.vars["{certificate}"] = holds.Certificates[0].ID
	m.vars["{pem}"] = selfSigned(t)
	sessions := map[string]string{"nobody": ""}
	for _, a := range m.askers {
		if slices.Contains([]string{"nothing", "reader", "Federation Reader", "administrator", "administrator of another tenant"}, a.name) {
			tenant := m.vars["{tenant}"]
			if a.foreign {
				tenant = m.vars["{foreignTenant}"]
			}
			sessions[a.name] = m.portalSession(tenant, a.id)
		}
	}
	bystander := m.portalSession(m.vars["{tenant}"], m.vars["{bystander}"])
	found := must[directory.PortalSession](t)(m.directory.PortalSession(t.Context(), bystander))
	m.vars["{session}"] = found.ID
	m.keep(t)
	before := m.state(t, nil)
	ask := func(route portal.Route, session, form string) *httptest.ResponseRecorder {
		body := url.Values{}
		for _, pair := range strings.Split(form, "&") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				body.Set(name, m.vars.in(value))
			}
		}
		return m.ask(route.Method, m.vars.in(portalPath(route.Pattern)), strings.NewReader(body.Encode()), portalForm(session))
	}
	// What new keys change is looked at before they are set.
	keys := portal.Route{Method: http.MethodPost, Pattern: "/portal/clusters/{subscription}/{group}/{cluster}/keys"}
	_, looked, _ := strings.Cut(ask(keys, sessions["administrator"], portalForms[keys.Pattern]).Body.String(), `name="looked" value="`)
	looked, _, _ = strings.Cut(looked, `"`)
	m.vars["{looked}"] = looked

	left := maps.Clone(portalForms)
	maps.Copy(left, portalLooks)
	for _, route := range m.portal.Routes() {
		path := portalPath(route.Pattern)
		form, writes := portalForms[path]
		look, looks := portalLooks[path]
		form += look
		delete(left, path)
		writes = writes && route.Method == http.MethodPost
		ends := strings.HasSuffix(path, "/sign-out")
		if route.Method == http.MethodPost && !writes && !looks && !ends {
			t.Errorf("POST %s has no form", path)
			continue
		}
		for name, session := range sessions {
			t.Run(route.Method+" "+path+" as "+name, func(t *testing.T) {
				w := ask(route, session, form)
				now := m.state(t, before)
				changed := strings.TrimSpace(withoutSessions(before).diff(withoutSessions(now)))
				defer m.restore(t, before, now)
				_, text, _ := strings.Cut(w.Body.String(), "<main")
				if w.Code >= 500 {
					t.Errorf("%d %.500s", w.Code, text)
				}
				switch {
				case name == "nobody" && !route.Open && w.Code != http.StatusUnauthorized:
					t.Errorf("%d, want 401: %.300s", w.Code, text)
				case ends:
					if session != "" && w.Code != http.StatusSeeOther {
						t.Errorf("%d", w.Code)
					}
					return
				case name == "administrator":
					if writes && (w.Code >= 400 || len(now["audit_events"]) <= len(before["audit_events"])) {
						t.Errorf("%d, and nothing is recorded: %.900s", w.Code, text)
					}
					return
				}
				if changed != "" && !(name == "administrator of another tenant" && onlyOf(changed, m.foreignIDs)) {
					t.Errorf("%d, and it changed something:\n%.900s", w.Code, changed)
				}
				if strings.HasSuffix(name, "eader") { // they may see much
					return
				}
				for _, canary := range m.canaries {
					if strings.Contains(text, canary) {
						t.Errorf("is told of %s: %d %.900s", canary, w.Code, text)
					}
				}
				// Of what is there somebody without a right is told as of what is not. (A page that
				// only sends on to another looks at nothing.)
				if sendsOn := route.Method == http.MethodGet && w.Code == http.StatusSeeOther; !sendsOn && strings.Contains(path, "{") && !strings.Contains(path, "/assets/") && session != "" && w.Code != http.StatusNotFound && w.Code != http.StatusForbidden {
					t.Errorf("%d: %.500s", w.Code, text)
				}
			})
		}
	}
	for path := range left {
		t.Errorf("there is no route for the form of %s", path)
	}
}

// withoutSessions leaves out what every request may note: when a session was used.
func withoutSessions(s state) state {
	s = maps.Clone(s)
	delete(s, "portal_sessions")
	return s
}

// onlyOf says that each line of a diff is about one of these ids.
func onlyOf(diff string, ids []string) bool {
	for line := range strings.Lines(diff) {
		if !slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(line, id) }) {
			return false
		}
	}
	return true
}

func selfSigned(t *testing.T) string {
	t.Helper()
	key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "made"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, of, of, key.Public(), key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
