package directory

import (
	"context"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// ServiceAccount is one of a cluster, as the cluster's agent has reported it.
// It says what could be trusted, for people who choose, and decides nothing.
type ServiceAccount struct {
	Namespace, Name string
	ClientID        string // of its annotation azure.workload.identity/client-id; empty: none
}

// Namespace is one of a cluster that holds service accounts, of which every
// namespace of Kubernetes has one at least.
type Namespace struct {
	Name            string
	ServiceAccounts int
}

// MaxServiceAccounts is how many a cluster can have here.
const MaxServiceAccounts = 50_000

// The lengths of the names that Kubernetes lets a namespace and a service
// account have: a label and a subdomain of RFC 1123
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
const (
	maxNamespaceName      = 63
	maxServiceAccountName = 253
)

// isLabel says whether s is made of a-z, 0-9 and -, the first and the last of
// them no -. There are 100,000 names in a large report.
func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && 0 < i && i < len(s)-1) {
			return false
		}
	}
	return s != ""
}

// isSubdomain says whether s is made of labels with dots between them.
func isSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func (s ServiceAccount) validate() error {
	const rule = "a-z, 0-9 and -, the first and the last a letter or digit"
	refuse := func(format string, args ...any) error {
		return invalid(ClusterObject, serviceAccounts, format, args...)
	}
	switch {
	case len(s.Namespace) > maxNamespaceName || !isLabel(s.Namespace):
		return refuse("%.80q is no namespace: at most %d of "+rule, s.Namespace, maxNamespaceName)
	case len(s.Name) > maxServiceAccountName || !isSubdomain(s.Name):
		return refuse("%.80q is no service account: at most %d characters, in parts of "+rule+", with dots between them", s.Name, maxServiceAccountName)
	case s.ClientID != "" && !IsID(s.ClientID):
		return refuse("the client id %.80q of %s is not a GUID", s.ClientID, s.key())
	}
	return nil
}

// serviceAccounts is the field of a cluster that errors name.
const serviceAccounts = "serviceAccounts"

// key names one among those of its cluster, as people write it.
func (s ServiceAccount) key() string { return s.Namespace + "/" + s.Name }

func scanServiceAccount(r row) (s ServiceAccount, err error) {
	err = r.Scan(&s.Namespace, &s.Name, &s.ClientID)
	return s, err
}

// reported finds the id of a cluster, and when its service accounts were
// reported last, for a caller who meets the need.
func (r rights) reported(ctx context.Context, q db.Querier, ref ClusterRef, n need) (clusterID string, at time.Time, err error) {
	if _, err := r.inGroup(ctx, q, ref.SubscriptionID, ref.Group, n); err != nil {
		return "", time.Time{}, err
	}
	var ms int64
	clusterID, err = one(ctx, q, ref.missing(), func(r row) (id string, err error) {
		err = r.Scan(&id, &ms)
		return id, err
	}, `SELECT id, reported_at FROM clusters WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3 AND name_key = $4`, ref.args(r.caller.TenantID)...)
	return clusterID, fromMillis(ms), err
}

// ServiceAccounts lists those of a cluster, or of one of its namespaces when
// that has a name, by namespace and name, and says when they were reported; the
// zero time: never. A search is in "namespace/name", or is a client id.
func (d *Directory) ServiceAccounts(ctx context.Context, c Caller, ref ClusterRef, namespace string, page Page) (Paged[ServiceAccount], time.Time, error) {
	var none Paged[ServiceAccount]
	w, at, err := d.inventory(ctx, c, ref, page)
	if err != nil {
		return none, at, err
	}
	if namespace != "" {
		w.add(`namespace = ?`, namespace)
	}
	all := w
	w.past(page, `namespace`, `name`)
	items, err := query(ctx, d.DB.Read(), scanServiceAccount, `SELECT namespace, name, client_id FROM service_accounts WHERE `+w.text()+` ORDER BY `+page.order(`namespace`, `name`)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return none, at, err
	}
	found := paged(items, page, ServiceAccount.key)
	return found, at, total(ctx, d.DB.Read(), &found, page, "service_accounts", all)
}

// Namespaces lists those of a cluster that hold service accounts, by name. A
// search keeps the service accounts that ServiceAccounts would find, and the
// namespaces that they are in. The length of the list is not counted.
func (d *Directory) Namespaces(ctx context.Context, c Caller, ref ClusterRef, page Page) (Paged[Namespace], time.Time, error) {
	w, at, err := d.inventory(ctx, c, ref, page)
	if err != nil {
		return Paged[Namespace]{}, at, err
	}
	w.past(page, `namespace`)
	items, err := query(ctx, d.DB.Read(), func(r row) (n Namespace, err error) {
		err = r.Scan(&n.Name, &n.ServiceAccounts)
		return n, err
	}, `SELECT namespace, count(*) FROM service_accounts WHERE `+w.text()+` GROUP BY namespace ORDER BY `+page.order(`namespace`)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	return paged(items, page, func(n Namespace) string { return n.Name }), at, err
}

// inventory starts a list of what a cluster has reported, for whoever may read the cluster.
func (d *Directory) inventory(ctx context.Context, c Caller, ref ClusterRef, page Page) (w where, at time.Time, err error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return w, at, err
	}
	id, at, err := r.reported(ctx, d.DB.Read(), ref, onCluster("read", ref))
	w.add(`cluster_id = ?`, id)
	if page.Search != "" {
		w.search(d.DB, page.Search, d.DB.Holds(`namespace || '/' || name`, `?`), []any{fold(page.Search)}, nil, []string{`client_id`})
	}
	return w, at, err
}
