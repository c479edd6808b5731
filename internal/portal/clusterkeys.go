package portal

import (
	"encoding/json"
	"net/http"

	"github.com/entente-id/entente/internal/directory"
)

type clusterKeysView struct {
	Errors       []string
	Name, Issuer string
	Discovered   bool // its keys are read from it until now
	Field        field
	Change       *keySetChange // nil: nothing was looked at yet
	Present      []string
	Command      string
	Push         string // the command that does the same
	Action, Back string
}

// newClusterKeys is the form for the keys of a cluster.
func (c *call) newClusterKeys() error {
	k, err := c.keyedCluster()
	if err != nil {
		return err
	}
	return c.showClusterKeys(k, 0, clusterKeysView{Field: keySetField("", "")})
}

// keyedCluster reads the cluster of the page's path for those who may set its keys.
func (c *call) keyedCluster() (directory.Cluster, error) {
	k, err := c.findCluster()
	if err != nil {
		return k, err
	}
	if k.Issuer == nil {
		return k, errNoPage
	}
	if !c.maySetClusterKeys(k) {
		return k, &directory.Error{Kind: directory.Forbidden, Object: directory.IssuerObject, ID: k.Issuer.Name, Action: issuerAction + "write", Scope: issuersScope}
	}
	return k, nil
}

func (c *call) showClusterKeys(k directory.Cluster, status int, v clusterKeysView) error {
	v.Name, v.Issuer, v.Discovered, v.Present = k.Name, k.Issuer.URL, k.Issuer.Keys == directory.ClusterDiscovery, k.Issuer.KeyIDs
	v.Command = keySetCommand
	v.Push = "entente cluster update-keys " + shellWord(k.Name) + " --resource-group " + shellWord(k.Group) + " --from-cluster"
	v.Action, v.Back = clusterPath(k.ClusterRef, "keys"), clusterPath(k.ClusterRef)
	title := "Upload new keys"
	if v.Discovered {
		title = "Upload its keys instead"
	}
	return c.show(page{template: "cluster-keys", title: title, above: k.Name, status: status, trail: clusterTrail(k.ClusterRef), side: clusterSide(k, "")}, v)
}

// setClusterKeys looks at a key set, and stores it when it was looked at before.
func (c *call) setClusterKeys() error {
	k, err := c.keyedCluster()
	if err != nil {
		return err
	}
	set := []byte(c.field("keyset"))
	v := clusterKeysView{Field: keySetField(string(set), "")}
	if wrong := c.wrongKeySet(set); wrong != "" {
		v.Errors, v.Field.Error = []string{nothingDone}, wrong
		return c.showClusterKeys(k, http.StatusUnprocessableEntity, v)
	}
	var present []byte
	if i, err := c.Directory.Issuer(c, c.caller, k.Issuer.Name); err == nil {
		present = i.KeySet
	} else if !isForbidden(err) && !isNotFound(err) {
		return err
	}
	change := compareKeySets(present, k.Issuer.KeyIDs, set)
	if c.form.Get("looked") != change.Looked {
		v.Change = &change
		return c.showClusterKeys(k, 0, v)
	}
	what := "keys"
	if string(present) == string(set) {
		what = "same"
	}
	if k.Issuer.Keys == directory.ClusterDiscovery {
		_, _, err = c.Directory.PutCluster(c, c.caller, directory.ClusterSpec{ClusterRef: k.ClusterRef, Tags: k.Tags, Issuer: &directory.ClusterIssuerSpec{URL: k.Issuer.URL, Keys: directory.ClusterKeySet, KeySet: set}})
	} else {
		_, err = c.Directory.SetClusterKeys(c, c.caller, k.ClusterRef, json.RawMessage(set))
	}
	if refused, ok := refused(err); ok {
		v.Errors, v.Change = []string{refused.text}, &change
		return c.showClusterKeys(k, refused.status, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(clusterPath(k.ClusterRef), what))
}

// wrongKeySet says what is wrong with a pasted key set; empty: nothing.
func (c *call) wrongKeySet(set []byte) string {
	if len(set) == 0 {
		return "Paste the key set."
	}
	if err := c.CheckKeySet(set); err != nil {
		return sentence(err.Error())
	}
	return ""
}
