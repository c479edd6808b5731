package portal

import (
	"fmt"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

type applicationsView struct {
	List         *listing
	Search       string
	Name, Age    column
	Applications []applicationRow
	MayCreate    bool
	New          string
	OnlyOwned    bool // the list is not the whole tenant's
}

type applicationRow struct {
	Name, To, AppID string
	Created         time.Time
	Credentials     string // how many of each kind, in words; empty: none
}

// applications is the list of applications.
func (c *call) applications() error {
	l := c.list("q", "sort")
	order, ok := map[string]directory.Order{"": directory.ByName, nameDown: directory.ByNameDown, "new": directory.ByCreatedDown, "old": directory.ByCreated}[l.Get("sort")]
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	found, err := c.Directory.Applications(c, c.caller, directory.Filter{Order: order}, l.page())
	if err != nil {
		return err
	}
	v := applicationsView{
		List: l, Search: "Search by part of a name, or by a client or object ID", Name: l.Name("Display name"), Age: l.Column("Created", "old", "new"),
		MayCreate: c.mayCreateApplications(), New: applicationsPath + "/new", OnlyOwned: !c.rights.Has("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
	}
	if v.Age.Sort == "" {
		v.Age.To = l.With("sort", "new") // whoever sorts by age looks for what is new
	}
	var ids []string
	for _, app := range found.Items {
		ids = append(ids, app.ID)
	}
	federated, err := c.Directory.CredentialCounts(c, c.caller, ids)
	if err != nil {
		return err
	}
	for _, app := range fill(l, found) {
		v.Applications = append(v.Applications, applicationRow{app.DisplayName, applicationPath(app.ID), app.AppID, app.CreatedAt, credentialWords(federated[app.ID], len(app.Secrets), len(app.Certificates))})
	}
	return c.show(page{template: "applications", title: "App registrations", wide: true, done: map[string]string{
		"deleted": "The application was deleted. Nothing can sign in as it.",
	}[c.query("done")]}, v)
}

// credentialWords says how many credentials of each kind there are.
func credentialWords(federated, secrets, certificates int) string {
	var words []string
	if federated > 0 {
		words = append(words, fmt.Sprintf("%d federated", federated))
	}
	if secrets > 0 {
		words = append(words, plural(secrets, "secret", "secrets"))
	}
	if certificates > 0 {
		words = append(words, plural(certificates, "certificate", "certificates"))
	}
	return strings.Join(words, ", ")
}

func (c *call) mayCreateApplications() bool {
	return c.rights.Has("Application.ReadWrite.All", "Directory.ReadWrite.All", "Application.ReadWrite.OwnedBy")
}
