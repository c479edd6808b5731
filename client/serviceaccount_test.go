package client

import (
	"context"
	"testing"
	"time"
)

func TestServiceAccounts(t *testing.T) {
	const at = group + "/providers/Microsoft.ContainerService/managedClusters/prod/serviceAccounts?api-version=2022-11-01"
	id := ClusterID{SubscriptionID: sub, ResourceGroup: "rg", Name: "prod"}
	cat, dog := ServiceAccount{Namespace: "pets", Name: "cat", ClientID: "c"}, ServiceAccount{Namespace: "pets", Name: "dog"}
	methods{
		{
			name: "report",
			steps: []step{{request: "PUT " + at, body: `{"serviceAccounts":[{"namespace":"pets","name":"cat","clientId":"c"},{"namespace":"pets","name":"dog"}]}`,
				answer: `{"reportedAt":"2026-11-01T00:00:00Z","serviceAccounts":2,"namespaces":1,"added":2,"removed":3,"annotatedAnew":1}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ReportServiceAccounts(ctx, id, []ServiceAccount{cat, dog})
			},
			want: ServiceAccountReport{ReportedAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), ServiceAccounts: 2, Namespaces: 1, Added: 2, Removed: 3, AnnotatedAnew: 1},
		},
		{
			name:  "report none",
			steps: []step{{request: "PUT " + at, body: `{"serviceAccounts":[]}`, answer: `{"reportedAt":"2026-11-01T00:00:00Z","serviceAccounts":0}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ReportServiceAccounts(ctx, id, nil) },
			want:  ServiceAccountReport{ReportedAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		},
		{
			name:  "report without the right",
			steps: []step{{request: "PUT " + at, body: `{"serviceAccounts":[]}`, status: 403, answer: `{"error":{"code":"AuthorizationFailed","message":"No."}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ReportServiceAccounts(ctx, id, nil) },
			fails: "403 AuthorizationFailed: No.",
		},
		{
			name: "list",
			steps: []step{
				{request: "GET " + at + "&$top=999", answer: `{"value":[{"namespace":"pets","name":"cat","clientId":"c"}],"nextLink":"{base}/next","reportedAt":"2026-11-01T00:00:00Z"}`},
				{request: "GET /next", answer: `{"value":[{"namespace":"pets","name":"dog"}],"reportedAt":"2026-11-01T00:00:00Z"}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.ServiceAccounts(ctx, id) },
			want: []ServiceAccount{cat, dog},
		},
	}.run(t)
}
