package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// atPrompt is how long a completion may take, because somebody waits for it.
const atPrompt = 1500 * time.Millisecond

// complete gives the flags and the arguments of every command below root their
// completions, by their names: what is one thing has one name everywhere. A completion
// that cannot find out says nothing. The command line may have -- already.
func complete(root *cobra.Command, dashes bool) {
	for _, cmd := range root.Commands() {
		complete(cmd, dashes)
	}
	_, path, _ := strings.Cut(root.CommandPath(), " ")
	for _, flags := range []*pflag.FlagSet{root.Flags(), root.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			find, ok := flagNames[path+" --"+f.Name]
			if !ok {
				find, ok = flagNames[f.Name]
			}
			kind, _ := pflag.UnquoteUsage(f)
			switch {
			case ok:
				_ = root.RegisterFlagCompletionFunc(f.Name, find.of) // fails only where one is there already
			case kind == "DIR":
				_ = root.MarkFlagDirname(f.Name) // the flag is there
			case f.NoOptDefVal == "" && kind != "FILE" && kind != "FILES": // what only the person knows
				_ = root.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
			}
		})
	}
	if find, ok := argumentNames[path]; ok {
		root.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			all, directive := find.of(cmd, args, begun)
			if !dashes {
				all = withDashes(all)
			}
			return all, directive
		}
	} else if root.ValidArgsFunction == nil && root.Runnable() && !slices.Contains(takeFiles, path) {
		root.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// takeFiles are the commands whose arguments are files, or anything.
var takeFiles = []string{"doctor token", "run"}

// names finds what may stand somewhere.
type names func(*prompt) []string

// prompt is a command line that somebody is about to complete.
type prompt struct {
	context.Context
	cmd   *cobra.Command
	begun string // the word, as far as it is there
}

func (find names) of(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), atPrompt)
	defer cancel()
	quiet := cmd.ErrOrStderr()
	cmd.SetErr(io.Discard)
	defer cmd.SetErr(quiet)
	if fromEnvironment(cmd.Flags(), os.LookupEnv) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	// Not all that is asked heeds the context: a program that gives tokens, for instance.
	found := make(chan []string, 1)
	go func() { found <- find(&prompt{ctx, cmd, begun}) }()
	var all []string
	select {
	case all = <-found:
	case <-ctx.Done():
	}
	slices.Sort(all)
	directive := cobra.ShellCompDirectiveNoFileComp
	var fit []cobra.Completion
	for _, one := range slices.Compact(all) {
		word, _, _ := strings.Cut(one, "\t")
		if word != "" && strings.HasPrefix(word, begun) && !strings.ContainsFunc(word, unicode.IsControl) {
			fit = append(fit, one)
		}
	}
	if len(fit) == 1 && strings.Contains(fit[0], "=\t") {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return fit, directive
}

// withDashes are arguments where those that begin with - would be taken for flags: they
// go behind --, which is offered in their place.
func withDashes(all []cobra.Completion) []cobra.Completion {
	plain := slices.DeleteFunc(slices.Clone(all), func(one string) bool { return strings.HasPrefix(one, "-") })
	if len(plain) < len(all) {
		plain = append(plain, "--\tfor names that begin with -")
	}
	return plain
}

// described is a name with what it is, as shells show it.
func described(name, what string) string {
	if what = strings.Join(strings.Fields(what), " "); what == "" || what == name {
		return name
	}
	return name + "\t" + visible(what)
}

// oneOf are words that are known.
func oneOf(words ...string) names { return func(*prompt) []string { return words } }

// flag is what a flag says so far.
func (p *prompt) flag(name string) string {
	if f := p.cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// session opens that of the command line; nil: it has none.
func (p *prompt) session() *session {
	c := connection{url: p.flag("url"), ca: p.flag("ca"), tenant: p.flag("tenant"), dataDir: p.flag("data-dir"), cloud: p.flag("cloud"), context: p.flag("context")}
	s, err := c.find(p, func(flag string) bool { return wasGiven(p.cmd.Flags(), flag) }, os.Getenv)
	if err != nil {
		return nil
	}
	return s
}

// inSubscription opens the session, and finds the subscription.
func (p *prompt) inSubscription() (*session, string) {
	s := p.session()
	if s == nil {
		return nil, ""
	}
	asked := p.flag("subscription")
	if asked == "" {
		asked = p.flag("subscription-id")
	}
	id, err := s.subscriptionID(p, asked)
	if err != nil {
		return nil, ""
	}
	return s, id
}

// flagNames say what may follow a flag; one with a command before it is that command's.
var flagNames = map[string]names{
	"output":            oneOf("table\tfor people", "json\tfor programs", "yaml\tthe same members", "name\tnames alone", "jsonpath=\twhat a template takes out of json"),
	"log-level":         oneOf("debug", "info", "warn", "error"),
	"log-format":        oneOf("json", "text"),
	"resources":         oneOf("registered\tthose that the directory knows", "any\tevery https:// and api:// name"),
	"signing-algorithm": oneOf("RS256", "ES256"),
	"azure-env":         oneOf("AzurePublicCloud", "AzureUSGovernmentCloud", "AzureChinaCloud", "AzureStackCloud"),
	"auth-method":       oneOf("cli", "client_secret", "client_certificate"),
	"audience":          oneOf("api://AzureADTokenExchange\tAzure's public cloud", "api://AzureADTokenExchangeUSGov\tAzure for the US government", "api://AzureADTokenExchangeChina\tAzure in China"),

	"context":               contextsOf,
	"cloud":                 contextsOf,
	"issuer show --context": kubeContexts,
	"context add --cloud":   func(*prompt) []string { return login.Clouds() },
	"tenant":                tenants,
	"subscription":          subscriptions,
	"subscription-id":       subscriptions,

	"application":                applications,
	"aad-application-name":       applications,
	"service-principal-name":     applications,
	"managed-identity":           identities,
	"managed-identity-name":      identities,
	"resource-group":             resourceGroups,
	"cluster":                    clusters,
	"cluster-resource-group":     resourceGroups,
	"issuer":                     issuers,
	"service-account-issuer-url": issuers,

	"kube-context":              kubeContexts,
	"namespace":                 kubeNamespaces,
	"service-account-namespace": kubeNamespaces,
	"service-account":           serviceAccounts,
	"service-account-name":      serviceAccounts,
}

// argumentNames say what the first argument of a command may be. Others have theirs
// beside them.
var argumentNames = map[string]names{
	"cluster show":                clusters,
	"cluster delete":              clusters,
	"cluster update-keys":         clusters,
	"cluster report":              clusters,
	"federated-credential show":   credentials,
	"federated-credential update": credentials,
	"federated-credential delete": credentials,
	"issuer check":                issuers,
}

func contextsOf(*prompt) (all []string) {
	_, known, err := openContexts(os.Getenv)
	if err != nil {
		return nil
	}
	for _, name := range known.Names() {
		c, _ := known.Find(name)
		all = append(all, described(name, c.Endpoints().Authority))
	}
	return all
}

// tenants are those that contexts and the service name.
func tenants(p *prompt) (all []string) {
	if _, known, err := openContexts(os.Getenv); err == nil {
		for _, c := range known.All {
			if c.TenantID != "" {
				all = append(all, described(c.TenantID, "of the context "+c.Name))
			}
		}
	}
	s := p.session()
	if s == nil {
		return all
	}
	found, err := s.client.Tenants(p)
	if err != nil && s.tenantID != "" {
		found = []client.Tenant{{TenantID: s.tenantID}}
	}
	for _, t := range found {
		if !slices.ContainsFunc(all, func(one string) bool { return strings.HasPrefix(one, t.TenantID) }) {
			all = append(all, described(t.TenantID, t.DisplayName))
		}
	}
	return all
}

func subscriptions(p *prompt) (all []string) {
	s := p.session()
	if s == nil {
		return nil
	}
	found, err := s.client.Subscriptions(p)
	if err != nil {
		return nil
	}
	for _, one := range found {
		all = append(all, described(one.SubscriptionID, one.DisplayName))
	}
	return all
}

// applications are those whose name begins so; in a large directory there are too many
// to fetch them all.
func applications(p *prompt) (all []string) {
	s := p.session()
	if s == nil {
		return nil
	}
	filter := ""
	if p.begun != "" {
		filter = fmt.Sprintf("startswith(displayName,'%s')", strings.ReplaceAll(p.begun, "'", "''"))
	}
	found, err := s.client.Applications(p, filter)
	if err != nil {
		return nil
	}
	for _, a := range found {
		all = append(all, described(a.DisplayName, a.AppID))
	}
	return all
}

func identities(p *prompt) (all []string) {
	s, subscription := p.inSubscription()
	if s == nil {
		return nil
	}
	found, err := s.client.Identities(p, client.ResourceGroupID{SubscriptionID: subscription, Name: p.flag("resource-group")})
	if err != nil {
		return nil
	}
	for _, i := range found {
		group := ""
		if id, err := client.ParseIdentityID(i.ID); err == nil {
			group = "in " + id.ResourceGroup
		}
		all = append(all, described(i.Name, group))
	}
	return all
}

func resourceGroups(p *prompt) (all []string) {
	s, subscription := p.inSubscription()
	if s == nil {
		return nil
	}
	found, err := s.client.ResourceGroups(p, subscription)
	if err != nil {
		return nil
	}
	for _, g := range found {
		all = append(all, described(g.Name, g.Location))
	}
	return all
}

// inCluster lists registered clusters, of the group that is given if one is.
func inCluster(p *prompt) []client.Cluster {
	s, subscription := p.inSubscription()
	if s == nil {
		return nil
	}
	group := p.flag("resource-group")
	if p.cmd.Flags().Lookup("cluster-resource-group") != nil { // the other is that of an identity
		group = p.flag("cluster-resource-group")
	}
	found, _ := s.client.Clusters(p, client.ResourceGroupID{SubscriptionID: subscription, Name: group}) // else none
	return found
}

func clusters(p *prompt) (all []string) {
	for _, c := range inCluster(p) {
		all = append(all, described(c.Name, "in "+printable(c).ResourceGroup))
	}
	return all
}

// issuers are those that the service knows, or those of the clusters in Azure.
func issuers(p *prompt) (all []string) {
	if s := p.session(); s != nil && !s.azure {
		if found, err := s.client.Issuers(p); err == nil {
			for _, i := range found {
				all = append(all, described(i.Issuer, i.Name))
			}
		}
	}
	for _, c := range inCluster(p) {
		if c.Issuer != nil && c.Issuer.URL != "" && !slices.ContainsFunc(all, func(one string) bool { return strings.HasPrefix(one+"\t", c.Issuer.URL+"\t") }) {
			all = append(all, described(c.Issuer.URL, c.Name))
		}
	}
	return all
}

// credentials are those of the parent that the flags name.
func credentials(p *prompt) (all []string) {
	o := &ficOptions{application: p.flag("application"), identity: p.flag("managed-identity"), group: p.flag("resource-group"), subscription: p.flag("subscription")}
	o.output = "table"
	if o.check(p.cmd) != nil {
		return nil
	}
	s := p.session()
	if s == nil {
		return nil
	}
	parent, err := findParent(p, s, o)
	if err != nil {
		return nil
	}
	found, err := parent.list(p, s)
	if err != nil {
		return nil
	}
	for _, c := range found {
		all = append(all, described(c.Name, c.Subject))
	}
	return all
}

// kubeContexts are those of the kubeconfig.
func kubeContexts(p *prompt) (all []string) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = p.flag("kubeconfig")
	rules.WarnIfAllMissing = false
	file, err := rules.Load()
	if err != nil {
		return nil
	}
	for name, c := range file.Contexts {
		all = append(all, described(name, c.Cluster))
	}
	return all
}

func kubeNamespaces(p *prompt) (all []string) {
	api, err := openKubernetes(p.flag("kubeconfig"), p.flag("kube-context"))
	if err != nil {
		return nil
	}
	found, err := api.CoreV1().Namespaces().List(p, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for _, n := range found.Items {
		all = append(all, n.Name)
	}
	return all
}

// serviceAccounts are NAMESPACE/NAME, or the names in the namespace that a flag of its
// own says.
func serviceAccounts(p *prompt) (all []string) {
	api, err := openKubernetes(p.flag("kubeconfig"), p.flag("kube-context"))
	if err != nil {
		return nil
	}
	namespace := p.flag("service-account-namespace")
	found, err := api.CoreV1().ServiceAccounts(namespace).List(p, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for _, a := range found.Items {
		if namespace == "" {
			all = append(all, a.Namespace+"/"+a.Name)
		} else {
			all = append(all, a.Name)
		}
	}
	return all
}

// newCompletion prints the scripts that shells need.
func newCompletion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion",
		Short: "Print a script that completes command lines in your shell",
		Long: `Print a script by which your shell completes commands, flags and names: those of
contexts, applications, managed identities, resource groups, clusters, issuers and
credentials are asked of the service that the command line means, for a second and a
half at most, and service accounts of the cluster of the kubeconfig.`,
		Example: `  source <(entente completion bash)
  entente completion zsh > "${fpath[1]}/_entente"
  entente completion fish | source
  entente completion powershell | Out-String | Invoke-Expression`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, shell := range []struct {
		name, once, always string
		print              func(root *cobra.Command, w io.Writer, descriptions bool) error
	}{
		{"bash", "source <(entente completion bash)", "entente completion bash > /etc/bash_completion.d/entente   # with the package bash-completion",
			func(root *cobra.Command, w io.Writer, d bool) error { return root.GenBashCompletionV2(w, d) }},
		{"zsh", "source <(entente completion zsh)", `entente completion zsh > "${fpath[1]}/_entente"   # where "autoload -U compinit; compinit" is in ~/.zshrc`,
			func(root *cobra.Command, w io.Writer, d bool) error {
				if d {
					return root.GenZshCompletion(w)
				}
				return root.GenZshCompletionNoDesc(w)
			}},
		{"fish", "entente completion fish | source", "entente completion fish > ~/.config/fish/completions/entente.fish",
			func(root *cobra.Command, w io.Writer, d bool) error { return root.GenFishCompletion(w, d) }},
		{"powershell", "entente completion powershell | Out-String | Invoke-Expression", "entente completion powershell >> $PROFILE",
			func(root *cobra.Command, w io.Writer, d bool) error {
				if d {
					return root.GenPowerShellCompletionWithDesc(w)
				}
				return root.GenPowerShellCompletion(w)
			}},
	} {
		bare := false
		one := &cobra.Command{
			Use:     shell.name,
			Short:   "Print the script for " + shell.name,
			Long:    "Print the script by which " + shell.name + " completes command lines, for this shell or for every new one.",
			Example: "  " + shell.once + "\n  " + shell.always,
			Args:    arguments(),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return shell.print(cmd.Root(), cmd.OutOrStdout(), !bare)
			},
		}
		one.Flags().BoolVar(&bare, "no-descriptions", false, "complete without saying what each is")
		cmd.AddCommand(one)
	}
	return cmd
}
