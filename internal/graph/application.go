package graph

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

const applicationSet = "applications"

var applicationFilters = filterable{
	"id eq": byID, "appid eq": byAppID, "displayname eq": byDisplayName, "displayname startswith": byNamePrefix,
	"identifieruris any": byIdentifierURI, "uniquename eq": byUniqueName,
}

// applicationObject is an application as Graph shows it, in its order
// (https://learn.microsoft.com/graph/api/resources/application).
func applicationObject(a directory.Application, domain, createdAt string) object {
	extra := func(name string) any { return extras[name].render(a.Extra[name]) }
	return object{
		{"id", a.ID},
		{"deletedDateTime", deletedAt(a.DeletedAt)},
		{"appId", a.AppID},
		{"applicationTemplateId", nil},
		{"disabledByMicrosoftStatus", nil},
		{"createdDateTime", createdAt},
		{"displayName", a.DisplayName},
		{"description", orNull(a.Description)},
		{"groupMembershipClaims", extra("groupMembershipClaims")},
		{"identifierUris", orEmpty(a.IdentifierURIs)},
		{"isDeviceOnlyAuthSupported", extra("isDeviceOnlyAuthSupported")},
		{"isFallbackPublicClient", extra("isFallbackPublicClient")},
		{"notes", orNull(a.Notes)},
		{"publisherDomain", orNull(domain)},
		{"serviceManagementReference", extra("serviceManagementReference")},
		{"signInAudience", a.SignInAudience},
		{"tags", orEmpty(a.Tags)},
		{"tokenEncryptionKeyId", extra("tokenEncryptionKeyId")},
		{"uniqueName", orNull(a.UniqueName)},
		{"samlMetadataUrl", extra("samlMetadataUrl")},
		{"defaultRedirectUri", extra("defaultRedirectUri")},
		{"certification", nil},
		{"optionalClaims", extra("optionalClaims")},
		{"requestSignatureVerification", extra("requestSignatureVerification")},
		{"addIns", extra("addIns")},
		{"api", extras["api"].render(withTokenVersion(a.Extra["api"], a.TokenVersion))},
		{"appRoles", appRoles(a.AppRoles)},
		{"info", extra("info")},
		{"keyCredentials", keyObjects(a.Certificates)},
		{"parentalControlSettings", extra("parentalControlSettings")},
		{"passwordCredentials", passwords(a.Secrets)},
		{"publicClient", extra("publicClient")},
		{"requiredResourceAccess", extra("requiredResourceAccess")},
		{"servicePrincipalLockConfiguration", extra("servicePrincipalLockConfiguration")},
		{"verifiedPublisher", noPublisher},
		{"web", extra("web")},
		{"spa", extra("spa")},
		{"nativeAuthenticationApisEnabled", extra("nativeAuthenticationApisEnabled")},
		{"oauth2RequirePostResponse", extra("oauth2RequirePostResponse")},
	}
}

var (
	applicationNames = applicationObject(directory.Application{}, "", "").names()
	noPublisher      = object{{"displayName", nil}, {"verifiedPublisherId", nil}, {"addedDateTime", nil}}
)

func appRoles(list []directory.AppRole) []object {
	shown := make([]object, 0, len(list))
	for _, r := range list {
		shown = append(shown, object{
			{"allowedMemberTypes", orEmpty(r.MemberTypes)},
			{"description", orNull(r.Description)},
			{"displayName", orNull(r.DisplayName)},
			{"id", r.ID},
			{"isEnabled", r.Enabled},
			{"origin", "Application"},
			{"value", orNull(r.Value)},
		})
	}
	return shown
}

// applicationBody is what a caller writes of an application. Its ids may be
// sent back as they were read; there is only one that each can be.
type applicationBody struct {
	ID             opt[string]        `name:"id"`
	AppID          opt[string]        `name:"appId"`
	DisplayName    opt[string]        `name:"displayName"`
	Description    opt[string]        `name:"description"`
	Notes          opt[string]        `name:"notes"`
	UniqueName     opt[string]        `name:"uniqueName"`
	SignInAudience opt[string]        `name:"signInAudience"`
	IdentifierURIs opt[[]string]      `name:"identifierUris"`
	Tags           opt[[]string]      `name:"tags"`
	AppRoles       opt[[]appRoleBody] `name:"appRoles"`
	Owners         opt[[]string]      `name:"owners@odata.bind"`

	Keys      opt[[]json.RawMessage] `name:"keyCredentials"`
	Passwords opt[[]json.RawMessage] `name:"passwordCredentials"`

	certificates []directory.Certificate    // of Keys
	extra        map[string]json.RawMessage // by name in extras
}

type appRoleBody struct {
	ID          string   `json:"id"`
	Value       string   `json:"value"`
	DisplayName string   `json:"displayName"`
	Description string   `json:"description"`
	Enabled     *truth   `json:"isEnabled"`
	MemberTypes []string `json:"allowedMemberTypes"`
}

// truth is a boolean that may stand in quotation marks, as it does in what the
// help of az tells people to send ("az ad app create --app-roles").
type truth bool

func (t *truth) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(string(data)) {
	case `true`, `"true"`:
		*t = true
	case `false`, `"false"`:
		*t = false
	default:
		return fmt.Errorf("%.20q is neither true nor false", data)
	}
	return nil
}

// The members that Graph itself sets.
var applicationReadOnly = []string{
	"applicationTemplateId", "certification", "createdByAppId", "createdDateTime", "deletedDateTime",
	"disabledByMicrosoftStatus", "publisherDomain", "verifiedPublisher",
}

func (b *applicationBody) member(name string, value json.RawMessage) error {
	_, kept := extras[name]
	switch {
	case kept:
		if b.extra == nil {
			b.extra = map[string]json.RawMessage{}
		}
		b.extra[name] = value
	case slices.Contains(applicationReadOnly, name):
		if string(value) != "null" {
			return setReadOnly(name)
		}
	case name == "federatedIdentityCredentials":
		if !isEmpty(value) {
			return requestBad("federatedIdentityCredentials cannot be set together with the application: create an application object first and then create the federated identity credential, by POST to /applications/{id}/federatedIdentityCredentials.")
		}
	default:
		return errUnknown
	}
	return nil
}

var signInAudiences = []string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}

// check refuses what cannot be judged by the domain.
func (b *applicationBody) check() (err error) {
	switch {
	case b.DisplayName.set && b.DisplayName.value == "":
		return required("Application", "displayName")
	case b.SignInAudience.given() && !slices.Contains(signInAudiences, b.SignInAudience.value):
		return invalidValue("Application", "signInAudience", "the values are "+strings.Join(signInAudiences, ", "))
	}
	for _, r := range b.AppRoles.value {
		strange := slices.ContainsFunc(r.MemberTypes, func(t string) bool { return t != "User" && t != "Application" })
		if len(r.MemberTypes) == 0 || strange {
			return invalidValue("Application", "appRoles", "allowedMemberTypes holds User, Application or both")
		}
	}
	b.certificates, err = readKeys(b.Keys)
	return err
}

// apply writes the body over an application.
func (b *applicationBody) apply(a *directory.Application) error {
	switch {
	case b.ID.given() && !strings.EqualFold(b.ID.value, a.ID):
		return setReadOnly("id")
	case b.AppID.given() && !strings.EqualFold(b.AppID.value, a.AppID):
		return setReadOnly("appId")
	}
	if b.Keys.given() {
		a.Certificates = b.certificates
	}
	for _, m := range []struct {
		from opt[string]
		to   *string
	}{{b.DisplayName, &a.DisplayName}, {b.Description, &a.Description}, {b.Notes, &a.Notes}, {b.UniqueName, &a.UniqueName}} {
		if m.from.set {
			*m.to = m.from.value
		}
	}
	if b.SignInAudience.given() {
		a.SignInAudience = b.SignInAudience.value
	}
	if b.IdentifierURIs.set {
		a.IdentifierURIs = b.IdentifierURIs.value
	}
	if b.Tags.set {
		a.Tags = b.Tags.value
	}
	if b.AppRoles.set {
		a.AppRoles = make([]directory.AppRole, 0, len(b.AppRoles.value))
		for _, r := range b.AppRoles.value {
			a.AppRoles = append(a.AppRoles, directory.AppRole{
				ID: strings.ToLower(r.ID), Value: r.Value, DisplayName: r.DisplayName, Description: r.Description,
				Enabled: r.Enabled == nil || bool(*r.Enabled), MemberTypes: r.MemberTypes,
			})
		}
	}
	return b.applyExtra(a)
}

func (b *applicationBody) applyExtra(a *directory.Application) error {
	kept := maps.Clone(a.Extra)
	if kept == nil {
		kept = map[string]json.RawMessage{}
	}
	for _, name := range slices.Sorted(keysOf(b.extra)) {
		old := kept[name]
		if name == "api" {
			old = withTokenVersion(old, a.TokenVersion)
		}
		merged, err := extras[name].merge("Application", name, old, b.extra[name])
		if err != nil {
			return err
		}
		if name == "api" {
			if merged, a.TokenVersion, err = splitTokenVersion(merged); err != nil {
				return err
			}
		}
		if merged == nil {
			delete(kept, name)
		} else {
			kept[name] = merged
		}
	}
	a.Extra = kept
	return nil
}

func (c *call) fetchApplications() (fetch[directory.Application], error) {
	f, err := c.filter(applicationFilters)
	return func(p directory.Page) (directory.Paged[directory.Application], error) {
		return c.Directory.Applications(c, c.caller, f, p)
	}, err
}

// showApplication shows one that was read.
func (c *call) showApplication(a directory.Application) object {
	return c.showApplicationAt(a, readAt(a.CreatedAt))
}

func (c *call) showApplicationAt(a directory.Application, createdAt string) object {
	a.Certificates = c.shownKeys(a.Certificates)
	return applicationObject(a, c.tenant.Domain, createdAt)
}

func (c *call) listApplications() (answer, error) {
	found, err := c.fetchApplications()
	return listOf(c, applicationSet, applicationNames, c.showApplication, found, err)
}

func (c *call) countApplications() (answer, error) {
	return countOf(c.fetchApplications())
}

func (c *call) getApplication() (answer, error) {
	a, err := c.Directory.Application(c, c.caller, c.ref)
	return c.one(applicationSet, c.showApplication(a), err)
}

func (c *call) createApplication(b applicationBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	if b.DisplayName.value == "" {
		return answer{}, required("Application", "displayName")
	}
	var a directory.Application
	err := b.apply(&a)
	if err == nil {
		a.Secrets, err = firstPasswords(b.Passwords)
	}
	if err == nil {
		a.Owners, err = boundOwners(b.Owners)
	}
	if err != nil {
		return answer{}, err
	}
	a, err = c.Directory.CreateApplication(c, c.caller, a)
	return c.created(applicationSet, c.showApplicationAt(a, madeAt(a.CreatedAt)), "directoryObjects/"+a.ID+"/Microsoft.DirectoryServices.Application", err)
}

// updateApplication changes an application, or upserts one by its uniqueName
// (https://learn.microsoft.com/graph/api/application-upsert).
func (c *call) updateApplication(b applicationBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	update := func() error {
		_, err := c.Directory.UpdateApplication(c, c.caller, c.ref, func(a *directory.Application) error {
			if err := checkUnbound(b.Owners, b.Passwords, a.Secrets); err != nil {
				return err
			}
			return b.apply(a)
		})
		return err
	}
	if c.ref.UniqueName == "" {
		return noContent(update())
	}
	return c.upsert(directory.ApplicationObject, update, func() (answer, error) {
		if b.UniqueName.set && b.UniqueName.value != c.ref.UniqueName {
			return answer{}, requestBad("The uniqueName of the body is not the one of the request URI.")
		}
		b.UniqueName = opt[string]{set: true, value: c.ref.UniqueName}
		return c.createApplication(b)
	})
}

func (c *call) deleteApplication() (answer, error) {
	return noContent(c.Directory.DeleteApplication(c, c.caller, c.ref))
}
