package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/plan"
)

// stateHelp is what plan and apply have in common to say.
const stateHelp = `

The file is YAML: applications, managed identities, whom they trust and what they
may do, for Azure and for an Entente service alike (docs/guides/apply.md). What it
does not name is left alone. With an owner in it ("owner: pets", and credentials
named pets--...), --prune removes the credentials of that owner that the file has
no more, of the applications and identities whose credentials it lists.

With --detailed-exitcode the exit code is 0 when nothing differs, 2 when something
does, and 1 for every error.`

// stateOptions are what plan and apply have in common.
type stateOptions struct {
	connection
	output
	file, subscription   string
	prune, all, detailed bool
}

func (o *stateOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "`FILE` with what there should be; - is standard input")
	f.BoolVar(&o.prune, "prune", false, "remove credentials that the file's owner made and the file has no more")
	f.BoolVar(&o.all, "all", false, "show what stays as it is, too")
	f.BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 when something differs, and with 1 for every error")
	o.subscriptionFlag(f)
	o.output.flags(f)
	o.connection.flags(f)
	_ = cmd.MarkFlagFilename("file", "yaml", "yml", "json") // the flag is there
	check := arguments()
	cmd.Args = func(cmd *cobra.Command, args []string) error { return o.wrong(check(cmd, args)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return o.wrong(usage(hint(err, "%s --help lists the flags", cmd.CommandPath())))
	})
}

// wrong is wrong usage, which has another code where 2 means something else.
func (o *stateOptions) wrong(err error) error {
	if err == nil || !o.detailed && !slices.Contains(os.Args, "--detailed-exitcode") {
		return err
	}
	o.detailed = true
	return o.exits(nil, err)
}

func (o *stateOptions) subscriptionFlag(f *pflag.FlagSet) {
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription (default: the file's, or the only one)")
}

// make reads the file, opens the session and makes the plan.
func (o *stateOptions) make(cmd *cobra.Command) (*session, *plan.Plan, error) {
	if err := o.output.check(); err != nil {
		return nil, nil, err
	}
	if o.file == "" {
		return nil, nil, usage(hint(errors.New("--file (-f) is missing"), "%s --help has examples; entente export writes a file of what is there", cmd.CommandPath()))
	}
	m, err := readState(cmd.InOrStdin(), o.file)
	if err != nil {
		return nil, nil, err
	}
	if o.prune && m.Owner == "" {
		return nil, nil, usage(hint(fmt.Errorf("--prune: %s has no owner, whose credentials could be told from others", m.File), "give it one (owner: NAME), and its credentials names that begin with NAME--"))
	}
	s, err := o.open(cmd)
	if err != nil {
		return nil, nil, err
	}
	subscription := o.subscription
	if subscription == "" && plan.NeedsSubscription(m) {
		if subscription, err = s.subscriptionID(cmd.Context(), ""); err != nil {
			return nil, nil, s.explain(err)
		}
	}
	goes := progressOf(cmd)
	goes.passing("comparing %s with what there is at %s …", m.File, s.authority)
	p, err := plan.Make(cmd.Context(), s.client, m, plan.Options{Subscription: subscription, Prune: o.prune})
	goes.done()
	return s, p, s.explain(unfit(err))
}

// readState reads a file, or standard input for "-".
func readState(in io.Reader, name string) (*manifest.Manifest, error) {
	dir := "."
	if name == "-" {
		name = "stdin"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, dir = f, filepath.Dir(name)
	}
	text, err := io.ReadAll(io.LimitReader(in, manifest.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	m, err := manifest.Read(name, text, os.DirFS(dir))
	return m, unfit(err)
}

// unfit begins the list of what is wrong with a file.
func unfit(err error) error {
	if problems, ok := errors.AsType[*manifest.Problems](err); ok {
		return fmt.Errorf("%s is not fit to be applied\n%w", problems.File, problems)
	}
	return err
}

// exits is the end of a verb: an error, or what differed, as an exit code.
func (o *stateOptions) exits(p *plan.Plan, err error) error {
	if !o.detailed {
		return err
	}
	if err != nil {
		plain := errors.New(err.Error()) // which is not wrong usage, whatever err is
		if h, ok := errors.AsType[*hinted](err); ok {
			plain = hint(plain, "%s", h.hint)
		}
		return &exited{exitError, plain}
	}
	if p.Summary.Changes() > 0 {
		return &exited{code: exitDiffers}
	}
	return nil
}

var planView = view[*plan.Plan]{
	name: func(p *plan.Plan) string { return p.Summary.String() },
}

// print prints a plan: its changes for people, one line each for shell loops.
func (o *stateOptions) print(w io.Writer, p *plan.Plan) error {
	switch o.output {
	case "table":
		return p.Text(w, o.all)
	case "name":
		for _, s := range p.Steps {
			if s.Action == plan.Unchanged && !o.all {
				continue
			}
			parent := ""
			if s.Parent != nil {
				parent = s.Parent.Name
			}
			if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Action, s.Kind, oneLine(s.Name), cmp.Or(oneLine(parent), "-")); err != nil {
				return err
			}
		}
		return nil
	}
	return planView.one(w, o.output, p)
}

// oneLine is a name that stays in its column.
func oneLine(name string) string { return strings.Join(strings.Fields(name), " ") }

func newPlan() *cobra.Command {
	o := &stateOptions{}
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what would change for a file of applications, identities and credentials",
		Long:  `Compare what a file states with what is there, and show what would change.` + stateHelp + connectionHelp,
		Example: `  entente plan -f state.yaml
  entente plan -f state.yaml --prune -o json
  entente plan -f state.yaml --detailed-exitcode    # in CI: 2 says that something has drifted
  entente plan -f state.yaml --cloud public         # Azure`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, p, err := o.make(cmd)
			if err == nil {
				err = o.print(cmd.OutOrStdout(), p)
			}
			return o.exits(p, err)
		},
	}
	o.flags(cmd)
	return cmd
}
