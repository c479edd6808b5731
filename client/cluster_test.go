package client

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestClusters(t *testing.T) {
	const (
		at       = group + "/providers/Microsoft.ContainerService/managedClusters"
		version  = "?api-version=2022-11-01"
		id       = "/subscriptions/" + sub + "/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/prod"
		object   = "/providers/Entente.Federation/issuers/prod"
		url      = "https://entente.example/oic/t/c/"
		envelope = `{"id":"` + id + `","name":"prod","type":"Microsoft.ContainerService/ManagedClusters","location":"local","tags":{"a":"b"},"properties":{"provisioningState":"Succeeded","powerState":{"code":"Running"},"servicePrincipalProfile":{"clientId":"msi"},"securityProfile":{"workloadIdentity":{"enabled":true}},"clusterId":"c","createdAt":"2026-11-01T00:00:00Z","updatedAt":"2026-11-02T00:00:00Z"`
		hosted   = `"oidcIssuerProfile":{"enabled":true,"issuerURL":"` + url + `","keySource":"Hosted","issuer":"` + object + `"`
		keys     = `,"keyIds":["k1",""],"keysUpdatedAt":"2026-11-03T00:00:00Z"`
	)
	clusterID := ClusterID{SubscriptionID: sub, ResourceGroup: "rg", Name: "prod"}
	bare := Cluster{
		ID: id, Name: "prod", Location: "local", Tags: map[string]string{"a": "b"}, ClusterID: "c",
		CreatedAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC),
	}
	listed, whole := bare, bare
	listed.Issuer = &ClusterIssuer{URL: url, KeySource: HostedKeys, IssuerID: object}
	whole.Issuer = &ClusterIssuer{URL: url, KeySource: HostedKeys, IssuerID: object, KeyIDs: []string{"k1", ""}, KeysUpdatedAt: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)}
	methods{
		{
			name:  "of a group",
			steps: []step{{request: "GET " + at + version, answer: `{"value":[` + envelope + `,` + hosted + `}}}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Clusters(ctx, groupID) },
			want:  []Cluster{listed},
		},
		{
			name: "of a subscription, in pages",
			steps: []step{
				{request: "GET /subscriptions/" + sub + "/providers/Microsoft.ContainerService/managedClusters" + version, answer: `{"value":[` + envelope + `}}],"nextLink":"{base}/next"}`},
				{request: "GET /next", answer: `{"value":[]}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Clusters(ctx, ResourceGroupID{SubscriptionID: sub})
			},
			want: []Cluster{bare},
		},
		{
			name:  "read",
			steps: []step{{request: "GET " + at + "/prod" + version, answer: envelope + `,` + hosted + keys + `}}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Cluster(ctx, clusterID) },
			want:  whole,
		},
		{
			name:  "one of Azure's, whose issuer is off",
			steps: []step{{request: "GET " + at + "/prod" + version, answer: `{"id":"` + id + `","name":"prod","location":"westeurope","properties":{"agentPoolProfiles":[],"oidcIssuerProfile":{"enabled":false}}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Cluster(ctx, clusterID) },
			want:  Cluster{ID: id, Name: "prod", Location: "westeurope"},
		},
		{
			name:  "register one without an issuer",
			steps: []step{{request: "PUT " + at + "/prod" + version, body: `{"location":"local","tags":{"a":"b"},"properties":{}}`, status: 201, answer: envelope + `}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutCluster(ctx, clusterID, ClusterSpec{Location: "local", Tags: map[string]string{"a": "b"}}))
			},
			want: made{bare, true},
		},
		{
			name:  "register a hosted issuer again",
			steps: []step{{request: "PUT " + at + "/prod" + version, body: `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"keySource":"Hosted"}}}`, answer: envelope + `,` + hosted + keys + `}}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutCluster(ctx, clusterID, ClusterSpec{Location: "local", Issuer: &ClusterIssuerSpec{KeySource: HostedKeys}}))
			},
			want: made{whole, false},
		},
		{
			name:  "register with keys",
			steps: []step{{request: "PUT " + at + "/prod" + version, body: `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://i.example/","keySource":"KeySet","keySet":{"keys":[{"kid":"k1"}]}}}}`, status: 403, answer: `{"error":{"code":"AuthorizationFailed","message":"No."}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutCluster(ctx, clusterID, ClusterSpec{Location: "local", Issuer: &ClusterIssuerSpec{URL: "https://i.example/", KeySource: UploadedKeys, KeySet: json.RawMessage(`{"keys":[{"kid":"k1"}]}`)}}))
			},
			fails: "403 AuthorizationFailed: No.",
		},
		{
			name:  "update keys",
			steps: []step{{request: "POST " + at + "/prod/updateKeys" + version, body: `{"keySet":{"keys":[{"kid":"k1"},{}]}}`, answer: envelope + `,` + hosted + keys + `}}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateClusterKeys(ctx, clusterID, json.RawMessage(`{"keys": [{"kid":"k1"}, {}]}`))
			},
			want: whole,
		},
		{
			name: "update keys with what is no JSON",
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateClusterKeys(ctx, clusterID, json.RawMessage(`{"keys":[`))
			},
			fails: "encoding POST " + at + "/prod/updateKeys",
		},
		{
			name:  "delete what is not there",
			steps: []step{{request: "DELETE " + at + "/prod" + version, status: 204}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteCluster(ctx, clusterID)) },
		},
		{
			name:  "delete one that is in use",
			steps: []step{{request: "DELETE " + at + "/prod" + version, status: 409, answer: `{"error":{"code":"IssuerInUse","message":"cat names it."}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteCluster(ctx, clusterID)) },
			fails: "409 IssuerInUse: cat names it.",
		},
	}.run(t)

	got, err := ParseClusterID(id)
	if err != nil || got != clusterID || got.String() != at+"/prod" {
		t.Errorf("%s is %+v (%v)", id, got, err)
	}
	for _, bad := range []string{"", at, id + "/x", identityText, "/subscriptions//resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/prod"} {
		if got, err := ParseClusterID(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

func TestResolveTenant(t *testing.T) {
	const id = "a0b1c2d3-0000-0000-0000-000000000002"
	tests := []struct {
		name, tenant, path string
		step               step
		want               string
	}{
		{"by domain", "contoso.example", "/contoso.example/v2.0", step{answer: `{"issuer":"{base}/A0B1C2D3-0000-0000-0000-000000000002/v2.0"}`}, id},
		{"that of AD FS's names", "adfs", "/adfs", step{answer: `{"issuer":"{base}/` + id + `/v2.0"}`}, id},
		{"Azure's older form", id, "/" + id + "/v2.0", step{answer: `{"issuer":"https://sts.windows.net/` + id + `/"}`}, id},
		{"below a path", id, "/" + id + "/v2.0", step{answer: `{"issuer":"https://example.org/entente/` + id + `/v2.0"}`}, id},
		{"no tenant in particular", "common", "/common/v2.0", step{answer: `{"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0"}`}, ""},
		{"no issuer", id, "/" + id + "/v2.0", step{answer: `{}`}, ""},
		{"no JSON", id, "/" + id + "/v2.0", step{answer: `<html>`}, ""},
		{"unknown", "nobody", "/nobody/v2.0", step{status: 400, answer: `{"error":"invalid_tenant","error_description":"AADSTS90002: Tenant 'nobody' not found.","error_codes":[90002]}`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.step.request = "GET " + tt.path + "/.well-known/openid-configuration"
			s := serve(t, tt.step)
			got, err := ResolveTenant(t.Context(), s.URL+"/", tt.tenant, s.Client())
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
			var refused *TokenError
			if tt.step.status != 0 && (!errors.As(err, &refused) || !refused.HasCode(90002) || refused.Error() != `tenant "nobody": 400 invalid_tenant: AADSTS90002: Tenant 'nobody' not found.`) {
				t.Errorf("the refusal is %v", err)
			}
		})
	}
	for authority, tenant := range map[string]string{"http://x.example": "t", "https://x.example": "", "https://y.example": ".."} {
		if got, err := ResolveTenant(t.Context(), authority, tenant, nil); err == nil {
			t.Errorf("%s, %q: %q", authority, tenant, got)
		}
	}
}
