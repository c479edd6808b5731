package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
)

func newCluster() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Register Kubernetes clusters, and keep their keys up to date",
		Long: `Keep the service's registry of Kubernetes clusters: what issuer the
service-account tokens of each have, and where that issuer's keys come from.`,
		Example: `  # a cluster whose issuer the service publishes, so that nobody needs to reach the cluster
  entente cluster register prod -g pets --hosted
  entente cluster update-keys prod -g pets --from-cluster

  # one that publishes its issuer itself
  entente cluster register edge -g pets --issuer https://oidc.example.org/edge/

  entente cluster list`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClusterRegister(), newClusterShow(), newClusterList(), newClusterUpdateKeys(), newClusterReport(), newClusterDelete())
	return cmd
}

// clusterOptions are what the verbs on clusters have in common.
type clusterOptions struct {
	connection
	output
	group        string
	subscription string

	named client.ClusterID // by the command line
}

func (o *clusterOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.group, "resource-group", "g", "", "`GROUP` of the cluster")
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription (default: the only one)")
	o.output.flags(f)
	o.connection.flags(f)
}

// one opens the session, and names the cluster.
func (o *clusterOptions) one(cmd *cobra.Command, name string) (*session, client.ClusterID, error) {
	if o.group == "" {
		return nil, client.ClusterID{}, usage(hint(errors.New("--resource-group (-g) is missing"), "entente cluster list shows the groups"))
	}
	s, subscription, err := o.all(cmd)
	o.named = client.ClusterID{SubscriptionID: subscription, ResourceGroup: o.group, Name: name}
	return s, o.named, err
}

// all opens the session, and finds the subscription.
func (o *clusterOptions) all(cmd *cobra.Command) (*session, string, error) {
	if err := o.output.check(); err != nil {
		return nil, "", err
	}
	s, err := o.open(cmd)
	if err != nil {
		return nil, "", err
	}
	subscription, err := s.subscriptionID(cmd.Context(), o.subscription)
	return s, subscription, s.explain(err)
}

// explain gives an error about one cluster the hint that mends it.
func (o *clusterOptions) explain(s *session, err error) error {
	err = inGroup(err, "cluster", o.named.Name, client.ResourceGroupID{SubscriptionID: o.named.SubscriptionID, Name: o.named.ResourceGroup})
	const list = "entente cluster list"
	return s.explain(s.list(err, list, list))
}

// clusterObject is a cluster as it is printed.
type clusterObject struct {
	client.Cluster
	SubscriptionID string `json:"subscriptionId"`
	ResourceGroup  string `json:"resourceGroup"`
}

func printable(c client.Cluster) clusterObject {
	id, _ := client.ParseClusterID(c.ID) // another id leaves them empty
	return clusterObject{Cluster: c, SubscriptionID: id.SubscriptionID, ResourceGroup: id.ResourceGroup}
}

var clusterView = view[clusterObject]{
	name:    func(c clusterObject) string { return c.Name },
	columns: []string{"NAME", "RESOURCE GROUP", "KEYS", "ISSUER"},
	row: func(c clusterObject) []string {
		i := c.Issuer
		if i == nil {
			return []string{c.Name, c.ResourceGroup, "-", "-"}
		}
		return []string{c.Name, c.ResourceGroup, string(i.KeySource), i.URL}
	},
	details: func(c clusterObject) [][2]string {
		all := [][2]string{{"Name", c.Name}, {"Resource group", c.ResourceGroup}, {"Location", c.Location}}
		i := c.Issuer
		if i == nil {
			return append(all, [2]string{"Issuer", "none"})
		}
		all = append(all, [2]string{"Issuer", cmp.Or(i.URL, "made when the cluster is registered")}, [2]string{"Keys", keysInWords(*i)})
		for n, id := range i.KeyIDs {
			all = append(all, [2]string{"Key " + strconv.Itoa(n+1), cmp.Or(id, "(without an id)")})
		}
		if len(i.KeyIDs) > 0 {
			all = append(all, [2]string{"Keys updated", i.KeysUpdatedAt.Local().Format("2006-01-02 15:04:05 MST")})
		}
		return all
	},
}

func keysInWords(i client.ClusterIssuer) string {
	words := map[client.KeySource]string{
		client.DiscoveredKeys: "by discovery, from the issuer itself",
		client.JWKSURIKeys:    "from an address that the issuer object has",
		client.UploadedKeys:   "uploaded",
		client.HostedKeys:     "uploaded, and published by the service",
	}[i.KeySource]
	if words == "" {
		return string(i.KeySource)
	}
	if len(i.KeyIDs) == 0 && (i.KeySource == client.UploadedKeys || i.KeySource == client.HostedKeys) {
		words += "; none yet"
	}
	return words
}

func newClusterShow() *cobra.Command {
	o := &clusterOptions{}
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a cluster, its issuer and the ids of its keys",
		Long:  `Show a cluster, its issuer and, where they are uploaded, the ids of its keys.` + connectionHelp,
		Example: `  entente cluster show prod -g pets
  entente cluster show prod -g pets -o json | jq -r .issuer.url`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, id, err := o.one(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := s.client.Cluster(cmd.Context(), id)
			if err != nil {
				return o.explain(s, err)
			}
			return clusterView.one(cmd.OutOrStdout(), o.output, printable(c))
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func newClusterList() *cobra.Command {
	o := &clusterOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List clusters",
		Long:  `List the clusters of a subscription, or of one of its resource groups.` + connectionHelp,
		Example: `  entente cluster list
  entente cluster list -g pets -o name`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, subscription, err := o.all(cmd)
			if err != nil {
				return err
			}
			found, err := s.client.Clusters(cmd.Context(), client.ResourceGroupID{SubscriptionID: subscription, Name: o.group})
			if err != nil {
				return s.explain(err)
			}
			all := make([]clusterObject, len(found))
			for i, c := range found {
				all[i] = printable(c)
			}
			return clusterView.list(cmd.OutOrStdout(), o.output, all)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func newClusterDelete() *cobra.Command {
	o := &struct {
		clusterOptions
		yes, dryRun bool
	}{}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a cluster, with the issuer that the service hosts for it",
		Long: `Delete a cluster from the registry. The cluster itself is not touched. An issuer
that the service hosts for it is deleted with it, unless credentials name it; an
issuer of its own stays. A cluster that is not there needs no deleting, and is no
error.` + connectionHelp,
		Example: `  entente cluster delete prod -g pets
  entente cluster delete prod -g pets --yes
  entente cluster delete prod -g pets --dry-run`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, id, err := o.one(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := s.client.Cluster(cmd.Context(), id)
			if e, ok := errors.AsType[*client.Error](err); ok && (e.Code == "ResourceNotFound" || e.Code == "ResourceGroupNotFound") {
				note(cmd, "nothing to delete: %v", o.explain(s, err))
				return nil
			}
			if err != nil {
				return o.explain(s, err)
			}
			what := fmt.Sprintf("the cluster %q of %q", c.Name, id.ResourceGroup)
			if i := c.Issuer; i != nil && i.KeySource == client.HostedKeys {
				what += " and its issuer " + i.URL
			}
			if o.dryRun {
				fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would delete %s\n", what)
				return clusterView.one(cmd.OutOrStdout(), o.output, printable(c))
			}
			if !o.yes {
				if err := confirm(cmd.InOrStdin(), cmd.ErrOrStderr(), "Delete "+what+"?"); err != nil {
					return err
				}
			}
			if err := s.client.DeleteCluster(cmd.Context(), id); err != nil && !errors.Is(err, client.ErrNotFound) {
				if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "IssuerInUse" {
					return hint(err, "delete those credentials, or have them name another issuer")
				}
				return s.explain(err)
			}
			note(cmd, "deleted %s", what)
			return nil
		},
	}
	f := cmd.Flags()
	o.flags(f)
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	return cmd
}

// confirm asks a person. Where nobody can answer it refuses.
func confirm(in io.Reader, out io.Writer, question string) error {
	switch yes, answered := ask(in, out, question); {
	case !answered:
		return unconfirmed()
	case yes:
		return nil
	}
	return errors.New("nothing was changed")
}

// ask asks a person, and tells whether there was one to answer.
func ask(in io.Reader, out io.Writer, question string) (yes, answered bool) {
	if !isTerminal(in) {
		return false, false
	}
	fmt.Fprintf(out, "%s (y/N) ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(out)
		return false, false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", true
}

func unconfirmed() error {
	return usage(hint(errors.New("nobody is there to confirm"), "--yes deletes without asking; --dry-run says what would go"))
}

// ensureGroup makes a resource group if it is not there, and returns its location.
func ensureGroup(ctx context.Context, s *session, id client.ResourceGroupID, location string, dryRun bool) (_ string, made bool, _ error) {
	g, err := s.client.ResourceGroup(ctx, id)
	if !errors.Is(err, client.ErrNotFound) {
		return g.Location, false, err
	}
	location = cmp.Or(location, defaultLocation)
	if !dryRun {
		_, made, err = s.client.PutResourceGroup(ctx, id, client.ResourceSpec{Location: location})
		return location, made, err
	}
	return location, true, nil
}

// defaultLocation is where things are when nobody says so.
const defaultLocation = "local"
