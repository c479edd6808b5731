package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// manners are how much a verb says on standard error beside what it was asked for. They
// travel in the context, so that whatever makes a request has them.
type manners struct {
	verbose, quiet bool
	trace          *trace // of requests; nil: of none
}

type mannersKey struct{}

// mannersOf are those of a verb; of anything else, those that are usual.
func mannersOf(ctx context.Context) manners {
	if ctx != nil {
		if m, ok := ctx.Value(mannersKey{}).(manners); ok {
			return m
		}
	}
	return manners{}
}

// own gives a verb of ours, and those below it, the flags that all of ours have.
func own(cmd *cobra.Command) *cobra.Command {
	m := manners{}
	f := cmd.PersistentFlags()
	f.BoolVarP(&m.verbose, "verbose", "v", false, "say on standard error which requests are made, and how they end")
	f.BoolVarP(&m.quiet, "quiet", "q", false, "say on standard error only what went wrong or needs you")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
			return err
		}
		if m.verbose {
			m.trace = &trace{out: cmd.ErrOrStderr()}
		}
		cmd.SetContext(context.WithValue(cmd.Context(), mannersKey{}, m))
		return nil
	}
	return cmd
}

// note tells a person what was done, unless they asked for quiet.
func note(cmd *cobra.Command, format string, args ...any) {
	if !mannersOf(cmd.Context()).quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
}

// warn tells a person what does not stop a verb.
func warn(cmd *cobra.Command, format string, args ...any) {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, colours(w).paint(yellow, "warning:")+" "+format+"\n", args...)
}

// report prints an error as people see it. A command that has ended has said what it had to.
func report(w io.Writer, err error) {
	if e, ok := err.(*exited); ok && e.err == nil {
		return
	}
	p := colours(w)
	fmt.Fprintln(w, p.paint(red, "error:"), err)
	if text := hintOf(err); text != "" {
		fmt.Fprintln(w, p.paint(dim, "hint:"), text)
	}
}
