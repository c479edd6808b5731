package portal

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

type newClusterView struct {
	Errors              []string
	Group, Source       choice
	Name, Issuer, Keys  field
	OnlyDiscovery       bool // the caller may not set keys
	KeysCommand, GetURL string
	Lines               []sourceLine
	Action, Back        string
}

// sourceLine is the command that does the same as the form.
type sourceLine struct{ Source, Text string }

// sources are where the keys of a new cluster's issuer come from.
var sources = []option{
	{string(directory.ClusterDiscovery), "From the issuer itself, which this service can reach"},
	{string(directory.ClusterKeySet), "From a key set that I upload"},
	{string(directory.HostedKeys), "From a key set that I upload, and this service publishes the issuer"},
}

func (c *call) newCluster() error { return c.showNewCluster(0, newClusterView{}) }

// showNewCluster shows the form with what was typed. Of v it reads the errors.
func (c *call) showNewCluster(status int, v newClusterView) error {
	groups, err := c.clusterGroups()
	if err != nil {
		return err
	}
	typed := c.field
	if c.form == nil {
		typed = c.query // a link may name the group
	}
	v.Group = choice{Name: "group", Label: "Resource group", Value: typed("group"), Error: v.Group.Error, Required: true}
	for _, g := range groups {
		v.Group.Options = append(v.Group.Options, option{g.SubscriptionID + "/" + g.Name, g.Name})
	}
	v.Name = field{Name: "name", Label: "Name", Value: typed("name"), Error: v.Name.Error, Max: 63, Required: true, Hint: "1 to 63 letters, digits, - and _. It cannot be changed later."}
	v.Source = choice{Name: "source", Label: "Where its keys come from", Value: cmp.Or(typed("source"), string(directory.ClusterDiscovery)), Error: v.Source.Error, Options: sources, Required: true}
	if v.OnlyDiscovery = !c.maySetIssuers(); v.OnlyDiscovery {
		v.Source.Options = sources[:1]
	}
	v.Issuer = field{
		Name: "issuer", Label: "Cluster issuer URL", Value: typed("issuer"), Error: v.Issuer.Error, Max: credential.MaxIssuer, Placeholder: "https://",
		Hint: "Exactly as in the cluster's tokens, with or without its last slash.",
	}
	v.Keys = keySetField(typed("keyset"), v.Keys.Error)
	v.KeysCommand, v.GetURL = keySetCommand, issuerCommand
	const register = "entente cluster register NAME --resource-group GROUP"
	v.Lines = []sourceLine{
		{sources[0].Value, register + " --issuer URL"},
		{sources[1].Value, keySetCommand + " |\n  " + register + " --issuer URL --keys -"},
		{sources[2].Value, register + " --hosted"},
	}
	v.Lines = v.Lines[:len(v.Source.Options)]
	v.Action, v.Back = clustersPath+"/new", clustersPath
	return c.show(page{template: "cluster-new", title: "Register a cluster", status: status, trail: []crumb{{"Clusters", clustersPath}}}, v)
}

func (c *call) registerCluster() error {
	var v newClusterView
	subscription, group, _ := strings.Cut(c.field("group"), "/")
	spec := directory.ClusterSpec{ClusterRef: directory.ClusterRef{SubscriptionID: subscription, Group: group, Name: c.field("name")}, Issuer: &directory.ClusterIssuerSpec{Keys: directory.ClusterKeys(c.field("source"))}}
	if !slices.ContainsFunc(sources, func(o option) bool { return o.Value == string(spec.Issuer.Keys) }) {
		v.Source.Error = "Choose one of these."
	}
	if spec.Issuer.Keys != directory.HostedKeys {
		spec.Issuer.URL = c.form.Get("issuer") // blanks around it are an error that is told
		if spec.Issuer.URL = strings.TrimSpace(spec.Issuer.URL); spec.Issuer.URL == "" {
			v.Issuer.Error = "Say what the cluster's issuer is called."
		}
	}
	if set := c.field("keyset"); spec.Issuer.Keys != directory.ClusterDiscovery && (set != "" || spec.Issuer.Keys == directory.ClusterKeySet) {
		v.Keys.Error = c.wrongKeySet([]byte(set))
		spec.Issuer.KeySet = json.RawMessage(set)
	}
	if spec.Name == "" {
		v.Name.Error = "Give the cluster a name."
	}
	g, err := c.Directory.Group(c, c.caller, subscription, group)
	switch {
	case isNotFound(err) || isForbidden(err):
		v.Group.Error = "Choose a resource group."
	case err != nil:
		return err
	}
	if cmp.Or(v.Name.Error, v.Source.Error, v.Issuer.Error, v.Keys.Error, v.Group.Error) != "" {
		v.Errors = []string{nothingDone}
		return c.showNewCluster(http.StatusUnprocessableEntity, v)
	}
	spec.Location = g.Location
	// PutCluster changes the one of this name, which a page that registers must not.
	switch there, err := c.Directory.Cluster(c, c.caller, spec.ClusterRef); {
	case err == nil:
		v.Errors, v.Name.Error = []string{nothingDone}, "The resource group has a cluster "+there.Name+" already."
		return c.showNewCluster(http.StatusConflict, v)
	case !isNotFound(err) && !isForbidden(err):
		return err
	}
	k, _, err := c.Directory.PutCluster(c, c.caller, spec)
	if refused, ok := refused(err); ok {
		v.Errors = []string{refused.text}
		v.Name.Error = refused.at("name")
		v.Issuer.Error = refused.at("issuerURL")
		v.Source.Error = refused.at("keySource")
		v.Keys.Error = refused.at("keySet")
		return c.showNewCluster(refused.status, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(clusterPath(k.ClusterRef), "registered"))
}
