package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/azwi"
)

// serviceAccount is azwi's command of this name: who calls where is said in flags
// that all its verbs have.
type serviceAccount struct {
	program string
	auth    azwiAuth
}

// newServiceAccount is the command, for a program of azwi's name or of ours.
func newServiceAccount(program string) *cobra.Command { return newServiceAccountOver(program, nil) }

// newServiceAccountOver is newServiceAccount with the HTTP client of a test.
func newServiceAccountOver(program string, hc *http.Client) *cobra.Command {
	s := &serviceAccount{program: program, auth: azwiAuth{http: hc}}
	me := program + " serviceaccount"
	cmd := &cobra.Command{
		Use:     "serviceaccount",
		Aliases: []string{"sa"},
		Short:   "Create and delete workload identities, as azwi does",
		Long: `Create and delete a workload identity: an application or a managed identity, a
Kubernetes service account that is annotated with its client id, the federated
credential that ties them together, and a role assignment. Commands, flags,
generated names and exit codes (0 done, 1 failed) are azwi's.` + azwiHelp,
		Example: `  ` + me + ` create --service-account-name cat \
    --service-account-issuer-url https://oidc.example.org/cluster/ --skip-phases role-assignment
  ` + me + ` create phase federated-identity --managed-identity-name cat -g pets \
    --service-account-name cat --service-account-issuer-url https://oidc.example.org/cluster/
  ` + me + ` delete --service-account-name cat \
    --service-account-issuer-url https://oidc.example.org/cluster/ --skip-phases role-assignment`,
		Args: azwiArgs(knownCommand),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(azwiFlagError)
	s.auth.flags(cmd.PersistentFlags())
	if program != "azwi" { // where the root has it
		cmd.PersistentFlags().Bool("debug", false, "show what is tried, too")
	}
	cmd.AddCommand(s.verb(azwi.Create), s.verb(azwi.Delete))
	return cmd
}

// run runs phases of a verb; nil: all but those to skip.
func (s *serviceAccount) run(cmd *cobra.Command, v azwi.Verb, w *workload, only []azwi.Phase) error {
	r := &azwi.Run{Verb: v, Options: w.Options, Phases: only, DryRun: w.dryRun, Tool: "entente " + version()}
	debug, _ := cmd.Flags().GetBool("debug") // every command here has it
	r.Log = newAzwiLog(cmd.ErrOrStderr(), debug)
	if err := w.skipped(r); err != nil {
		return err
	}
	if err := s.auth.check(cmd); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	if r.Needs(azwi.ServiceAccountPhase) {
		var err error
		if r.Kubernetes, err = openKubernetes(w.kubeconfig, w.kubeContext); err != nil {
			return err
		}
	}
	t, err := s.auth.open(cmd, r.Log)
	if err != nil {
		return err
	}
	if w.Identity() {
		if r.SubscriptionID, err = t.subscription(cmd.Context()); err != nil {
			return err
		}
	}
	source, endpoints, err := t.credentialFor()
	if err != nil {
		return err
	}
	r.Client, err = client.New(client.Config{Endpoints: endpoints, TenantID: t.tenantID, HTTP: t.http, Credential: source, UserAgent: "entente/" + version()})
	if err != nil {
		return err
	}
	return t.explain(resume(cmd, w.skip, r.Do(cmd.Context())))
}

// resume says how to go on after a phase that failed, where others were done: by the
// command line as it was given, without those.
func resume(cmd *cobra.Command, skipped []string, err error) error {
	e, ok := errors.AsType[*azwi.IncompleteError](err)
	if !ok || len(e.Done) == 0 {
		return err
	}
	done := make([]string, len(e.Done))
	for i, p := range e.Done {
		done[i] = string(p)
	}
	line := cmd.CommandPath()
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case !wasGiven(cmd.Flags(), f.Name) || f.Name == "skip-phases":
		case f.Name == "client-secret": // is not shown
			line = environmentName(f.Name) + "=… " + line
		case f.NoOptDefVal == f.Value.String():
			line += " --" + f.Name
		default:
			line += " --" + f.Name + " " + quote(f.Value.String())
		}
	})
	return hint(err, "%s: done; repeat the command to go on, which leaves what is done as it is, or run: %s --skip-phases %s",
		strings.Join(done, ", "), line, strings.Join(slices.Concat(skipped, done), ","))
}

// skipped takes the phases that --skip-phases names out of a run.
func (w *workload) skipped(r *azwi.Run) error {
	if len(w.skip) == 0 {
		return nil
	}
	phases := r.Verb.Phases()
	for _, name := range w.skip {
		p, ok := azwi.ParsePhase(name)
		if !ok {
			return fmt.Errorf("failed to compute skip phases: phase '%s' not found. Valid phases are: %v", name, r.Verb.Phases())
		}
		r.Log.Info("skipping phase", "phase", string(p))
		phases = slices.DeleteFunc(phases, func(other azwi.Phase) bool { return other == p })
	}
	r.Phases = phases
	return nil
}
