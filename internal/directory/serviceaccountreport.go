package directory

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// ServiceAccountReport is what a report of a cluster's service accounts came to.
type ServiceAccountReport struct {
	At                            time.Time
	Accounts, Namespaces          int // that the cluster has now
	Added, Removed, AnnotatedAnew int
}

// Changed says whether the cluster has others than before.
func (r ServiceAccountReport) Changed() bool { return r.Added+r.Removed+r.AnnotatedAnew > 0 }

// ReportServiceAccounts replaces what is known of a cluster's service accounts
// by these, of which none may stand twice. It takes a right of its own on the
// cluster, and no other. A report of what is known already moves its time and
// nothing else, and is not recorded.
func (d *Directory) ReportServiceAccounts(ctx context.Context, c Caller, ref ClusterRef, accounts []ServiceAccount) (ServiceAccountReport, error) {
	accounts, err := checkServiceAccounts(accounts)
	if err != nil {
		return ServiceAccountReport{}, err
	}
	report := ServiceAccountReport{Accounts: len(accounts)}
	for i, s := range accounts {
		if i == 0 || s.Namespace != accounts[i-1].Namespace {
			report.Namespaces++
		}
	}
	same, at, err := d.reportSame(ctx, c, ref, accounts)
	if err != nil || same {
		report.At = at
		return report, err
	}
	err = d.change(ctx, c, func(a *act) error {
		need := onCluster("serviceAccounts/write", ref)
		if _, err := a.rights.inGroup(a, a.tx, ref.SubscriptionID, ref.Group, need); err != nil {
			return err
		}
		m, err := a.lockCluster(ref)
		if err != nil {
			return err
		}
		t := &target{object: ClusterObject, id: m.ResourceID(), name: m.Name}
		if err := a.permit(need, t); err != nil {
			return err
		}
		known, err := knownServiceAccounts(a, a.tx, m.ID)
		if err != nil {
			return err
		}
		diff := compareServiceAccounts(known, accounts)
		report.At, report.Added, report.Removed, report.AnnotatedAnew = a.at, diff.added, len(diff.gone), len(diff.put)-diff.added
		t.note("cluster", m.ID)
		for key, n := range map[string]int{"serviceAccounts": report.Accounts, "added": report.Added, "removed": report.Removed, "annotatedAnew": report.AnnotatedAnew} {
			t.note(key, strconv.Itoa(n))
		}
		if err := a.storeServiceAccounts(m.ID, diff); err != nil {
			return err
		}
		_, err = exec(a, a.tx, `UPDATE clusters SET reported_at = $2 WHERE id = $1`, m.ID, millis(a.at))
		return err
	})
	if err != nil {
		return ServiceAccountReport{}, err
	}
	return report, nil
}

// checkServiceAccounts returns the accounts in their order.
func checkServiceAccounts(accounts []ServiceAccount) ([]ServiceAccount, error) {
	if len(accounts) > MaxServiceAccounts {
		return nil, invalid(ClusterObject, serviceAccounts, "are %d, and a cluster can have %d here", len(accounts), MaxServiceAccounts)
	}
	accounts = slices.Clone(accounts)
	for i, s := range accounts {
		if err := s.validate(); err != nil {
			return nil, err
		}
		accounts[i].ClientID = fold(s.ClientID)
	}
	slices.SortFunc(accounts, func(a, b ServiceAccount) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	for i, s := range accounts[min(1, len(accounts)):] {
		if s.key() == accounts[i].key() {
			return nil, invalid(ClusterObject, serviceAccounts, "%q stands twice", s.key())
		}
	}
	return accounts, nil
}

// reportSame notes the time of a report that changes nothing, without keeping
// anybody else from writing for as long as it takes to find that out.
func (d *Directory) reportSame(ctx context.Context, c Caller, ref ClusterRef, accounts []ServiceAccount) (same bool, at time.Time, err error) {
	need := onCluster("serviceAccounts/write", ref)
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return false, at, err
	}
	id, last, err := r.reported(ctx, d.DB.Read(), ref, need)
	if err != nil || last.IsZero() {
		return false, at, err
	}
	known, err := knownServiceAccounts(ctx, d.DB.Read(), id)
	if err != nil {
		return false, at, err
	}
	if diff := compareServiceAccounts(known, accounts); len(diff.put)+len(diff.gone) > 0 {
		return false, at, nil
	}
	at = d.now().Truncate(time.Millisecond)
	err = d.DB.Update(ctx, func(tx *sql.Tx) error {
		r, err := d.rights(ctx, tx, c)
		if err != nil {
			return err
		}
		if _, _, err := r.reported(ctx, tx, ref, need); err != nil {
			return err
		}
		_, err = exec(ctx, tx, `UPDATE clusters SET reported_at = $2 WHERE id = $1 AND reported_at < $2`, id, millis(at))
		return err
	})
	if db.IsFull(err) {
		err = &Error{Kind: Full, Err: err}
	}
	return err == nil, at, err
}

func knownServiceAccounts(ctx context.Context, q db.Querier, clusterID string) ([]ServiceAccount, error) {
	return query(ctx, q, scanServiceAccount, `SELECT namespace, name, client_id FROM service_accounts WHERE cluster_id = $1`, clusterID)
}

// serviceAccountDiff is what makes the known accounts those of a report.
type serviceAccountDiff struct {
	put, gone []ServiceAccount
	added     int // of put; the others have another client id
}

func compareServiceAccounts(known, reported []ServiceAccount) (diff serviceAccountDiff) {
	left := make(map[string]string, len(known)) // client ids by key
	for _, s := range known {
		left[s.key()] = s.ClientID
	}
	for _, s := range reported {
		was, there := left[s.key()]
		delete(left, s.key())
		if !there {
			diff.added++
		}
		if !there || was != s.ClientID {
			diff.put = append(diff.put, s)
		}
	}
	for _, s := range known {
		if _, gone := left[s.key()]; gone {
			diff.gone = append(diff.gone, s)
		}
	}
	return diff
}

// storeServiceAccounts writes a difference to a cluster whose row is locked.
func (a *act) storeServiceAccounts(clusterID string, diff serviceAccountDiff) error {
	from := ` FROM ` + a.d.DB.Elements(`$2`)
	for _, write := range []struct {
		list []ServiceAccount
		text string
	}{
		{diff.gone, `DELETE FROM service_accounts WHERE cluster_id = $1 AND (namespace, name) IN (SELECT value ->> 0, value ->> 1` + from + `)`},
		{diff.put, `INSERT INTO service_accounts (cluster_id, namespace, name, client_id) SELECT $1, value ->> 0, value ->> 1, value ->> 2` + from + ` WHERE 1 = 1
			ON CONFLICT (cluster_id, namespace, name) DO UPDATE SET client_id = excluded.client_id`},
	} {
		rows := make([][3]string, len(write.list))
		for i, s := range write.list {
			rows[i] = [3]string{s.Namespace, s.Name, s.ClientID}
		}
		text, err := toJSON(rows)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		if _, err := exec(a, a.tx, write.text, clusterID, text); err != nil {
			return err
		}
	}
	return nil
}
