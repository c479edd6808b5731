package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

func newContext() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Name the services that you work with",
		Long: `Keep names for services: their address, the CA to trust for each, a tenant and a
subscription, and who is logged in. public, usgov and china are there already:
they are Azure's clouds.

The names stand in entente/contexts.json of your configuration directory, or in
the file that ENTENTE_CONFIG names; secrets in a file beside it. Both are for you
alone.`,
		Example: `  entente context add lab --url https://entente.lab.example --ca ca.pem
  entente login --context lab --client-id ID --client-secret-file secret.txt
  entente context use lab
  entente context list`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newContextAdd(), newContextUse(), newContextList(), newContextShow(), newContextRemove())
	return cmd
}

// contextObject is a context as it is printed.
type contextObject struct {
	login.Context
	Authority string `json:"authority"`
	Current   bool   `json:"current"`
}

func printableContext(c login.Context, all login.Contexts) contextObject {
	return contextObject{c, c.Endpoints().Authority, c.Name == all.Current}
}

func loginInWords(c login.Context) string {
	if c.Login.Method == "" && c.IsAzure() {
		return methodInWords(login.AzureCLI, "")
	}
	return cmp.Or(methodInWords(c.Login.Method, c.Login.ClientID), "-")
}

// methodInWords is how a client proves itself; empty if that is not known.
func methodInWords(method login.Method, clientID string) string {
	return map[login.Method]string{
		login.AzureCLI: "who is logged in to az", login.Environment: "the client in the environment", login.Secret: "client secret of " + clientID,
		login.Certificate: "certificate of " + clientID, login.Federated: "federated token of " + clientID, login.ManagedIdentity: strings.TrimSpace("managed identity " + clientID),
	}[method]
}

var contextView = view[contextObject]{
	name:    func(c contextObject) string { return c.Name },
	columns: []string{"CURRENT", "NAME", "SERVICE", "TENANT", "LOGIN"},
	row: func(c contextObject) []string {
		mark := ""
		if c.Current {
			mark = "*"
		}
		return []string{mark, c.Name, c.Authority, cmp.Or(c.TenantID, "-"), loginInWords(c.Context)}
	},
	details: func(c contextObject) [][2]string {
		ca := ""
		if c.CA != "" {
			ca = "kept with the context, and no other is trusted"
		}
		return [][2]string{
			{"Name", c.Name}, {"Cloud", c.Cloud}, {"Service", c.Authority}, {"CA", ca}, {"Tenant", c.TenantID}, {"Subscription", c.SubscriptionID},
			{"Login", loginInWords(c.Context)}, {"Certificate", c.Login.CertificateFile}, {"Token file", c.Login.TokenFile},
		}
	},
}

type contextAddOptions struct {
	output
	url, ca, cloud, tenant, subscription string
	use, noCheck, dryRun                 bool
}

func newContextAdd() *cobra.Command {
	o := &contextAddOptions{}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Give a service a name",
		Long: `Give a service a name. Its CA is copied, so that the file may go. The service is
asked which tenant it has, unless --no-check is given; that shows at once whether
the address and the CA fit.

The first context becomes the current one. The same again changes nothing; what is
there under the name stays until "entente context remove" removes it.`,
		Example: `  entente context add lab --url https://entente.lab.example --ca ca.pem
  entente context add prod --url https://id.example.org --tenant example.org --use
  entente context add gov --cloud usgov --tenant contoso.onmicrosoft.us --subscription ID`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "`URL` of the service")
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` of the CA to trust for it (default: the system's)")
	f.StringVar(&o.cloud, "cloud", "", "`CLOUD` of Azure instead: public, usgov or china")
	f.StringVar(&o.tenant, "tenant", "", "`TENANT`, by id or domain (default: the service's own)")
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription (default: the caller's only one)")
	f.BoolVar(&o.use, "use", false, "make it the current context")
	f.BoolVar(&o.noCheck, "no-check", false, "do not ask the service")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything and say what would be kept, and keep nothing")
	o.output.flags(f)
	return cmd
}

// context is what the flags say.
func (o *contextAddOptions) context(cmd *cobra.Command, name string) (login.Context, error) {
	c := login.Context{Name: name, TenantID: o.tenant, SubscriptionID: o.subscription}
	// What a shell was pointed at is not an answer to which cloud is meant.
	if wasGiven(cmd.Flags(), "cloud") {
		for _, other := range []string{"url", "ca"} {
			if wasGiven(cmd.Flags(), other) {
				return c, usage(errors.New("--cloud is for Azure, and --url and --ca for a service of one's own"))
			}
		}
		ours, _, ok := login.Cloud(o.cloud)
		if !ok {
			return c, usage(fmt.Errorf("--cloud: %q is none of %s", o.cloud, strings.Join(login.Clouds(), ", ")))
		}
		c.Cloud = ours
		if !wasGiven(cmd.Flags(), "tenant") {
			c.TenantID = ""
		}
	} else {
		if o.url == "" {
			return c, usage(hint(errors.New("give --url URL, or --cloud of Azure"), "%s --help has examples", cmd.CommandPath()))
		}
		c.URL = strings.TrimRight(o.url, "/")
		if wasGiven(cmd.Flags(), "url") { // the shell may be pointed at another service
			for flag, value := range map[string]*string{"ca": &o.ca, "tenant": &c.TenantID} {
				if !wasGiven(cmd.Flags(), flag) {
					*value = ""
				}
			}
		}
		if o.ca != "" {
			text, err := readFileBounded(o.ca)
			if err != nil {
				return c, fmt.Errorf("read the CA of the service: %w", err)
			}
			c.CA = string(text)
		}
	}
	return c, usage(c.Check())
}

// readFileBounded reads a small file.
func readFileBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f, name)
}

// tenantOf asks the service of a context for the id of its tenant.
func tenantOf(ctx context.Context, c login.Context) (string, error) {
	s := sessionOf(c)
	name := c.TenantID
	if name == "" {
		name = "adfs"
	}
	id, err := client.ResolveTenant(ctx, s.authority, name, s.http)
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		if cause := errors.Unwrap(err); c.TenantID == "" && cause != nil {
			err = cause // the tenant was not asked for
		}
		return "", hint(err, "nothing answers at %s; --no-check keeps the context unseen", s.authority)
	}
	if err != nil && c.CA == "" && !c.IsAzure() {
		return "", hint(err, "--ca FILE names the CA of a service that made its own; --no-check keeps the context unseen")
	}
	if err != nil {
		return "", hint(err, "look at --url, --ca and --tenant; --no-check keeps the context unseen")
	}
	return id, nil
}

func (o *contextAddOptions) run(cmd *cobra.Command, name string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	c, err := o.context(cmd, name)
	if err != nil {
		return err
	}
	if _, notID := uuid.Parse(c.TenantID); !o.noCheck && (!c.IsAzure() || c.TenantID != "" && notID != nil) {
		if c.TenantID, err = tenantOf(cmd.Context(), c); err != nil {
			return err
		}
	}
	store, _, err := openContexts(os.Getenv)
	if err != nil {
		return err
	}
	done, after := "added", login.Contexts{}
	err = changeContexts(cmd.Context(), store, o.dryRun, func(all *login.Change) error {
		old, there := all.Find(name)
		if there {
			c.Login = old.Login
			if c.TenantID == "" {
				c.TenantID = old.TenantID
			}
			if c != old {
				return hint(fmt.Errorf("there is another context %q, of %s", name, old.Endpoints().Authority), "entente context remove %s removes it, with its login", quote(name))
			}
			done = "there was already"
		}
		if o.use || all.Current == "" {
			all.Current = name
		}
		defer func() { after = all.Contexts }()
		return all.Put(c, "")
	})
	if err != nil {
		return err
	}
	switch {
	case o.dryRun && done == "added":
		fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would have added the context %q\n", name)
	case o.dryRun:
		fmt.Fprintf(cmd.ErrOrStderr(), "dry run: the context %q is there\n", name)
	default:
		note(cmd, "%s the context %q", done, name)
	}
	if after.Current == name && !o.dryRun {
		note(cmd, "it is the current one")
	}
	return contextView.one(cmd.OutOrStdout(), o.output, printableContext(c, after))
}

// contextNames completes the names of contexts.
func contextNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, all, err := openContexts(os.Getenv)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return all.Names(), cobra.ShellCompDirectiveNoFileComp
}

func newContextUse() *cobra.Command {
	dryRun := false
	cmd := &cobra.Command{
		Use:   "use NAME",
		Short: "Make a context the current one",
		Long: `Make a context the current one: that of commands which are told of no other, by
their flags or by the shell that they run in.`,
		Example:           "  entente context use lab\n  entente context use public",
		Args:              arguments("NAME"),
		ValidArgsFunction: contextNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, _, err := openContexts(os.Getenv)
			if err != nil {
				return err
			}
			var c login.Context
			err = changeContexts(cmd.Context(), store, dryRun, func(all *login.Change) (err error) {
				c, err = findContext(all.Contexts, args[0])
				all.Current = c.Name
				return err
			})
			if err != nil {
				return err
			}
			if dryRun {
				fmt.Fprintf(cmd.ErrOrStderr(), "dry run: the current context would be %q, %s\n", c.Name, c.Endpoints().Authority)
				return nil
			}
			note(cmd, "the current context is %q, %s", c.Name, c.Endpoints().Authority)
			for _, name := range []string{"ENTENTE_CONTEXT", "ENTENTE_CLOUD", "ENTENTE_URL", "ENTENTE_DATA_DIR"} {
				if v := os.Getenv(name); v != "" && v != c.Name {
					warn(cmd, "in this shell %s outweighs it: unset %s", name, name)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say which would be the current one, and change nothing")
	return cmd
}

func newContextList() *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List contexts",
		Long:    `List the contexts that there are, Azure's clouds among them. A star marks the current one.`,
		Example: "  entente context list\n  entente context list -o name",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			_, all, err := openContexts(os.Getenv)
			if err != nil {
				return err
			}
			var list []contextObject
			for _, name := range all.Names() {
				c, _ := all.Find(name)
				list = append(list, printableContext(c, all))
			}
			return contextView.list(cmd.OutOrStdout(), o, list)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func newContextShow() *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:               "show [NAME]",
		Short:             "Show a context",
		Long:              `Show a context, or the current one. No secret is shown.`,
		Example:           "  entente context show\n  entente context show lab -o json | jq -r .ca > ca.pem",
		Args:              arguments("[NAME]"),
		ValidArgsFunction: contextNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			_, all, err := openContexts(os.Getenv)
			if err != nil {
				return err
			}
			name := all.Current
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return hint(notThere("there is no current context"), "entente context use NAME makes one the current one")
			}
			c, err := findContext(all, name)
			if err != nil {
				return err
			}
			return contextView.one(cmd.OutOrStdout(), o, printableContext(c, all))
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func newContextRemove() *cobra.Command {
	o := &struct{ yes, dryRun bool }{}
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a context, with its login",
		Long: `Forget a context and the secret that was kept for it. The service is not asked.
Where somebody is logged in to it, you are asked first.`,
		Example:           "  entente context remove lab\n  entente context remove lab --yes",
		Args:              arguments("NAME"),
		ValidArgsFunction: contextNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, all, err := openContexts(os.Getenv)
			if err != nil {
				return err
			}
			c, err := findContext(all, args[0])
			if err != nil {
				return err
			}
			what := fmt.Sprintf("the context %q", c.Name)
			if c.Login != (login.Login{}) {
				what += " and its login, the " + loginInWords(c)
			}
			if !slices.ContainsFunc(all.All, func(one login.Context) bool { return one.Name == c.Name }) {
				note(cmd, "nothing was kept about %q, which is always there", args[0])
				return nil
			}
			if o.dryRun {
				fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would remove %s\n", what)
				return nil
			}
			if !o.yes && c.Login != (login.Login{}) {
				if err := confirm(cmd.InOrStdin(), cmd.ErrOrStderr(), "Remove "+what+"?"); err != nil {
					return err
				}
			}
			err = changeContexts(cmd.Context(), store, false, func(all *login.Change) error {
				all.Remove(c.Name)
				return nil
			})
			if err != nil {
				return err
			}
			note(cmd, "removed the context %q", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return cmd
}
