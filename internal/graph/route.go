package graph

import (
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// Route is one operation of the surface. {version} is v1.0 or beta. The other
// parameters stand for a segment (…/applications/{id}) or for a key in
// parentheses (…/applications(appId='…')).
type Route struct{ Method, Pattern, Action string }

type route struct {
	Route
	options option
	do      func(*call) (answer, error)
}

// The parameters of patterns, each with the alternate keys that it may have.
const (
	version     = "{version}"
	application = "{application}"
	principal   = "{servicePrincipal}"
	credentials = "{credential}"
	assignment  = "{assignment}"
	ownerParam  = "{owner}"
	deletedItem = "{deletedItem}"
	objectParam = "{object}"
	absent      = "{absent}" // a user, a group or a consent
	absentOne   = "{member}" // of a group
)

var alternateKeys = map[string][]string{
	application: {"appId", "uniqueName"},
	principal:   {"appId"},
	credentials: {"name"},
}

const (
	theApplications = "/{version}/applications"
	oneApplication  = theApplications + "/" + application
	theCredentials  = oneApplication + "/federatedIdentityCredentials"
	oneCredential   = theCredentials + "/" + credentials
	thePrincipals   = "/{version}/servicePrincipals"
	onePrincipal    = thePrincipals + "/" + principal
	theDeleted      = "/{version}/directory/deletedItems"
	oneDeleted      = theDeleted + "/" + deletedItem
	oneObject       = "/{version}/directoryObjects/" + objectParam
	theUsers        = "/{version}/users"
	oneUser         = theUsers + "/" + absent
	theGroups       = "/{version}/groups"
	oneGroup        = theGroups + "/" + absent
	theConsents     = "/{version}/oauth2PermissionGrants"
)

// routes is the only list of what there is: requests are dispatched from it.
var routes = []route{
	{Route{"GET", theApplications, "applications.list"}, searchOptions, (*call).listApplications},
	{Route{"POST", theApplications, "applications.create"}, noOptions, write((*call).createApplication)},
	{Route{"GET", theApplications + "/$count", "applications.count"}, filterOption | searchOption, (*call).countApplications},
	{Route{"GET", oneApplication, "applications.get"}, selectOption, (*call).getApplication},
	{Route{"PATCH", oneApplication, "applications.update"}, noOptions, write((*call).updateApplication)},
	{Route{"DELETE", oneApplication, "applications.delete"}, noOptions, (*call).deleteApplication},
	{Route{"POST", oneApplication + "/addPassword", "applications.addPassword"}, noOptions, write((*call).addPassword)},
	{Route{"POST", oneApplication + "/removePassword", "applications.removePassword"}, noOptions, write((*call).removePassword)},

	{Route{"GET", oneApplication + "/owners", "owners.list"}, listOptions, (*call).listOwners},
	{Route{"POST", oneApplication + "/owners/$ref", "owners.add"}, noOptions, write((*call).addOwner)},
	{Route{"DELETE", oneApplication + "/owners/" + ownerParam + "/$ref", "owners.remove"}, noOptions, (*call).removeOwner},

	{Route{"GET", theCredentials, "federatedIdentityCredentials.list"}, listOptions, (*call).listCredentials},
	{Route{"POST", theCredentials, "federatedIdentityCredentials.create"}, noOptions, write((*call).createCredential)},
	{Route{"GET", theCredentials + "/$count", "federatedIdentityCredentials.count"}, filterOption, (*call).countCredentials},
	{Route{"GET", oneCredential, "federatedIdentityCredentials.get"}, selectOption, (*call).getCredential},
	{Route{"PATCH", oneCredential, "federatedIdentityCredentials.update"}, noOptions, write((*call).updateCredential)},
	{Route{"DELETE", oneCredential, "federatedIdentityCredentials.delete"}, noOptions, (*call).deleteCredential},

	{Route{"GET", thePrincipals, "servicePrincipals.list"}, searchOptions, (*call).listPrincipals},
	{Route{"POST", thePrincipals, "servicePrincipals.create"}, noOptions, write((*call).createPrincipal)},
	{Route{"GET", thePrincipals + "/$count", "servicePrincipals.count"}, filterOption | searchOption, (*call).countPrincipals},
	{Route{"GET", onePrincipal, "servicePrincipals.get"}, selectOption, (*call).getPrincipal},
	{Route{"PATCH", onePrincipal, "servicePrincipals.update"}, noOptions, write((*call).updatePrincipal)},
	{Route{"DELETE", onePrincipal, "servicePrincipals.delete"}, noOptions, (*call).deletePrincipal},

	{Route{"POST", onePrincipal + "/addPassword", "servicePrincipals.addPassword"}, noOptions, write((*call).addPassword)},
	{Route{"POST", onePrincipal + "/removePassword", "servicePrincipals.removePassword"}, noOptions, write((*call).removePassword)},

	{Route{"GET", onePrincipal + "/owners", "servicePrincipalOwners.list"}, listOptions, (*call).listPrincipalOwners},
	{Route{"POST", onePrincipal + "/owners/$ref", "servicePrincipalOwners.add"}, noOptions, write((*call).addPrincipalOwner)},
	{Route{"DELETE", onePrincipal + "/owners/" + ownerParam + "/$ref", "servicePrincipalOwners.remove"}, noOptions, (*call).removePrincipalOwner},

	{Route{"GET", onePrincipal + "/appRoleAssignments", "appRoleAssignments.list"}, listOptions, (*call).listGrants},
	{Route{"POST", onePrincipal + "/appRoleAssignments", "appRoleAssignments.create"}, noOptions, write((*call).createGrant)},
	{Route{"DELETE", onePrincipal + "/appRoleAssignments/" + assignment, "appRoleAssignments.delete"}, noOptions, (*call).deleteGrant},
	{Route{"GET", onePrincipal + "/appRoleAssignedTo", "appRoleAssignedTo.list"}, listOptions, (*call).listGrantsOf},
	{Route{"POST", onePrincipal + "/appRoleAssignedTo", "appRoleAssignedTo.create"}, noOptions, write((*call).createGrantOf)},
	{Route{"DELETE", onePrincipal + "/appRoleAssignedTo/" + assignment, "appRoleAssignedTo.delete"}, noOptions, (*call).deleteGrant},

	{Route{"GET", theDeleted + "/microsoft.graph.application", "deletedItems.list"}, searchOptions, (*call).listDeleted},
	{Route{"GET", theDeleted + "/microsoft.graph.servicePrincipal", "deletedItems.listServicePrincipals"}, searchOptions, (*call).listDeletedPrincipals},
	{Route{"GET", theDeleted + "/microsoft.graph.user", "deletedItems.listUsers"}, searchOptions, (*call).listNobody},
	{Route{"GET", theDeleted + "/microsoft.graph.group", "deletedItems.listGroups"}, searchOptions, (*call).listNobody},
	{Route{"GET", oneDeleted, "deletedItems.get"}, selectOption, (*call).getDeleted},
	{Route{"POST", oneDeleted + "/restore", "deletedItems.restore"}, noOptions, (*call).restoreDeleted},
	{Route{"DELETE", oneDeleted, "deletedItems.purge"}, noOptions, (*call).purgeDeleted},

	{Route{"GET", "/{version}/me", "me.get"}, selectOption, (*call).getMe},
	{Route{"GET", "/{version}/organization", "organization.list"}, listOptions, (*call).listOrganizations},
	{Route{"POST", "/{version}/directoryObjects/getByIds", "directoryObjects.getByIds"}, selectOption, write((*call).getByIDs)},
	{Route{"GET", oneObject, "directoryObjects.get"}, selectOption, (*call).getObject},
	{Route{"POST", oneObject + "/checkMemberGroups", "directoryObjects.checkMemberGroups"}, noOptions, write((*call).memberGroups)},
	{Route{"POST", oneObject + "/getMemberGroups", "directoryObjects.getMemberGroups"}, noOptions, write((*call).memberGroups)},

	{Route{"GET", theUsers, "users.list"}, searchOptions, (*call).listNobody},
	{Route{"POST", theUsers, "users.create"}, noOptions, (*call).createUser},
	{Route{"GET", theUsers + "/$count", "users.count"}, filterOption | searchOption, (*call).countNobody},
	{Route{"GET", oneUser, "users.get"}, selectOption, (*call).noSuchOne},
	{Route{"PATCH", oneUser, "users.update"}, noOptions, (*call).noSuchOne},
	{Route{"DELETE", oneUser, "users.delete"}, noOptions, (*call).noSuchOne},
	{Route{"POST", oneUser + "/getMemberGroups", "users.getMemberGroups"}, noOptions, (*call).noSuchOne},

	{Route{"GET", theGroups, "groups.list"}, searchOptions, (*call).listNobody},
	{Route{"POST", theGroups, "groups.create"}, noOptions, (*call).createGroup},
	{Route{"GET", theGroups + "/$count", "groups.count"}, filterOption | searchOption, (*call).countNobody},
	{Route{"GET", oneGroup, "groups.get"}, selectOption, (*call).noSuchOne},
	{Route{"PATCH", oneGroup, "groups.update"}, noOptions, (*call).noSuchOne},
	{Route{"DELETE", oneGroup, "groups.delete"}, noOptions, (*call).noSuchOne},
	{Route{"POST", oneGroup + "/getMemberGroups", "groups.getMemberGroups"}, noOptions, (*call).noSuchOne},
	{Route{"GET", oneGroup + "/members", "groups.listMembers"}, listOptions, (*call).noSuchOne},
	{Route{"POST", oneGroup + "/members/$ref", "groups.addMember"}, noOptions, (*call).noSuchOne},
	{Route{"DELETE", oneGroup + "/members/" + absentOne + "/$ref", "groups.removeMember"}, noOptions, (*call).noSuchOne},
	{Route{"GET", oneGroup + "/owners", "groups.listOwners"}, listOptions, (*call).noSuchOne},
	{Route{"POST", oneGroup + "/owners/$ref", "groups.addOwner"}, noOptions, (*call).noSuchOne},
	{Route{"DELETE", oneGroup + "/owners/" + absentOne + "/$ref", "groups.removeOwner"}, noOptions, (*call).noSuchOne},

	{Route{"GET", theConsents, "oauth2PermissionGrants.list"}, listOptions, (*call).listNobody},
	{Route{"POST", theConsents, "oauth2PermissionGrants.create"}, noOptions, (*call).createConsent},
	{Route{"GET", theConsents + "/" + absent, "oauth2PermissionGrants.get"}, selectOption, (*call).noSuchOne},
	{Route{"PATCH", theConsents + "/" + absent, "oauth2PermissionGrants.update"}, noOptions, (*call).noSuchOne},
	{Route{"DELETE", theConsents + "/" + absent, "oauth2PermissionGrants.delete"}, noOptions, (*call).noSuchOne},
}

// Routes lists the operations of the surface.
func (s *Surface) Routes() []Route {
	all := make([]Route, 0, len(routes))
	for _, r := range routes {
		all = append(all, r.Route)
	}
	return all
}

// find finds the route of a request and the parameters of its path.
func (c *call) find() error {
	path, err := parsePath(c.r.URL.EscapedPath())
	if err != nil {
		return err
	}
	if len(path.segments) == 0 || !path.segments[0].is("v1.0") && !path.segments[0].is("beta") {
		return badRequest("Invalid version.")
	}
	c.version = strings.ToLower(path.segments[0].text)
	var allowed []string
	longest := 0
	for i := range routes {
		keys, n, whole := match(routes[i].Pattern, path.segments)
		longest = max(longest, n)
		switch {
		case !whole:
		case routes[i].Method == c.r.Method:
			c.route, c.keys = &routes[i], keys
			return checkKeys(keys)
		default:
			allowed = append(allowed, routes[i].Method)
		}
	}
	switch {
	case len(allowed) > 0 && path.slash && c.r.Method != http.MethodGet && c.r.Method != http.MethodPost:
		return collectionURI(path.segments[len(path.segments)-1].text) // "DELETE …/applications/": the id is missing
	case len(allowed) > 0:
		slices.Sort(allowed)
		return methodNotAllowed(strings.Join(allowed, ", "))
	case len(path.segments) > 1 && path.segments[1].is("me"):
		return errNotDelegated
	}
	return badRequest("Resource not found for the segment '%s'.", path.segments[min(longest, len(path.segments)-1)].text)
}

// match matches segments with a pattern. n is how many matched from the start.
func match(pattern string, segments []segment) (keys map[string]segment, n int, whole bool) {
	parts := strings.Split(pattern[1:], "/")
	keys = map[string]segment{}
	for n < len(parts) && n < len(segments) {
		part, s := parts[n], segments[n]
		if !strings.HasPrefix(part, "{") {
			if !s.is(part) {
				break
			}
		} else {
			if !s.keyed && strings.HasPrefix(s.text, "$") {
				break
			}
			keys[part] = s
		}
		n++
	}
	return keys, n, n == len(parts) && n == len(segments)
}

// checkKeys refuses alternate keys that a parameter does not have.
func checkKeys(keys map[string]segment) error {
	for parameter, s := range keys {
		if s.key != "" && !slices.Contains(alternateKeys[parameter], s.key) {
			return badRequest("The key '%s' in the request URI is not valid for the resource.", s.key)
		}
		if s.text == "" {
			return badRequest("The request URI is not valid: a key is empty.")
		}
	}
	return nil
}

// named returns the application or service principal that the path names, if
// it names one, and checks what else can only be an id.
func (c *call) named() (directory.Ref, error) {
	for _, parameter := range []string{ownerParam, deletedItem, objectParam} {
		if s, ok := c.keys[parameter]; ok && !directory.IsID(s.text) {
			return directory.Ref{}, requestBad("Invalid object identifier '%s'.", s.text)
		}
	}
	s, ok := c.keys[application]
	if !ok {
		s, ok = c.keys[principal]
	}
	switch {
	case !ok:
		return directory.Ref{}, nil
	case s.key == "appId":
		return directory.Ref{AppID: s.text}, nil
	case s.key == "uniqueName":
		return directory.Ref{UniqueName: s.text}, nil
	case !directory.IsID(s.text):
		return directory.Ref{}, requestBad("Invalid object identifier '%s'.", s.text)
	}
	return directory.Ref{ID: s.text}, nil
}
