package client

import (
	"context"
	"time"
)

// ServiceAccount is one of a Kubernetes cluster.
type ServiceAccount struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	ClientID  string `json:"clientId,omitempty"` // of its annotation azure.workload.identity/client-id, a GUID
}

// MaxServiceAccounts is how many an Entente server takes of a cluster.
const MaxServiceAccounts = 50_000

// ServiceAccountReport is what a report came to.
type ServiceAccountReport struct {
	ReportedAt      time.Time `json:"reportedAt,omitzero"`
	ServiceAccounts int       `json:"serviceAccounts"` // that the cluster has now
	Namespaces      int       `json:"namespaces"`      // that they are in
	Added           int       `json:"added"`
	Removed         int       `json:"removed"`
	AnnotatedAnew   int       `json:"annotatedAnew"` // were there, with another client id or none
}

// ReportServiceAccounts tells an Entente server all service accounts of a
// cluster: what it knew of them before is replaced. The same again changes
// nothing but the time. It takes a right that the role Cluster Reporter has,
// and no other.
func (c *Client) ReportServiceAccounts(ctx context.Context, id ClusterID, all []ServiceAccount) (ServiceAccountReport, error) {
	in := struct {
		ServiceAccounts []ServiceAccount `json:"serviceAccounts"`
	}{all}
	if all == nil {
		in.ServiceAccounts = []ServiceAccount{} // and not null
	}
	r, _, err := put[ServiceAccountReport](ctx, c, id.path().then("/serviceAccounts").clusters(), in)
	return r, err
}

// ServiceAccounts lists those that a cluster has reported to an Entente server,
// by namespace and name.
func (c *Client) ServiceAccounts(ctx context.Context, id ClusterID) ([]ServiceAccount, error) {
	return list[ServiceAccount](ctx, c, c.arm, id.path().then("/serviceAccounts").clusters().param("$top", "999"))
}
