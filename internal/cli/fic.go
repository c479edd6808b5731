package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

func newFIC() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "federated-credential",
		Aliases: []string{"fic"},
		Short:   "Say which workloads may be an application or a managed identity",
		Long: `Keep the federated identity credentials of applications and managed identities.
Each trusts what one issuer says about one subject: a Kubernetes service account, a
job of GitHub Actions, or any other. A parent holds at most 20 of them.`,
		Example: `  entente federated-credential create --application pets --service-account pets/web --cluster prod
  entente fic create --managed-identity cat -g pets --service-account pets/web --cluster prod --wait
  entente fic create --application deploy --github contoso/shop --branch main
  entente fic list --application pets`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFICCreate(), newFICList(), newFICShow(), newFICUpdate(), newFICDelete())
	return cmd
}

// ficOptions are what the verbs on federated credentials have in common.
type ficOptions struct {
	connection
	output
	application, identity string
	group, subscription   string
}

func (o *ficOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.application, "application", "", "`NAME` of the application, or its client or object id")
	f.StringVar(&o.identity, "managed-identity", "", "`NAME` of the managed identity, or its resource id")
	f.StringVarP(&o.group, "resource-group", "g", "", "`GROUP` of the managed identity")
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription (default: the only one)")
	o.output.flags(f)
	o.connection.flags(f)
}

// check is what can be said about the flags before anything is asked.
func (o *ficOptions) check(cmd *cobra.Command) error {
	if (o.application == "") == (o.identity == "") {
		return usage(hint(errors.New("give one of --application NAME and --managed-identity NAME -g GROUP"), "%s --help has examples", cmd.CommandPath()))
	}
	if o.identity != "" && o.group == "" && !strings.HasPrefix(o.identity, "/") {
		return usage(errors.New("--resource-group (-g) is missing: that of the managed identity"))
	}
	return o.output.check()
}

// parent opens the session, and finds whose credentials it is about.
func (o *ficOptions) parent(cmd *cobra.Command) (*session, ficParent, error) {
	if err := o.check(cmd); err != nil {
		return nil, ficParent{}, err
	}
	s, err := o.open(cmd)
	if err != nil {
		return nil, ficParent{}, err
	}
	p, err := findParent(cmd.Context(), s, o)
	return s, p, s.explain(err)
}

// ficObject is a credential as it is printed.
type ficObject struct {
	client.FederatedCredential
	Parent ficParent `json:"parent"`
}

// serviceAccount is the subject as NAMESPACE/NAME, where it is one.
func (c ficObject) serviceAccount() string {
	if namespace, name, ok := credential.ParseServiceAccountSubject(c.Subject); ok {
		return namespace + "/" + name
	}
	return ""
}

var ficView = view[ficObject]{
	name:    func(c ficObject) string { return c.Name },
	columns: []string{"NAME", "SUBJECT", "ISSUER"},
	row:     func(c ficObject) []string { return []string{c.Name, c.Subject, c.Issuer} },
	details: func(c ficObject) [][2]string {
		return [][2]string{
			{"Name", c.Name}, {"Of", c.Parent.String()}, {"Client", c.Parent.ClientID}, {"Issuer", c.Issuer}, {"Subject", c.Subject},
			{"Service account", c.serviceAccount()}, {"Audience", strings.Join(c.Audiences, ", ")}, {"Description", c.Description},
		}
	},
}

func newFICList() *cobra.Command {
	o := &ficOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the credentials of an application or a managed identity",
		Long:  `List the federated credentials of one parent, and how many of those it may have are used.` + connectionHelp,
		Example: `  entente federated-credential list --application pets
  entente federated-credential list --managed-identity cat -g pets -o json`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, p, err := o.parent(cmd)
			if err != nil {
				return err
			}
			found, err := p.list(cmd.Context(), s)
			if err != nil {
				return s.explain(err)
			}
			all := make([]ficObject, len(found))
			for i, c := range found {
				all[i] = ficObject{c, p}
			}
			if err := ficView.list(cmd.OutOrStdout(), o.output, all); err != nil {
				return err
			}
			if o.output == "table" {
				note(cmd, "%s: used %d of %d", p, len(all), limitOf(cmd.Context(), s))
			}
			return nil
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func newFICShow() *cobra.Command {
	o := &struct {
		ficOptions
		trust trustOptions
	}{}
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show a credential",
		Long: `Show a federated credential: by its name, or by what it trusts, given as for
create.` + connectionHelp,
		Example: `  entente federated-credential show web --application pets
  entente federated-credential show --managed-identity cat -g pets --service-account pets/web --cluster prod`,
		Args: arguments("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, p, err := o.parent(cmd)
			if err != nil {
				return err
			}
			c, err := o.trust.find(cmd, s, p, args)
			if err != nil {
				return s.explain(err)
			}
			return ficView.one(cmd.OutOrStdout(), o.output, ficObject{c, p})
		},
	}
	o.flags(cmd.Flags())
	o.trust.flags(cmd.Flags())
	return cmd
}

func newFICDelete() *cobra.Command {
	o := &struct {
		ficOptions
		trust       trustOptions
		yes, dryRun bool
	}{}
	cmd := &cobra.Command{
		Use:   "delete [NAME]",
		Short: "Delete a credential",
		Long: `Delete a federated credential: by its name, or by what it trusts, given as for
create. One that is not there needs no deleting, and is no error.` + connectionHelp,
		Example: `  entente federated-credential delete web --application pets
  entente federated-credential delete --application pets --service-account pets/web --cluster prod --yes`,
		Args: arguments("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, p, err := o.parent(cmd)
			if err != nil {
				return err
			}
			ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
			c, err := o.trust.find(cmd, s, p, args)
			if errors.Is(err, client.ErrNotFound) {
				note(cmd, "nothing to delete: %v", err)
				return nil
			}
			if err != nil {
				return s.explain(err)
			}
			what := fmt.Sprintf("the credential %q of %s, which trusts %s about %s", c.Name, p, c.Issuer, c.Subject)
			if o.dryRun {
				fmt.Fprintf(stderr, "dry run: would delete %s\n", what)
				return ficView.one(cmd.OutOrStdout(), o.output, ficObject{c, p})
			}
			if !o.yes {
				if err := confirm(cmd.InOrStdin(), stderr, "Delete "+what+"?"); err != nil {
					return err
				}
			}
			if err := p.remove(ctx, s, c); err != nil && !errors.Is(err, client.ErrNotFound) {
				return s.explain(err)
			}
			note(cmd, "deleted %s", what)
			return nil
		},
	}
	f := cmd.Flags()
	o.flags(f)
	o.trust.flags(f)
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	return cmd
}
