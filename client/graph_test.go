package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	objectID = "4d5c6f80-0000-0000-0000-000000000001"
	appID    = "a0b1c2d3-0000-0000-0000-000000000002"
	notFound = `{"error":{"code":"Request_ResourceNotFound","message":"Resource 'x' does not exist or one of its queried reference-property objects are not present.","innerError":{"date":"2023-02-02T21:29:38","request-id":"d60c4453-57cc-4363-b006-d1c69fc1e732","client-request-id":"d60c4453-57cc-4363-b006-d1c69fc1e732"}}}`

	// As Graph answers a creation, properties without a use here among them.
	applicationJSON = `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#applications/$entity","id":"` + objectID + `","deletedDateTime":null,"appId":"` + appID + `","applicationTemplateId":null,"createdDateTime":"2022-06-01T08:00:00.1234567Z","displayName":"app","description":null,"groupMembershipClaims":null,"identifierUris":[],"signInAudience":"AzureADMyOrg","tags":[],"api":{"acceptMappedClaims":null,"requestedAccessTokenVersion":null,"oauth2PermissionScopes":[]},"appRoles":[],"passwordCredentials":[],"web":{"redirectUris":[]}}`
)

var application = Application{
	ID: objectID, AppID: appID, DisplayName: "app", SignInAudience: "AzureADMyOrg",
	IdentifierURIs: []string{}, Tags: []string{}, AppRoles: []AppRole{}, Passwords: []PasswordCredential{},
	CreatedDateTime: time.Date(2022, 6, 1, 8, 0, 0, 123456700, time.UTC),
}

func TestApplications(t *testing.T) {
	methods{
		{
			name: "list follows pages",
			steps: []step{
				{request: "GET /v1.0/applications", header: map[string]string{"Authorization": "Bearer tok", "Accept": "application/json", "User-Agent": "entente"},
					answer: `{"value":[{"id":"1"},{"id":"2"}],"@odata.nextLink":"{base}/v1.0/applications?$skiptoken=abc"}`},
				{request: "GET /v1.0/applications?$skiptoken=abc", header: map[string]string{"Authorization": "Bearer tok"}, answer: `{"value":[{"id":"3"}]}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.Applications(ctx, "") },
			want: []Application{{ID: "1"}, {ID: "2"}, {ID: "3"}},
		},
		{
			name:  "an empty list is not nil",
			steps: []step{{request: "GET /v1.0/applications?$filter=appId%20eq%20%27x%27", answer: `{"value":[]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Applications(ctx, Equal("appId", "x")) },
			want:  []Application{},
		},
		{
			name: "by name, with a quote and without case",
			steps: []step{{request: "GET /v1.0/applications?$filter=displayName%20eq%20%27O%27%27Brien%20%26%20Co%27",
				answer: `{"value":[{"id":"1","displayName":"o'brien & co"},{"id":"2","displayName":"O'Brien & Co"}]}`}},
			call: func(ctx context.Context, c *Client) (any, error) { return c.ApplicationByName(ctx, "O'Brien & Co") },
			want: Application{ID: "2", DisplayName: "O'Brien & Co"},
		},
		{
			name:  "by name, several",
			steps: []step{{request: "GET /v1.0/applications?$filter=displayName%20eq%20%27a%27", answer: `{"value":[{"id":"1","displayName":"a"},{"id":"2","displayName":"a"}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ApplicationByName(ctx, "a") },
			fails: `2 applications are named "a": 1, 2`,
		},
		{
			name:  "by name, none",
			steps: []step{{request: "GET /v1.0/applications?$filter=displayName%20eq%20%27a%27", answer: `{"value":[]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ApplicationByName(ctx, "a") },
			fails: `application named "a": not found`,
		},
		{
			name:  "by client id",
			steps: []step{{request: "GET /v1.0/applications(appId='" + appID + "')", answer: applicationJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Application(ctx, appID) },
			want:  application,
		},
		{
			name:  "by unique name",
			steps: []step{{request: "GET /v1.0/applications(uniqueName='app-65278')", answer: applicationJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ApplicationByUniqueName(ctx, "app-65278") },
			want:  application,
		},
		{
			name: "make by unique name, as documented",
			steps: []step{{request: "PATCH /v1.0/applications(uniqueName='app-65278')", header: map[string]string{"Prefer": "create-if-missing"},
				body: `{"displayName":"app"}`, status: 201, answer: applicationJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.UpsertApplication(ctx, "app-65278", ApplicationSpec{DisplayName: "app", UniqueName: "app-65278"}))
			},
			want: made{application, true},
		},
		{
			name:  "change by unique name, as documented",
			steps: []step{{request: "PATCH /v1.0/applications(uniqueName='app-65278')", body: `{"displayName":"app"}`, status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.UpsertApplication(ctx, "app-65278", ApplicationSpec{DisplayName: "app"}))
			},
			want: made{Application{}, false},
		},
		{
			name: "by object id",
			steps: []step{
				{request: "GET /v1.0/applications(appId='" + objectID + "')", status: 404, answer: notFound},
				{request: "GET /v1.0/applications/" + objectID, answer: applicationJSON},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.Application(ctx, objectID) },
			want: application,
		},
		{
			name: "an id is a literal and a segment, whatever is in it",
			steps: []step{
				{request: "GET /v1.0/applications(appId='a%27%27%2F..%3F')", status: 404, answer: notFound},
				{request: "GET /v1.0/applications/a%27%2F..%3F", status: 404, answer: notFound},
			},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Application(ctx, "a'/..?") },
			fails: "404 Request_ResourceNotFound",
		},
		{
			name: "create",
			steps: []step{{request: "POST /v1.0/applications", header: map[string]string{"Content-Type": "application/json"},
				body: `{"displayName":"app","api":{"requestedAccessTokenVersion":2}}`, status: 201, answer: applicationJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateApplication(ctx, ApplicationSpec{DisplayName: "app", API: &API{RequestedAccessTokenVersion: new(2)}})
			},
			want: application,
		},
		{
			name:  "update clears what is empty and leaves what is nil",
			steps: []step{{request: "PATCH /v1.0/applications/" + objectID, body: `{"description":"","identifierUris":[]}`, status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.UpdateApplication(ctx, objectID, ApplicationSpec{Description: new(""), IdentifierURIs: []string{}}))
			},
		},
		{
			name: "delete and purge",
			steps: []step{
				{request: "DELETE /v1.0/applications/" + objectID, status: 204},
				{request: "DELETE /v1.0/directory/deletedItems/" + objectID, status: 204},
			},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(errors.Join(c.DeleteApplication(ctx, objectID), c.PurgeApplication(ctx, objectID)))
			},
		},
		{
			name:  "an empty id is not the collection",
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteApplication(ctx, "")) },
			fails: `"" cannot be a part of the path after "/v1.0/applications"`,
		},
		{
			name: "a dot segment is not the parent",
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteApplicationCredential(ctx, objectID, ".."))
			},
			fails: `".." cannot be a part of the path`,
		},
		{
			name: "add a password",
			steps: []step{{request: "POST /v1.0/applications/" + objectID + "/addPassword", body: `{"passwordCredential":{"displayName":"ci","endDateTime":"2027-01-01T00:00:00Z"}}`,
				answer: `{"@odata.context":"x","customKeyIdentifier":null,"displayName":"ci","endDateTime":"2027-01-01T00:00:00Z","hint":"abc","keyId":"k","secretText":"abc~def","startDateTime":"2026-01-01T00:00:00Z"}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.AddPassword(ctx, objectID, PasswordSpec{DisplayName: "ci", EndDateTime: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)})
			},
			want: PasswordCredential{KeyID: "k", DisplayName: "ci", Hint: "abc", SecretText: "abc~def",
				StartDateTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), EndDateTime: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		},
		{
			name:  "remove a password",
			steps: []step{{request: "POST /v1.0/applications/" + objectID + "/removePassword", body: `{"keyId":"k"}`, status: 204}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.RemovePassword(ctx, objectID, "k")) },
		},
	}.run(t)
}

func TestServicePrincipals(t *testing.T) {
	methods{
		{
			name:  "by name",
			steps: []step{{request: "GET /v1.0/servicePrincipals?$filter=displayName%20eq%20%27a%27", answer: `{"value":[{"id":"1","displayName":"a","servicePrincipalType":"Application","accountEnabled":true}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ServicePrincipalByName(ctx, "a") },
			want:  ServicePrincipal{ID: "1", DisplayName: "a", ServicePrincipalType: "Application", AccountEnabled: true},
		},
		{
			name:  "read",
			steps: []step{{request: "GET /v1.0/servicePrincipals(appId='" + appID + "')", answer: `{"id":"1","appId":"` + appID + `"}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ServicePrincipal(ctx, appID) },
			want:  ServicePrincipal{ID: "1", AppID: appID},
		},
		{
			name:  "create",
			steps: []step{{request: "POST /v1.0/servicePrincipals", body: `{"appId":"` + appID + `","tags":["t"]}`, status: 201, answer: `{"id":"1","appId":"` + appID + `"}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateServicePrincipal(ctx, ServicePrincipalSpec{AppID: appID, Tags: []string{"t"}})
			},
			want: ServicePrincipal{ID: "1", AppID: appID},
		},
		{
			name:  "change and delete",
			steps: []step{{request: "PATCH /v1.0/servicePrincipals/1", body: `{"accountEnabled":false,"tags":[]}`, status: 204}, {request: "DELETE /v1.0/servicePrincipals/1", status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				if err := c.UpdateServicePrincipal(ctx, "1", ServicePrincipalUpdate{AccountEnabled: new(bool), Tags: []string{}}); err != nil {
					return nil, err
				}
				return done(c.DeleteServicePrincipal(ctx, "1"))
			},
		},
		{
			name:  "list roles",
			steps: []step{{request: "GET /v1.0/servicePrincipals/1/appRoleAssignments", answer: `{"value":[{"id":"z_9","deletedDateTime":null,"principalId":"1","resourceId":"2","appRoleId":"3"}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.AppRoleAssignments(ctx, "1") },
			want:  []AppRoleAssignment{{ID: "z_9", PrincipalID: "1", ResourceID: "2", AppRoleID: "3"}},
		},
		{
			name:  "give a role",
			steps: []step{{request: "POST /v1.0/servicePrincipals/1/appRoleAssignments", body: `{"principalId":"1","resourceId":"2","appRoleId":"3"}`, status: 201, answer: `{"id":"z_9","principalId":"1","resourceId":"2","appRoleId":"3"}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateAppRoleAssignment(ctx, AppRoleAssignment{ID: "not written", PrincipalID: "1", ResourceID: "2", AppRoleID: "3"})
			},
			want: AppRoleAssignment{ID: "z_9", PrincipalID: "1", ResourceID: "2", AppRoleID: "3"},
		},
		{
			name:  "take a role",
			steps: []step{{request: "DELETE /v1.0/servicePrincipals/1/appRoleAssignments/z_9", status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteAppRoleAssignment(ctx, "1", "z_9"))
			},
		},
	}.run(t)
}

func TestApplicationCredentials(t *testing.T) {
	const all = "/v1.0/applications/" + objectID + "/federatedIdentityCredentials"
	const azwiName = "-1a_4Hh7oHk2pN6b0ZgFqGVZpP0Z9M3yPxkq3QkVb6E="
	testing := FederatedCredential{Name: "Testing", Issuer: "https://token.actions.githubusercontent.com/", Subject: "repo:octo-org/octo-repo:environment:Production", Description: "Testing", Audiences: []string{"api://AzureADTokenExchange"}}
	withID := testing
	withID.ID = "2276d18a-223c-46d9-83a6-cfaadcb4c258"
	const body = `"name":"Testing","issuer":"https://token.actions.githubusercontent.com/","subject":"repo:octo-org/octo-repo:environment:Production","description":"Testing","audiences":["api://AzureADTokenExchange"]`
	methods{
		{
			name: "create, as recorded",
			steps: []step{{request: "POST " + all, body: "{" + body + "}", status: 201,
				reply:  map[string]string{"Location": "https://graph.microsoft.com/v2/t/federatedIdentityCredentials/2276d18a", "Content-Type": "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"},
				answer: `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#applications('4d5c')/federatedIdentityCredentials/$entity","id":"2276d18a-223c-46d9-83a6-cfaadcb4c258",` + body + "}"}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateApplicationCredential(ctx, objectID, withID)
			},
			want: withID,
		},
		{
			name: "a name that is taken",
			steps: []step{{request: "POST " + all, body: "{" + body + "}", status: 409,
				answer: `{"error":{"code":"Request_MultipleObjectsWithSameKeyValue","message":"FederatedIdentityCredential with name Testing already exists.","innerError":{"date":"2023-02-02T21:29:38","request-id":"r"}}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateApplicationCredential(ctx, objectID, testing)
			},
			fails: "POST " + all + ": 409 Request_MultipleObjectsWithSameKeyValue: FederatedIdentityCredential with name Testing already exists.",
		},
		{
			name:  "list, without a description",
			steps: []step{{request: "GET " + all, answer: `{"@odata.context":"x","value":[{"id":"1","name":"n","issuer":"i","subject":"s","description":null,"audiences":["a"],"claimsMatchingExpression":null}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ApplicationCredentials(ctx, objectID) },
			want:  []FederatedCredential{{ID: "1", Name: "n", Issuer: "i", Subject: "s", Audiences: []string{"a"}}},
		},
		{
			name:  "read by a name that azwi made",
			steps: []step{{request: "GET " + all + "/" + azwiName, answer: `{"id":"1"}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ApplicationCredential(ctx, objectID, azwiName)
			},
			want: FederatedCredential{ID: "1"},
		},
		{
			name:  "update",
			steps: []step{{request: "PATCH " + all + "/n", body: `{"subject":"s2"}`, status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.UpdateApplicationCredential(ctx, objectID, "n", FederatedCredentialUpdate{Subject: "s2"}))
			},
		},
		{
			name: "upsert makes",
			steps: []step{{request: "PATCH " + all + "(name='Testing')", header: map[string]string{"Prefer": "create-if-missing"},
				body:   `{"issuer":"https://token.actions.githubusercontent.com/","subject":"repo:octo-org/octo-repo:environment:Production","description":"Testing","audiences":["api://AzureADTokenExchange"]}`,
				status: 201, answer: `{"id":"1"}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpsertApplicationCredential(ctx, objectID, testing)
			},
			want: true,
		},
		{
			name:  "upsert changes",
			steps: []step{{request: "PATCH " + all + "(name='it%27%27s')", body: `{"issuer":"i","subject":"s","description":"","audiences":["a"]}`, status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpsertApplicationCredential(ctx, objectID, FederatedCredential{Name: "it's", Issuer: "i", Subject: "s", Audiences: []string{"a"}})
			},
			want: false,
		},
		{
			name:  "delete",
			steps: []step{{request: "DELETE " + all + "/n", status: 204}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteApplicationCredential(ctx, objectID, "n"))
			},
		},
	}.run(t)
}

func TestErrorFields(t *testing.T) {
	s := serve(t, step{request: "DELETE /v1.0/applications/x", status: 404, answer: notFound})
	c, _ := s.client()
	err := c.DeleteApplication(t.Context(), "x")
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		t.Fatalf("got %v", err)
	}
	want := &Error{Method: "DELETE", Path: "/v1.0/applications/x", Status: 404, Code: "Request_ResourceNotFound",
		Message:   "Resource 'x' does not exist or one of its queried reference-property objects are not present.",
		RequestID: "d60c4453-57cc-4363-b006-d1c69fc1e732"}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
