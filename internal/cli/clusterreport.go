package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/entente-id/entente/client"
)

type reportOptions struct {
	clusterOptions
	kubeconfig  string
	kubeContext string
	every       time.Duration
	logFormat   string
	dryRun      bool
}

func newClusterReport() *cobra.Command {
	o := &reportOptions{}
	cmd := &cobra.Command{
		Use:   "report NAME",
		Short: "Tell the service which service accounts a cluster has",
		Long: `Tell the service which namespaces and service accounts a cluster has, so that
people choose them from a list when they make a credential. What it knew of them
before is replaced. It trusts nobody because of that.

They are read from the API server of the kubeconfig's current context, or inside a
pod from that of the pod's cluster, by somebody who may list the service accounts of
all namespaces and need not be able to do more. The caller needs the role Cluster
Reporter on the cluster. With --every it goes on until it is interrupted; it writes
a line for each change and each failure, and tries again after a failure. Only a
mistake in the set-up, before the first success, ends it.` + connectionHelp,
		Example: `  entente cluster report prod -g pets
  entente cluster report prod -g pets --kubeconfig prod.yaml --kube-context admin --dry-run
  entente cluster report prod -g pets --every 5m --log-format json`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&o.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
	f.DurationVar(&o.every, "every", 0, "report again after each `DURATION`, until interrupted (default: once)")
	f.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of --every's lines: text or json")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be reported, and report nothing")
	o.flags(f)
	return cmd
}

func (o *reportOptions) check(cmd *cobra.Command) error {
	repeats := wasGiven(cmd.Flags(), "every") || o.every != 0
	switch {
	case repeats && o.every < time.Second:
		return usage(fmt.Errorf("--every: %s is less than 1s", o.every))
	case repeats && o.dryRun:
		return usage(errors.New("--every and --dry-run do not go together"))
	}
	return nil
}

func (o *reportOptions) run(cmd *cobra.Command, name string) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	log, err := newLog(cmd.ErrOrStderr(), "info", o.logFormat)
	if err != nil {
		return usage(err)
	}
	api, err := openKubernetes(o.kubeconfig, o.kubeContext)
	if err != nil {
		return err
	}
	s, id, err := o.one(cmd, name)
	if err != nil {
		return err
	}
	r := &reporter{client: s.client, id: id, api: api, dryRun: o.dryRun}
	if o.every > 0 {
		log = log.With("cluster", id.Name, "resource_group", id.ResourceGroup)
		return o.explain(s, repeated{try: r.again, explain: s.explain, failed: "service accounts were not reported", again: "service accounts are reported again"}.run(cmd.Context(), log, o.every, pause))
	}
	done, err := r.report(cmd.Context())
	if err != nil {
		return o.explain(s, err)
	}
	return o.print(cmd.OutOrStdout(), done)
}

// clusterReport is what a report came to, or with --dry-run would be.
type clusterReport struct {
	Cluster string `json:"cluster"`
	client.ServiceAccountReport
}

func (r clusterReport) changed() bool { return r.Added+r.Removed+r.AnnotatedAnew > 0 }

// changes are in words.
func (r clusterReport) changes() string {
	var parts []string
	for _, p := range []struct {
		n    int
		verb string
	}{{r.Added, "added"}, {r.Removed, "removed"}, {r.AnnotatedAnew, "annotated anew"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.verb))
		}
	}
	if len(parts) == 0 {
		return "unchanged"
	}
	return strings.Join(parts, ", ")
}

func (o *reportOptions) print(w io.Writer, r clusterReport) error {
	return o.output.print(w, r, func() string { return r.Cluster }, func() error {
		would, changes := "", "; "+r.changes()
		if o.dryRun {
			would, changes = "dry run, ", ""
		}
		_, err := fmt.Fprintf(w, "%s%s of %s in %s%s\n", would, counted(r.ServiceAccounts, "service account"), r.Cluster, counted(r.Namespaces, "namespace"), changes)
		return err
	})
}

// counted is a number of things in words.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// reporter tells the service which service accounts a cluster has.
type reporter struct {
	client *client.Client
	id     client.ClusterID
	api    kubernetes.Interface
	dryRun bool
}

// report reads and reports once.
func (r *reporter) report(ctx context.Context) (clusterReport, error) {
	all, err := serviceAccountsOf(ctx, r.api)
	if err != nil {
		return clusterReport{}, err
	}
	done := clusterReport{Cluster: r.id.Name}
	if r.dryRun {
		in := map[string]bool{}
		for _, a := range all {
			in[a.Namespace] = true
		}
		done.ServiceAccounts, done.Namespaces = len(all), len(in)
		return done, nil
	}
	done.ServiceAccountReport, err = r.client.ReportServiceAccounts(ctx, r.id, all)
	return done, err
}

// again is report as one of many.
func (r *reporter) again(ctx context.Context) (words string, more []any, changed bool, err error) {
	done, err := r.report(ctx)
	return "service accounts " + done.changes(), []any{"service_accounts", done.ServiceAccounts, "namespaces", done.Namespaces}, done.changed(), err
}

// serviceAccountPage is how many service accounts are asked for at once.
const serviceAccountPage = 500

// serviceAccountsOf reads all of a cluster, page by page. When the cluster
// forgets the list that a page belongs to, it begins again, once.
func serviceAccountsOf(ctx context.Context, api kubernetes.Interface) ([]client.ServiceAccount, error) {
	var all []client.ServiceAccount
	options := metav1.ListOptions{Limit: serviceAccountPage}
	for begun := false; ; {
		page, err := api.CoreV1().ServiceAccounts(metav1.NamespaceAll).List(ctx, options)
		switch {
		case apierrors.IsResourceExpired(err) && options.Continue != "" && !begun:
			begun, options.Continue, all = true, "", nil
			continue
		case apierrors.IsForbidden(err):
			return nil, hint(fmt.Errorf("list the service accounts of the cluster: %w", err), "who asks needs a ClusterRole that may list serviceaccounts, and a ClusterRoleBinding to it")
		case err != nil:
			return nil, fmt.Errorf("list the service accounts of the cluster: %w", err)
		}
		for _, a := range page.Items {
			id := a.Annotations[clientIDAnnotation]
			if len(id) != 36 || uuid.Validate(id) != nil {
				id = "" // nothing federates by it
			}
			all = append(all, client.ServiceAccount{Namespace: a.Namespace, Name: a.Name, ClientID: id})
		}
		if len(all) > client.MaxServiceAccounts {
			return nil, fmt.Errorf("the cluster has more than %d service accounts, which is as many as the service keeps of one", client.MaxServiceAccounts)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// clientIDAnnotation is what a service account has the client id in that the webhook gives its pods.
const clientIDAnnotation = "azure.workload.identity/client-id"
