package directory

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// Cluster is a Kubernetes cluster that is registered in a resource group, so
// that people and tools find its issuer by the cluster's name.
type Cluster struct {
	ClusterRef
	ID                   string // GUID; in the URL of a hosted issuer
	TenantID             string
	Location             string
	Tags                 map[string]string
	Issuer               *ClusterIssuer // nil: none
	CreatedAt, UpdatedAt time.Time
}

// ClusterRef names a cluster as ARM does, without case.
type ClusterRef struct{ SubscriptionID, Group, Name string }

const clusterProvider = "Microsoft.ContainerService/managedClusters"

// ResourceID is the ARM id, with "resourcegroups" in lower case as Azure
// spells it for this provider.
func (r ClusterRef) ResourceID() string {
	return "/subscriptions/" + fold(r.SubscriptionID) + "/resourcegroups/" + r.Group + "/providers/" + clusterProvider + "/" + r.Name
}

// clusterName is Azure's rule for managed clusters
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcontainerservice).
var clusterName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`)

// The columns of a cluster with its issuer. A list leaves the key sets where
// they are: a page of them could be 50 MiB.
const (
	clusterColumns = `r.id, r.tenant_id, r.subscription_id, r.group_name, r.name, r.location, r.tags, r.issuer_url, r.hosted, r.created_at, r.updated_at,
		coalesce(i.name, ''), coalesce(i.key_source, ''), coalesce(i.updated_at, 0)`
	clusterTables = `clusters r LEFT JOIN issuers i ON i.tenant_id = r.tenant_id AND i.url = r.issuer_url`
	clusterIs     = `r.tenant_id = $1 AND r.subscription_id = $2 AND r.group_key = $3 AND r.name_key = $4`
)

func (r ClusterRef) args(tenantID string) []any {
	return []any{tenantID, fold(r.SubscriptionID), fold(r.Group), fold(r.Name)}
}

// scanCluster reads clusterColumns and what follows them.
func scanCluster(more ...any) func(row) (Cluster, error) {
	return func(r row) (Cluster, error) {
		var c Cluster
		var i ClusterIssuer
		var tags, source string
		var hosted, createdAt, updatedAt, keysAt int64
		dest := []any{&c.ID, &c.TenantID, &c.SubscriptionID, &c.Group, &c.Name, &c.Location, &tags, &i.URL, &hosted, &createdAt, &updatedAt, &i.Name, &source, &keysAt}
		if err := r.Scan(append(dest, more...)...); err != nil {
			return c, err
		}
		c.CreatedAt, c.UpdatedAt = fromMillis(createdAt), fromMillis(updatedAt)
		if i.URL != "" {
			i.Keys = clusterKeys(hosted != 0, KeySource(source))
			if i.Keys.uploaded() {
				i.KeysAt = fromMillis(keysAt)
			}
			c.Issuer = &i
		}
		return c, fromJSON(tags, &c.Tags)
	}
}

func findCluster(ctx context.Context, q db.Querier, tenantID string, ref ClusterRef) (Cluster, error) {
	var set string
	c, err := one(ctx, q, ref.missing(), scanCluster(&set), `SELECT `+clusterColumns+`, coalesce(i.key_set, '') FROM `+clusterTables+` WHERE `+clusterIs, ref.args(tenantID)...)
	if err == nil && c.Issuer != nil && c.Issuer.Keys.uploaded() {
		c.Issuer.KeyIDs = keyIDs(json.RawMessage(set))
	}
	return c, err
}

// lockCluster finds a cluster and locks its row.
func (a *act) lockCluster(ref ClusterRef) (Cluster, error) {
	if !storable(ref.Group, ref.Name) {
		return Cluster{}, ref.missing()
	}
	if _, err := exec(a, a.tx, `UPDATE clusters SET revision = revision + 1 WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3 AND name_key = $4`, ref.args(a.c.TenantID)...); err != nil {
		return Cluster{}, err
	}
	return findCluster(a, a.tx, a.c.TenantID, ref)
}

func (r ClusterRef) missing() *Error {
	return &Error{Kind: NotFound, Object: ClusterObject, ID: r.Name, Group: r.Group}
}

// onCluster is the need for a right on a cluster.
func onCluster(verb string, ref ClusterRef) need {
	return need{action: clusterProvider + "/" + verb, scope: ref.ResourceID()}
}

// Cluster reads one.
func (d *Directory) Cluster(ctx context.Context, c Caller, ref ClusterRef) (Cluster, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Cluster{}, err
	}
	if _, err := r.inGroup(ctx, d.DB.Read(), ref.SubscriptionID, ref.Group, onCluster("read", ref)); err != nil {
		return Cluster{}, err
	}
	return findCluster(ctx, d.DB.Read(), c.TenantID, ref)
}

// Clusters lists those of a subscription, or of one group, that the caller may
// read, by group and name without case; with no subscription those of the
// tenant, by name. They come without the ids of their keys. A search is in the
// name and the issuer's URL.
func (d *Directory) Clusters(ctx context.Context, c Caller, subscriptionID, group string, page Page) (Paged[Cluster], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Cluster]{}, err
	}
	w := where{}
	read := clusterProvider + "/read"
	order, err := r.resources(ctx, d.DB.Read(), &w, subscriptionID, group, clusterProvider, read)
	if err != nil {
		return Paged[Cluster]{}, err
	}
	w.named(d.DB, page.Search, `r.name_key`, []string{`r.issuer_url`}, `r.id`)
	all := w
	w.past(page, order...)
	items, err := query(ctx, d.DB.Read(), scanCluster(), `SELECT `+clusterColumns+` FROM `+clusterTables+` WHERE `+w.text()+` ORDER BY `+page.order(order...)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Cluster]{}, err
	}
	p := paged(items, page, func(m Cluster) string { return resourceKey(order, m.SubscriptionID, m.Group, m.Name) })
	err = total(ctx, d.DB.Read(), &p, page, "clusters r", all)
	p.Items = readable(p.Items, func(m Cluster) bool { return r.can(read, m.ResourceID()) })
	return p, err
}

// ClusterSpec is what a cluster is registered with.
type ClusterSpec struct {
	ClusterRef
	Location string
	Tags     map[string]string
	Issuer   *ClusterIssuerSpec // nil: none
}

// PutCluster registers one, or replaces the tags of the one that is there. Its
// issuer can be given to it later, but it is its issuer for as long as it is
// registered: tokens and credentials name it.
func (d *Directory) PutCluster(ctx context.Context, c Caller, s ClusterSpec) (put Cluster, created bool, err error) {
	if !clusterName.MatchString(s.Name) {
		return Cluster{}, false, invalid(ClusterObject, "name", "%q: 1 to 63 letters, digits, - and _, the first and the last a letter or digit", s.Name)
	}
	if err := s.Issuer.validate(); err != nil {
		return Cluster{}, false, err
	}
	return d.writeCluster(ctx, c, s.ClusterRef, func(a *act, old *Cluster) (Cluster, error) {
		if old == nil {
			if s.Location == "" {
				return Cluster{}, invalid(ClusterObject, "location", "is required")
			}
			old = &Cluster{ClusterRef: s.ClusterRef, ID: newID(), TenantID: c.TenantID, Location: s.Location, CreatedAt: a.at}
			old.SubscriptionID = fold(s.SubscriptionID)
		} else if s.Location != "" && fold(s.Location) != fold(old.Location) {
			return Cluster{}, &Error{Kind: Immutable, Object: ClusterObject, ID: old.Name, Field: "location", Detail: old.Location}
		}
		put := *old
		put.Tags = s.Tags
		return put, a.chooseIssuer(&put, s.Issuer)
	})
}

// UpdateCluster replaces the tags of one; nil leaves them.
func (d *Directory) UpdateCluster(ctx context.Context, c Caller, ref ClusterRef, tags *map[string]string) (Cluster, error) {
	put, _, err := d.writeCluster(ctx, c, ref, func(_ *act, old *Cluster) (Cluster, error) {
		if old == nil {
			return Cluster{}, ref.missing()
		}
		put := *old
		if tags != nil {
			put.Tags = *tags
		}
		return put, nil
	})
	return put, err
}

// writeCluster is every write of a cluster but its end: decide gets the one
// that is there, or nil, and says what it shall become.
func (d *Directory) writeCluster(ctx context.Context, c Caller, ref ClusterRef, decide func(*act, *Cluster) (Cluster, error)) (put Cluster, created bool, err error) {
	for range 2 { // once more, for a name of its issuer that somebody else took at the same moment
		err = d.change(ctx, c, func(a *act) error {
			t := &target{object: ClusterObject}
			if _, err := a.permitInGroup(ref.SubscriptionID, ref.Group, onCluster("write", ref), t); err != nil {
				return err
			}
			old, err := a.lockCluster(ref)
			was := &old
			if created = isNotFound(err); created {
				was, err = nil, nil
			}
			if err != nil {
				return err
			}
			if put, err = decide(a, was); err != nil {
				return err
			}
			if err := checkPlace(ClusterObject, put.Location, put.Tags); err != nil {
				return err
			}
			put.UpdatedAt = a.at
			t.id, t.name = put.ResourceID(), put.Name
			t.note("cluster", put.ID)
			if put.Issuer != nil {
				t.note("issuer", put.Issuer.URL)
				t.note("keySource", string(put.Issuer.Keys))
			}
			return a.storeCluster(put)
		})
		if !isTaken(err) {
			break
		}
	}
	if err != nil {
		return Cluster{}, false, err
	}
	return put, created, nil
}

// storeCluster writes a cluster of a group whose row is locked.
func (a *act) storeCluster(c Cluster) error {
	tags, err := tagsJSON(c.Tags)
	if err != nil {
		return err
	}
	url, hosted := "", false
	if c.Issuer != nil {
		url, hosted = c.Issuer.URL, c.Issuer.Keys == HostedKeys
	}
	_, err = exec(a, a.tx, `INSERT INTO clusters (id, tenant_id, subscription_id, group_key, group_name, name_key, name, location, tags, issuer_url, hosted, revision, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $13)
		ON CONFLICT (id) DO UPDATE SET tags = excluded.tags, issuer_url = excluded.issuer_url, hosted = excluded.hosted, updated_at = excluded.updated_at`,
		c.ID, c.TenantID, c.SubscriptionID, fold(c.Group), c.Group, fold(c.Name), c.Name, c.Location, tags, url, bit(hosted), millis(c.CreatedAt), millis(c.UpdatedAt))
	return err
}

// DeleteCluster takes a cluster out of the registry, with its hosted issuer.
// That is refused while a credential names the issuer. Any other issuer stays:
// the credentials that name it trust the issuer and not the entry in the registry.
func (d *Directory) DeleteCluster(ctx context.Context, c Caller, ref ClusterRef) error {
	return d.change(ctx, c, func(a *act) error {
		if _, err := a.rights.inGroup(a, a.tx, ref.SubscriptionID, ref.Group, onCluster("delete", ref)); err != nil {
			return err
		}
		if _, err := a.lockGroup(ref.SubscriptionID, ref.Group); err != nil {
			return err
		}
		return a.removeCluster(ref)
	})
}

// removeCluster removes a cluster of a group whose row is locked.
func (a *act) removeCluster(ref ClusterRef) error {
	c, err := a.lockCluster(ref)
	if err != nil {
		return err
	}
	t := &target{object: ClusterObject, id: c.ResourceID(), name: c.Name, detail: map[string]string{"cluster": c.ID}}
	if err := a.permit(onCluster("delete", c.ClusterRef), t); err != nil {
		return err
	}
	if c.Issuer != nil {
		t.note("issuer", c.Issuer.URL)
		if c.Issuer.Keys == HostedKeys {
			if err := a.removeHosted(c); err != nil {
				return err
			}
		}
	}
	if err := a.removeAssignmentsAt(c.ResourceID()); err != nil {
		return err
	}
	return a.removeAll(c.ID, `DELETE FROM clusters WHERE id = $1`)
}

// removeClusters removes those of a group whose row is locked.
func (a *act) removeClusters(g Group) error {
	names, err := query(a, a.tx, scanString, `SELECT name FROM clusters WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3 ORDER BY name_key`, a.c.TenantID, g.SubscriptionID, fold(g.Name))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := a.removeCluster(ClusterRef{g.SubscriptionID, g.Name, name}); err != nil {
			return err
		}
	}
	return nil
}
