// Package cli is the command line: one file per verb, flags and output only.
//
// What a verb does lives in the room that it calls, so that a verb can be read
// in a minute and everything it can do can be done without it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs the command line and returns its exit code. SIGINT and SIGTERM end
// what is running in good order.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	root := rootFor(os.Args[0])
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // else nobody needs them
		complete(root, slices.Contains(args[:len(args)-1], "--"))
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	err = interruptedBy(ctx, err)
	report(stderr, err)
	return exitCode(err)
}

// wrongUsage is an error of the command line itself.
type wrongUsage struct{ error }

func (w wrongUsage) Unwrap() error { return w.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return wrongUsage{err}
}

// refused is an error about a caller that is not known, or lacks a right.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// arguments takes those that are named, as the line of usage has them: "NAME", "[NAME]"
// if it may be left out, "..." for any number more. All else is wrong usage.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		var err error
		switch many := slices.Contains(names, "..."); {
		case len(args) < len(names) && !strings.HasPrefix(names[len(args)], "[") && names[len(args)] != "...":
			err = fmt.Errorf("%s is missing", names[len(args)])
		case len(args) <= len(names) || many:
			return nil
		case len(names) == 0:
			err = fmt.Errorf("%s takes no arguments, and %q is one", cmd.CommandPath(), args[0])
		default:
			err = fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return usage(hint(err, "%s --help has examples", cmd.CommandPath()))
	}
}

// hinted is an error with the command that mends it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// hintOf is the hint of an error, or "".
func hintOf(err error) string {
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	return ""
}

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "entente",
		Short: "Workload identity federation that you can host",
		Long: `Entente exchanges the token that a Kubernetes cluster signed for an access
token, by the federated identity credentials that trust it. It speaks Microsoft
Entra's protocols, so Azure SDKs work against it unchanged.

Exit codes: ` + exitHelp + `
("entente help exit-codes" has them all).`,
		Example: `  entente quickstart               see the whole exchange in a few seconds
  entente serve                    run the service on the embedded database
  eval "$(entente env)"            point Azure SDKs in this shell at it
  entente az-setup --run           point the Azure CLI at it
  entente cluster list             the clusters that it knows`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Version:           version(),
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags(), os.LookupEnv) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if e, ok := errors.AsType[*pflag.NotExistError](err); ok && e.GetSpecifiedShortnames() != "" && strings.Contains(cmd.Use, "NAME") {
			return usage(hint(err, "%s --help lists the flags; a name that begins with - goes behind all of them, and behind --: %s ... -- NAME", cmd.CommandPath(), cmd.CommandPath()))
		}
		return usage(hint(err, "%s --help lists the flags", cmd.CommandPath()))
	})
	// serve, run and what azwi has keep a log of their own.
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"See it work, and run it:", []*cobra.Command{own(newQuickstart()), newServe()}},
		{"Point other programs at it:", []*cobra.Command{own(newEnv()), own(newAzSetup()), newRun()}},
		{"Choose a service, and who calls it:", []*cobra.Command{own(newContext()), own(newLogin()), own(newLogout()), own(newWhoami()), own(newPortalLink())}},
		{"Say which workloads may be whom:", []*cobra.Command{own(newFIC()), own(newPlan()), own(newApply()), own(newExport())}},
		{"Keep clusters and their issuers:", []*cobra.Command{own(newCluster()), own(newIssuer())}},
		{"Find out why there is no token:", []*cobra.Command{own(newDoctor())}},
		{"As azwi has it:", []*cobra.Command{newServiceAccount("entente"), newJWKS("entente")}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, cmd := range group.commands {
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(own(newVersion()), newCompletion(), newExitCodes(), newPodIdentity("entente"))
	// The longest name has two spaces after it, too.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "{{rpad .Name .NamePadding }} ", "{{rpad .Name .NamePadding }}  "))
	root.Flags().AddFlag(azwiDebug())
	return root
}

// knownCommand refuses what is no command, with those that it may have meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // letters
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage(hint(err, "did you mean %s %s?", cmd.CommandPath(), strings.Join(near, ", or "+cmd.CommandPath()+" ")))
	}
	return usage(hint(err, "%s --help lists the commands", cmd.CommandPath()))
}

// fromEnvironment gives every flag that was not set its ENTENTE_… twin: upper
// case, with _ for -. Lists are separated by white space there.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || failed != nil {
			return
		}
		name := environmentName(f.Name)
		value, ok := lookup(name)
		if !ok || value == "" {
			return
		}
		values := []string{value}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = strings.Fields(value)
			list.Replace(nil)
		}
		for _, v := range values {
			if err := flags.Set(f.Name, v); err != nil {
				failed = usage(fmt.Errorf("%s: %w", name, err))
			}
		}
		flags.SetAnnotation(f.Name, ofEnvironment, nil)
	})
	return failed
}

// ofEnvironment marks a flag that has its value from the environment.
const ofEnvironment = "entente-environment"

// wasGiven tells whether a flag stood on the command line itself.
func wasGiven(flags *pflag.FlagSet, name string) bool {
	f := flags.Lookup(name)
	if f == nil || !f.Changed {
		return false
	}
	_, twin := f.Annotations[ofEnvironment]
	return !twin
}

func environmentName(flag string) string {
	return "ENTENTE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// defaultDataDir is where serve keeps its data when nothing is said.
func defaultDataDir() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "entente")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "entente")
	}
	return "entente-data"
}

// newLog makes the log that --log-level and --log-format ask for.
func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn and error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is neither json nor text", format)
}
