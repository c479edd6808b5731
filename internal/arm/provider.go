package arm

import (
	"net/http"
	"slices"
	"strings"
)

type provider struct {
	ID                 string         `json:"id"`
	Namespace          string         `json:"namespace"`
	RegistrationPolicy string         `json:"registrationPolicy"`
	RegistrationState  string         `json:"registrationState"`
	ResourceTypes      []resourceType `json:"resourceTypes"`
}

type resourceType struct {
	ResourceType string   `json:"resourceType"`
	Locations    []string `json:"locations"`
	APIVersions  []string `json:"apiVersions"`
	Capabilities string   `json:"capabilities"`
}

type namespace struct {
	name  string
	types []string
}

// namespaces are what this server has, always registered.
var namespaces = []namespace{
	{authorization, []string{"locks", "roleAssignments", "roleDefinitions"}},
	{containerService, []string{"managedClusters", "managedClusters/serviceAccounts"}},
	{managedIdentity, []string{"operations", "userAssignedIdentities", "userAssignedIdentities/federatedIdentityCredentials"}},
	{resources, []string{"deployments", "locations", "resourceGroups", "resources", "subscriptions", "tags", "tenants"}},
	{federation, []string{"auditEvents", "issuers", "policies", "portalLinks", "signIns", "signingKeys", "tenants"}},
}

func (c *call) wireProvider(n namespace) provider {
	p := provider{ID: c.subscription.Scope() + "/providers/" + n.name, Namespace: n.name, RegistrationPolicy: "RegistrationFree", RegistrationState: "Registered"}
	for _, name := range n.types {
		p.ResourceTypes = append(p.ResourceTypes, resourceType{ResourceType: name, Locations: []string{}, APIVersions: versions[n.name], Capabilities: "None"})
	}
	return p
}

func (s *Surface) listProviders(c *call) (*answer, error) {
	return whole(each(namespaces, c.wireProvider)), nil
}

// getProvider also answers a registration, of which there is nothing to do but to ask for the right.
func (s *Surface) getProvider(c *call) (*answer, error) {
	if c.r.Method == http.MethodPost {
		if err := s.dir.Permit(c, c.caller, c.route.Action, c.subscription.Scope()); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(namespaces, func(n namespace) bool { return same(c.args["namespace"], n.name) })
	if i < 0 {
		return nil, refuse(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", clip(c.args["namespace"]))
	}
	return found(c.wireProvider(namespaces[i])), nil
}

type operation struct {
	Name    string           `json:"name"`
	Display operationDisplay `json:"display"`
}

type operationDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

// listOperations lists the rights on managed identities, as the routes name them.
func (s *Surface) listOperations(*call) (*answer, error) {
	all := []operation{}
	for _, r := range s.routes {
		kind, verb := r.Action[:strings.LastIndexByte(r.Action, '/')+1], r.Action[strings.LastIndexByte(r.Action, '/')+1:]
		if !strings.HasPrefix(kind, identityType+"/") || slices.ContainsFunc(all, func(o operation) bool { return o.Name == r.Action }) {
			continue
		}
		resource := "User Assigned Identity"
		if strings.Contains(kind, "federatedIdentityCredentials") {
			resource = "Federated Identity Credential"
		}
		all = append(all, operation{Name: r.Action, Display: operationDisplay{Provider: managedIdentity, Resource: resource, Operation: verb, Description: verb + " of a " + resource}})
	}
	return whole(all), nil
}
