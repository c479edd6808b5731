package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// grantObject is an app role assignment
// (https://learn.microsoft.com/graph/api/resources/approleassignment).
func grantObject(g directory.Grant) object {
	return object{
		{"id", g.ID},
		{"deletedDateTime", nil},
		{"appRoleId", g.AppRoleID},
		{"createdDateTime", readAt(g.CreatedAt)},
		{"principalDisplayName", g.PrincipalName},
		{"principalId", g.PrincipalID},
		{"principalType", "ServicePrincipal"},
		{"resourceDisplayName", g.ResourceName},
		{"resourceId", g.ResourceID},
	}
}

var grantNames = grantObject(directory.Grant{}).names()

// grantBody is what a caller writes of an assignment. Who holds it is always a service principal.
type grantBody struct {
	PrincipalID   opt[string] `name:"principalId"`
	ResourceID    opt[string] `name:"resourceId"`
	AppRoleID     opt[string] `name:"appRoleId"`
	PrincipalType opt[string] `name:"principalType"`
}

func (b *grantBody) check() error {
	for _, m := range []struct {
		name  string
		value opt[string]
	}{{"principalId", b.PrincipalID}, {"resourceId", b.ResourceID}, {"appRoleId", b.AppRoleID}} {
		switch {
		case m.value.value == "":
			return required("AppRoleAssignment", m.name)
		case !directory.IsID(m.value.value):
			return invalidValue("AppRoleAssignment", m.name, "a GUID is required")
		}
	}
	return nil
}

// grantSide is which assignments the path names: those that the service
// principal holds (appRoleAssignments) or those of its own roles (appRoleAssignedTo).
func (c *call) grantSide() string {
	_, side, _ := strings.Cut(c.route.Pattern, principal+"/")
	return side
}

// grantSet is the context of the assignments of a service principal.
func (c *call) grantSet() string {
	return principalSet + "('" + c.ref.String() + "')/" + c.grantSide()
}

// listGrants lists what a service principal holds, and listGrantsOf who holds something of it.
func (c *call) listGrants() (answer, error)   { return c.listGrantsBy(c.Directory.Grants) }
func (c *call) listGrantsOf() (answer, error) { return c.listGrantsBy(c.Directory.GrantsOf) }

func (c *call) listGrantsBy(read func(context.Context, directory.Caller, directory.Ref) ([]directory.Grant, error)) (answer, error) {
	clauses, err := c.clauses()
	if err != nil {
		return answer{}, err
	}
	wanted, err := matching(clauses, func(g directory.Grant, property string) (string, bool) {
		v, ok := map[string]string{"principalid": g.PrincipalID, "resourceid": g.ResourceID, "approleid": g.AppRoleID}[property]
		return v, ok
	})
	return listOf(c, c.grantSet(), grantNames, grantObject, func(p directory.Page) (directory.Paged[directory.Grant], error) {
		all, err := read(c, c.caller, c.ref)
		all = slices.DeleteFunc(all, func(g directory.Grant) bool { return !wanted(g) })
		return cut(all, p, func(_ int, g directory.Grant) string { return fmt.Sprintf("%020d.%s", g.CreatedAt.UnixMilli(), g.ID) }), err
	}, err)
}

func (c *call) createGrant(b grantBody) (answer, error) {
	return c.createGrantFor(b, b.PrincipalID.value, "principalId")
}

func (c *call) createGrantOf(b grantBody) (answer, error) {
	return c.createGrantFor(b, b.ResourceID.value, "resourceId")
}

// createGrantFor makes an assignment of which one side is the service principal of the path.
func (c *call) createGrantFor(b grantBody, side, name string) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	own, err := c.principalID()
	if err != nil {
		return answer{}, err
	}
	if !strings.EqualFold(own, side) {
		return answer{}, requestBad("Not a valid reference update. The %s is not the service principal of the request URI.", name)
	}
	g, err := c.Directory.AddGrant(c, c.caller, directory.Grant{
		PrincipalID: strings.ToLower(b.PrincipalID.value), ResourceID: strings.ToLower(b.ResourceID.value), AppRoleID: strings.ToLower(b.AppRoleID.value),
	})
	return c.created(c.grantSet(), grantObject(g), "directoryObjects/"+own+"/"+c.grantSide()+"/"+g.ID, err)
}

func (c *call) deleteGrant() (answer, error) {
	own, err := c.principalID()
	if err != nil {
		return answer{}, err
	}
	return noContent(c.Directory.RemoveGrant(c, c.caller, own, strings.ToLower(c.keys[assignment].text)))
}

// principalID is the object id of the service principal in the path.
func (c *call) principalID() (string, error) {
	if c.ref.AppID == "" {
		return c.ref.ID, nil
	}
	p, err := c.Directory.ServicePrincipal(c, c.caller, c.ref)
	return p.ID, err
}
