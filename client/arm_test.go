package client

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	sub   = "00000000-0000-0000-0000-000000000000"
	group = "/subscriptions/" + sub + "/resourceGroups/rg"
	// ARM answers with lower-case "resourcegroups" for managed identities.
	identityText = "/subscriptions/" + sub + "/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ide"
	identityJSON = `{"id":"` + identityText + `","name":"ide","type":"Microsoft.ManagedIdentity/userAssignedIdentities","location":"eastus2euap","tags":{},"properties":{"tenantId":"t","principalId":"p","clientId":"c"}}`
)

var (
	groupID    = ResourceGroupID{SubscriptionID: sub, Name: "rg"}
	identityID = IdentityID{SubscriptionID: sub, ResourceGroup: "rg", Name: "ide"}
	identity   = Identity{ID: identityText, Name: "ide", Location: "eastus2euap", Tags: map[string]string{}, TenantID: "t", PrincipalID: "p", ClientID: "c"}
)

func TestResources(t *testing.T) {
	const groupJSON = `{"id":"` + group + `","name":"rg","type":"Microsoft.Resources/resourceGroups","location":"westeurope","tags":{"a":"b"},"properties":{"provisioningState":"Succeeded"}}`
	want := ResourceGroup{ID: group, Name: "rg", Location: "westeurope", Tags: map[string]string{"a": "b"}, ProvisioningState: "Succeeded"}
	methods{
		{
			name:  "tenants",
			steps: []step{{request: "GET /tenants?api-version=2022-12-01", answer: `{"value":[{"id":"/tenants/t","tenantId":"t","countryCode":"XX","displayName":"Contoso","domains":[],"tenantCategory":"Home","defaultDomain":"contoso.example","tenantType":"AAD"}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Tenants(ctx) },
			want:  []Tenant{{ID: "/tenants/t", TenantID: "t", DisplayName: "Contoso", DefaultDomain: "contoso.example"}},
		},
		{
			name: "subscriptions",
			steps: []step{
				{request: "GET /subscriptions?api-version=2022-12-01", answer: `{"value":[{"id":"/subscriptions/s","subscriptionId":"s","tenantId":"t","displayName":"d","state":"Enabled","subscriptionPolicies":{},"authorizationSource":"RoleBased","managedByTenants":[]}],"count":{"type":"Total","value":1},"nextLink":"{base}/subscriptions?api-version=2022-12-01&$skiptoken=2"}`},
				{request: "GET /subscriptions?api-version=2022-12-01&$skiptoken=2", answer: `{"value":[]}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.Subscriptions(ctx) },
			want: []Subscription{{ID: "/subscriptions/s", SubscriptionID: "s", TenantID: "t", DisplayName: "d", State: "Enabled"}},
		},
		{
			name:  "subscription",
			steps: []step{{request: "GET /subscriptions/s?api-version=2022-12-01", answer: `{"id":"/subscriptions/s","subscriptionId":"s"}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Subscription(ctx, "s") },
			want:  Subscription{ID: "/subscriptions/s", SubscriptionID: "s"},
		},
		{
			name:  "list groups",
			steps: []step{{request: "GET /subscriptions/" + sub + "/resourceGroups?api-version=2021-04-01", answer: `{"value":[` + groupJSON + `]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ResourceGroups(ctx, sub) },
			want:  []ResourceGroup{want},
		},
		{
			name:  "read a group",
			steps: []step{{request: "GET " + group + "?api-version=2021-04-01", answer: groupJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ResourceGroup(ctx, groupID) },
			want:  want,
		},
		{
			name:  "make a group",
			steps: []step{{request: "PUT " + group + "?api-version=2021-04-01", body: `{"location":"westeurope","tags":{"a":"b"}}`, status: 201, answer: groupJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutResourceGroup(ctx, groupID, ResourceSpec{Location: "westeurope", Tags: map[string]string{"a": "b"}}))
			},
			want: made{want, true},
		},
		{
			name:  "no tags for a group",
			steps: []step{{request: "PATCH " + group + "?api-version=2021-04-01", body: `{"tags":{}}`, answer: groupJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.SetResourceGroupTags(ctx, groupID, nil) },
			want:  want,
		},
		{
			name:  "delete a group at once",
			steps: []step{{request: "DELETE " + group + "?api-version=2021-04-01"}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteResourceGroup(ctx, groupID)) },
		},
		{
			name:  "delete a group that is not there",
			steps: []step{{request: "DELETE " + group + "?api-version=2021-04-01", status: 404, answer: `{"error":{"code":"ResourceGroupNotFound","message":"Resource group 'rg' could not be found."}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteResourceGroup(ctx, groupID)) },
			fails: "DELETE " + group + ": 404 ResourceGroupNotFound: Resource group 'rg' could not be found.",
		},
		{
			name: "delete a group without a name",
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteResourceGroup(ctx, ResourceGroupID{SubscriptionID: sub}))
			},
			fails: `"" cannot be a part of the path`,
		},
	}.run(t)
}

func TestDeletingAGroupIsFollowedToItsEnd(t *testing.T) {
	const operation = "/subscriptions/" + sub + "/operationresults/eyJqb2JJZCI6?api-version=2021-04-01"
	begun := step{request: "DELETE " + group + "?api-version=2021-04-01", status: 202, reply: map[string]string{"Location": "{base}" + operation, "Retry-After": "15"}}
	tests := []struct {
		name  string
		steps []step
		waits []time.Duration
		fails string
	}{
		{
			name: "until it is done",
			steps: []step{begun,
				{request: "GET " + operation, header: map[string]string{"Authorization": "Bearer tok"}, status: 202, reply: map[string]string{"Location": operation, "Retry-After": "0"}},
				{request: "GET " + operation, status: 202},
				{request: "GET " + operation},
			},
			waits: []time.Duration{15 * time.Second, time.Second, 5 * time.Second},
		},
		{
			name:  "done without content",
			steps: []step{begun, {request: "GET " + operation, status: 204}},
			waits: []time.Duration{15 * time.Second},
		},
		{
			name:  "it fails",
			steps: []step{begun, {request: "GET " + operation, status: 409, answer: `{"error":{"code":"ScopeLocked","message":"The scope is locked."}}`}},
			waits: []time.Duration{15 * time.Second},
			fails: "409 ScopeLocked: The scope is locked.",
		},
		{
			name:  "it continues elsewhere",
			steps: []step{{request: begun.request, status: 202, reply: map[string]string{"Location": "https://other.example/operation"}}},
			waits: []time.Duration{5 * time.Second},
			fails: `the server continues at "https://other.example/operation", and a token is sent to`,
		},
		{
			name:  "it continues nowhere",
			steps: []step{{request: begun.request, status: 202}},
			fails: "does not say where to ask",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.steps...)
			c, waits := s.client()
			err := c.DeleteResourceGroup(t.Context(), groupID)
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("got %v, want …%s…", err, tt.fails)
			}
			if diff := cmp.Diff(append([]time.Duration{}, tt.waits...), *waits); diff != "" {
				t.Errorf("waits: -want +got\n%s", diff)
			}
		})
	}
}

func TestIdentities(t *testing.T) {
	const at = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
	const fic = identityText + "/federatedIdentityCredentials/fic1"
	const ficBody = `"properties":{"issuer":"https://oidc.prod-aks.azure.com/IssuerGUID","subject":"system:serviceaccount:ns:svcaccount1","audiences":["api://AzureADTokenExchange"]}`
	const ficJSON = `{"id":"` + fic + `","name":"fic1","type":"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",` + ficBody + `}`
	credential := FederatedCredential{ID: fic, Name: "fic1", Issuer: "https://oidc.prod-aks.azure.com/IssuerGUID", Subject: "system:serviceaccount:ns:svcaccount1", Audiences: []string{"api://AzureADTokenExchange"}}
	methods{
		{
			name:  "make, as recorded",
			steps: []step{{request: "PUT " + at + "/ide?api-version=2024-11-30", body: `{"location":"eastus2euap"}`, status: 201, reply: map[string]string{"Location": identityText}, answer: identityJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIdentity(ctx, identityID, ResourceSpec{Location: "eastus2euap"}))
			},
			want: made{identity, true},
		},
		{
			name:  "make again",
			steps: []step{{request: "PUT " + at + "/ide?api-version=2024-11-30", body: `{"location":"eastus2euap"}`, answer: identityJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIdentity(ctx, identityID, ResourceSpec{Location: "eastus2euap"}))
			},
			want: made{identity, false},
		},
		{
			name:  "read",
			steps: []step{{request: "GET " + at + "/ide?api-version=2024-11-30", answer: identityJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Identity(ctx, identityID) },
			want:  identity,
		},
		{
			name:  "change",
			steps: []step{{request: "PATCH " + at + "/ide?api-version=2024-11-30", body: `{"tags":{"a":"b"},"properties":{"isolationScope":"Regional"}}`, answer: strings.Replace(identityJSON, `"properties":{`, `"properties":{"isolationScope":"Regional",`, 1)}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateIdentity(ctx, identityID, IdentityUpdate{Tags: map[string]string{"a": "b"}, IsolationScope: "Regional"})
			},
			want: regional(identity),
		},
		{
			name:  "change one thing only",
			steps: []step{{request: "PATCH " + at + "/ide?api-version=2024-11-30", body: `{"tags":{}}`, answer: identityJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateIdentity(ctx, identityID, IdentityUpdate{Tags: map[string]string{}})
			},
			want: identity,
		},
		{
			name:  "list of a group",
			steps: []step{{request: "GET " + at + "?api-version=2024-11-30", answer: `{"value":[` + identityJSON + `]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Identities(ctx, groupID) },
			want:  []Identity{identity},
		},
		{
			name:  "list of a subscription",
			steps: []step{{request: "GET /subscriptions/" + sub + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities?api-version=2024-11-30", answer: `{"value":[]}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Identities(ctx, ResourceGroupID{SubscriptionID: sub})
			},
			want: []Identity{},
		},
		{
			name:  "delete what is not there",
			steps: []step{{request: "DELETE " + at + "/ide?api-version=2024-11-30", status: 204}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteIdentity(ctx, identityID)) },
		},
		{
			name:  "make a credential, as recorded",
			steps: []step{{request: "PUT " + at + "/ide/federatedIdentityCredentials/fic1?api-version=2024-11-30", body: "{" + ficBody + "}", status: 201, answer: ficJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIdentityCredential(ctx, identityID, credential))
			},
			want: made{credential, true},
		},
		{
			name: "a description has no place",
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIdentityCredential(ctx, identityID, FederatedCredential{Name: "n", Description: "d"}))
			},
			fails: "have no description",
		},
		{
			name: "writes at one time",
			steps: []step{{request: "PUT " + at + "/ide/federatedIdentityCredentials/fic1?api-version=2024-11-30", body: "{" + ficBody + "}", status: 409,
				answer: `{"error":{"code":"ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity","message":"Too many Federated Identity Credentials are written concurrently."}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIdentityCredential(ctx, identityID, credential))
			},
			fails: "409 ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
		},
		{
			name:  "read a credential",
			steps: []step{{request: "GET " + at + "/ide/federatedIdentityCredentials/fic1?api-version=2024-11-30", answer: ficJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.IdentityCredential(ctx, identityID, "fic1")
			},
			want: credential,
		},
		{
			name: "list credentials",
			steps: []step{
				{request: "GET " + at + "/ide/federatedIdentityCredentials?api-version=2024-11-30", answer: `{"value":[` + ficJSON + `],"nextLink":"{base}/next?$skiptoken=1"}`},
				{request: "GET /next?$skiptoken=1", answer: `{"value":[` + ficJSON + `]}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.IdentityCredentials(ctx, identityID) },
			want: []FederatedCredential{credential, credential},
		},
		{
			name:  "delete a credential",
			steps: []step{{request: "DELETE " + at + "/ide/federatedIdentityCredentials/fic1?api-version=2024-11-30"}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteIdentityCredential(ctx, identityID, "fic1"))
			},
		},
	}.run(t)
}

func regional(m Identity) Identity {
	m.IsolationScope = "Regional"
	return m
}

func TestRoles(t *testing.T) {
	const reader = "/subscriptions/" + sub + "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
	const definitionJSON = `{"id":"` + reader + `","name":"acdd72a7-3385-48ef-bd42-f606fba81ae7","type":"Microsoft.Authorization/roleDefinitions","properties":{"roleName":"Reader","type":"BuiltInRole","description":"Reads.","assignableScopes":["/"],"permissions":[{"actions":["*/read"],"notActions":[],"dataActions":[],"notDataActions":[]}],"createdOn":"2015-02-02T21:55:09.8806423Z"}}`
	definition := RoleDefinition{ID: reader, Name: "acdd72a7-3385-48ef-bd42-f606fba81ae7", RoleName: "Reader", Type: "BuiltInRole", Description: "Reads.", AssignableScopes: []string{"/"},
		Permissions: []Permission{{Actions: []string{"*/read"}, NotActions: []string{}, DataActions: []string{}, NotDataActions: []string{}}}}
	const assignmentID = group + "/providers/Microsoft.Authorization/roleAssignments/g"
	const assignmentJSON = `{"id":"` + assignmentID + `","name":"g","type":"Microsoft.Authorization/roleAssignments","properties":{"roleDefinitionId":"` + reader + `","principalId":"p","principalType":"ServicePrincipal","scope":"` + group + `","condition":null,"createdOn":"2026-01-02T03:04:05Z"}}`
	assignment := RoleAssignment{ID: assignmentID, Name: "g", Scope: group, RoleDefinitionID: reader, PrincipalID: "p", PrincipalType: "ServicePrincipal", CreatedOn: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	methods{
		{
			name:  "by its GUID",
			steps: []step{{request: "GET /subscriptions/" + sub + "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7?api-version=2022-04-01", answer: definitionJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.RoleDefinition(ctx, "/subscriptions/"+sub, "acdd72a7-3385-48ef-bd42-f606fba81ae7")
			},
			want: definition,
		},
		{
			name:  "by name at the root, without case",
			steps: []step{{request: "GET /providers/Microsoft.Authorization/roleDefinitions?$filter=roleName%20eq%20%27reader%27&api-version=2022-04-01", answer: `{"value":[` + definitionJSON + `]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.RoleDefinitionByName(ctx, "/", "reader") },
			want:  definition,
		},
		{
			name:  "by name, none",
			steps: []step{{request: "GET " + group + "/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName%20eq%20%27X%27&api-version=2022-04-01", answer: `{"value":[]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.RoleDefinitionByName(ctx, group, "X") },
			fails: `role definition named "X": not found`,
		},
		{
			name:  "list assignments",
			steps: []step{{request: "GET " + group + "/providers/Microsoft.Authorization/roleAssignments?$filter=principalId%20eq%20%27p%27&api-version=2022-04-01", answer: `{"value":[` + assignmentJSON + `]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.RoleAssignments(ctx, group, "p") },
			want:  []RoleAssignment{assignment},
		},
		{
			name: "assign",
			steps: []step{{request: "PUT " + group + "/providers/Microsoft.Authorization/roleAssignments/g?api-version=2022-04-01", status: 201,
				body: `{"properties":{"roleDefinitionId":"` + reader + `","principalId":"p","principalType":"ServicePrincipal"}}`, answer: assignmentJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.PutRoleAssignment(ctx, group, RoleAssignmentSpec{Name: "g", RoleDefinitionID: reader, PrincipalID: "p", PrincipalType: "ServicePrincipal"})
			},
			want: assignment,
		},
		{
			name:  "one assignment",
			steps: []step{{request: "GET " + assignmentID + "?api-version=2022-04-01", answer: assignmentJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.RoleAssignment(ctx, assignmentID) },
			want:  assignment,
		},
		{
			name:  "one of something else",
			call:  func(ctx context.Context, c *Client) (any, error) { return c.RoleAssignment(ctx, group) },
			fails: "is not the resource id of a role assignment",
		},
		{
			name:  "take away",
			steps: []step{{request: "DELETE " + assignmentID + "?api-version=2022-04-01", answer: assignmentJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return done(c.DeleteRoleAssignment(ctx, assignmentID))
			},
		},
		{
			name:  "take away something else",
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteRoleAssignment(ctx, group)) },
			fails: "is not the resource id of a role assignment",
		},
		{
			name: "a scope that is no path",
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.RoleAssignments(ctx, "subscriptions/x", "")
			},
			fails: "does not begin with a slash",
		},
		{
			name: "a scope that climbs",
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.RoleAssignments(ctx, "/subscriptions/../x", "")
			},
			fails: `".." cannot be a part of the path`,
		},
	}.run(t)
}

func TestAssigningTwiceIsOneAssignment(t *testing.T) {
	spec := RoleAssignmentSpec{RoleDefinitionID: "/providers/x/Reader", PrincipalID: "p"}
	one := assignmentName("/subscriptions/s/", spec)
	spec.RoleDefinitionID = strings.ToUpper(spec.RoleDefinitionID)
	if two := assignmentName("/SUBSCRIPTIONS/s", spec); two != one {
		t.Errorf("%s and %s", one, two)
	}
	spec.PrincipalID = "q"
	if other := assignmentName("/subscriptions/s", spec); other == one {
		t.Errorf("two principals have the name %s", one)
	}
	if len(one) != 36 || one[14] != '8' || !strings.ContainsRune("89ab", rune(one[19])) {
		t.Errorf("%s is not a version 8 UUID", one)
	}
}

func TestParseIdentityID(t *testing.T) {
	tests := []struct {
		in   string
		want IdentityID
		ok   bool
	}{
		{identityText, identityID, true},
		{identityID.String(), identityID, true},
		{strings.ToLower(identityText) + "/", identityID, true},
		{identityText + "/federatedIdentityCredentials/x", IdentityID{}, false},
		{"/subscriptions//resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ide", IdentityID{}, false},
		{group, IdentityID{}, false},
		{"", IdentityID{}, false},
	}
	for _, tt := range tests {
		got, err := ParseIdentityID(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: got %+v, %v", tt.in, got, err)
		}
	}
}

func TestFederation(t *testing.T) {
	const issuerJSON = `{"id":"/providers/Entente.Federation/issuers/prod","name":"prod","type":"Entente.Federation/issuers","properties":{"issuer":"https://kubernetes.default.svc.cluster.local","keySource":"KeySet","keySet":{"keys":[]},"algorithms":["RS256"],"allowMultipleAudiences":false,"revision":3,"createdAt":"2026-11-01T00:00:00Z","updatedAt":"2026-11-02T00:00:00Z"}}`
	issuer := Issuer{ID: "/providers/Entente.Federation/issuers/prod", Name: "prod", Revision: 3,
		IssuerSpec: IssuerSpec{Issuer: "https://kubernetes.default.svc.cluster.local", KeySource: UploadedKeys, KeySet: json.RawMessage(`{"keys":[]}`), Algorithms: []string{"RS256"}},
		CreatedAt:  time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}
	const at = "/providers/Entente.Federation/"
	const version = "api-version=2026-11-01"
	methods{
		{
			name:  "list issuers",
			steps: []step{{request: "GET " + at + "issuers?" + version, answer: `{"value":[` + issuerJSON + `]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Issuers(ctx) },
			want:  []Issuer{issuer},
		},
		{
			name:  "read an issuer",
			steps: []step{{request: "GET " + at + "issuers/prod?" + version, answer: issuerJSON}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Issuer(ctx, "prod") },
			want:  issuer,
		},
		{
			name: "register an issuer",
			steps: []step{{request: "PUT " + at + "issuers/prod?" + version, body: `{"properties":{"issuer":"https://kubernetes.default.svc.cluster.local","keySource":"KeySet","keySet":{"keys":[]},"algorithms":["RS256"]}}`,
				status: 201, answer: issuerJSON}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutIssuer(ctx, "prod", issuer.IssuerSpec))
			},
			want: made{issuer, true},
		},
		{
			name:  "delete an issuer",
			steps: []step{{request: "DELETE " + at + "issuers/a%2Fb?" + version, status: 204}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.DeleteIssuer(ctx, "a/b")) },
		},
		{
			name:  "read the policy",
			steps: []step{{request: "GET " + at + "policies/default?" + version, answer: `{"properties":{"maxFederatedIdentityCredentials":20,"registeredIssuersOnly":false}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Policy(ctx) },
			want:  Policy{MaxFederatedIdentityCredentials: 20, RegisteredIssuersOnly: new(false)},
		},
		{
			name:  "let credentials name registered issuers only",
			steps: []step{{request: "PUT " + at + "policies/default?" + version, body: `{"properties":{"registeredIssuersOnly":true}}`, answer: `{"properties":{"maxFederatedIdentityCredentials":20,"registeredIssuersOnly":true}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.PutPolicy(ctx, Policy{RegisteredIssuersOnly: new(true)})
			},
			want: Policy{MaxFederatedIdentityCredentials: 20, RegisteredIssuersOnly: new(true)},
		},
		{
			name:  "write the policy",
			steps: []step{{request: "PUT " + at + "policies/default?" + version, body: `{"properties":{"maxFederatedIdentityCredentials":50}}`, answer: `{"properties":{"maxFederatedIdentityCredentials":50}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.PutPolicy(ctx, Policy{MaxFederatedIdentityCredentials: 50})
			},
			want: Policy{MaxFederatedIdentityCredentials: 50},
		},
		{
			name:  "list tenants",
			steps: []step{{request: "GET " + at + "tenants?" + version, answer: `{"value":[{"id":"i","name":"t","properties":{"displayName":"d","subscriptionId":"s"}}]}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.HostedTenants(ctx) },
			want:  []HostedTenant{{ID: "i", TenantID: "t", DisplayName: "d", SubscriptionID: "s"}},
		},
		{
			name:  "read a tenant",
			steps: []step{{request: "GET " + at + "tenants/t?" + version, answer: `{"id":"i","name":"t","properties":{"displayName":"d"}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.HostedTenant(ctx, "t") },
			want:  HostedTenant{ID: "i", TenantID: "t", DisplayName: "d"},
		},
		{
			name: "make a tenant",
			steps: []step{{request: "PUT " + at + "tenants/t?" + version, body: `{"properties":{"displayName":"d","administrator":{"issuer":"https://i","subject":"s"}}}`,
				status: 201, answer: `{"id":"i","name":"t","properties":{"displayName":"d","subscriptionId":"s","administrator":{"clientId":"c","principalId":"p"}}}`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return putting(c.PutHostedTenant(ctx, "t", HostedTenantSpec{DisplayName: "d", Administrator: &AdministratorSpec{Issuer: "https://i", Subject: "s"}}))
			},
			want: made{HostedTenant{ID: "i", TenantID: "t", DisplayName: "d", SubscriptionID: "s", Administrator: &Administrator{ClientID: "c", PrincipalID: "p"}}, true},
		},
		{
			name: "records, no more than wanted",
			steps: []step{
				{request: "GET " + at + "signIns?$top=3&" + version, answer: `{"value":[{"n":1},{"n":2}],"nextLink":"{base}` + at + `signIns?$skiptoken=2"}`},
				{request: "GET " + at + "signIns?$skiptoken=2", answer: `{"value":[{"n":3},{"n":4}],"nextLink":"{base}` + at + `signIns?$skiptoken=4"}`},
			},
			call: func(ctx context.Context, c *Client) (any, error) { return c.Records(ctx, SignIns, 3) },
			want: []json.RawMessage{json.RawMessage(`{"n":1}`), json.RawMessage(`{"n":2}`), json.RawMessage(`{"n":3}`)},
		},
		{
			name: "link to the portal",
			steps: []step{{request: "POST " + at + "portalLinks?" + version, body: `{"properties":{"lifetimeSeconds":90}}`, status: 201,
				answer: `{"properties":{"url":"https://entente.example/portal/link?token=t","expiresAt":"2026-11-02T00:00:00Z"}}`}},
			call: func(ctx context.Context, c *Client) (any, error) { return c.MakePortalLink(ctx, 90*time.Second) },
			want: PortalLink{URL: "https://entente.example/portal/link?token=t", ExpiresAt: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)},
		},
		{
			name:  "link to the portal, for as long as may be",
			steps: []step{{request: "POST " + at + "portalLinks?" + version, body: `{"properties":{}}`, status: 201, answer: `{"properties":{"url":"u"}}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.MakePortalLink(ctx, 0) },
			want:  PortalLink{URL: "u"},
		},
		{
			name:  "rotate",
			steps: []step{{request: "POST " + at + "signingKeys/rotate?" + version, answer: `{}`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return done(c.RotateSigningKey(ctx)) },
		},
	}.run(t)
}

func TestDiscoverTenant(t *testing.T) {
	const challenge = `Bearer authorization_uri="https://login.windows.net/A0B1C2D3-0000-0000-0000-000000000002", error="invalid_token", error_description="The authentication failed because of missing 'Authorization' header."`
	tests := []struct {
		name string
		step step
		want string
	}{
		{"named", step{status: 401, reply: map[string]string{"WWW-Authenticate": challenge}}, appID},
		{"named with 404", step{status: 404, reply: map[string]string{"WWW-Authenticate": challenge}}, appID},
		{"not named", step{status: 401, reply: map[string]string{"WWW-Authenticate": `Bearer realm="x"`}}, ""},
		{"not a GUID", step{status: 401, reply: map[string]string{"WWW-Authenticate": `Bearer authorization_uri="https://x/common"`}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.step.request = "GET /subscriptions/" + sub + "?api-version=2022-12-01"
			tt.step.header = map[string]string{"Authorization": ""}
			s := serve(t, tt.step)
			got, err := DiscoverTenant(t.Context(), s.URL+"/", sub, s.Client())
			var refused *Error
			if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.As(err, &refused) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
