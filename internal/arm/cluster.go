package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

// clusterType is how Azure spells the type in answers, other than in ids.
const clusterType = containerService + "/ManagedClusters"

// cluster is a registered cluster in the form of a managed one of Azure's
// (https://learn.microsoft.com/rest/api/aks/managed-clusters/get), with the
// members that az needs and those that are this service's own.
type cluster struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties clusterProperties `json:"properties"`
}

type clusterProperties struct {
	ProvisioningState       string           `json:"provisioningState"`
	PowerState              powerState       `json:"powerState"`
	ServicePrincipalProfile servicePrincipal `json:"servicePrincipalProfile"` // az reads into it without looking
	AgentPoolProfiles       []agentPool      `json:"agentPoolProfiles"`       // az changes nothing of a cluster without one
	NetworkProfile          struct{}         `json:"networkProfile"`          // the same
	SecurityProfile         securityProfile  `json:"securityProfile"`
	OIDCIssuerProfile       *clusterIssuer   `json:"oidcIssuerProfile,omitempty"` // absent: az prints nothing, as in Azure
	ClusterID               string           `json:"clusterId"`
	CreatedAt               string           `json:"createdAt"`
	UpdatedAt               string           `json:"updatedAt"`
}

type powerState struct {
	Code string `json:"code"`
}

type servicePrincipal struct {
	ClientID string `json:"clientId"`
}

// managedIdentityClient stands where a cluster with a service principal has that one's client id.
const managedIdentityClient = "msi"

// agentPool stands for the nodes, of which this service knows nothing.
type agentPool struct {
	Name  string `json:"name"`
	Mode  string `json:"mode"`
	Count int    `json:"count"`
}

var noNodes = agentPool{"elsewhere", "System", 0}

type securityProfile struct {
	WorkloadIdentity enabled `json:"workloadIdentity"`
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

type clusterIssuer struct {
	Enabled       bool      `json:"enabled"`
	IssuerURL     string    `json:"issuerURL"`
	KeySource     string    `json:"keySource"`
	Issuer        string    `json:"issuer,omitempty"`        // id of the issuer object
	KeyIDs        *[]string `json:"keyIds,omitempty"`        // of uploaded keys; not in lists
	KeysUpdatedAt string    `json:"keysUpdatedAt,omitempty"` // of uploaded keys
}

func wireCluster(m directory.Cluster) cluster {
	p := clusterProperties{
		ProvisioningState: "Succeeded", PowerState: powerState{"Running"}, ServicePrincipalProfile: servicePrincipal{managedIdentityClient}, AgentPoolProfiles: []agentPool{noNodes},
		SecurityProfile: securityProfile{enabled{m.Issuer != nil}}, ClusterID: m.ID, CreatedAt: stamp(m.CreatedAt), UpdatedAt: stamp(m.UpdatedAt),
	}
	if i := m.Issuer; i != nil {
		p.OIDCIssuerProfile = &clusterIssuer{Enabled: true, IssuerURL: i.URL, KeySource: string(i.Keys), KeysUpdatedAt: stamp(i.KeysAt)}
		if i.Name != "" {
			p.OIDCIssuerProfile.Issuer = issuerPath + i.Name
		}
		if i.KeyIDs != nil {
			p.OIDCIssuerProfile.KeyIDs = &i.KeyIDs
		}
	}
	return cluster{ID: m.ResourceID(), Name: m.Name, Type: clusterType, Location: m.Location, Tags: tags(m.Tags), Properties: p}
}

// The members of a body that may be there. What only the server sets is passed
// over, so that a cluster that was read can be sent back; what only Azure's
// clusters have is refused, since whoever asks for it means another service.
var (
	clusterMembers  = []string{"id", "name", "type", "location", "tags", "properties", "systemData", "etag", "eTag"}
	propertyMembers = []string{"oidcIssuerProfile", "provisioningState", "powerState", "clusterId", "createdAt", "updatedAt"}
	profileMembers  = []string{"enabled", "issuerURL", "keySource", "keySet", "issuer", "keyIds", "keysUpdatedAt"}
)

// empties are values that ask for nothing.
var empties = []string{"{}", "[]", `""`, "false"}

// foreign is the first member that is not known and asks for something.
func foreign(object strictjson.Object, known []string) string {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) && !slices.Contains(empties, string(object[name])) {
			return name
		}
	}
	return ""
}

// child reads a member that is an object; one that is not there has no members.
func child(object strictjson.Object, name string) (strictjson.Object, error) {
	raw := object[name]
	if len(raw) == 0 {
		return strictjson.Object{}, nil
	}
	inner, err := members(raw)
	if err != nil {
		err = fmt.Errorf("%q: %w", name, err)
	}
	return inner, err
}

// readCluster reads a body without looking into its key set. The name is that
// of the first member which only Azure's clusters have.
func readCluster(data []byte) (s directory.ClusterSpec, azures string, err error) {
	outer, err := members(data)
	if err != nil {
		return s, "", err
	}
	if azures = foreign(outer, clusterMembers); azures != "" {
		return s, azures, nil
	}
	if s.Location, _, err = outer.Text("location"); err != nil {
		return s, "", err
	}
	if raw := outer["tags"]; len(raw) > 0 {
		if err := distinct(raw); err != nil {
			return s, "", err
		}
		if err := strictjson.Decode(raw, &s.Tags); err != nil {
			return s, "", err
		}
	}
	p, err := child(outer, "properties")
	if err != nil {
		return s, "", err
	}
	known, err := answered(p)
	if err != nil {
		return s, "", err
	}
	if azures = foreign(p, append(known, propertyMembers...)); azures != "" {
		return s, azures, nil
	}
	profile, err := child(p, "oidcIssuerProfile")
	if err == nil {
		s.Issuer, err = readClusterIssuer(profile)
	}
	return s, "", err
}

// answered are the members that Azure's clusters have in other words, and that
// say here what this service answers itself.
func answered(p strictjson.Object) (known []string, err error) {
	principal, err := child(p, "servicePrincipalProfile")
	if err != nil {
		return nil, err
	}
	id, _, err := principal.Text("clientId")
	if err != nil {
		return nil, err
	}
	if foreign(principal, []string{"clientId"}) == "" && (id == "" || id == managedIdentityClient) {
		known = append(known, "servicePrincipalProfile")
	}
	security, err := child(p, "securityProfile")
	if err != nil {
		return nil, err
	}
	identity, err := child(security, "workloadIdentity")
	if foreign(security, []string{"workloadIdentity"}) == "" && foreign(identity, []string{"enabled"}) == "" {
		known = append(known, "securityProfile")
	}
	if err != nil {
		return nil, err
	}
	if raw := p["agentPoolProfiles"]; len(raw) > 0 {
		pools, err := p.Array("agentPoolProfiles")
		if err != nil {
			return nil, err
		}
		if len(pools) == 1 && isNoNodes(pools[0]) {
			known = append(known, "agentPoolProfiles")
		}
	}
	return known, nil
}

// isNoNodes says whether a pool is the one that answers have.
func isNoNodes(raw json.RawMessage) bool {
	pool, err := members(raw)
	if err != nil || foreign(pool, []string{"name", "mode", "count"}) != "" {
		return false
	}
	var is agentPool
	return json.Unmarshal(raw, &is) == nil && is == noNodes
}

func readClusterIssuer(profile strictjson.Object) (*directory.ClusterIssuerSpec, error) {
	if name := foreign(profile, profileMembers); name != "" {
		return nil, fmt.Errorf("%q is no member of %q", name, "oidcIssuerProfile")
	}
	var source string
	s := directory.ClusterIssuerSpec{KeySet: profile["keySet"]}
	for name, to := range map[string]*string{"issuerURL": &s.URL, "keySource": &source} {
		var err error
		if *to, _, err = profile.Text(name); err != nil {
			return nil, err
		}
	}
	s.Keys = directory.ClusterKeys(source)
	switch on := string(profile["enabled"]); {
	case on == "true", on == "" && (s.URL != "" || s.Keys != "" || len(s.KeySet) > 0):
		return &s, nil
	case on == "false", on == "":
		return nil, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", "enabled")
}

// notRegistered says to whoever wants a cluster made, or changed as Azure
// changes its own, what this service has instead. az prints it as it is.
func (c *call) notRegistered(why string) *refusal {
	return refuse(http.StatusBadRequest, "OperationNotAllowed",
		"This service keeps a registry of Kubernetes clusters and runs none: %s. To register a cluster that runs elsewhere, use 'entente cluster register %s --resource-group %s' with '--issuer URL' for the issuer that it has, or with '--hosted' for one that is published here.",
		why, clip(c.args["cluster"]), clip(c.args["group"]))
}

func (c *call) clusterRef() directory.ClusterRef {
	return directory.ClusterRef{SubscriptionID: c.subscription.ID, Group: c.args["group"], Name: c.args["cluster"]}
}

// listClusters lists those of a group, or of the subscription when the path names none.
func (s *Surface) listClusters(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Cluster], error) {
		return s.dir.Clusters(c, c.caller, c.subscription.ID, c.args["group"], p)
	}, wireCluster)
}

func (s *Surface) getCluster(c *call) (*answer, error) {
	m, err := s.dir.Cluster(c, c.caller, c.clusterRef())
	return found(wireCluster(m)), err
}

// putCluster asks for the right before it looks at keys. It reads its own body,
// since a key set is checked key by key and by nobody else.
func (s *Surface) putCluster(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, c.clusterRef().ResourceID()); err != nil {
		return nil, err
	}
	data, err := c.readBody(maxIssuerBody)
	if err != nil {
		return nil, err
	}
	spec, azures, err := readCluster(data)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case azures != "":
		return nil, c.notRegistered("the property '" + clip(azures) + "' is one that only Azure's clusters have")
	}
	spec.ClusterRef, spec.Location = c.clusterRef(), place(spec.Location)
	if spec.Issuer != nil && len(spec.Issuer.KeySet) > 0 {
		if err := s.checkKeySet(spec.Issuer.KeySet); err != nil {
			return nil, badRequest("The property 'keySet' is not valid: %s", sentence(err.Error()))
		}
	}
	m, created, err := s.dir.PutCluster(c, c.caller, spec)
	return put(wireCluster(m), created, m.ResourceID()), err
}

func (s *Surface) patchCluster(c *call, in groupBody) (*answer, error) {
	m, err := s.dir.UpdateCluster(c, c.caller, c.clusterRef(), in.Tags)
	return found(wireCluster(m)), err
}

// updateClusterKeys replaces the uploaded keys of a cluster. Like putIssuer, it
// asks for the right first.
func (s *Surface) updateClusterKeys(c *call) (*answer, error) {
	m, err := s.dir.Cluster(c, c.caller, c.clusterRef())
	if err != nil {
		return nil, err
	}
	scope := strings.TrimSuffix(issuerPath, "/")
	if m.Issuer != nil && m.Issuer.Keys != directory.ClusterDiscovery {
		scope = issuerPath + m.Issuer.Name
	}
	if err := s.dir.Permit(c, c.caller, issuerType+"/write", scope); err != nil {
		return nil, err
	}
	data, err := c.readBody(maxIssuerBody)
	if err != nil {
		return nil, err
	}
	body, err := members(data)
	if err != nil {
		return nil, unreadable(err)
	}
	set := body["keySet"]
	if err := s.checkKeySet(set); err != nil {
		return nil, badRequest("The property 'keySet' is not valid: %s", sentence(err.Error()))
	}
	m, err = s.dir.SetClusterKeys(c, c.caller, c.clusterRef(), set)
	return found(wireCluster(m)), err
}

// deleteCluster answers 204 in any case: Azure's clients know only that and
// 202, since there a cluster takes its time to go.
func (s *Surface) deleteCluster(c *call) (*answer, error) {
	err := s.dir.DeleteCluster(c, c.caller, c.clusterRef())
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound && e.Object == directory.ClusterObject {
		err = nil
	}
	return &answer{status: http.StatusNoContent}, err
}
