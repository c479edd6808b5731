package graph

import (
	"encoding/json"
	"maps"
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
	extra := func(name string) any { return principalExtras[name].render(p.Extra[name]) }
	kind, alternative, appName, owner := "Application", extra("alternativeNames"), any(p.DisplayName), any(p.TenantID)
	switch {
	case p.Kind == credential.ManagedIdentity:
		kind, alternative, appName, owner = "ManagedIdentity", []string{"isExplicit=True", p.IdentityResourceID}, nil, nil
	case p.AppID == roles.GraphAppID:
		owner = microsoftTenant
	}
	return object{
		{"id", p.ID},
		{"deletedDateTime", deletedAt(p.DeletedAt)},
		{"accountEnabled", p.Enabled},
		{"alternativeNames", alternative},
		{"appDisplayName", appName},
		{"appDescription", nil},
		{"appId", p.AppID},
		{"applicationTemplateId", nil},
		{"appOwnerOrganizationId", owner},
		{"appRoleAssignmentRequired", p.AssignmentRequired},
		{"createdDateTime", readAt(p.CreatedAt)},
		{"description", extra("description")},
		{"disabledByMicrosoftStatus", nil},
		{"displayName", p.DisplayName},
		{"homepage", nil},
		{"loginUrl", extra("loginUrl")},
		{"logoutUrl", nil},
		{"notes", extra("notes")},
		{"notificationEmailAddresses", extra("notificationEmailAddresses")},
		{"preferredSingleSignOnMode", extra("preferredSingleSignOnMode")},
		{"preferredTokenSigningKeyThumbprint", nil},
		{"replyUrls", []string{}},
		{"servicePrincipalNames", append([]string{p.AppID}, p.IdentifierURIs...)},
		{"servicePrincipalType", kind},
		{"signInAudience", nil},
		{"tags", orEmpty(p.Tags)},
		{"tokenEncryptionKeyId", nil},
		{"samlSingleSignOnSettings", extra("samlSingleSignOnSettings")},
		{"verifiedPublisher", noPublisher},
		{"addIns", []object{}},
		{"appRoles", appRoles(p.AppRoles)},
		{"info", extras["info"].render(nil)},
		{"keyCredentials", keyObjects(p.Certificates)},
		{"oauth2PermissionScopes", []object{}},
		{"passwordCredentials", passwords(p.Secrets)},
		{"resourceSpecificApplicationPermissions", []object{}},
	}
}

// showPrincipal shows one as the version of Graph does that is asked.
func (c *call) showPrincipal(p directory.ServicePrincipal) object {
	p.Certificates = c.shownKeys(p.Certificates)
	o := principalObject(p)
	if c.version == "beta" {
		o = append(o, member{"samlMetadataUrl", nil})
	}
	return o
}

func (c *call) principalNames() []string {
	return c.showPrincipal(directory.ServicePrincipal{}).names()
}

// principalBody is what a caller writes of a service principal. Its ids may be
// sent back as they were read.
type principalBody struct {
	ID                 opt[string]   `name:"id"`
	AppID              opt[string]   `name:"appId"`
	Enabled            opt[bool]     `name:"accountEnabled"`
	AssignmentRequired opt[bool]     `name:"appRoleAssignmentRequired"`
	Tags               opt[[]string] `name:"tags"`
	Kind               opt[string]   `name:"servicePrincipalType"`
	Owners             opt[[]string] `name:"owners@odata.bind"`

	Keys      opt[[]json.RawMessage] `name:"keyCredentials"`
	Passwords opt[[]json.RawMessage] `name:"passwordCredentials"`

	extra map[string]json.RawMessage // by name in principalExtras; nil: the default
}

var principalMembers = append(principalObject(directory.ServicePrincipal{}).names(), "customSecurityAttributes", "samlMetadataUrl")

// member lets members that are not kept pass as long as they say nothing.
func (b *principalBody) member(name string, value json.RawMessage) error {
	kept, ok := principalExtras[name]
	switch {
	case ok:
		if isEmpty(value) {
			value = json.RawMessage("null")
		}
		merged, err := kept.merge("ServicePrincipal", name, nil, value)
		if b.extra == nil {
			b.extra = map[string]json.RawMessage{}
		}
		b.extra[name] = merged
		return err
	case !slices.Contains(principalMembers, name):
		return errUnknown
	case !isEmpty(value):
		return requestBad("Property '%s' of a service principal cannot be set on this server.", name)
	}
	return nil
}

func (b *principalBody) check() error {
	if b.Kind.given() && b.Kind.value != "Application" {
		return invalidValue("ServicePrincipal", "servicePrincipalType", "a managed identity gets its service principal when it is created")
	}
	return nil
}

func (c *call) principalFilter() (directory.Filter, error) {
	f, err := c.filter(principalFilters)
	if f.PrincipalKind != nil {
		kinds := map[string]string{"application": string(credential.Application), "managedidentity": string(credential.ManagedIdentity)}
		kind := kinds[strings.ToLower(*f.PrincipalKind)] // of the others there are none
		f.PrincipalKind = &kind
	}
	return f, err
}

func (c *call) fetchPrincipals() (fetch[directory.ServicePrincipal], error) {
	f, err := c.principalFilter()
	return func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
		return c.Directory.ServicePrincipals(c, c.caller, f, p)
	}, err
}

func (c *call) listPrincipals() (answer, error) {
	found, err := c.fetchPrincipals()
	return listOf(c, principalSet, c.principalNames(), c.showPrincipal, found, err)
}

func (c *call) countPrincipals() (answer, error) {
	return countOf(c.fetchPrincipals())
}

func (c *call) getPrincipal() (answer, error) {
	p, err := c.Directory.ServicePrincipal(c, c.caller, c.ref)
	return c.one(principalSet, c.showPrincipal(p), err)
}

func (c *call) createPrincipal(b principalBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	switch {
	case b.ID.given():
		return answer{}, setReadOnly("id")
	case len(b.Passwords.value) > 0:
		return answer{}, errPasswords
	case b.AppID.value == "":
		return answer{}, required("ServicePrincipal", "appId")
	case !directory.IsID(b.AppID.value):
		return answer{}, noApplication(b.AppID.value)
	}
	keys, err := readKeys(b.Keys)
	if err != nil {
		return answer{}, err
	}
	owners, err := boundOwners(b.Owners)
	if err != nil {
		return answer{}, err
	}
	maps.DeleteFunc(b.extra, func(_ string, value json.RawMessage) bool { return value == nil })
	p, err := c.Directory.CreateServicePrincipal(c, c.caller, directory.NewPrincipal{
		AppID: b.AppID.value, Tags: b.Tags.value, Disabled: b.Enabled.given() && !b.Enabled.value, AssignmentRequired: b.AssignmentRequired.value,
		Extra: b.extra, Certificates: keys, Owners: owners,
	})
	return c.created(principalSet, c.showPrincipal(p), "directoryObjects/"+p.ID+"/Microsoft.DirectoryServices.ServicePrincipal", err)
}

// updatePrincipal changes a service principal, or upserts one by its appId
// (https://learn.microsoft.com/graph/api/serviceprincipal-upsert).
func (c *call) updatePrincipal(b principalBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	keys, err := readKeys(b.Keys)
	if err != nil {
		return answer{}, err
	}
	edit := directory.PrincipalEdit{Tags: b.Tags.ptr()}
	if b.Keys.given() {
		edit.Certificates = &keys
	}
	if b.extra != nil {
		edit.Extra = &b.extra
	}
	if b.Enabled.given() {
		edit.Enabled = &b.Enabled.value
	}
	if b.AssignmentRequired.given() {
		edit.AssignmentRequired = &b.AssignmentRequired.value
	}
	update := func() error {
		if err := c.checkPrincipal(b); err != nil {
			return err
		}
		return c.Directory.UpdateServicePrincipal(c, c.caller, c.ref, edit)
	}
	if c.ref.AppID == "" {
		return noContent(update())
	}
	return c.upsert(directory.PrincipalObject, update, func() (answer, error) {
		b.AppID = opt[string]{set: true, value: c.ref.AppID}
		return c.createPrincipal(b)
	})
}

// checkPrincipal compares what an update says and cannot change with what is there.
func (c *call) checkPrincipal(b principalBody) error {
	if !b.ID.given() && !b.AppID.set && !b.Owners.given() && !b.Passwords.given() {
		return nil
	}
	p, err := c.Directory.ServicePrincipal(c, c.caller, c.ref)
	switch {
	case err != nil:
		return err
	case b.ID.given() && !strings.EqualFold(b.ID.value, p.ID):
		return setReadOnly("id")
	case b.AppID.set && !strings.EqualFold(b.AppID.value, p.AppID):
		return setReadOnly("appId")
	}
	return checkUnbound(b.Owners, b.Passwords, p.Secrets)
}

func (c *call) deletePrincipal() (answer, error) {
	return noContent(c.Directory.DeleteServicePrincipal(c, c.caller, c.ref))
}
