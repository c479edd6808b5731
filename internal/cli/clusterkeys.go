package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/entente-id/entente/client"
)

type updateKeysOptions struct {
	clusterOptions
	keys        []string
	fromCluster bool
	kubeconfig  string
	kubeContext string
	watch       bool
	every       time.Duration
	logFormat   string
	dryRun      bool
}

func newClusterUpdateKeys() *cobra.Command {
	o := &updateKeysOptions{}
	cmd := &cobra.Command{
		Use:   "update-keys NAME",
		Short: "Upload the keys of a cluster, once or for as long as it runs",
		Long: `Replace the keys of a cluster's issuer by those in files, or by those that the
cluster publishes. They count on the very next request. A document with a private
key in it is refused before anything is sent.

With --from-cluster the keys are read from the API server of the kubeconfig's
current context, or inside a pod from that of the pod's cluster. --watch goes on
reading them and uploads every change, so that a rotation needs nobody; it writes a
line for each upload and each failure, and tries again after a failure. Only a
mistake in the set-up, before the first success, ends it. It needs the roles
Reader on the cluster and Federation Administrator on its issuer.` + connectionHelp,
		Example: `  entente cluster update-keys prod -g pets --from-cluster
  entente cluster update-keys prod -g pets --from-cluster --kubeconfig prod.yaml --kube-context admin --watch
  kubectl get --raw /openid/v1/jwks | entente cluster update-keys prod -g pets --keys -
  entente cluster update-keys prod -g pets --keys sa.pub --keys sa-old.pub --dry-run`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "keys", nil, "`FILE` of public keys, a JSON Web Key Set or PEM; - is standard input (repeatable)")
	f.BoolVar(&o.fromCluster, "from-cluster", false, "read the keys from the cluster itself")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&o.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
	f.BoolVar(&o.watch, "watch", false, "go on until interrupted")
	f.DurationVar(&o.every, "every", time.Minute, "how often --watch reads the cluster's keys")
	f.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of --watch's lines: text or json")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and change nothing")
	o.flags(f)
	return cmd
}

func (o *updateKeysOptions) check() error {
	switch {
	case o.fromCluster == (len(o.keys) > 0):
		return usage(hint(errors.New("give either --keys FILE or --from-cluster"), "kubectl get --raw /openid/v1/jwks prints a cluster's keys"))
	case !o.fromCluster && (o.kubeconfig != "" || o.kubeContext != ""):
		return usage(errors.New("--kubeconfig and --kube-context go with --from-cluster"))
	case o.watch && !o.fromCluster:
		return usage(errors.New("--watch goes with --from-cluster"))
	case o.watch && o.dryRun:
		return usage(errors.New("--watch and --dry-run do not go together"))
	case o.every < time.Second:
		return usage(fmt.Errorf("--every: %s is less than 1s", o.every))
	}
	return nil
}

func (o *updateKeysOptions) run(cmd *cobra.Command, name string) error {
	if err := o.check(); err != nil {
		return err
	}
	log, err := newLog(cmd.ErrOrStderr(), "info", o.logFormat)
	if err != nil {
		return usage(err)
	}
	var read func(context.Context) (keySet, error)
	var server *apiServer
	if o.fromCluster {
		if server, err = openAPIServer(o.kubeconfig, o.kubeContext); err != nil {
			return err
		}
		read = server.keySet
	} else {
		set, err := readKeySet(o.keys, cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
		read = func(context.Context) (keySet, error) { return set, nil }
	}
	s, id, err := o.one(cmd, name)
	if err != nil {
		return err
	}
	p := &keyPusher{session: s, id: id, read: read, dryRun: o.dryRun, warn: func(format string, args ...any) { warn(cmd, format, args...) }}
	if server != nil {
		p.issuer = server.issuer
	}
	if o.watch {
		log = log.With("cluster", id.Name, "resource_group", id.ResourceGroup)
		p.warn = func(format string, args ...any) { log.Warn(fmt.Sprintf(format, args...)) }
		return o.explain(s, p.watch(cmd.Context(), log, o.every, pause))
	}
	r, err := p.push(cmd.Context())
	if err != nil {
		return o.explain(s, err)
	}
	return o.print(cmd.OutOrStdout(), r)
}

// keyPush is what one upload has changed, or would change.
type keyPush struct {
	Changed bool          `json:"changed"`
	Added   []string      `json:"added"`   // ids of keys
	Removed []string      `json:"removed"` // ids of keys
	Cluster clusterObject `json:"cluster"`
}

// String says what has changed.
func (k keyPush) String() string {
	var parts []string
	for _, p := range []struct {
		verb string
		ids  []string
	}{{"added", k.Added}, {"removed", k.Removed}} {
		if len(p.ids) > 0 {
			parts = append(parts, p.verb+" "+strings.Join(p.ids, ", "))
		}
	}
	switch {
	case !k.Changed:
		return "unchanged"
	case len(parts) == 0:
		return "replaced, with the same ids"
	}
	return strings.Join(parts, "; ")
}

func (o *updateKeysOptions) print(w io.Writer, r keyPush) error {
	return o.output.print(w, r, func() string { return r.Cluster.Name }, func() error {
		would := ""
		if o.dryRun {
			would = "dry run, "
		}
		_, err := fmt.Fprintf(w, "%skeys of %s: %s\n", would, r.Cluster.Name, r)
		return err
	})
}

// keyPusher brings the keys of a cluster's issuer up to date.
type keyPusher struct {
	session *session
	id      client.ClusterID
	read    func(context.Context) (keySet, error)
	issuer  func(context.Context) (string, error) // in the cluster's own words; nil: unknown
	warn    func(format string, args ...any)
	dryRun  bool

	pushed json.RawMessage // the last document that was uploaded
}

var errNotUploaded = errors.New("its keys are not uploaded ones")

// push reads the keys and uploads them, unless they are what it uploaded last and
// the service still has them.
func (p *keyPusher) push(ctx context.Context) (keyPush, error) {
	set, err := p.read(ctx)
	if err != nil {
		return keyPush{}, err
	}
	before, err := p.session.client.Cluster(ctx, p.id)
	if err != nil {
		return keyPush{}, err
	}
	i := before.Issuer
	if i == nil || i.KeySource != client.UploadedKeys && i.KeySource != client.HostedKeys {
		return keyPush{}, hint(fmt.Errorf("cluster %q: %w", before.Name, errNotUploaded),
			"entente cluster show %s -g %s says where they come from", quote(p.id.Name), quote(p.id.ResourceGroup))
	}
	r := keyPush{Cluster: printable(before), Added: without(set.ids, i.KeyIDs), Removed: without(i.KeyIDs, set.ids)}
	r.Changed = len(r.Added)+len(r.Removed) > 0
	if p.pushed != nil && bytes.Equal(p.pushed, set.document) && slices.Equal(set.ids, i.KeyIDs) {
		return r, nil
	}
	for _, note := range set.notes {
		p.warn("%s", note)
	}
	p.compareIssuers(ctx, i.URL)
	if p.dryRun {
		return r, nil
	}
	after, err := p.session.client.UpdateClusterKeys(ctx, p.id, set.document)
	if err != nil {
		return keyPush{}, err
	}
	if after.Issuer == nil {
		return keyPush{}, fmt.Errorf("cluster %q: the service took the keys and has no issuer for them", after.Name)
	}
	p.pushed = set.document
	r.Cluster = printable(after)
	r.Changed = !after.Issuer.KeysUpdatedAt.Equal(i.KeysUpdatedAt)
	return r, nil
}

// compareIssuers warns when the tokens of the cluster do not name the issuer that
// it is registered with, byte by byte: they would all be refused.
func (p *keyPusher) compareIssuers(ctx context.Context, registered string) {
	if p.issuer == nil {
		return
	}
	said, err := p.issuer(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.warn("whether the cluster's tokens name the issuer %s is not known: %v", registered, err)
	case said != registered:
		p.warn("tokens of this cluster will be refused: they name the issuer %s, until its API server is started with --service-account-issuer=%s, as it is registered", said, registered)
	}
}

// without are the elements of a that b has not.
func without(a, b []string) []string {
	left := []string{}
	for _, id := range a {
		if !slices.Contains(b, id) {
			left = append(left, cmp.Or(id, "(no id)"))
		}
	}
	return left
}

const maxBackOff = 10 * time.Minute

// watch pushes until the context ends, which is no error.
func (p *keyPusher) watch(ctx context.Context, log *slog.Logger, every time.Duration, wait func(context.Context, time.Duration) error) error {
	return repeated{failed: "keys were not updated", again: "keys are read again", explain: p.session.explain, try: func(ctx context.Context) (string, []any, bool, error) {
		r, err := p.push(ctx)
		if err != nil {
			return "", nil, false, err
		}
		return "keys " + r.String(), []any{"issuer", r.Cluster.Issuer.URL, "keys", len(r.Cluster.Issuer.KeyIDs)}, r.Changed, nil
	}}.run(ctx, log, every, wait)
}

// backOff is how long to wait after a number of failures before this one. Retries
// of several processes are kept apart by chance.
func backOff(failures int, every time.Duration, err error) time.Duration {
	d := min(time.Second<<min(failures, 20), max(every, time.Second), maxBackOff)
	d -= rand.N(d/4 + 1)
	if e, ok := errors.AsType[*client.Error](err); ok {
		d = max(d, min(e.RetryAfter, maxBackOff))
	}
	if e, ok := errors.AsType[*client.TokenError](err); ok {
		d = max(d, min(e.RetryAfter, maxBackOff))
	}
	return d
}

// isMistake tells what a person has to mend from what time may mend.
func isMistake(err error) bool {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout
	}
	if e, ok := errors.AsType[*client.TokenError](err); ok {
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted || errors.Is(err, errPrivate) || errors.Is(err, errNotUploaded) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
