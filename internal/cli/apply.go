package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/plan"
)

type applyOptions struct {
	stateOptions
	yes, dryRun bool
}

func newApply() *cobra.Command {
	o := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make applications, identities and credentials what a file states",
		Long: `Bring what is there to what a file states: show what changes, ask, and change it.
What is as stated is not written, so that it can be run any number of times. Where
the service is busy it waits as long as it is asked to. A run that was broken off is
resumed by running it again.` + stateHelp + connectionHelp,
		Example: `  entente apply -f state.yaml
  entente apply -f state.yaml --prune --yes
  entente apply -f state.yaml --dry-run
  entente export | entente apply -f - --yes --context staging`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := o.run(cmd)
			return o.exits(p, err)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and change nothing")
	return cmd
}

func (o *applyOptions) run(cmd *cobra.Command) (*plan.Plan, error) {
	s, p, err := o.make(cmd)
	if err != nil {
		return p, err
	}
	out, errs := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if o.dryRun || p.Summary.Changes() == 0 {
		return p, o.print(out, p)
	}
	if o.output == "table" {
		if err := o.print(out, p); err != nil {
			return p, err
		}
	}
	if !o.yes {
		if o.output != "table" { // a person wants to see what is asked
			if err := p.Text(errs, o.all); err != nil {
				return p, err
			}
		}
		switch yes, answered := ask(cmd.InOrStdin(), errs, "Change this?"); {
		case !answered:
			return p, usage(hint(errors.New("nobody is there to confirm"), "--yes changes without asking; --dry-run changes nothing"))
		case !yes:
			return p, errors.New("nothing was changed")
		}
	}
	goes := progressOf(cmd)
	err = p.Apply(cmd.Context(), plan.ApplyOptions{Progress: func(e plan.Progress) { tell(goes, e) }})
	goes.done()
	if o.output != "table" {
		if err := o.print(out, p); err != nil {
			return p, err
		}
	}
	return p, o.resume(s, err)
}

// did are the actions, once they are done.
var did = map[plan.Action]string{plan.Create: "created", plan.Update: "changed", plan.Delete: "deleted"}

// tell says what an application has come to.
func tell(goes *progress, e plan.Progress) {
	switch {
	case e.Event == plan.Waiting:
		goes.step("waiting %s to %s %s: %v", e.Wait.Round(time.Second), e.Step.Action, e.Step.What(), e.Err)
	case e.Event == plan.Ended && e.Err == nil:
		goes.step("[%d/%d] %s %s", e.N, e.Total, did[e.Step.Action], e.Step.What())
	case e.Event == plan.Ended:
		goes.lasting("[%d/%d] failed to %s %s", e.N, e.Total, e.Step.Action, e.Step.What())
	}
}

// resume gives an error of a plan that was not applied whole the way to go on.
func (o *applyOptions) resume(s *session, err error) error {
	if err == nil {
		return nil
	}
	const again = "run the same command again: it goes on from there"
	if h, ok := errors.AsType[*hinted](s.explain(err)); ok {
		return hint(err, "%s; then %s", h.hint, again)
	}
	return hint(err, again)
}
