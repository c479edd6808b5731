package graph

import (
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// A directory of this server holds applications and nobody else: no users, no
// groups, and so nothing that a user consented to. Programs that ask for them
// on their way to something else get an empty list, or are told that the one
// they name is not there; what would make one is refused in words.

// listNobody is the empty list of a set that is always empty.
func (c *call) listNobody() (answer, error) {
	if err := c.mayRead(); err != nil {
		return answer{}, err
	}
	if _, err := c.clauses(); err != nil {
		return answer{}, err
	}
	set := c.route.Pattern[strings.LastIndexByte(c.route.Pattern, '/')+1:]
	if strings.HasPrefix(set, "microsoft.graph.") {
		set = directoryObjectSet
	}
	body := object{{"@odata.context", c.context(set)}}
	if c.options.count {
		body = append(body, member{"@odata.count", 0})
	}
	return answer{body: append(body, member{"value", []object{}})}, nil
}

func (c *call) countNobody() (answer, error) {
	if err := c.mayRead(); err != nil {
		return answer{}, err
	}
	return answer{body: "0"}, nil
}

// noSuchOne is the answer to everything that names a user, a group or a consent.
func (c *call) noSuchOne() (answer, error) {
	if err := c.mayRead(); err != nil {
		return answer{}, err
	}
	return answer{}, faultf(http.StatusNotFound, "Request_ResourceNotFound", notThereText, c.keys[absent].text)
}

func (c *call) createUser() (answer, error) {
	return answer{}, requestBad("A user cannot be created: this directory holds applications and managed identities, and no users.")
}

func (c *call) createGroup() (answer, error) {
	return answer{}, requestBad("A group cannot be created: this directory holds applications and managed identities, and no groups. Assign roles to service principals.")
}

// createConsent: a delegated permission is one to act for a user.
func (c *call) createConsent() (answer, error) {
	return answer{}, requestBad("A delegated permission cannot be granted: it acts for a user, and this directory has none. Grant an application permission instead, with POST to /servicePrincipals/{id}/appRoleAssignments.")
}

// groupsBody is the parameters of checkMemberGroups and getMemberGroups.
type groupsBody struct {
	Groups   opt[[]string] `name:"groupIds"`
	Security opt[bool]     `name:"securityEnabledOnly"`
}

// memberGroups says which groups an object is in: none.
func (c *call) memberGroups(groupsBody) (answer, error) {
	if _, err := c.readObject(); err != nil {
		return answer{}, err
	}
	return answer{body: object{{"@odata.context", c.context("Collection(Edm.String)")}, {"value", []string{}}}}, nil
}

// mayRead refuses a caller that may see nothing at all.
func (c *call) mayRead() error {
	_, err := c.Directory.Applications(c, c.caller, directory.Filter{}, directory.Page{Limit: 1})
	return err
}
