package cli

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/entente-id/entente/client"
)

func TestOutput(t *testing.T) {
	at := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	const id = "/subscriptions/s/resourcegroups/pets/providers/Microsoft.ContainerService/managedClusters/"
	all := []clusterObject{
		printable(client.Cluster{ID: id + "prod", Name: "prod", Location: "local", ClusterID: "1e6", Tags: map[string]string{"on": "yes", "n": "0123"}, UpdatedAt: at,
			Issuer: &client.ClusterIssuer{URL: "https://x.example/<&>/", KeySource: client.HostedKeys, KeyIDs: []string{"null", ""}, KeysUpdatedAt: at}}),
		printable(client.Cluster{ID: id + "lab", Name: "lab", Location: "local", Tags: map[string]string{}}),
	}
	for format, want := range map[output]string{
		"table": "NAME   RESOURCE GROUP   KEYS     ISSUER\nprod   pets             Hosted   https://x.example/<&>/\nlab    pets             -        -\n",
		"name":  "prod\nlab\n",
		"yaml": `- id: /subscriptions/s/resourcegroups/pets/providers/Microsoft.ContainerService/managedClusters/prod
  name: prod
  location: local
  tags:
    "n": "0123"
    "on": "yes"
  clusterId: "1e6"
  issuer:
    url: https://x.example/<&>/
    keySource: Hosted
    keyIds:
      - "null"
      - ""
    keysUpdatedAt: "2026-11-03T12:00:00Z"
  updatedAt: "2026-11-03T12:00:00Z"
  subscriptionId: s
  resourceGroup: pets
- id: /subscriptions/s/resourcegroups/pets/providers/Microsoft.ContainerService/managedClusters/lab
  name: lab
  location: local
  subscriptionId: s
  resourceGroup: pets
`,
	} {
		var b bytes.Buffer
		if err := clusterView.list(&b, format, all); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: -want +got\n%s", format, diff)
		}
	}

	// JSON and YAML say the same, of one object too.
	var asJSON, asYAML bytes.Buffer
	var fromJSON, fromYAML any
	if err := clusterView.one(&asJSON, "json", all[0]); err != nil {
		t.Fatal(err)
	}
	if err := clusterView.one(&asYAML, "yaml", all[0]); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON.Bytes(), &fromJSON); err != nil {
		t.Error(err)
	}
	if err := yaml.Unmarshal(asYAML.Bytes(), &fromYAML); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("-JSON +YAML\n%s", diff)
	}

	var none bytes.Buffer
	if err := clusterView.list(&none, "json", []clusterObject{}); err != nil || none.String() != "[]\n" {
		t.Errorf("no clusters are %q (%v)", none.String(), err)
	}
	none.Reset()
	if err := clusterView.list(&none, "yaml", []clusterObject{}); err != nil || none.String() != "[]\n" {
		t.Errorf("no clusters are %q (%v)", none.String(), err)
	}
}

func TestDetails(t *testing.T) {
	at := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	for want, issuer := range map[string]*client.ClusterIssuer{
		"Name       prod\nLocation   local\nIssuer     none\n":                                                        nil,
		"Name       prod\nLocation   local\nIssuer     https://x/\nKeys       by discovery, from the issuer itself\n": {URL: "https://x/", KeySource: client.DiscoveredKeys},
		"Name       prod\nLocation   local\nIssuer     https://x/\nKeys       uploaded; none yet\n":                   {URL: "https://x/", KeySource: client.UploadedKeys},
		"Name           prod\nLocation       local\nIssuer         https://x/\nKeys           uploaded, and published by the service\nKey 1          a\nKey 2          (without an id)\nKeys updated   " + at.Local().Format("2006-01-02 15:04:05 MST") + "\n": {URL: "https://x/", KeySource: client.HostedKeys, KeyIDs: []string{"a", ""}, KeysUpdatedAt: at},
	} {
		var b bytes.Buffer
		if err := clusterView.one(&b, "table", printable(client.Cluster{Name: "prod", Location: "local", Issuer: issuer})); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}
