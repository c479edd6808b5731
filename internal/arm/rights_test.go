package arm

import (
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/roles"
)

// samples has a request for every route, and who may make it besides the
// administrator. "*" is everybody who is known in the tenant and "+" everybody
// who holds a role in the subscription.
func samples(w *world) map[string]struct{ body, may string } {
	const (
		group       = "/subscriptions/{subscription}/resourceGroups/{group}"
		identities  = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
		identity    = group + identities + "/{identity}"
		credentials = identity + "/federatedIdentityCredentials"
		clusters    = "/providers/Microsoft.ContainerService/managedClusters"
		cluster     = group + clusters + "/{cluster}"
		ours        = "/providers/Entente.Federation"
		definitions = "{scope}/providers/Microsoft.Authorization/roleDefinitions"
		assignments = "{scope}/providers/Microsoft.Authorization/roleAssignments"

		read  = "owner access reader contributor"
		write = "owner contributor"
		whole = "owner access reader" // of the subscription
	)
	return map[string]struct{ body, may string }{
		"GET /tenants":                                                      {may: "*"},
		"GET /subscriptions":                                                {may: "*"},
		"GET /subscriptions/{subscription}":                                 {may: "+"},
		"GET /subscriptions/{subscription}/locations":                       {may: "+"},
		"GET /subscriptions/{subscription}/providers":                       {may: "+"},
		"GET /subscriptions/{subscription}/providers/{namespace}":           {may: "+"},
		"POST /subscriptions/{subscription}/providers/{namespace}/register": {may: "owner"},

		"GET /subscriptions/{subscription}/resources":                                 {may: "+"},
		"GET " + group + "/resources":                                                 {may: read},
		"GET /subscriptions/{subscription}/tagNames":                                  {may: whole},
		"GET /subscriptions/{subscription}/providers/Microsoft.Resources/deployments": {may: whole},
		"GET " + group + "/providers/Microsoft.Resources/deployments":                 {may: read},
		"GET {scope}/providers/Microsoft.Authorization/locks":                         {may: read},
		"GET {scope}/providers/Microsoft.Resources/tags/default":                      {may: read},

		"GET /subscriptions/{subscription}/resourceGroups": {may: "+"},
		"HEAD " + group:   {may: read},
		"GET " + group:    {may: read},
		"PUT " + group:    {`{"location":"local"}`, write},
		"PATCH " + group:  {`{"tags":{"a":"b"}}`, write},
		"DELETE " + group: {may: write},

		"GET /providers/Microsoft.ManagedIdentity/operations": {may: "*"},
		"GET /subscriptions/{subscription}" + identities:      {may: "+"},
		"GET " + group + identities:                           {may: read},
		"GET " + identity:                                     {may: read},
		"PUT " + identity:                                     {`{"location":"local"}`, write},
		"PATCH " + identity:                                   {`{"tags":{"a":"b"}}`, write},
		"DELETE " + identity:                                  {may: write},
		"POST " + identity + "/listAssociatedResources":       {may: write},

		"GET " + credentials:                      {may: read},
		"GET " + credentials + "/{credential}":    {may: read},
		"PUT " + credentials + "/{credential}":    {ficBody, write},
		"DELETE " + credentials + "/{credential}": {may: write},

		"GET /subscriptions/{subscription}" + clusters: {may: "+"},
		"GET " + group + clusters:                      {may: read},
		"GET " + cluster:                               {may: read},
		"PUT " + cluster:                               {`{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true}}}`, write},
		"PATCH " + cluster:                             {`{"tags":{"a":"b"}}`, write},
		"DELETE " + cluster:                            {may: write},
		"POST " + cluster + "/updateKeys":              {body: `{"keySet":` + keySet(w.t) + `}`},
		"GET " + cluster + "/serviceAccounts":          {may: read},
		"PUT " + cluster + "/serviceAccounts":          {`{"serviceAccounts":[{"namespace":"pets","name":"cat"}]}`, write},

		"GET " + definitions:                      {may: "+"},
		"GET " + definitions + "/{definition}":    {may: "+"},
		"GET " + assignments:                      {may: read},
		"GET " + assignments + "/{assignment}":    {may: read},
		"PUT " + assignments + "/{assignment}":    {w.assign(roles.Reader, "nobody2"), "owner access"},
		"DELETE " + assignments + "/{assignment}": {may: "owner access"},

		"GET " + ours + "/issuers":             {may: "auditor"},
		"GET " + ours + "/issuers/{issuer}":    {may: "auditor"},
		"PUT " + ours + "/issuers/{issuer}":    {body: `{"properties":{"issuer":"https://issuer.example/prod/"}}`},
		"DELETE " + ours + "/issuers/{issuer}": {},
		"GET " + ours + "/policies/default":    {may: "auditor"},
		"PUT " + ours + "/policies/default":    {body: `{"properties":{"maxFederatedIdentityCredentials":30}}`},
		"GET " + ours + "/tenants":             {may: "*"},
		"GET " + ours + "/tenants/{tenant}":    {may: "*"},
		"PUT " + ours + "/tenants/{tenant}":    {body: `{"properties":{"displayName":"new"}}`},
		"GET " + ours + "/auditEvents":         {may: "auditor"},
		"GET " + ours + "/signIns":             {may: "auditor"},
		"GET " + ours + "/signingKeys":         {may: "auditor"},
		"POST " + ours + "/signingKeys/rotate": {},
		"POST " + ours + "/portalLinks":        {may: "*"},
	}
}

// arguments are what the samples' paths are filled with.
var arguments = strings.NewReplacer(
	"{subscription}", testSubscription, "{group}", "rg", "{identity}", "ide", "{credential}", "fic1", "{cluster}", "clu", "{namespace}", "Microsoft.ManagedIdentity",
	"{scope}", inGroup, "{definition}", roles.Reader, "{assignment}", sampleAssignment, "{issuer}", "prod", "{tenant}", testTenant,
)

// Every route is tried by everybody: without a token, with every role that is
// too little, and from another tenant.
func TestRights(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	all := samples(w)
	inSubscription := []string{"owner", "access", "reader", "contributor", "neighbour", "auditor"}
	for _, route := range w.surface.Routes() {
		key := route.Method + " " + route.Pattern
		if route.Action == "" {
			continue // for anybody
		}
		sample, known := all[key]
		if !known {
			t.Errorf("no sample of %s", key)
			continue
		}
		delete(all, key)
		path := arguments.Replace(route.Pattern)
		if key == "PUT /providers/Entente.Federation/tenants/{tenant}" {
			path = strings.Replace(path, testTenant, "77777777-7777-4777-8777-777777777777", 1)
		}
		t.Run(key, func(t *testing.T) {
			w := *w
			w.t = t
			if r := w.do("", route.Method, path, sample.body); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("without a token: %d %.300s", r.status, r.text)
			}
			ofSubscription := strings.Contains(path, testSubscription)
			for _, who := range sorts {
				may := who == "admin" || slices.Contains(strings.Fields(sample.may), who) ||
					sample.may == "*" && who != "stranger" || sample.may == "+" && slices.Contains(inSubscription, who)
				if who == "stranger" && !ofSubscription {
					continue // has its own; see TestAnotherTenant
				}
				r := w.do(who, route.Method, path, sample.body)
				switch {
				case may && (r.status >= 300):
					t.Errorf("%s may do this, and got %d %.300s", who, r.status, r.text)
				case may:
				case ofSubscription && !slices.Contains(inSubscription, who):
					if r.status != 404 || route.Method != "HEAD" && !strings.Contains(r.text, "SubscriptionNotFound") {
						t.Errorf("%s must not see the subscription, and got %d %.300s", who, r.status, r.text)
					}
				case r.status != 403 || route.Method != "HEAD" && !strings.Contains(r.text, "AuthorizationFailed"):
					t.Errorf("%s must not do this, and got %d %.300s", who, r.status, r.text)
				}
				if may && route.Method == "DELETE" {
					w.fixture()
				}
				if may && key == "PUT /providers/Entente.Federation/tenants/{tenant}" {
					break // a tenant is made once
				}
			}
		})
	}
	for key := range all {
		t.Errorf("%s is no route", key)
	}
}

// A change of nothing needs the right to change all the same.
func TestAnEmptyChangeNeedsTheRight(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	for _, path := range []string{inGroup, ide} {
		if r := w.do("reader", "PATCH", path, `{}`); r.status != 403 {
			t.Errorf("a reader of %s: %d %.300s", path, r.status, r.text)
		}
	}
}

// Whoever sets an issuer's keys can speak for all its workloads.
func TestWhoMaySetAnIssuersKeys(t *testing.T) {
	w := newWorld(t)
	w.fixture() // the credential of the identity makes an implicit issuer
	implicit := ""
	page, err := w.dir.Issuers(t.Context(), w.principals["admin"], pageOf(""))
	w.must(err)
	for _, i := range page.Items {
		if i.Implicit {
			implicit = i.Name
		}
	}
	body := `{"properties":{"issuer":"https://issuer.example/t1/","keySource":"KeySet","algorithms":["ES256"],"keySet":` + keySet(t) + `}}`
	before := w.ok("admin", "GET", issuers, "").text
	for _, who := range sorts {
		if who == "admin" || who == "stranger" {
			continue
		}
		for _, name := range []string{"mine", "prod", implicit} {
			for _, b := range []string{body, `{"properties":`, ""} { // the right comes before the body
				if r := w.do(who, "PUT", issuers+"/"+name, b); r.status != 403 {
					t.Errorf("%s sets %s: %d %.300s", who, name, r.status, r.text)
				}
			}
			if r := w.do(who, "DELETE", issuers+"/"+name, ""); r.status != 403 {
				t.Errorf("%s deletes %s: %d %.300s", who, name, r.status, r.text)
			}
		}
	}
	// Another tenant's administrator sets its own issuer of that URL.
	if r := w.do("stranger", "PUT", issuers+"/prod", body); r.status != 201 {
		t.Errorf("an administrator cannot set an issuer of its own: %d %.300s", r.status, r.text)
	}
	if after := w.ok("admin", "GET", issuers, "").text; after != before {
		t.Errorf("the issuers changed:\n%s\n%s", before, after)
	}
	// An Owner of the subscription can give nobody that right where it counts.
	for _, scope := range []string{"", "/providers/Entente.Federation/issuers/prod"} {
		for _, definition := range []string{roles.FederationAdministrator, roles.FederationReader, roles.Owner} {
			if r := w.do("owner", "PUT", scope+assignmentPath+sampleAssignment, w.assign(definition, "owner")); r.status != 403 {
				t.Errorf("the owner gives itself %s on %q: %d %.300s", definition, scope, r.status, r.text)
			}
		}
	}
	if r := w.do("owner", "PUT", sub+assignmentPath+sampleAssignment, w.assign(roles.FederationAdministrator, "owner")); r.status != 403 {
		t.Errorf("the owner makes an administrator of its subscription: %d %.300s", r.status, r.text)
	}
	if r := w.do("admin", "PUT", issuers+"/"+implicit, body); r.status != 200 {
		t.Errorf("the administrator sets the keys: %d %.300s", r.status, r.text)
	}
}

func TestAnotherTenant(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	const ours = "/providers/Entente.Federation"
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string // a part of the answer
	}{
		{"GET", "/subscriptions", "", 200, otherSub},
		{"GET", "/tenants", "", 200, otherTenant},
		{"GET", ours + "/tenants", "", 200, otherTenant},
		{"GET", ours + "/tenants/" + testTenant, "", 404, "ResourceNotFound"},
		{"PUT", ours + "/tenants/77777777-7777-4777-8777-777777777777", `{}`, 403, "AuthorizationFailed"},
		{"GET", issuers, "", 200, `{"value":[]}`},
		{"GET", issuers + "/prod", "", 404, "ResourceNotFound"},
		{"DELETE", issuers + "/prod", "", 204, ""},
		{"GET", assignmentPath + sampleAssignment, "", 404, "RoleAssignmentNotFound"},
		{"DELETE", assignmentPath + sampleAssignment, "", 204, ""},
	} {
		r := w.do("stranger", tt.method, tt.path, tt.body)
		if r.status != tt.status || !strings.Contains(r.text, tt.want) {
			t.Errorf("%s %s: got %d %.300s", tt.method, tt.path, r.status, r.text)
		}
		if strings.Contains(r.text, testSubscription) || r.status == 200 && strings.Contains(r.text, testTenant) {
			t.Errorf("%s %s shows the other tenant: %s", tt.method, tt.path, r.text)
		}
	}
	if r := w.do("admin", "GET", issuers+"/prod", ""); r.status != 200 {
		t.Errorf("the issuer is gone: %d", r.status)
	}
}

// A Contributor of one group sees that group and what is in it, and nothing of others.
func TestListsHoldWhatMayBeRead(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	for _, path := range []string{sub + "/resourceGroups", sub + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"} {
		if r := w.ok("neighbour", "GET", path, ""); strings.Contains(r.text, `"rg"`) || strings.Contains(r.text, `"ide"`) {
			t.Errorf("%s: %s", path, r.text)
		}
	}
	if r := w.ok("neighbour", "GET", sub+"/resourceGroups", ""); !strings.Contains(r.text, `"other"`) {
		t.Errorf("the own group is missing: %s", r.text)
	}
	if r := w.ok("nobody", "GET", "/subscriptions", ""); r.text != `{"value":[],"count":{"type":"Total","value":0}}` {
		t.Errorf("nobody sees %s", r.text)
	}
}
