package directory_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// accounts reads "namespace/name" and "namespace/name=CLIENT-ID".
func accounts(texts ...string) []directory.ServiceAccount {
	list := make([]directory.ServiceAccount, len(texts))
	for i, text := range texts {
		text, id, _ := strings.Cut(text, "=")
		namespace, name, _ := strings.Cut(text, "/")
		list[i] = directory.ServiceAccount{Namespace: namespace, Name: name, ClientID: id}
	}
	return list
}

func accountText(s directory.ServiceAccount) string {
	text := s.Namespace + "/" + s.Name
	if s.ClientID != "" {
		text += "=" + s.ClientID
	}
	return text
}

// inventory is all that a cluster has, and when it was reported.
func (w *world) inventory(ref directory.ClusterRef, namespace, search string) (string, time.Time) {
	w.Helper()
	p, at, err := w.dir.ServiceAccounts(w.ctx(), w.admin, ref, namespace, directory.Page{Limit: 999, Search: search})
	w.ok(err)
	return names(p.Items, accountText), at
}

func TestServiceAccounts(t *testing.T) {
	each(t, func(w *world) {
		w.group("Team")
		ref := w.cluster("Team", "Prod", nil).ClusterRef
		other := w.cluster("Team", "Other", nil).ClusterRef
		id := uuid.NewString()
		if all, at := w.inventory(ref, "", ""); all != "" || !at.IsZero() {
			w.Errorf("before any report: %q at %v", all, at)
		}
		report := func(want directory.ServiceAccountReport, events int, list ...string) {
			w.Helper()
			w.clock.Advance(time.Minute)
			before := w.events()
			got, err := w.dir.ReportServiceAccounts(w.ctx(), w.admin, ref, accounts(list...))
			w.ok(err)
			want.At = w.clock.Now()
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("%v (-want +got):\n%s", list, diff)
			}
			if n := w.events() - before; n != events {
				w.Errorf("%v: %d events, want %d", list, n, events)
			}
			if _, at := w.inventory(ref, "", ""); !at.Equal(want.At) {
				w.Errorf("%v: reported at %v, want %v", list, at, want.At)
			}
		}
		report(directory.ServiceAccountReport{}, 1) // the first one says that there is an agent
		report(directory.ServiceAccountReport{}, 0)
		report(directory.ServiceAccountReport{Accounts: 4, Namespaces: 2, Added: 4}, 1, "pets/dog", "pets/cat="+strings.ToUpper(id), "zoo/cat", "pets/default")
		report(directory.ServiceAccountReport{Accounts: 4, Namespaces: 2}, 0, "zoo/cat", "pets/cat="+id, "pets/default", "pets/dog")
		report(directory.ServiceAccountReport{Accounts: 4, Namespaces: 3, Added: 1, Removed: 1, AnnotatedAnew: 2}, 1, "pets/cat", "pets/dog="+id, "zoo/cat", "farm/cow.of-3")
		events, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: 1})
		w.ok(err)
		want := map[string]string{"serviceAccounts": "4", "added": "1", "removed": "1", "annotatedAnew": "2", "cluster": events.Items[0].Detail["cluster"]}
		if e := events.Items[0]; e.Action != "Microsoft.ContainerService/managedClusters/serviceAccounts/write" || e.TargetID != ref.ResourceID() || e.Object != directory.ClusterObject || !cmp.Equal(e.Detail, want) {
			w.Errorf("the event says %+v", e)
		}

		if _, err := w.dir.ReportServiceAccounts(w.ctx(), w.admin, other, accounts("pets/cat", "pets/other")); err != nil {
			w.Fatal(err)
		}
		for _, tt := range []struct{ namespace, search, want string }{
			{"", "", "farm/cow.of-3 pets/cat pets/dog=" + id + " zoo/cat"},
			{"pets", "", "pets/cat pets/dog=" + id},
			{"PETS", "", ""},
			{"", "CAT", "pets/cat zoo/cat"},
			{"", "pets/c", "pets/cat"},
			{"", "s/", "pets/cat pets/dog=" + id},
			{"", strings.ToUpper(id), "pets/dog=" + id},
			{"pets", "cat", "pets/cat"},
			{"", "%", ""},
			{"", "_at", ""},
			{"", "'", ""},
			{"", "\x00", ""},
			{"", "\xff", ""},
			{"\x00", "", ""},
		} {
			if got, _ := w.inventory(ref, tt.namespace, tt.search); got != tt.want {
				w.Errorf("%q %q: got %q, want %q", tt.namespace, tt.search, got, tt.want)
			}
		}

		var all []string
		for page := (directory.Page{Limit: 1, Count: true}); ; {
			p, _, err := w.dir.ServiceAccounts(w.ctx(), w.admin, ref, "", page)
			w.ok(err)
			if all = append(all, names(p.Items, accountText)); p.Total != 4 {
				w.Errorf("counted %d", p.Total)
			}
			if page.After = p.Next; p.Next == "" {
				break
			}
		}
		if got := strings.Join(all, " "); got != "farm/cow.of-3 pets/cat pets/dog="+id+" zoo/cat" {
			w.Errorf("by pages: %q", got)
		}
		all = nil
		for page := (directory.Page{Limit: 2}); ; {
			p, at, err := w.dir.Namespaces(w.ctx(), w.admin, ref, page)
			w.ok(err)
			if at.IsZero() {
				w.Error("the namespaces have no time")
			}
			all = append(all, names(p.Items, func(n directory.Namespace) string { return fmt.Sprint(n.Name, n.ServiceAccounts) }))
			if page.After = p.Next; p.Next == "" {
				break
			}
		}
		if got := strings.Join(all, " "); got != "farm1 pets2 zoo1" {
			w.Errorf("namespaces: %q", got)
		}

		// They go with their cluster, and with its group.
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, ref))
		if n := w.rows("service_accounts", "1 = 1"); n != 2 {
			w.Errorf("%d are left, want the other cluster's 2", n)
		}
		_, _, err = w.dir.ServiceAccounts(w.ctx(), w.admin, ref, "", directory.Page{})
		w.kind(err, directory.NotFound)
		_, err = w.dir.ReportServiceAccounts(w.ctx(), w.admin, ref, nil)
		w.kind(err, directory.NotFound)
		w.cluster("Team", "Prod", nil)
		if all, at := w.inventory(ref, "", ""); all != "" || !at.IsZero() {
			w.Errorf("a new cluster of that name has %q, reported at %v", all, at)
		}
		w.ok(w.dir.DeleteGroup(w.ctx(), w.admin, w.subscription, "Team"))
		if n := w.rows("service_accounts", "1 = 1"); n != 0 {
			w.Errorf("%d are left", n)
		}
	})
}

// A report that breaks a rule changes nothing.
func TestServiceAccountRules(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		ref := w.cluster("g", "c", nil).ClusterRef
		long := strings.Repeat("a", 64)
		for name, tt := range map[string]struct {
			list []directory.ServiceAccount
			says string // empty: it is taken
		}{
			"longest names":         {accounts(long[:63] + "/" + long[:63] + "." + long[:63] + "." + long[:63] + "." + long[:61]), ""},
			"digits":                {accounts("0/1"), ""},
			"dashes":                {accounts("a--b/a--b.c-d"), ""},
			"no namespace":          {accounts("/a"), "is no namespace"},
			"no name":               {accounts("a/"), "is no service account"},
			"long namespace":        {accounts(long + "/a"), "is no namespace"},
			"long name":             {accounts("a/" + strings.Repeat("a", 254)), "is no service account"},
			"capitals":              {accounts("a/A"), "is no service account"},
			"namespace in capitals": {accounts("A/a"), "is no namespace"},
			"dot in a namespace":    {accounts("a.b/a"), "is no namespace"},
			"dots in a row":         {accounts("a/a..b"), "is no service account"},
			"ends in a dot":         {accounts("a/a."), "is no service account"},
			"ends in a dash":        {accounts("a-/a"), "is no namespace"},
			"underscore":            {accounts("a/a_b"), "is no service account"},
			"slash":                 {accounts("a/b/c"), "is no service account"},
			"colon":                 {accounts("a/b:c"), "is no service account"},
			"new line":              {accounts("a/b\n"), "is no service account"},
			"NUL":                   {accounts("a/b\x00"), "is no service account"},
			"not UTF-8":             {accounts("a\xff/b"), "is no namespace"},
			"look-alike":            {accounts("a/pаy"), "is no service account"},
			"client id":             {accounts("a/b=none"), "is not a GUID"},
			"twice":                 {accounts("a/c", "a/b", "a/c"), "stands twice"},
			"twice, annotated":      {accounts("a/c", "a/c="+uuid.NewString()), "stands twice"},
			"too many":              {make([]directory.ServiceAccount, directory.MaxServiceAccounts+1), "are 50001"},
		} {
			before := w.events()
			_, err := w.dir.ReportServiceAccounts(w.ctx(), w.admin, ref, tt.list)
			if tt.says == "" {
				w.ok(err)
				continue
			}
			if e := w.kind(err, directory.Invalid); e.Field != "serviceAccounts" || !strings.Contains(e.Detail, tt.says) || len(e.Detail) > 300 || w.events() != before {
				w.Errorf("%s: refused for %q: %v", name, e.Field, e)
			}
		}
	})
}

// Reporting is a right of its own: an agent that has it needs no other, and
// gets no other. Reading takes that of reading the cluster.
func TestServiceAccountRights(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		one, two := w.cluster("g", "one", nil).ClusterRef, w.cluster("g", "two", nil).ClusterRef
		_, theirs := w.otherTenant()
		for _, tt := range []struct {
			name         string
			caller       directory.Caller
			report, read string
		}{
			{"agent", w.holder("agent", roles.ClusterReporter, one.ResourceID()).Caller, "ok", "forbidden"},
			{"agent of another", w.holder("agent2", roles.ClusterReporter, two.ResourceID()).Caller, "forbidden", "forbidden"},
			{"reader", w.holder("reader", roles.Reader, one.ResourceID()).Caller, "forbidden", "ok"},
			{"contributor", w.holder("contributor", roles.Contributor, one.ResourceID()).Caller, "ok", "ok"},
			{"identity operator", w.holder("operator", roles.ManagedIdentityOperator, one.ResourceID()).Caller, "forbidden", "forbidden"},
			{"federation administrator", w.holder("federation", roles.FederationAdministrator, "/").Caller, "forbidden", "forbidden"},
			{"nobody", w.client("nobody").Caller, "not_found", "not_found"},
			{"another tenant", theirs, "not_found", "not_found"},
		} {
			before := w.events()
			_, err := w.dir.ReportServiceAccounts(w.ctx(), tt.caller, one, accounts("pets/"+strings.ReplaceAll(tt.name, " ", "-")))
			if got := kindOf(err); got != tt.report {
				w.Errorf("%s reports: %s (%v), want %s", tt.name, got, err, tt.report)
			} else if got != "ok" && w.events() != before {
				w.Errorf("%s: recorded", tt.name)
			}
			// the same again takes the other path
			known, _ := w.inventory(one, "", "")
			_, err = w.dir.ReportServiceAccounts(w.ctx(), tt.caller, one, accounts(strings.Fields(known)...))
			if got := kindOf(err); got != tt.report {
				w.Errorf("%s reports what is known: %s (%v), want %s", tt.name, got, err, tt.report)
			}
			_, _, err = w.dir.ServiceAccounts(w.ctx(), tt.caller, one, "", directory.Page{})
			_, _, err2 := w.dir.Namespaces(w.ctx(), tt.caller, one, directory.Page{})
			if got := kindOf(err); got != tt.read || got != kindOf(err2) {
				w.Errorf("%s reads: %s (%v), %v, want %s", tt.name, got, err, err2, tt.read)
			}
		}
		agent := w.holder("agent3", roles.ClusterReporter, one.ResourceID()).Caller
		_, err := w.dir.Cluster(w.ctx(), agent, one)
		w.kind(err, directory.Forbidden)
	})
}

// Two agents of a cluster at once: what is there in the end is the report of one of them.
func TestServiceAccountReportsAtOnce(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		ref := w.cluster("g", "c", nil).ClusterRef
		reports := make([]string, 8)
		var wg sync.WaitGroup
		for i := range reports {
			var list []string
			for n := range 40 {
				list = append(list, fmt.Sprintf("ns-%02d/of-%d", (n*(i+1))%40, (n+i)%3))
			}
			seen := map[string]bool{}
			var distinct []string
			for _, s := range list {
				if !seen[s] {
					distinct = append(distinct, s)
				}
				seen[s] = true
			}
			reports[i] = inOrder(distinct)
			wg.Go(func() {
				if _, err := w.dir.ReportServiceAccounts(w.ctx(), w.admin, ref, accounts(distinct...)); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		p, _, err := w.dir.ServiceAccounts(w.ctx(), w.admin, ref, "", directory.Page{Limit: 999})
		w.ok(err)
		var got []string
		for _, s := range p.Items {
			got = append(got, accountText(s))
		}
		for _, r := range reports {
			if inOrder(got) == r {
				return
			}
		}
		w.Errorf("a mix of reports is there: %v", got)
	})
}

func inOrder(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}

// BenchmarkServiceAccounts is what a cluster of the largest size costs: to
// report it, to report it again, and to search it.
func BenchmarkServiceAccounts(b *testing.B) {
	engines(b, func(b *testing.B, d *db.DB) {
		dir := &directory.Directory{DB: d}
		f, _, err := dir.Bootstrap(b.Context(), directory.NewTenant{})
		if err != nil {
			b.Fatal(err)
		}
		must := func(err error) {
			b.Helper()
			if err != nil {
				b.Fatal(err)
			}
		}
		c := caller(f)
		_, _, err = dir.PutGroup(b.Context(), c, directory.Group{SubscriptionID: f.SubscriptionID, Name: "g", Location: location})
		must(err)
		ref := directory.ClusterRef{SubscriptionID: f.SubscriptionID, Group: "g", Name: "c"}
		_, _, err = dir.PutCluster(b.Context(), c, directory.ClusterSpec{ClusterRef: ref, Location: location})
		must(err)
		all := make([]directory.ServiceAccount, directory.MaxServiceAccounts)
		for i := range all {
			all[i] = directory.ServiceAccount{Namespace: fmt.Sprintf("team-%d", i/10), Name: fmt.Sprintf("service-account-%d", i), ClientID: uuid.NewString()}
		}
		report := func(list []directory.ServiceAccount) {
			_, err := dir.ReportServiceAccounts(b.Context(), c, ref, list)
			must(err)
		}
		b.Run("all anew", func(b *testing.B) {
			for b.Loop() {
				report(all)
				b.StopTimer()
				report(nil)
				b.StartTimer()
			}
		})
		report(all)
		if d.Engine == db.PostgreSQL {
			must(d.Update(b.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(b.Context(), `ANALYZE`)
				return err
			}))
		}
		b.Run("the same", func(b *testing.B) {
			for b.Loop() {
				report(all)
			}
		})
		for name, page := range map[string]directory.Page{
			"list": {}, "part": {Search: "count-4999", Count: true}, "nothing": {Search: "nothing", Count: true}, "id": {Search: all[40_000].ClientID, Count: true}, "end": {After: "team-999/z"},
		} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					_, _, err := dir.ServiceAccounts(b.Context(), c, ref, "", page)
					must(err)
				}
			})
			b.Run("namespaces/"+name, func(b *testing.B) {
				page := page
				page.After, _, _ = strings.Cut(page.After, "/")
				for b.Loop() {
					_, _, err := dir.Namespaces(b.Context(), c, ref, page)
					must(err)
				}
			})
		}
	})
}
