package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/plan"
)

type exportOptions struct {
	connection
	applications, identities []string
	group, subscription      string
	federated                bool
}

func newExport() *cobra.Command {
	o := &exportOptions{}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a file of the applications, identities and credentials that are there",
		Long: `Write down what is there, as a file for "entente plan" and "entente apply", or for
"entente serve --seed". A plan of it has nothing to do. What the caller may not read,
and what such a file cannot say, is left out with a warning; secrets are in none.

Without a selection it is everything: in a large tenant of Azure, some requests for
each application.` + connectionHelp,
		Example: `  entente export > state.yaml
  entente export --federated --cloud public > azure.yaml
  entente export --application pets-worker --managed-identity pets/cat
  entente export -g pets`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.applications, "application", nil, "only the application with this `NAME`, client id or object id; may be repeated")
	f.StringArrayVar(&o.identities, "managed-identity", nil, "only the managed identity with this `NAME`, GROUP/NAME or resource id; may be repeated")
	f.StringVarP(&o.group, "resource-group", "g", "", "`GROUP` of the managed identities")
	f.BoolVar(&o.federated, "federated", false, "only what has federated credentials")
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription (default: the only one)")
	o.connection.flags(f)
	return cmd
}

func (o *exportOptions) run(cmd *cobra.Command) error {
	x := plan.ExportOptions{Applications: o.applications, ResourceGroup: o.group, Federated: o.federated, Subscription: o.subscription}
	for _, name := range o.identities {
		switch id, err := client.ParseIdentityID(name); {
		case err == nil:
			if x.Subscription != "" && !strings.EqualFold(x.Subscription, id.SubscriptionID) {
				return usage(fmt.Errorf("--managed-identity: %q is in another subscription than %s", name, x.Subscription))
			}
			x.Subscription = id.SubscriptionID
			name = id.ResourceGroup + "/" + id.Name
		case !strings.Contains(name, "/") && o.group == "":
			return usage(fmt.Errorf("--managed-identity: %q needs its group: GROUP/NAME, or --resource-group (-g)", name))
		case !strings.Contains(name, "/"):
			name = o.group + "/" + name
		case strings.Count(name, "/") > 1:
			return usage(fmt.Errorf("--managed-identity: %q is no NAME, GROUP/NAME or resource id", name))
		}
		x.Identities = append(x.Identities, name)
	}
	s, err := o.open(cmd)
	if err != nil {
		return err
	}
	if x.Subscription == "" {
		if x.Subscription, err = o.anySubscription(cmd.Context(), s); err != nil {
			return s.explain(err)
		}
	}
	goes := progressOf(cmd)
	goes.passing("reading what there is at %s …", s.authority)
	made, err := plan.Export(cmd.Context(), s.client, x)
	goes.done()
	if err != nil {
		if several, ok := errors.AsType[*client.AmbiguousError](err); ok {
			return hint(err, "--application takes one of the ids, such as %s", several.IDs[0])
		}
		if errors.Is(err, client.ErrNotFound) {
			return hint(err, "without --application and --managed-identity it is all that there is")
		}
		return s.explain(err)
	}
	if _, err := cmd.OutOrStdout().Write(made.Text); err != nil {
		return err
	}
	for _, n := range made.Notes {
		warn(cmd, "%s", n)
	}
	note(cmd, "exported %s and %s", some(made.Applications, "application"), some(made.Identities, "managed identity"))
	return nil
}

// anySubscription is the caller's only one, or none if it sees none: applications
// belong to no subscription.
func (o *exportOptions) anySubscription(ctx context.Context, s *session) (string, error) {
	if s.subscription == "" && len(o.identities) == 0 {
		if all, err := s.client.Subscriptions(ctx); err == nil && len(all) == 0 {
			return "", nil
		}
	}
	return s.subscriptionID(ctx, "")
}

// some is a number of things in words.
func some(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
