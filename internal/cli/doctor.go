package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
)

// doctorExits says what the exit codes of the doctor are.
const doctorExits = `

Exit codes: 0 healthy, 10 nothing wrong was found and not everything could be
told, else the class of the first fault: 11 injection, 12 service account, 13
token, 14 clock, 15 network, 16 TLS, 17 issuer, 18 keys, 19 client, 20 credential,
21 its issuer, 22 its subject, 23 its audience, 24 resource, 25 authority, 26 SDK;
1 to 4 as everywhere.`

func newDoctor() *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why a workload gets no token, and what mends it",
		Long: `Find out why a workload gets no token: eleven checks in order, from the label on
the pod to a real exchange. Each says what was seen, what was expected, and the
command that mends it. What cannot be told is said to be so.

Without a pod, a service account or a token it examines the environment of this
process, as in a pod; or, with --error, just an error that a program had.

Nothing is changed anywhere. Of a pod or a service account the cluster is asked for
a token as the kubelet asks it, which is stored nowhere (--no-token does without),
and that token is exchanged for an access token, which is thrown away
(--no-exchange does without). Where you may not read something, the checks that
need it say so, and the others go on.` + doctorExits,
		Example: `  entente doctor pod web-5d8f-x2x -n pets
  entente doctor serviceaccount web -n pets --cloud public
  kubectl create token web --audience api://AzureADTokenExchange > token
  entente doctor token token --client-id CLIENT_ID
  kubectl logs web-5d8f-x2x -n pets | entente doctor pod web-5d8f-x2x -n pets --error -
  entente doctor pod web-5d8f-x2x -n pets -o json | jq -r '.checks[].findings[]?.mends[]?.commands[]?'`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd, doctor.ProcessKind, "") },
	}
	o.flags(cmd.Flags())
	cmd.AddCommand(newDoctorPod(), newDoctorServiceAccount(), newDoctorToken())
	return cmd
}

func newDoctorPod() *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "pod NAME",
		Short: "Examine a pod",
		Long:  `Examine a pod, its workload, its service account and the client that it is to be.` + doctorExits,
		Example: `  entente doctor pod web-5d8f-x2x -n pets
  entente doctor pod web-5d8f-x2x -n pets --container main --kube-context prod
  entente doctor pod web-5d8f-x2x -n pets --no-token --no-exchange`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, doctor.PodKind, args[0]) },
		ValidArgsFunction: o.completion(func(ctx context.Context, api kubernetes.Interface, namespace string) (names []string, err error) {
			all, err := api.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
			if err == nil {
				for _, p := range all.Items {
					names = append(names, p.Name)
				}
			}
			return names, err
		}),
	}
	f := cmd.Flags()
	o.clusterFlags(f)
	f.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of the pod (default: that of the kubeconfig's context)")
	f.StringVar(&o.container, "container", "", "`NAME` of the container (default: the first that is not exempt)")
	f.StringVar(&o.tokenFile, "token", "", "`FILE` with a token of the pod, instead of asking for one; - is standard input")
	o.flags(f)
	return cmd
}

func newDoctorServiceAccount() *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:     "serviceaccount NAME",
		Aliases: []string{"sa"},
		Short:   "Examine a service account and what runs as it",
		Long: `Examine a service account, the workloads that run as it, the newest of their pods
that carries the label, and the client that it is to be.` + doctorExits,
		Example: `  entente doctor serviceaccount web -n pets
  entente doctor sa web -n pets --client-id CLIENT_ID -o json`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, doctor.ServiceAccountKind, args[0]) },
		ValidArgsFunction: o.completion(func(ctx context.Context, api kubernetes.Interface, namespace string) (names []string, err error) {
			all, err := api.CoreV1().ServiceAccounts(namespace).List(ctx, metav1.ListOptions{})
			if err == nil {
				for _, a := range all.Items {
					names = append(names, a.Name)
				}
			}
			return names, err
		}),
	}
	f := cmd.Flags()
	o.clusterFlags(f)
	f.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of the service account (default: that of the kubeconfig's context)")
	f.StringVar(&o.tokenFile, "token", "", "`FILE` with a token of the service account, instead of asking for one; - is standard input")
	o.flags(f)
	return cmd
}

func newDoctorToken() *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "token FILE",
		Short: "Examine a service account's token",
		Long: `Examine a token in a file, or in standard input for -. It may be of any issuer, a
job's of GitHub Actions for instance. The cluster of the kubeconfig is asked about
its issuer and its keys only with --kubeconfig or --kube-context.` + doctorExits,
		Example: `  entente doctor token /var/run/secrets/azure/wi/token/azure-identity-token
  entente doctor token - --client-id CLIENT_ID < token`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.tokenFile = args[0]
			return o.run(cmd, doctor.TokenKind, "")
		},
	}
	o.clusterFlags(cmd.Flags())
	o.flags(cmd.Flags())
	return cmd
}

// completion completes the one argument with names in the cluster.
func (o *doctorOptions) completion(list func(context.Context, kubernetes.Interface, string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		api, err := openKubernetes(o.kubeconfig, o.kubeContext)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), atPrompt)
		defer cancel()
		names, err := list(ctx, api, cmp.Or(o.namespace, kubeNamespace(o.kubeconfig, o.kubeContext), "default"))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

type doctorOptions struct {
	connection
	output
	kubeconfig, kubeContext, namespace, container string
	tokenFile, errorFile                          string
	clientID, resource, audience, issuerCA        string
	noToken, noExchange                           bool
}

func (o *doctorOptions) clusterFlags(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&o.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
	f.BoolVar(&o.noToken, "no-token", false, "do not ask the cluster for a token")
}

func (o *doctorOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.clientID, "client-id", "", "`ID` of the client, where the program itself sets it")
	f.StringVar(&o.resource, "resource", "", "`URL` of the resource to ask a token for (default: one that every client may have)")
	f.StringVar(&o.audience, "audience", "", "`AUDIENCE` of the tokens, where it is not the usual one")
	f.StringVar(&o.errorFile, "error", "", "`FILE` with the error that a program had; - is standard input")
	f.StringVar(&o.issuerCA, "issuer-ca", "", "PEM `FILE` of CAs to trust for the issuer, besides the system's")
	f.BoolVar(&o.noExchange, "no-exchange", false, "do not ask the authority for a token, nor for the time")
	o.output.flags(f)
	o.connection.flags(f)
}

func (o *doctorOptions) run(cmd *cobra.Command, kind, name string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	if o.tokenFile == "-" && o.errorFile == "-" {
		return usage(errors.New("the token and the error cannot both come from standard input"))
	}
	q := doctor.Question{
		Kind: kind, Namespace: o.namespace, Name: name, Container: o.container, ClientID: o.clientID, Audience: o.audience,
		NoToken: o.noToken, NoExchange: o.noExchange, Environment: os.Getenv, ReadFile: os.ReadFile,
	}
	if wasGiven(cmd.Flags(), "tenant") {
		q.TenantID = o.tenant
	}
	if o.errorFile != "" {
		text, err := readInput(o.errorFile, cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("--error: %w", err)
		}
		q.Said = doctor.ReadError(string(text))
	}
	if o.tokenFile != "" {
		text, err := readInput(o.tokenFile, cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("read the token: %w", err)
		}
		q.Token, q.TokenFrom = string(text), o.tokenFile
	}
	goes := progressOf(cmd)
	defer goes.done()
	d, err := o.doctor(cmd, &q, goes)
	if err != nil {
		return err
	}
	var r *doctor.Report
	if kind == doctor.ProcessKind && nothingInjected() && o.clientID == "" {
		if q.Said == nil {
			return usage(hint(errors.New("there is nothing to examine: this process has no AZURE_FEDERATED_TOKEN_FILE"), "entente doctor pod NAME -n NAMESPACE examines a pod; %s --help has more examples", cmd.CommandPath()))
		}
		r = doctor.OfError(q.Said)
	} else if r, err = d.Examine(cmd.Context(), q); err != nil {
		return explainCluster(err, &q)
	}
	goes.done()
	if err := o.print(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	if r.ExitCode != 0 {
		return &exited{code: r.ExitCode}
	}
	return nil
}

// nothingInjected says that this process is not one of a pod with an identity.
func nothingInjected() bool {
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "KUBERNETES_SERVICE_HOST"} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	return true
}

// explainCluster gives an error of the API server the exit code and the hint that it deserves.
func explainCluster(err error, q *doctor.Question) error {
	switch {
	case apierrors.IsNotFound(err):
		kind := q.Kind + "s"
		return hint(&exited{exitNotFound, err}, "kubectl get %s -n %s lists those that there are", kind, quote(q.Namespace))
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return &exited{exitRefused, err}
	}
	return err
}

// doctor finds the cluster and the service.
func (o *doctorOptions) doctor(cmd *cobra.Command, q *doctor.Question, goes *progress) (*doctor.Doctor, error) {
	d := &doctor.Doctor{}
	d.Say = func(text string) { goes.passing("%s …", text) }
	if err := o.findCluster(d, q); err != nil {
		return nil, err
	}
	roots, err := systemAnd(o.issuerCA)
	if err != nil {
		return nil, fmt.Errorf("--issuer-ca: %w", err)
	}
	d.Roots, d.IssuerCA = roots, o.issuerCA
	if d.Target, err = o.target(cmd, q); err != nil {
		return nil, err
	}
	d.Target.Scope = client.Scope(cmp.Or(o.resource, d.Target.Scope))
	return d, nil
}

// systemAnd are the system's CAs, and those in a file. nil: the system's alone.
func systemAnd(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s", file)
	}
	return roots, nil
}

// findCluster finds the API server where there is something to ask it.
func (o *doctorOptions) findCluster(d *doctor.Doctor, q *doctor.Question) error {
	pods := q.Kind == doctor.PodKind || q.Kind == doctor.ServiceAccountKind
	if !pods && o.kubeconfig == "" && o.kubeContext == "" {
		if q.Namespace == "" {
			q.Namespace = podNamespace()
		}
		return nil
	}
	api, err := openKubernetes(o.kubeconfig, o.kubeContext)
	if err != nil {
		return err
	}
	documents := &apiServer{api.Discovery().RESTClient()}
	d.Cluster = doctor.Cluster{API: api, Document: documents.read, Kubeconfig: o.kubeconfig, Context: o.kubeContext}
	at := api.Discovery().RESTClient().Get().URL()
	d.Cluster.Host = at.Scheme + "://" + at.Host
	if q.Namespace == "" {
		q.Namespace = cmp.Or(kubeNamespace(o.kubeconfig, o.kubeContext), "default")
	}
	return nil
}

// kubeNamespace is that of a context of a kubeconfig.
func kubeNamespace(kubeconfig, context string) string {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	namespace, _, _ := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).Namespace()
	return namespace
}

// podNamespace is that of the pod that this process runs in; empty: it is in none.
func podNamespace() string {
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// target finds the authority. Without one that is named or known it is the one of
// the process's own environment; without that none, and what can be checked without
// is checked.
func (o *doctorOptions) target(cmd *cobra.Command, q *doctor.Question) (doctor.Target, error) {
	s, err := o.open(cmd)
	if err == nil {
		return o.targetOf(cmd, s), nil
	}
	named := false
	for _, flag := range []string{"url", "data-dir", "context", "cloud"} {
		named = named || wasGiven(cmd.Flags(), flag)
	}
	if bare := o.withoutCaller(cmd); bare != nil {
		warn(cmd, "nobody is known who could read credentials, so those checks are left out: %v", err)
		return o.targetOf(cmd, bare), nil
	}
	if named {
		return doctor.Target{}, err
	}
	if host := os.Getenv("AZURE_AUTHORITY_HOST"); q.Kind == doctor.ProcessKind && host != "" {
		return authorityOf(host, o.ca)
	}
	if q.Said == nil || q.Kind != doctor.ProcessKind {
		warn(cmd, "no authority is known, so nothing is exchanged: %v", err)
	}
	return doctor.Target{Kind: doctor.Azure}, nil
}

// withoutCaller finds the service alone, where who calls it is not known.
func (o *doctorOptions) withoutCaller(cmd *cobra.Command) *session {
	f := &search{connection: o.connection, given: func(flag string) bool { return wasGiven(cmd.Flags(), flag) }, getenv: os.Getenv}
	c, _, err := f.chosen()
	if err != nil {
		return nil
	}
	s := &session{}
	if c != nil {
		s.azure, s.endpoints, s.tenantID = c.IsAzure(), c.Endpoints(), c.TenantID
		s.authority = s.endpoints.Authority
		roots, _ := poolOf(c.CA)
		s.http = trustingOnly(roots)
		return s
	}
	if _, err := f.where(s); err != nil {
		return nil
	}
	if s.http, err = trusting(s.caFile); err != nil {
		return nil
	}
	s.endpoints = client.Entente(s.authority)
	ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
	defer cancel()
	s.tenantID, _ = f.whichTenant(ctx, s) // the exchange finds out what is wrong with it
	return s
}

func poolOf(pem string) (*x509.CertPool, bool) {
	if pem == "" {
		return nil, false
	}
	roots := x509.NewCertPool()
	return roots, roots.AppendCertsFromPEM([]byte(pem))
}

// targetOf is the target that a session has, with the flags that name it again.
func (o *doctorOptions) targetOf(cmd *cobra.Command, s *session) doctor.Target {
	t := doctor.Target{Kind: doctor.Entente, Authority: s.authority, TenantID: s.tenantID, HTTP: s.http, Client: s.client, Scope: s.endpoints.GraphAudience}
	if s.azure {
		t.Kind = doctor.Azure
	}
	for _, flag := range []string{"url", "ca", "tenant", "data-dir", "context", "cloud"} {
		if f := cmd.Flags().Lookup(flag); f != nil && wasGiven(cmd.Flags(), flag) {
			t.Flags = append(t.Flags, "--"+flag, f.Value.String())
		}
	}
	return t
}

// authorityOf is the target that a process is pointed at.
func authorityOf(host, caFile string) (doctor.Target, error) {
	host = strings.TrimRight(host, "/")
	hc, err := trusting(cmp.Or(caFile, os.Getenv("SSL_CERT_FILE")))
	if err != nil {
		return doctor.Target{}, err
	}
	t := doctor.Target{Kind: doctor.Entente, Authority: host, HTTP: hc, Scope: host}
	for _, e := range []client.Endpoints{client.Public(), client.USGovernment(), client.China()} {
		if sameURL(host, e.Authority) {
			t.Kind, t.Scope = doctor.Azure, e.GraphAudience
		}
	}
	return t, nil
}

// print shows a report.
func (o *doctorOptions) print(w io.Writer, r *doctor.Report) error {
	return o.output.print(w, r, func() string { return cmp.Or(string(r.Cause), string(r.Verdict)) }, func() error { return printReport(w, r, colours(w)) })
}
