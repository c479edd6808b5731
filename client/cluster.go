package client

import (
	"context"
	"encoding/json"
	"time"
)

// ClusterID names a Kubernetes cluster.
type ClusterID struct{ SubscriptionID, ResourceGroup, Name string }

// ParseClusterID reads the resource id of a cluster, whatever the case of its
// fixed words.
func ParseClusterID(id string) (ClusterID, error) {
	s, err := parseResource(id, clusters, "a cluster")
	return ClusterID(s), err
}

// String returns the resource id.
func (id ClusterID) String() string {
	return ResourceGroupID{id.SubscriptionID, id.ResourceGroup}.String() + clusters + "/" + id.Name
}

func (id ClusterID) path() path {
	return ResourceGroupID{id.SubscriptionID, id.ResourceGroup}.path().then(clusters).segment(id.Name)
}

const clusters = "/providers/Microsoft.ContainerService/managedClusters"

// HostedKeys is the source of keys of a cluster whose issuer is published by the
// Entente server itself, with the keys that were uploaded for it.
const HostedKeys KeySource = "Hosted"

// Cluster is a Kubernetes cluster as far as federation is concerned. An Entente
// server keeps a registry of any clusters in the place where Azure has those of
// its Kubernetes service
// (https://learn.microsoft.com/rest/api/aks/managed-clusters/get).
type Cluster struct {
	ID        string            `json:"id"` // resource id; its case is the server's
	Name      string            `json:"name"`
	Location  string            `json:"location"`
	Tags      map[string]string `json:"tags,omitempty"`
	ClusterID string            `json:"clusterId,omitempty"` // a GUID that stays; Entente only
	Issuer    *ClusterIssuer    `json:"issuer,omitempty"`    // nil: it has none
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	UpdatedAt time.Time         `json:"updatedAt,omitzero"`
}

// ClusterIssuer is the issuer of a cluster's service-account tokens.
type ClusterIssuer struct {
	URL       string    `json:"url"` // exactly as in the iss claim
	KeySource KeySource `json:"keySource,omitempty"`
	IssuerID  string    `json:"issuerId,omitempty"` // resource id of the [Issuer]; empty if there is none yet
	// KeyIDs are those of the uploaded keys, in their order: nil in a list and
	// when the keys are not uploaded, "" for a key without an id.
	KeyIDs        []string  `json:"keyIds,omitempty"`
	KeysUpdatedAt time.Time `json:"keysUpdatedAt,omitzero"`
}

// ClusterSpec is what a caller writes of a cluster. What is there already keeps
// its location and the URL of its issuer.
type ClusterSpec struct {
	Location string
	Tags     map[string]string
	Issuer   *ClusterIssuerSpec // nil: the cluster has none
}

// ClusterIssuerSpec is what a caller writes of a cluster's issuer.
type ClusterIssuerSpec struct {
	URL       string          // empty with HostedKeys: the server makes it
	KeySource KeySource       // DiscoveredKeys, UploadedKeys or HostedKeys
	KeySet    json.RawMessage // optional, a JWK set (RFC 7517 §5), unless the keys are discovered
}

// clusterProperties is what is read of a cluster on the wire, and written.
type clusterProperties struct {
	ClusterID string       `json:"clusterId,omitempty"`
	CreatedAt time.Time    `json:"createdAt,omitzero"`
	UpdatedAt time.Time    `json:"updatedAt,omitzero"`
	Issuer    *oidcProfile `json:"oidcIssuerProfile,omitempty"`
}

type oidcProfile struct {
	Enabled       bool            `json:"enabled"`
	IssuerURL     string          `json:"issuerURL,omitempty"`
	KeySource     KeySource       `json:"keySource,omitempty"`
	KeySet        json.RawMessage `json:"keySet,omitempty"`
	Issuer        string          `json:"issuer,omitempty"`
	KeyIDs        []string        `json:"keyIds,omitempty"`
	KeysUpdatedAt time.Time       `json:"keysUpdatedAt,omitzero"`
}

func clusterOf(r resource[clusterProperties]) Cluster {
	p := r.Properties
	c := Cluster{ID: r.ID, Name: r.Name, Location: r.Location, Tags: r.Tags, ClusterID: p.ClusterID, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
	if i := p.Issuer; i != nil && i.Enabled {
		c.Issuer = &ClusterIssuer{URL: i.IssuerURL, KeySource: i.KeySource, IssuerID: i.Issuer, KeyIDs: i.KeyIDs, KeysUpdatedAt: i.KeysUpdatedAt}
	}
	return c
}

func (p path) clusters() path { return p.param("api-version", clusterVersion) }

// Clusters lists the clusters of a subscription, or of one of its resource groups
// when the group has a name.
func (c *Client) Clusters(ctx context.Context, group ResourceGroupID) ([]Cluster, error) {
	p := at("/subscriptions").segment(group.SubscriptionID)
	if group.Name != "" {
		p = group.path()
	}
	all, err := list[resource[clusterProperties]](ctx, c, c.arm, p.then(clusters).clusters())
	return each(all, clusterOf), err
}

// Cluster reads a cluster.
func (c *Client) Cluster(ctx context.Context, id ClusterID) (Cluster, error) {
	r, err := get[resource[clusterProperties]](ctx, c, c.arm, id.path().clusters())
	return clusterOf(r), err
}

// PutCluster registers a cluster with an Entente server or replaces its tags, and
// tells whether it was new. The group must exist. Whoever sets the keys of an
// issuer can speak for every subject of it, so that is a right of its own.
func (c *Client) PutCluster(ctx context.Context, id ClusterID, spec ClusterSpec) (_ Cluster, created bool, _ error) {
	in := resource[clusterProperties]{Location: spec.Location, Tags: spec.Tags}
	if i := spec.Issuer; i != nil {
		in.Properties.Issuer = &oidcProfile{Enabled: true, IssuerURL: i.URL, KeySource: i.KeySource, KeySet: i.KeySet}
	}
	r, created, err := put[resource[clusterProperties]](ctx, c, id.path().clusters(), in)
	return clusterOf(r), created, err
}

// UpdateClusterKeys replaces the keys of a cluster's issuer, which are uploaded
// ones, with a JWK set (RFC 7517 §5). They count on the very next request. The
// same set again changes nothing, KeysUpdatedAt neither.
func (c *Client) UpdateClusterKeys(ctx context.Context, id ClusterID, keySet json.RawMessage) (Cluster, error) {
	in := struct {
		KeySet json.RawMessage `json:"keySet"`
	}{keySet}
	r, err := post[resource[clusterProperties]](ctx, c, c.arm, id.path().then("/updateKeys").clusters(), in)
	return clusterOf(r), err
}

// DeleteCluster removes a cluster from an Entente server's registry, with the
// issuer that the server hosts for it, unless credentials name that: an
// ErrConflict. One that is not there is no error, as ARM has it.
func (c *Client) DeleteCluster(ctx context.Context, id ClusterID) error {
	return c.remove(ctx, c.arm, id.path().clusters())
}
