package graph

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

const (
	principalSet = "servicePrincipals"

	// microsoftTenant owns the application of Microsoft Graph everywhere.
	microsoftTenant = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
)

var principalFilters = filterable{
	"id eq": byID, "appid eq": byAppID, "displayname eq": byDisplayName, "displayname startswith": byNamePrefix,
	"serviceprincipalnames any": byIdentifierURI, "serviceprincipaltype eq": byKind,
}

// principalObject is a service principal as Graph shows it, in its order
// (https://learn.microsoft.com/graph/api/resources/serviceprincipal).
func principalObject(p directory.ServicePrincipal) object {
	kind, alternative, appName, owner := "Application", []string{}, any(p.DisplayName), any(p.TenantID)
	switch {
	case p.Kind == credential.ManagedIdentity:
		kind, alternative, appName, owner = "ManagedIdentity", []string{"isExplicit=True", p.IdentityResourceID}, nil, nil
	case p.AppID == roles.GraphAppID:
		owner = microsoftTenant
	}
	return object{
		{"id", p.ID},
		{"deletedDateTime", nil},
		{"accountEnabled", p.Enabled},
		{"alternativeNames", alternative},
		{"appDisplayName", appName},
		{"appDescription", nil},
		{"appId", p.AppID},
		{"applicationTemplateId", nil},
		{"appOwnerOrganizationId", owner},
		{"appRoleAssignmentRequired", p.AssignmentRequired},
		{"createdDateTime", readAt(p.CreatedAt)},
		{"description", nil},
		{"disabledByMicrosoftStatus", nil},
		{"displayName", p.DisplayName},
		{"homepage", nil},
		{"loginUrl", nil},
		{"logoutUrl", nil},
		{"notes", nil},
		{"notificationEmailAddresses", []string{}},
		{"preferredSingleSignOnMode", nil},
		{"preferredTokenSigningKeyThumbprint", nil},
		{"replyUrls", []string{}},
		{"servicePrincipalNames", append([]string{p.AppID}, p.IdentifierURIs...)},
		{"servicePrincipalType", kind},
		{"signInAudience", nil},
		{"tags", orEmpty(p.Tags)},
		{"tokenEncryptionKeyId", nil},
		{"samlSingleSignOnSettings", nil},
		{"verifiedPublisher", noPublisher},
		{"addIns", []object{}},
		{"appRoles", appRoles(p.AppRoles)},
		{"info", extras["info"].render(nil)},
		{"keyCredentials", []object{}},
		{"oauth2PermissionScopes", []object{}},
		{"passwordCredentials", []object{}},
		{"resourceSpecificApplicationPermissions", []object{}},
	}
}

var principalNames = principalObject(directory.ServicePrincipal{}).names()

// principalBody is what a caller writes of a service principal.
type principalBody struct {
	AppID              opt[string]   `name:"appId"`
	Enabled            opt[bool]     `name:"accountEnabled"`
	AssignmentRequired opt[bool]     `name:"appRoleAssignmentRequired"`
	Tags               opt[[]string] `name:"tags"`
	Kind               opt[string]   `name:"servicePrincipalType"`
	Owners             opt[[]string] `name:"owners@odata.bind"`
}

// member lets members that are not kept pass as long as they say nothing.
func (b *principalBody) member(name string, value json.RawMessage) error {
	switch {
	case !slices.Contains(principalNames, name) && name != "customSecurityAttributes":
		return errUnknown
	case !isEmpty(value):
		return requestBad("Property '%s' of a service principal cannot be set on this server.", name)
	}
	return nil
}

func (b *principalBody) check(caller string) error {
	if b.Kind.given() && b.Kind.value != "Application" {
		return invalidValue("ServicePrincipal", "servicePrincipalType", "a managed identity gets its service principal when it is created")
	}
	return (&applicationBody{Owners: b.Owners}).check(caller)
}

func (c *call) fetchPrincipals() (fetch[directory.ServicePrincipal], error) {
	f, err := c.filter(principalFilters)
	if f.PrincipalKind != nil {
		kinds := map[string]string{"application": string(credential.Application), "managedidentity": string(credential.ManagedIdentity)}
		kind := kinds[strings.ToLower(*f.PrincipalKind)] // of the others there are none
		f.PrincipalKind = &kind
	}
	return func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
		return c.Directory.ServicePrincipals(c, c.caller, f, p)
	}, err
}

func (c *call) listPrincipals() (answer, error) {
	found, err := c.fetchPrincipals()
	return listOf(c, principalSet, principalNames, principalObject, found, err)
}

func (c *call) countPrincipals() (answer, error) {
	return countOf(c.fetchPrincipals())
}

func (c *call) getPrincipal() (answer, error) {
	p, err := c.Directory.ServicePrincipal(c, c.caller, c.ref)
	return c.one(principalSet, principalObject(p), err)
}

func (c *call) createPrincipal(b principalBody) (answer, error) {
	if err := b.check(c.caller.PrincipalID); err != nil {
		return answer{}, err
	}
	switch {
	case b.AppID.value == "":
		return answer{}, required("ServicePrincipal", "appId")
	case !directory.IsID(b.AppID.value):
		return answer{}, noApplication(b.AppID.value)
	}
	p, err := c.Directory.CreateServicePrincipal(c, c.caller, directory.NewPrincipal{
		AppID: b.AppID.value, Tags: b.Tags.value, Disabled: b.Enabled.given() && !b.Enabled.value, AssignmentRequired: b.AssignmentRequired.value,
	})
	return c.created(principalSet, principalObject(p), "directoryObjects/"+p.ID+"/Microsoft.DirectoryServices.ServicePrincipal", err)
}

// updatePrincipal changes a service principal, or upserts one by its appId
// (https://learn.microsoft.com/graph/api/serviceprincipal-upsert).
func (c *call) updatePrincipal(b principalBody) (answer, error) {
	if err := b.check(c.caller.PrincipalID); err != nil {
		return answer{}, err
	}
	if b.AppID.set && (c.ref.AppID == "" || !strings.EqualFold(b.AppID.value, c.ref.AppID)) {
		return answer{}, requestBad("Property 'appId' is read-only and cannot be set.")
	}
	edit := directory.PrincipalEdit{Tags: b.Tags.ptr()}
	if b.Enabled.given() {
		edit.Enabled = &b.Enabled.value
	}
	if b.AssignmentRequired.given() {
		edit.AssignmentRequired = &b.AssignmentRequired.value
	}
	update := func() error { return c.Directory.UpdateServicePrincipal(c, c.caller, c.ref, edit) }
	if c.ref.AppID == "" {
		return noContent(update())
	}
	return c.upsert(directory.PrincipalObject, update, func() (answer, error) {
		b.AppID = opt[string]{set: true, value: c.ref.AppID}
		return c.createPrincipal(b)
	})
}

func (c *call) deletePrincipal() (answer, error) {
	return noContent(c.Directory.DeleteServicePrincipal(c, c.caller, c.ref))
}
