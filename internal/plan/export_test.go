package plan_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/plan"
)

// exports writes down what is there.
func (w *world) exports(change ...func(*plan.ExportOptions)) *plan.Exported {
	w.Helper()
	o := plan.ExportOptions{Subscription: w.SubscriptionID}
	for _, c := range change {
		c(&o)
	}
	x, err := plan.Export(w.Context(), w.client, o)
	w.ok(err)
	return x
}

// masked is a text without what differs from run to run.
func (w *world) masked(text string, known map[string]string) string {
	for id, name := range known {
		text = strings.ReplaceAll(text, id, name)
	}
	text = strings.NewReplacer(w.TenantID, "TENANT", w.SubscriptionID, "SUBSCRIPTION", w.ClientID, "ADMIN", w.Authority, "https://service.example").Replace(text)
	return ids.ReplaceAllString(text, "ID")
}

// A plan of what was exported is empty, and so is one in another place after it
// was applied there.
func TestExport(t *testing.T) {
	const more = `
applications:
  - displayName: "yes"
    description: "a: b # c\n'd' \"e\""
    notes: "  two\nlines\n"
    tags: ["0123", "null", "[x]"]
    servicePrincipal: {accountEnabled: false, tags: [hidden]}
  - displayName: bare
    uniqueName: bare
    appRoles: [{value: Everything, isEnabled: false}]
    federatedCredentials: [{name: "odd=name~1", issuer: https://prod.example/, subject: "system:serviceaccount:a:b:c", description: "#"}]
  - displayName: open
  - displayName: visitor
    appRoleAssignments: [{resource: open}, {resource: pets-api, role: Pets.Write}]
    roleAssignments: [{role: Owner, scope: /}]
`
	for name, c := range map[string]struct {
		world func(*testing.T) *world
		text  string
	}{"entente": {newWorld, whole}, "azure": {newAzure, onAzure()}} {
		t.Run(name, func(t *testing.T) {
			w := c.world(t)
			w.settle(c.text)
			w.settle(more)
			x := w.exports()
			if len(x.Notes) != 0 || x.Applications != 7 || x.Identities != 1 { // with the administrator
				t.Errorf("%d applications, %d identities, %q", x.Applications, x.Identities, x.Notes)
			}
			if p := w.plans(string(x.Text)); p.Summary.Changes() != 0 || p.Summary.Adopt != 0 {
				t.Errorf("%s\n%s", show(t, p), x.Text)
			}
			if again := w.exports(); string(again.Text) != string(x.Text) {
				t.Error("a second export differs")
			}
			compare(t, "testdata/export-"+name+".yaml", strings.ReplaceAll(w.masked(string(x.Text), nil), w.client.Endpoints().ResourceManager, "https://service.example"))

			// Elsewhere, where nobody has the ids of this place.
			if name == "azure" {
				return
			}
			other := newWorld(t)
			text := strings.ReplaceAll(string(x.Text), w.SubscriptionID, other.SubscriptionID)
			other.settle(text)
			if again := other.exports(); ids.ReplaceAllString(string(again.Text), "ID") != strings.ReplaceAll(ids.ReplaceAllString(text, "ID"), w.Authority, other.Authority) {
				t.Errorf("it is not the same elsewhere:\n%s", again.Text)
			}
		})
	}
}

// Names that several have come with client ids, and what a manifest cannot say, or
// the caller may not read, is left out with a note.
func TestExportLeavesOut(t *testing.T) {
	w := newWorld(t)
	w.settle(whole)
	known := map[string]string{}
	for i := range 2 {
		a, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "twin", AppRoles: []client.AppRole{{ID: fmt.Sprintf("5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b7%d", i), DisplayName: "no value", Description: "d", IsEnabled: true, AllowedMemberTypes: []string{"Application"}}}})
		w.ok(err)
		known[a.AppID] = fmt.Sprint("TWIN", i)
		_, err = w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: a.AppID})
		w.ok(err)
	}
	_, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "mute"})
	w.ok(err)
	x := w.exports()
	want := []string{
		`application "mute": is left out: it has no service principal that the caller may read, and applying a file makes one`,
		`applications "twin" appRoles "no value" is left out: value is missing`,
		`applications "twin" appRoles "no value" is left out: value is missing`,
	}
	if !slices.Equal(x.Notes, want) {
		t.Errorf("%q", x.Notes)
	}
	m, err := manifest.Read("export", x.Text, nil)
	w.ok(err)
	for _, a := range m.Applications {
		if (a.ClientID != "") != (a.DisplayName == "twin") {
			t.Errorf("%+v", a)
		}
	}
	if p := w.plans(string(x.Text)); p.Summary.Changes() != 0 {
		t.Errorf("%s", show(t, p))
	}

	for id := range known {
		x := w.exports(func(o *plan.ExportOptions) { o.Applications = []string{id} })
		if !strings.Contains(string(x.Text), "    clientId: "+id+"\n") {
			t.Errorf("%s", x.Text)
		}
	}

	// A selection has what it needs, and nothing else.
	x = w.exports(func(o *plan.ExportOptions) {
		o.Applications = []string{"pets-worker", w.application("pets-worker").AppID}
	})
	if m, err = manifest.Read("export", x.Text, nil); err != nil || len(m.Applications) != 1 || len(m.ManagedIdentities) != 0 || len(m.Issuers) != 1 || m.Issuers[0].Name != "prod" || m.Policy.MaxCredentials != 0 || len(m.ResourceGroups) != 1 {
		t.Errorf("%v\n%s", err, x.Text)
	}
	if p := w.plans(string(x.Text)); p.Summary.Changes() != 0 {
		t.Errorf("%s", show(t, p))
	}
	x = w.exports(func(o *plan.ExportOptions) { o.Identities = []string{"PETS/Cat"} })
	if m, err = manifest.Read("export", x.Text, nil); err != nil || len(m.Applications) != 0 || len(m.ManagedIdentities) != 1 || len(m.Issuers) != 2 {
		t.Errorf("%v\n%s", err, x.Text)
	}
	x = w.exports(func(o *plan.ExportOptions) { o.Federated = true })
	if m, err = manifest.Read("export", x.Text, nil); err != nil || len(m.Applications) != 1 || len(m.ManagedIdentities) != 1 {
		t.Errorf("%v\n%s", err, x.Text)
	}
	x = w.exports(func(o *plan.ExportOptions) { o.ResourceGroup, o.Subscription = "nothing", "" })
	if m, err = manifest.Read("export", x.Text, nil); err != nil || len(m.ManagedIdentities) != 0 || !slices.ContainsFunc(x.Notes, func(n string) bool { return strings.Contains(n, "no subscription was given") }) {
		t.Errorf("%v %q\n%s", err, x.Notes, x.Text)
	}
	for name, want := range map[string]string{"twin": "2 applications are named", "nobody": "not found"} {
		if _, err := plan.Export(t.Context(), w.client, plan.ExportOptions{Applications: []string{name}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name is data, wherever it stands in the text.
func TestExportOfHostileNames(t *testing.T) {
	w := newWorld(t)
	const name = "api\nresourceGroups: [{name: evil, location: x}] # \u202e \u2028managedIdentities:"
	a, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: name, AppRoles: []client.AppRole{{ID: "5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70", Value: "R", DisplayName: "d", Description: "d", IsEnabled: true, AllowedMemberTypes: []string{"Application"}}}})
	w.ok(err)
	sp, err := w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: a.AppID})
	w.ok(err)
	w.settle("applications: [{displayName: user, appRoleAssignments: [{resource: " + a.AppID + ", role: R}]}]")
	x := w.exports(func(o *plan.ExportOptions) { o.Applications = []string{"user"} }) // with the name in a comment
	for _, text := range []string{string(x.Text), string(w.exports().Text)} {
		m, err := manifest.Read("export", []byte(text), nil)
		if err != nil || len(m.ResourceGroups)+len(m.ManagedIdentities) != 0 {
			t.Fatalf("%v\n%s", err, text)
		}
		p := w.plans(text)
		if p.Summary.Changes() != 0 {
			t.Errorf("%s", show(t, p))
		}
		var all strings.Builder
		w.ok(p.Text(&all, true))
		for line := range strings.Lines(all.String()) {
			if strings.HasPrefix(line, "resourceGroups") || strings.ContainsAny(line, "\u202e\u2028") {
				t.Errorf("%q", line)
			}
		}
	}
	if !strings.Contains(string(x.Text), "- resource: "+a.AppID+" # api resourceGroups: [") || sp.ID == "" {
		t.Errorf("%s", x.Text)
	}
}

// Who may read a part exports that part.
func TestExportOfWhatOneMayRead(t *testing.T) {
	w := newAzure(t)
	w.settle(onAzure())
	no := func(paths ...string) func(*http.Request, int) *refusal {
		return func(r *http.Request, _ int) *refusal {
			for _, p := range paths {
				if strings.Contains(r.URL.Path, p) {
					return &refusal{status: 403, code: "AuthorizationFailed"}
				}
			}
			return nil
		}
	}
	w.front.fail = no("/v1.0/applications")
	x := w.exports()
	if x.Applications != 0 || x.Identities != 1 || !slices.Equal(x.Notes, []string{"applications are left out: the caller may not read them"}) {
		t.Errorf("%+v %q", x, x.Notes)
	}
	w.front.fail = no("/userAssignedIdentities", "/roleAssignments", "/appRoleAssignments", "/federatedIdentityCredentials")
	x = w.exports()
	if x.Applications != 3 || x.Identities != 0 || len(x.Notes) != 1+3*3 {
		t.Errorf("%+v %q", x, x.Notes)
	}
	w.front.fail = no("/v1.0/servicePrincipals", "/roleDefinitions")
	x = w.exports()
	if x.Applications != 0 || x.Identities != 1 || !slices.Contains(x.Notes, `managed identity "pets/cat": its role acdd72a7-3385-48ef-bd42-f606fba81ae7 at /subscriptions/`+w.SubscriptionID+`/resourceGroups/PETS is left out: the caller may not read it`) {
		t.Errorf("%+v %q", x, x.Notes)
	}
	w.front.fail = no("/")
	if _, err := plan.Export(t.Context(), w.client, plan.ExportOptions{Subscription: w.SubscriptionID}); err == nil || !strings.Contains(err.Error(), "403 AuthorizationFailed") {
		t.Error(err)
	}
	w.front.fail = func(*http.Request, int) *refusal { return &refusal{status: 500} }
	if _, err := plan.Export(t.Context(), w.client, plan.ExportOptions{}); err == nil {
		t.Error("a failure is taken for nothing")
	}
}
