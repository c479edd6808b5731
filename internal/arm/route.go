package arm

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The providers.
const (
	resources        = "Microsoft.Resources"
	managedIdentity  = "Microsoft.ManagedIdentity"
	containerService = "Microsoft.ContainerService"
	authorization    = "Microsoft.Authorization"
	federation       = "Entente.Federation"
)

// Route is one operation of the surface.
type Route struct {
	Method string
	// Pattern is the path with {names}. One that begins with {scope} stands
	// below any scope: none, a subscription, a resource group, a resource.
	Pattern string
	// Action is the right that the operation is about; empty for what anybody may read.
	Action string
}

// Routes lists all operations; the surface dispatches from this list.
func (s *Surface) Routes() []Route {
	all := make([]Route, len(s.routes))
	for i, r := range s.routes {
		all[i] = r.Route
	}
	return all
}

type route struct {
	Route
	handle    handler
	filters   []string // the terms that $filter may have
	anonymous bool     // needs no token
	segments  []string
}

// provider is the namespace whose api-versions count.
func (r *route) provider() string {
	provider, _, _ := strings.Cut(r.Action, "/")
	return provider
}

func routes() []route {
	const (
		subscription = "/subscriptions/{subscription}"
		group        = subscription + "/resourceGroups/{group}"
		identities   = "/providers/" + managedIdentity + "/userAssignedIdentities"
		identity     = group + identities + "/{identity}"
		credentials  = identity + "/federatedIdentityCredentials"
		clusters     = "/providers/" + containerService + "/managedClusters"
		cluster      = group + clusters + "/{cluster}"
		definitions  = "{scope}/providers/" + authorization + "/roleDefinitions"
		assignments  = "{scope}/providers/" + authorization + "/roleAssignments"
		ours         = "/providers/" + federation

		onGroups      = resources + "/subscriptions/resourceGroups/"
		onIdentities  = managedIdentity + "/userAssignedIdentities/"
		onClusters    = containerService + "/managedClusters/"
		onCredentials = onIdentities + "federatedIdentityCredentials/"
	)
	table := []route{
		{Route: Route{"GET", "/metadata/endpoints", ""}, handle: (*Surface).metadata, anonymous: true},

		{Route: Route{"GET", "/tenants", resources + "/tenants/read"}, handle: (*Surface).listTenants},
		{Route: Route{"GET", "/subscriptions", resources + "/subscriptions/read"}, handle: (*Surface).listSubscriptions},
		{Route: Route{"GET", subscription, resources + "/subscriptions/read"}, handle: (*Surface).getSubscription},
		{Route: Route{"GET", subscription + "/locations", resources + "/subscriptions/locations/read"}, handle: (*Surface).listLocations},
		{Route: Route{"GET", subscription + "/providers", resources + "/subscriptions/providers/read"}, handle: (*Surface).listProviders},
		{Route: Route{"GET", subscription + "/providers/{namespace}", resources + "/subscriptions/providers/read"}, handle: (*Surface).getProvider},
		{Route: Route{"POST", subscription + "/providers/{namespace}/register", resources + "/subscriptions/providers/register/action"}, handle: (*Surface).getProvider},

		{Route: Route{"GET", subscription + "/resourceGroups", onGroups + "read"}, handle: (*Surface).listGroups, filters: []string{"tagName eq", "tagValue eq"}},
		{Route: Route{"GET", subscription + "/resources", resources + "/subscriptions/resources/read"}, handle: (*Surface).listResources, filters: resourceTerms},
		{Route: Route{"GET", group + "/resources", onGroups + "resources/read"}, handle: (*Surface).listResources, filters: resourceTerms},
		{Route: Route{"GET", subscription + "/tagNames", resources + "/subscriptions/tagNames/read"}, handle: (*Surface).listNothing},
		{Route: Route{"GET", subscription + "/providers/" + resources + "/deployments", resources + "/deployments/read"}, handle: (*Surface).listNothing},
		{Route: Route{"GET", group + "/providers/" + resources + "/deployments", resources + "/deployments/read"}, handle: (*Surface).listNothing},
		{Route: Route{"GET", "{scope}/providers/" + authorization + "/locks", authorization + "/locks/read"}, handle: (*Surface).listNothing, filters: []string{"atScope()"}},
		{Route: Route{"GET", "{scope}/providers/" + resources + "/tags/default", resources + "/tags/read"}, handle: (*Surface).getTags},

		{Route: Route{"HEAD", group, onGroups + "read"}, handle: (*Surface).headGroup},
		{Route: Route{"GET", group, onGroups + "read"}, handle: (*Surface).getGroup},
		{Route: Route{"PUT", group, onGroups + "write"}, handle: body((*Surface).putGroup)},
		{Route: Route{"PATCH", group, onGroups + "write"}, handle: body((*Surface).patchGroup)},
		{Route: Route{"DELETE", group, onGroups + "delete"}, handle: (*Surface).deleteGroup},

		{Route: Route{"GET", "/providers/" + managedIdentity + "/operations", managedIdentity + "/operations/read"}, handle: (*Surface).listOperations},
		{Route: Route{"GET", subscription + identities, onIdentities + "read"}, handle: (*Surface).listIdentities},
		{Route: Route{"GET", group + identities, onIdentities + "read"}, handle: (*Surface).listIdentities},
		{Route: Route{"GET", identity, onIdentities + "read"}, handle: (*Surface).getIdentity},
		{Route: Route{"PUT", identity, onIdentities + "write"}, handle: body((*Surface).putIdentity)},
		{Route: Route{"PATCH", identity, onIdentities + "write"}, handle: body((*Surface).patchIdentity)},
		{Route: Route{"DELETE", identity, onIdentities + "delete"}, handle: (*Surface).deleteIdentity},
		{Route: Route{"POST", identity + "/listAssociatedResources", onIdentities + "listAssociatedResources/action"}, handle: (*Surface).listAssociatedResources},

		{Route: Route{"GET", credentials, onCredentials + "read"}, handle: (*Surface).listCredentials},
		{Route: Route{"GET", credentials + "/{credential}", onCredentials + "read"}, handle: (*Surface).getCredential},
		{Route: Route{"PUT", credentials + "/{credential}", onCredentials + "write"}, handle: body((*Surface).putCredential)},
		{Route: Route{"DELETE", credentials + "/{credential}", onCredentials + "delete"}, handle: (*Surface).deleteCredential},

		{Route: Route{"GET", subscription + clusters, onClusters + "read"}, handle: (*Surface).listClusters},
		{Route: Route{"GET", group + clusters, onClusters + "read"}, handle: (*Surface).listClusters},
		{Route: Route{"GET", cluster, onClusters + "read"}, handle: (*Surface).getCluster},
		{Route: Route{"PUT", cluster, onClusters + "write"}, handle: (*Surface).putCluster},
		{Route: Route{"PATCH", cluster, onClusters + "write"}, handle: body((*Surface).patchCluster)},
		{Route: Route{"DELETE", cluster, onClusters + "delete"}, handle: (*Surface).deleteCluster},
		{Route: Route{"POST", cluster + "/updateKeys", onClusters + "updateKeys/action"}, handle: (*Surface).updateClusterKeys},
		{Route: Route{"GET", cluster + "/serviceAccounts", onClusters + "read"}, handle: (*Surface).listServiceAccounts, filters: []string{"namespace eq"}},
		{Route: Route{"PUT", cluster + "/serviceAccounts", onClusters + "serviceAccounts/write"}, handle: (*Surface).putServiceAccounts},

		{Route: Route{"GET", definitions, authorization + "/roleDefinitions/read"}, handle: (*Surface).listDefinitions, filters: []string{"roleName eq", "type eq", "atScope()", "atScopeAndBelow()"}},
		{Route: Route{"GET", definitions + "/{definition}", authorization + "/roleDefinitions/read"}, handle: (*Surface).getDefinition},
		{Route: Route{"GET", assignments, authorization + "/roleAssignments/read"}, handle: (*Surface).listAssignments, filters: []string{"principalId eq", "assignedTo()", "atScope()"}},
		{Route: Route{"GET", assignments + "/{assignment}", authorization + "/roleAssignments/read"}, handle: (*Surface).getAssignment},
		{Route: Route{"PUT", assignments + "/{assignment}", authorization + "/roleAssignments/write"}, handle: body((*Surface).putAssignment)},
		{Route: Route{"DELETE", assignments + "/{assignment}", authorization + "/roleAssignments/delete"}, handle: (*Surface).deleteAssignment},

		{Route: Route{"GET", ours + "/issuers", federation + "/issuers/read"}, handle: (*Surface).listIssuers},
		{Route: Route{"GET", ours + "/issuers/{issuer}", federation + "/issuers/read"}, handle: (*Surface).getIssuer},
		{Route: Route{"PUT", ours + "/issuers/{issuer}", federation + "/issuers/write"}, handle: (*Surface).putIssuer},
		{Route: Route{"DELETE", ours + "/issuers/{issuer}", federation + "/issuers/delete"}, handle: (*Surface).deleteIssuer},
		{Route: Route{"GET", ours + "/policies/default", federation + "/policies/read"}, handle: (*Surface).getPolicy},
		{Route: Route{"PUT", ours + "/policies/default", federation + "/policies/write"}, handle: body((*Surface).putPolicy)},
		{Route: Route{"GET", ours + "/tenants", federation + "/tenants/read"}, handle: (*Surface).listHostedTenants},
		{Route: Route{"GET", ours + "/tenants/{tenant}", federation + "/tenants/read"}, handle: (*Surface).getHostedTenant},
		{Route: Route{"PUT", ours + "/tenants/{tenant}", federation + "/tenants/write"}, handle: body((*Surface).putHostedTenant)},
		{Route: Route{"GET", ours + "/auditEvents", federation + "/auditEvents/read"}, handle: (*Surface).listAuditEvents},
		{Route: Route{"GET", ours + "/signIns", federation + "/signIns/read"}, handle: (*Surface).listSignIns, filters: []string{"clientId eq", "result eq", "at ge", "at lt"}},
		{Route: Route{"GET", ours + "/signingKeys", federation + "/signingKeys/read"}, handle: (*Surface).listSigningKeys},
		{Route: Route{"POST", ours + "/signingKeys/rotate", federation + "/signingKeys/rotate/action"}, handle: (*Surface).rotateSigningKey},
		{Route: Route{"POST", ours + "/portalLinks", federation + "/portalLinks/write"}, handle: body((*Surface).makePortalLink)},
	}
	for i := range table {
		table[i].segments = strings.Split(strings.TrimPrefix(table[i].Pattern, "/"), "/")
	}
	return table
}

const scopePattern = "{scope}"

// find sets the route and arguments of a call, or says why there is none.
func (s *Surface) find(c *call, path []string) error {
	allowed := map[string]bool{}
	for i := range s.routes {
		r := &s.routes[i]
		args, ok := r.match(path)
		if !ok {
			continue
		}
		if r.Method == c.r.Method {
			c.route, c.args = r, args
			return nil
		}
		allowed[r.Method] = true
	}
	if len(allowed) == 0 {
		return refuse(http.StatusNotFound, "NotFound", "No resource of this service has the path '%s'.", clip("/"+strings.Join(path, "/")))
	}
	e := refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "The requested resource does not support http method '%s'.", clip(c.r.Method))
	e.header = map[string]string{"Allow": strings.Join(slices.Sorted(maps.Keys(allowed)), ", ")}
	return e
}

// match compares a path with the pattern. Of a scope it returns "scope", and
// "subscription" when the scope is in one.
func (r *route) match(path []string) (args map[string]string, ok bool) {
	pattern := r.segments
	args = map[string]string{}
	if pattern[0] == scopePattern {
		pattern = pattern[1:]
		n := len(path) - len(pattern)
		if n < 0 {
			return nil, false
		}
		scope, subscription, ok := scopeOf(path[:n])
		if !ok {
			return nil, false
		}
		args["scope"], path = scope, path[n:]
		if subscription != "" {
			args["subscription"] = subscription
		}
	}
	if len(path) != len(pattern) {
		return nil, false
	}
	for i, p := range pattern {
		if name, ok := strings.CutPrefix(p, "{"); ok {
			args[strings.TrimSuffix(name, "}")] = path[i]
		} else if !same(path[i], p) {
			return nil, false
		}
	}
	return args, true
}
