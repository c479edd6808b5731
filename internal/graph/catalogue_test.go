package graph

import (
	"context"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

// notOfGraph are the errors of the directory that no request of Graph's meets.
var notOfGraph = map[string]string{
	"Exists IssuerObject":           "issuers are Resource Manager's",
	"Exists ClusterObject":          "clusters are Resource Manager's",
	"Exists AssignmentObject":       "role assignments are Resource Manager's",
	"Exists TenantObject":           "tenants are made through Resource Manager",
	"InUse ClusterObject":           "clusters are Resource Manager's",
	"InUse IssuerObject":            "issuers are Resource Manager's",
	"Immutable ClusterObject":       "clusters are Resource Manager's",
	"Immutable GroupObject":         "resource groups are Resource Manager's",
	"Immutable IdentityObject":      "identities are Resource Manager's",
	"Immutable IssuerObject":        "issuers are Resource Manager's",
	"Invalid AssignmentObject":      "role assignments are Resource Manager's",
	"Invalid ClusterObject":         "clusters are Resource Manager's",
	"Invalid GroupObject":           "resource groups are Resource Manager's",
	"Invalid IdentityObject":        "identities are Resource Manager's",
	"Invalid IssuerObject":          "issuers are Resource Manager's",
	"Invalid PolicyObject":          "the policy is Resource Manager's",
	"Invalid TenantObject":          "tenants are made through Resource Manager",
	"NotFound AssignmentObject":     "role assignments are Resource Manager's",
	"NotFound ClusterObject":        "clusters are Resource Manager's",
	"NotFound GroupObject":          "resource groups are Resource Manager's",
	"NotFound IdentityObject":       "identities are Resource Manager's",
	"NotFound IssuerObject":         "issuers are Resource Manager's",
	"NotFound RoleDefinitionObject": "role definitions are Resource Manager's",
	"NotFound SubscriptionObject":   "subscriptions are Resource Manager's",
	"NotFound TenantObject":         "a caller's tenant is there as long as the caller is",

	"Forbidden PortalLinkObject":          "links are Resource Manager's",
	"Invalid PortalLinkObject":            "links are Resource Manager's",
	"LimitReached PortalLinkObject":       "links are Resource Manager's",
	"NotFound PortalLinkObject":           "links are used in the portal",
	"Forbidden PortalSessionObject":       "sessions are the portal's",
	"Invalid PortalSessionObject":         "sessions are the portal's",
	"NotFound PortalSessionObject":        "sessions are the portal's",
	"Unauthenticated PortalSessionObject": "sessions are the portal's",
}

// neverTold are codes of Graph's for these paths that are known, and that this service has no use for.
var neverTold = map[string]string{
	"TooManyRequests":      "the management surfaces do not throttle",
	"activityLimitReached": "the same",
}

// TestCatalogue produces, for each error of the directory that Graph can meet
// and for each code that it answers with, at least one answer.
func TestCatalogue(t *testing.T) {
	store := testkit.SQLite(t)
	w := newWorldOn(t, store)
	var mu sync.Mutex
	var reason string // of the last refusal, as it is logged
	w.surface.Note = func(_ context.Context, attrs ...slog.Attr) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range attrs {
			if a.Key == "reason" {
				reason = a.Value.String()
			}
		}
	}

	id, appID := w.application(admin, "app")
	app := "/applications/" + id
	fics := app + "/federatedIdentityCredentials"
	w.credential(admin, id, "main")
	w.do(admin, "PATCH", app, m{"uniqueName": "taken"}).is(204)
	sp := w.do(admin, "POST", "/servicePrincipals", m{"appId": appID}).is(201).str("id")
	crowded, _ := w.application(admin, "crowded")
	for i := range 20 {
		w.credential(admin, crowded, fmt.Sprint("c", i))
	}
	secretive, _ := w.application(admin, "secretive")
	for range 100 {
		_, _, err := w.directory.AddSecret(t.Context(), directory.System(tenantA, "test"), directory.Ref{ID: secretive}, directory.NewSecret{})
		w.must(err)
	}
	_, _, err := w.directory.PutGroup(t.Context(), w.callers[admin], directory.Group{SubscriptionID: w.subscription(), Name: "rg", Location: "local"})
	w.must(err)
	identity, _, err := w.directory.PutIdentity(t.Context(), w.callers[admin], directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: w.subscription(), Group: "rg", Name: "ide"}, Location: "local"})
	w.must(err)
	graph, err := w.directory.ServicePrincipal(t.Context(), w.callers[admin], directory.Ref{AppID: roles.GraphAppID})
	w.must(err)
	role := func(id string) m { return m{"principalId": sp, "resourceId": graph.ID, "appRoleId": id} }
	grants := "/servicePrincipals/" + sp + "/appRoleAssignments"
	w.do(admin, "POST", grants, role(graph.AppRoles[0].ID)).is(201)
	with := func(name string, value any) m { b := trust("new"); b[name] = value; return b }
	subject := trust("main")["subject"].(string)
	der, other := w.certificate(pkix.Name{CommonName: "one"}), w.certificate(pkix.Name{CommonName: "two"})
	w.do(admin, "PATCH", app, m{"keyCredentials": []m{azKey(firstKey, der)}}).is(204)
	keyed := make([]m, 101)
	for i := range keyed {
		keyed[i] = m{"key": base64.StdEncoding.EncodeToString(der)}
	}
	late := azKey(secondKey, der)
	late["endDateTime"] = "2100-01-01T00:00:00Z"

	const (
		gone    = "NotFound "
		clashes = "Exists "
		broken  = "Invalid "
		fixed   = "Immutable "
		many    = "LimitReached "
		key     = "Request_MultipleObjectsWithSameKeyValue"
		wrong   = "Request_BadRequest"
		invalid = "InvalidFederatedIdentityCredentialValue"
		trailer = " paramName: FederatedIdentityCredential.%s, paramValue: %s, objectType: Microsoft.Online.DirectoryServices.Application"
	)
	told, codes := map[string]bool{}, map[string]bool{}
	for _, c := range []struct {
		domain        string // of the directory, "Kind Object"; empty: Graph's own
		as            string
		method, path  string
		body          any
		status        int
		code, message string
	}{
		{clashes + "CredentialObject", admin, "POST", fics, with("name", "main"), 409, key, "FederatedIdentityCredential with name main already exists."},
		{clashes + "CredentialObject", admin, "POST", fics, with("subject", subject), 400, invalid, "The combination of issuer and subject must be unique for the application. Issuer https://issuer.example/t1/ and Subject: " + subject + " already exist." + fmt.Sprintf(trailer, "Subject", subject)},
		{gone + "ApplicationObject", admin, "GET", "/applications/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{gone + "CredentialObject", admin, "GET", fics + "/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{gone + "ApplicationObject", admin, "POST", "/applications/" + identity.PrincipalID + "/federatedIdentityCredentials", trust("x"), 404, "Request_ResourceNotFound", "Resource '" + identity.PrincipalID + notThere},
		{"", admin, "POST", "/applications//federatedIdentityCredentials", trust("x"), 400, "BadRequest", "The request URI is not valid. Since the segment 'applications' refers to a collection, this must be the last segment in the request URI or it must be followed by an function or action that can be bound to it otherwise all intermediate segments must refer to a single resource."},
		{"", admin, "POST", fics, with("claimsMatchingExpression", m{"value": "x", "languageVersion": 1}), 400, invalid, "A claimsMatchingExpression is not supported: …"},
		{many + "CredentialObject", admin, "POST", "/applications/" + crowded + "/federatedIdentityCredentials", trust("c20"), 400, invalid, "An application can have at most 20 federated identity credentials. Remove one that is no longer used, or raise the limit of the tenant."},
		{broken + "CredentialObject", admin, "POST", fics, with("name", "a b"), 400, invalid, "The name …" + fmt.Sprintf(trailer, "Name", "a b")},
		{broken + "CredentialObject", admin, "POST", fics, with("subject", strings.Repeat("s", 601)), 400, invalid, "The subject must have at most 600 characters." + fmt.Sprintf(trailer, "Subject", strings.Repeat("s", 601))},
		{broken + "CredentialObject", admin, "POST", fics, with("audiences", []string{}), 400, invalid, "The audiences must hold exactly one audience." + fmt.Sprintf(trailer, "Audiences", "")},
		{broken + "CredentialObject", admin, "POST", fics, with("audiences", []string{"a", "b"}), 400, invalid, "The audiences must hold exactly one audience, not 2." + fmt.Sprintf(trailer, "Audiences", "a, b")},
		{fixed + "CredentialObject", admin, "PATCH", fics + "/main", m{"name": "renamed"}, 400, wrong, "Property 'name' of resource 'FederatedIdentityCredential' cannot be changed."},

		{"Unauthenticated PrincipalObject", "", "GET", app, nil, 401, "InvalidAuthenticationToken", "Access token is empty."},
		{"Forbidden PrincipalObject", reader, "PATCH", app, m{"displayName": "x"}, 403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."},
		{"", admin, "POST", "/applications", m{"nonsense": 1}, 400, wrong, "Invalid property 'nonsense'."},
		{broken + "ApplicationObject", admin, "POST", "/applications", m{"displayName": "x\x00"}, 400, wrong, "Invalid value specified for property 'displayName' of resource 'Application'. Holds a control character."},
		{clashes + "ApplicationObject", admin, "POST", app + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + w.callers[admin].PrincipalID}, 400, wrong, "One or more added object references already exist for the following modified properties: 'owners'."},
		{clashes + "ApplicationObject", admin, "POST", "/applications", m{"displayName": "x", "uniqueName": "taken"}, 400, wrong, "Another object with the same value for property uniqueName already exists."},
		{fixed + "ApplicationObject", admin, "PATCH", app, m{"uniqueName": "x"}, 400, wrong, "Property 'uniqueName' of resource 'Application' cannot be changed."},
		{broken + "PrincipalObject", admin, "POST", "/servicePrincipals", m{"appId": nowhere}, 400, wrong, "The appId '" + nowhere + "' of the service principal does not reference a valid application object."},
		{clashes + "PrincipalObject", admin, "POST", "/servicePrincipals", m{"appId": appID}, 409, key, "The service principal cannot be created, updated, or restored because the service principal name " + appID + " is already in use."},
		{gone + "PrincipalObject", admin, "GET", "/servicePrincipals/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{fixed + "PrincipalObject", admin, "DELETE", "/servicePrincipals/" + identity.PrincipalID, nil, 400, wrong, "Property 'servicePrincipalType' of resource 'ServicePrincipal' cannot be changed. The service principal of a managed identity is deleted with the identity."},
		{broken + "SecretObject", admin, "POST", app + "/addPassword", m{"passwordCredential": m{"endDateTime": "2000-01-01T00:00:00Z"}}, 400, wrong, "Invalid value specified for property 'endDateTime' of resource 'PasswordCredential'. Must be after startDateTime."},
		{gone + "SecretObject", admin, "POST", app + "/removePassword", m{"keyId": nowhere}, 400, wrong, "No password credential found with keyId '" + nowhere + "'."},
		{many + "SecretObject", admin, "POST", "/applications/" + secretive + "/addPassword", m{}, 400, wrong, "An application or service principal can have at most 100 password credentials. Remove one that is no longer used."},
		{broken + "CertificateObject", admin, "PATCH", app, m{"keyCredentials": []m{{"key": "AAAA"}}}, 400, wrong, "Invalid value specified for property 'key' of resource 'KeyCredential'. Is not an X.509 certificate in DER."},
		{broken + "CertificateObject", admin, "PATCH", "/servicePrincipals/" + sp, m{"keyCredentials": []m{late}}, 400, "KeyCredentialsInvalidEndDate", "Key credential end date is invalid. It is after …, when the certificate expires."},
		{fixed + "CertificateObject", admin, "PATCH", app, m{"keyCredentials": []m{azKey(firstKey, other)}}, 400, wrong, "Property 'key' of resource 'KeyCredential' cannot be changed."},
		{many + "CertificateObject", admin, "PATCH", app, m{"keyCredentials": keyed}, 400, wrong, "An application or service principal can have at most 100 key credentials. Remove one that is no longer used."},
		{fixed + "PrincipalObject", admin, "POST", "/servicePrincipals/" + identity.PrincipalID + "/addPassword", m{}, 400, wrong, "Property 'servicePrincipalType' of resource 'ServicePrincipal' cannot be changed. A managed identity has no secrets and no certificates."},
		{clashes + "PrincipalObject", admin, "POST", "/servicePrincipals/" + sp + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + w.callers[admin].PrincipalID}, 400, wrong, "One or more added object references already exist for the following modified properties: 'owners'."},
		{"", admin, "GET", "/users/someone@example.com", nil, 404, "Request_ResourceNotFound", "Resource 'someone@example.com" + notThere},
		{"", admin, "POST", "/users", m{"userPrincipalName": "x"}, 400, wrong, "A user cannot be created: …"},
		{"", admin, "POST", "/groups", m{"displayName": "x"}, 400, wrong, "A group cannot be created: …"},
		{"", admin, "POST", "/oauth2PermissionGrants", m{"clientId": sp}, 400, wrong, "A delegated permission cannot be granted: …"},
		{clashes + "GrantObject", admin, "POST", grants, role(graph.AppRoles[0].ID), 400, wrong, "Permission being assigned already exists on the object"},
		{broken + "GrantObject", admin, "POST", grants, role(nowhere), 400, wrong, "Permission being assigned was not found on application"},
		{gone + "GrantObject", admin, "DELETE", grants + "/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},

		{"", admin, "GET", "/applications?$search=%22displayName:x%22", nil, 400, "Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'"},
		{"", admin, "PUT", app, nil, 405, wrong, "Specified HTTP method is not allowed for the request target."},
		{"", admin, "POST", "/applications", `{"displayName":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "Request_EntityTooLarge", "…"},
		{"", "broken", "GET", app, nil, 500, "InternalServerError", "The server has failed. Its log says more under the request id."},
	} {
		t.Run(c.domain+" "+c.method+" "+shorten(c.path, 60), func(t *testing.T) {
			got := w.do(c.as, c.method, c.path, c.body)
			got.T = t
			got.fails(c.status, c.code, c.message)
			mu.Lock()
			defer mu.Unlock()
			if c.domain != "" && !strings.Contains(reason, because[strings.Fields(c.domain)[0]]) {
				t.Errorf("the reason is %q, want one of %s", reason, c.domain)
			}
			told[c.domain], codes[c.code] = true, true
		})
	}
	r := w.do(admin, "POST", "/applications", `{}`, "Content-Type: text/plain")
	r.fails(415, "UnsupportedMediaType", "…")
	codes[r.code()] = true
	// A request whose time is over has nobody to read its answer.
	codes[faultOf(context.DeadlineExceeded).code] = true
	// TestFullDatabase produces this one.
	told["Full"], codes["InsufficientStorage"] = true, true

	for _, name := range append(testkit.DomainErrors(t, filepath.Join("..", "directory")), "Invalid ApplicationObject") {
		if told[name] == (notOfGraph[name] != "") {
			t.Errorf("%s: told %v, and listed as not of Graph: %q", name, told[name], notOfGraph[name])
		}
	}
	for _, code := range codesOf(t) {
		if !codes[code] {
			t.Errorf("the code %s is not in the catalogue, which has %q", code, slices.Sorted(maps.Keys(codes)))
		}
	}
	for code := range neverTold {
		if codes[code] {
			t.Errorf("%s is told, and listed as never told", code)
		}
	}
}

// because is a part of what a directory.Error of each kind says.
var because = map[string]string{
	"NotFound": "is not there", "Exists": "conflicts with", "Invalid": "has an invalid", "Immutable": "cannot change its",
	"LimitReached": "more than the limit", "Forbidden": "is not permitted", "Unauthenticated": "of the caller is gone or disabled",
}

// subscription is the first one of tenant A.
func (w *world) subscription() string {
	w.Helper()
	all, err := w.directory.Subscriptions(w.Context(), w.callers[admin])
	w.must(err)
	return all[0].ID
}

// codesOf reads the codes from the source, so that none is forgotten.
func codesOf(t *testing.T) (codes []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:faultf\(http\.\w+|sameKey =)[ ,]+"(\w+)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			codes = append(codes, found[1])
		}
	}
	if slices.Sort(codes); len(codes) < 10 {
		t.Fatalf("the source has the codes %q", codes)
	}
	return slices.Compact(codes)
}
