package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
)

type registerOptions struct {
	clusterOptions
	issuer   string
	hosted   bool
	noIssuer bool
	keys     []string
	location string
	dryRun   bool
}

func newClusterRegister() *cobra.Command {
	o := &registerOptions{}
	cmd := &cobra.Command{
		Use:   "register NAME",
		Short: "Register a cluster and its issuer",
		Long: `Register a cluster, with one of

  --issuer URL              the issuer publishes its keys itself
  --issuer URL --keys FILE  its keys are uploaded; nobody needs to reach it
  --hosted                  the service publishes an issuer for the cluster, which
                            a private or a rebuilt cluster keeps; its keys are
                            uploaded now (--keys) or later (update-keys)
  --no-issuer               none yet

The same again changes nothing. A resource group that is not there is made.
Uploading keys takes the right to set an issuer's keys (Federation Administrator),
because whoever has that can speak for every workload of the cluster.` + connectionHelp,
		Example: `  # then start the API server with the two flags that are printed, and push its keys
  entente cluster register prod -g pets --hosted

  # the issuer and the keys of an API server that only this machine can reach
  kubectl get --raw /openid/v1/jwks |
    entente cluster register lab -g pets --issuer https://kubernetes.default.svc.cluster.local --keys -

  # keys as kubeadm has them
  entente cluster register lab -g pets --hosted --keys /etc/kubernetes/pki/sa.pub

  # an issuer in reach of the service
  entente cluster register edge -g pets --issuer https://oidc.example.org/edge/`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the cluster's issuer, exactly as in its tokens")
	f.BoolVar(&o.hosted, "hosted", false, "the service publishes the issuer")
	f.BoolVar(&o.noIssuer, "no-issuer", false, "the cluster has no issuer yet")
	f.StringArrayVar(&o.keys, "keys", nil, "`FILE` of public keys, a JSON Web Key Set or PEM; - is standard input (repeatable)")
	f.StringVar(&o.location, "location", "", "`LOCATION` of the cluster (default: the resource group's, or "+defaultLocation+")")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be registered, and register nothing")
	o.flags(f)
	return cmd
}

// spec is what the flags say about the issuer.
func (o *registerOptions) spec(cmd *cobra.Command) (*client.ClusterIssuerSpec, error) {
	said := 0
	for _, yes := range []bool{o.issuer != "", o.hosted, o.noIssuer} {
		if yes {
			said++
		}
	}
	if said != 1 {
		return nil, usage(hint(errors.New("give one of --issuer URL, --hosted and --no-issuer"), "%s --help says when to use which", cmd.CommandPath()))
	}
	if o.noIssuer {
		if len(o.keys) > 0 {
			return nil, usage(errors.New("--keys are those of an issuer: give --issuer URL or --hosted instead of --no-issuer"))
		}
		return nil, nil
	}
	spec := &client.ClusterIssuerSpec{URL: o.issuer, KeySource: client.DiscoveredKeys}
	if o.hosted {
		spec.KeySource = client.HostedKeys
	}
	if len(o.keys) > 0 {
		set, err := readKeySet(o.keys, cmd.InOrStdin())
		if err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		}
		for _, note := range set.notes {
			warn(cmd, "%s", note)
		}
		spec.KeySet = set.document
		if !o.hosted {
			spec.KeySource = client.UploadedKeys
		}
	}
	return spec, nil
}

func (o *registerOptions) run(cmd *cobra.Command, name string) error {
	issuer, err := o.spec(cmd)
	if err != nil {
		return err
	}
	s, id, err := o.one(cmd, name)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	group := client.ResourceGroupID{SubscriptionID: id.SubscriptionID, Name: id.ResourceGroup}
	location, made, err := ensureGroup(ctx, s, group, o.location, o.dryRun)
	if err != nil {
		return s.explain(err)
	}
	would := ""
	if o.dryRun {
		would = "dry run: would have "
	}
	if made {
		note(cmd, "%smade the resource group %q (location %s)", would, group.Name, location)
	}
	there := client.Cluster{}
	if !made {
		there, err = s.client.Cluster(ctx, id)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return s.explain(err)
		}
	}
	spec := client.ClusterSpec{Location: cmp.Or(o.location, there.Location, location), Tags: there.Tags, Issuer: issuer}
	if o.dryRun {
		return o.pretend(cmd, id, there, spec)
	}
	c, created, err := s.client.PutCluster(ctx, id, spec)
	if err != nil {
		return s.explain(o.advise(err, id))
	}
	done := "registered"
	if !created {
		if done = "updated"; sameIssuer(there.Issuer, c.Issuer) {
			done = "there was already"
		}
	}
	note(cmd, "%s the cluster %q in %q", done, c.Name, id.ResourceGroup)
	if err := clusterView.one(cmd.OutOrStdout(), o.output, printable(c)); err != nil {
		return err
	}
	if o.output == "table" && !mannersOf(ctx).quiet && c.Issuer != nil && c.Issuer.KeySource == client.HostedKeys {
		o.next(cmd, c, id)
	}
	return nil
}

func sameIssuer(a, b *client.ClusterIssuer) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.URL == b.URL && a.KeySource == b.KeySource && a.KeysUpdatedAt.Equal(b.KeysUpdatedAt)
}

// pretend prints the cluster as it would be.
func (o *registerOptions) pretend(cmd *cobra.Command, id client.ClusterID, there client.Cluster, spec client.ClusterSpec) error {
	c := there
	if c.ID == "" {
		c = client.Cluster{ID: id.String(), Name: id.Name}
		fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would have registered the cluster %q in %q\n", id.Name, id.ResourceGroup)
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(), "dry run: the cluster %q in %q is there\n", c.Name, id.ResourceGroup)
	}
	c.Location = spec.Location
	if i := spec.Issuer; i != nil {
		old := c.Issuer
		c.Issuer = &client.ClusterIssuer{URL: i.URL, KeySource: i.KeySource}
		if old != nil {
			c.Issuer.URL, c.Issuer.KeyIDs = cmp.Or(i.URL, old.URL), old.KeyIDs
		}
		if i.KeySet != nil {
			set, err := checkKeySet(i.KeySet)
			if err != nil {
				return err
			}
			c.Issuer.KeyIDs = set.ids
		}
	}
	return clusterView.one(cmd.OutOrStdout(), o.output, printable(c))
}

// advise adds what to do about a refusal.
func (o *registerOptions) advise(err error, id client.ClusterID) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case "PropertyChangeNotAllowed":
		return hint(err, "entente cluster show %s -g %s shows what it has; delete it to register it otherwise", quote(id.Name), quote(id.ResourceGroup))
	case "Conflict":
		if o.issuer != "" && len(o.keys) > 0 {
			return hint(err, "an issuer's URL has one set of keys in a tenant; --hosted gives the cluster an issuer of its own")
		}
	}
	return err
}

// next says how the cluster comes to use the issuer that is hosted for it.
func (o *registerOptions) next(cmd *cobra.Command, c client.Cluster, id client.ClusterID) {
	url := c.Issuer.URL
	fmt.Fprintf(cmd.ErrOrStderr(), `
Start the cluster's API server with

  --service-account-issuer=%s
  --service-account-jwks-uri=%sopenid/v1/jwks
`, url, strings.TrimRight(url, "/")+"/")
	if len(c.Issuer.KeyIDs) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "\nand publish its keys, with its kubeconfig or inside it\n\n  entente cluster update-keys %s -g %s --from-cluster\n", quote(id.Name), quote(id.ResourceGroup))
	}
}
