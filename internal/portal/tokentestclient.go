package portal

import (
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// knownClient is a client whose credentials the caller may read.
type knownClient struct {
	id, name string
	kind     credential.ParentKind
	parent   directory.Parent // by object id, or by name as it is written
}

// to is the client's own page.
func (t knownClient) to() string { return holderPath(t.parent) }

// findClient finds a client by its client id, for a caller who may read its
// credentials: explaining a refusal shows them, and does not ask by itself.
// Whatever the caller may not see is not there.
func (c *call) findClient(clientID string) (knownClient, error) {
	missing := &directory.Error{Kind: directory.NotFound, Object: directory.PrincipalObject, ID: clip(clientID, 64)}
	if !directory.IsID(clientID) {
		return knownClient{}, missing
	}
	app, err := c.Directory.Application(c, c.caller, directory.Ref{AppID: clientID})
	t := knownClient{id: app.AppID, name: app.DisplayName, kind: credential.Application, parent: directory.Parent{Application: &directory.Ref{ID: app.ID}}}
	if isNotFound(err) || isForbidden(err) {
		var found directory.Paged[directory.Identity]
		found, err = c.Directory.Identities(c, c.caller, "", "", directory.Page{Search: clientID})
		if err != nil {
			return knownClient{}, err
		}
		t = knownClient{}
		for _, m := range found.Items {
			if strings.EqualFold(m.ClientID, clientID) {
				ref := m.IdentityRef
				t = knownClient{m.ClientID, m.Name, credential.ManagedIdentity, directory.Parent{Identity: &ref}}
			}
		}
	}
	if err != nil {
		return knownClient{}, err
	}
	if t.id == "" {
		return knownClient{}, missing
	}
	if _, err := c.Directory.Credentials(c, c.caller, t.parent, directory.Page{Limit: 1}); err != nil {
		return knownClient{}, err
	}
	return t, nil
}

// clientRow is a client to choose.
type clientRow struct{ Name, Kind, ClientID, To string }

// perKind is how many clients of each kind a search shows.
const perKind = 20

// findClients searches clients by name, among those that the caller may see.
func (c *call) findClients(search string, to func(clientID string) string) (rows []clientRow, more bool, err error) {
	page := directory.Page{Limit: perKind, Search: search}
	apps, err := c.Directory.Applications(c, c.caller, directory.Filter{}, page)
	if err != nil && !isForbidden(err) {
		return nil, false, err
	}
	for _, a := range apps.Items {
		rows = append(rows, clientRow{a.DisplayName, kindWords(credential.Application), a.AppID, to(a.AppID)})
	}
	identities, err := c.Directory.Identities(c, c.caller, "", "", page)
	for _, m := range identities.Items {
		rows = append(rows, clientRow{m.Name, kindWords(credential.ManagedIdentity), m.ClientID, to(m.ClientID)})
	}
	return rows, apps.Next != "" || identities.Next != "", err
}
