package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

type portalLinkOptions struct {
	connection
	output
	lifetime time.Duration
}

const (
	maxPortalLinkLifetime = 10 * time.Minute
	minPortalLinkLifetime = time.Second
)

func newPortalLink() *cobra.Command {
	o := &portalLinkOptions{}
	cmd := &cobra.Command{
		Use:   "portal-link",
		Short: "Make a link that opens the portal once, as who calls",
		Long: `Make a link that opens the service's web pages for whoever has it, once, with the
rights of who calls. It is a secret: give it to nobody. It is used up on the page
that it opens, by the button there, and not when a program looks at it. What is
done in the portal then stands in the audit log under the name of who calls.

With -o json the link is .url, and .expiresAt is until when it opens the portal.` + connectionHelp,
		Example: `  entente portal-link
  xdg-open "$(entente portal-link -q)"
  entente portal-link --context lab --lifetime 1m -o json | jq -r .url`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	cmd.Flags().DurationVar(&o.lifetime, "lifetime", maxPortalLinkLifetime, "how long the link may wait to be used; 10m at most")
	o.output.flags(cmd.Flags())
	o.connection.flags(cmd.Flags())
	return cmd
}

func (o *portalLinkOptions) run(cmd *cobra.Command) error {
	if err := o.output.check(); err != nil {
		return err
	}
	if o.lifetime < minPortalLinkLifetime || o.lifetime > maxPortalLinkLifetime || o.lifetime%time.Second != 0 {
		return usage(fmt.Errorf("--lifetime: %s is not a number of whole seconds between 1s and 10m", o.lifetime))
	}
	s, err := o.open(cmd)
	if err != nil {
		return err
	}
	if s.azure {
		return hint(errors.New("the clouds of Azure have a portal of their own, and this command has no link to it"), "--context NAME names a service of Entente; entente context list shows those that you have")
	}
	l, err := s.client.MakePortalLink(cmd.Context(), o.lifetime)
	if err != nil {
		return s.explain(err)
	}
	url := func() string { return l.URL }
	l.ExpiresAt = l.ExpiresAt.UTC().Truncate(time.Second)
	if err := o.output.print(cmd.OutOrStdout(), l, url, func() error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), l.URL)
		return err
	}); err != nil {
		return err
	}
	note(cmd, "It opens the portal once, until %s.", l.ExpiresAt.Local().Format("2006-01-02 15:04:05 MST"))
	return nil
}
