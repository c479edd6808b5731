package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/internal/azwi"
)

// workload is what a verb, or one of its phases, is told.
type workload struct {
	azwi.Options
	skip        []string
	dryRun      bool
	kubeconfig  string
	kubeContext string
}

// verb is the command that runs all phases of a verb, above "phase", which runs one.
func (s *serviceAccount) verb(v azwi.Verb) *cobra.Command {
	me := s.program + " serviceaccount " + string(v)
	var long, names []string
	var options []azwi.Option
	for _, p := range v.Phases() {
		long = append(long, fmt.Sprintf("  %-20s %s", p, v.Describe(p)))
		names = append(names, string(p))
		options = append(options, v.Options(p)...)
	}
	w := &workload{}
	cmd := &cobra.Command{
		Use:   string(v),
		Short: strings.ToUpper(string(v[:1])) + string(v[1:]) + " a workload identity",
		Long: `The command runs these phases in order:

` + strings.Join(long, "\n") + `

What the phases need is checked before the first begins. Repeating a command
changes nothing that is done already.` + azwiHelp,
		Example: `  ` + me + ` --service-account-namespace pets --service-account-name cat \
    --service-account-issuer-url https://oidc.example.org/cluster/ --skip-phases role-assignment
  ` + me + ` --service-account-namespace pets --service-account-name cat \
    --service-account-issuer-url https://oidc.example.org/cluster/ --skip-phases role-assignment \
    --managed-identity-name cat --resource-group pets`,
		Args: azwiArgs(knownCommand),
		RunE: azwiRun(func(cmd *cobra.Command) error { return s.run(cmd, v, w, nil) }),
	}
	f := cmd.Flags()
	w.flags(f, options)
	w.clusterFlags(f)
	f.StringSliceVar(&w.skip, "skip-phases", nil, "`PHASES` to leave out, separated by commas: "+strings.Join(names, ", "))

	phase := &cobra.Command{
		Use:     "phase",
		Short:   "Run one phase of " + string(v) + " alone",
		Long:    "Run one phase of the " + string(v) + " command alone.",
		Example: "  " + me + " phase federated-identity --help",
		Args:    azwiArgs(knownCommand),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, p := range v.Phases() {
		phase.AddCommand(s.phase(v, p))
	}
	cmd.AddCommand(phase)
	return cmd
}

// phase is the command that runs one phase.
func (s *serviceAccount) phase(v azwi.Verb, p azwi.Phase) *cobra.Command {
	w := &workload{}
	cmd := &cobra.Command{
		Use:     string(p),
		Aliases: p.Aliases(),
		Short:   v.Describe(p),
		Long:    v.Describe(p) + "." + azwiHelp,
		Example: s.examples(v, p),
		Args:    azwiNoArgs,
		RunE:    azwiRun(func(cmd *cobra.Command) error { return s.run(cmd, v, w, []azwi.Phase{p}) }),
	}
	w.flags(cmd.Flags(), v.Options(p))
	if p == azwi.ServiceAccountPhase {
		w.clusterFlags(cmd.Flags())
	}
	return cmd
}

func (s *serviceAccount) examples(v azwi.Verb, p azwi.Phase) string {
	const (
		more        = " \\\n    "
		application = "--aad-application-name pets"
		identity    = "--managed-identity-name cat --resource-group pets"
		account     = "--service-account-namespace pets --service-account-name cat"
		issuer      = "--service-account-issuer-url https://oidc.example.org/cluster/"
	)
	arguments := map[azwi.Phase][]string{
		azwi.ApplicationPhase:    {application, identity},
		azwi.CredentialPhase:     {application + more + account + more + issuer, identity + more + account + more + issuer},
		azwi.ServiceAccountPhase: {application + more + account, identity + more + account},
		azwi.RolePhase:           {"--azure-scope /subscriptions/ID --azure-role Reader --service-principal-name pets"},
	}[p]
	if v == azwi.Delete {
		switch p {
		case azwi.ServiceAccountPhase:
			arguments = []string{account}
		case azwi.RolePhase:
			arguments = []string{"--role-assignment-id /subscriptions/ID/providers/Microsoft.Authorization/roleAssignments/ID"}
		}
	}
	lines := make([]string, len(arguments))
	for i, a := range arguments {
		lines[i] = fmt.Sprintf("  %s serviceaccount %s phase %s", s.program, v, p) + more + a
	}
	return strings.Join(lines, "\n")
}

// flags adds those of options, each once.
func (w *workload) flags(f *pflag.FlagSet, options []azwi.Option) {
	for i, o := range options {
		if !slices.Contains(options[:i], o) {
			w.flag(f, o)
		}
	}
	f.BoolVar(&w.dryRun, "dry-run", false, "say what would be done, and do nothing")
}

func (w *workload) clusterFlags(f *pflag.FlagSet) {
	f.StringVar(&w.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&w.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
}

// flag adds the flag of an option, with azwi's default.
func (w *workload) flag(f *pflag.FlagSet, o azwi.Option) {
	name := string(o)
	text := func(value *string, usage string) { f.StringVar(value, name, "", usage) }
	switch o {
	case azwi.Namespace:
		f.StringVar(&w.Namespace, name, "default", "`NAMESPACE` of the service account")
	case azwi.ServiceAccount:
		text(&w.ServiceAccount, "`NAME` of the service account")
	case azwi.Issuer:
		text(&w.Issuer, "`URL` of the cluster's issuer, exactly as its tokens have it")
	case azwi.TokenExpiration:
		f.DurationVar(&w.TokenExpiration, name, azwi.DefaultExpiration, "`HOW-LONG` the service account's tokens last, from 1h to 24h")
	case azwi.ApplicationName:
		text(&w.ApplicationName, "`NAME` of the application (default: namespace, name and a hash of the issuer)")
	case azwi.ApplicationClientID:
		text(&w.ApplicationClientID, "client `ID` of the application (default: looked up by its name)")
	case azwi.ApplicationObjectID:
		text(&w.ApplicationObjectID, "object `ID` of the application (default: looked up by its name)")
	case azwi.ServicePrincipalName:
		text(&w.ServicePrincipalName, "`NAME` of the service principal (default: that of the application)")
	case azwi.ServicePrincipalObjectID:
		text(&w.ServicePrincipalObjectID, "object `ID` of the service principal (default: looked up)")
	case azwi.IdentityName:
		text(&w.IdentityName, "`NAME` of a managed identity, instead of an application")
	case azwi.IdentityClientID:
		text(&w.IdentityClientID, "client `ID` of the managed identity (default: looked up by its name)")
	case azwi.ResourceGroup:
		f.StringVarP(&w.ResourceGroup, name, "g", "", "`GROUP` of the managed identity")
	case azwi.Location:
		text(&w.Location, "`LOCATION` of a new managed identity, and of its group if that is new too (default: the group's)")
	case azwi.Scope:
		text(&w.Scope, "`SCOPE` of the role assignment: a resource id, such as /subscriptions/ID")
	case azwi.Role:
		text(&w.Role, "`NAME` of the role")
	case azwi.RoleAssignmentID:
		text(&w.RoleAssignmentID, "resource `ID` of the role assignment")
	}
}
