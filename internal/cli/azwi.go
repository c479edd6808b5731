package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// azwiFailed is the failure of one of azwi's commands, which all end with 1.
type azwiFailed struct{ error }

func (f azwiFailed) Unwrap() error { return f.error }

func azwiFails(err error) error {
	if err == nil {
		return nil
	}
	return azwiFailed{err}
}

// azwiRun and azwiArgs make the errors of a command those of azwi's.

func azwiRun(run func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error { return azwiFails(run(cmd)) }
}

func azwiArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return azwiFails(check(cmd, args)) }
}

// azwiNoArgs takes no arguments, in azwi's words.
func azwiNoArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return azwiFails(hint(err, "%s --help has examples", cmd.CommandPath()))
	}
	return nil
}

func azwiFlagError(cmd *cobra.Command, err error) error {
	return azwiFails(hint(err, "%s --help lists the flags", cmd.CommandPath()))
}

// rootFor is the tree of commands of a program by its name: called azwi, through a
// link for instance, it is azwi.
func rootFor(program string) *cobra.Command {
	if name := strings.TrimSuffix(filepath.Base(program), ".exe"); name != "azwi" {
		return newRoot()
	}
	root := &cobra.Command{
		Use:   "azwi",
		Short: "Manage workload identities",
		Long: `Manage workload identities, with the command lines of azwi. This program is
entente under another name; "entente --help" shows what else it can do.`,
		Example: `  azwi serviceaccount create --service-account-name cat --service-account-issuer-url URL --skip-phases role-assignment
  azwi jwks --public-keys sa.pub`,
		SilenceUsage: true, SilenceErrors: true,
		Args: azwiArgs(knownCommand),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return azwiFails(fromEnvironment(cmd.Flags(), os.LookupEnv))
		},
	}
	root.SetFlagErrorFunc(azwiFlagError)
	root.PersistentFlags().Bool("debug", false, "show what is tried, too")
	root.AddCommand(newServiceAccount("azwi"), newJWKS("azwi"), newPodIdentity("azwi"), newAzwiVersion())
	return root
}

// azwiDebug lets --debug stand before the command, as azwi does, where only azwi's
// commands take it.
func azwiDebug() *pflag.Flag {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Bool("debug", false, "show what is tried, too")
	f.Lookup("debug").Hidden = true
	return f.Lookup("debug")
}

// newPodIdentity says why one of azwi's commands is not there.
func newPodIdentity(program string) *cobra.Command {
	return &cobra.Command{
		Use: "podidentity", Aliases: []string{"pi"}, Hidden: true, DisableFlagParsing: true,
		Short: "Not there: aad-pod-identity is retired",
		Long: `azwi's "podidentity detect" moves workloads away from aad-pod-identity, which has
been archived. It is left out.`,
		Example: "  " + program + " podidentity",
		RunE: azwiRun(func(*cobra.Command) error {
			return hint(errors.New("podidentity is left out: aad-pod-identity is retired"), "azwi 1.6 from github.com/Azure/azure-workload-identity still has it")
		}),
	}
}

func newAzwiVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: azwiNoArgs,
		RunE: azwiRun(func(cmd *cobra.Command) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Version: %s (entente)\nGitCommit: %s\n", version(), commit())
			return err
		}),
	}
}
