package directory

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The sizes of what a person may write.
const (
	maxSecrets = 100
	maxListed  = 200 // app roles, identifier URIs, tags
	maxExtra   = 64 << 10
	maxText    = 1024
	maxName    = 256
	maxTag     = 256
	maxURI     = 255
	maxScope   = 1024
)

// checkText refuses what no name or text may hold on either engine and in any log.
func checkText(o Object, field, text string, max int) error {
	switch {
	case !utf8.ValidString(text):
		return invalid(o, field, "is not valid UTF-8")
	case utf8.RuneCountInString(text) > max:
		return invalid(o, field, "is longer than %d characters", max)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
		return invalid(o, field, "holds a control character")
	}
	return nil
}

func checkTags(o Object, tags []string) error {
	if len(tags) > maxListed {
		return invalid(o, "tags", "at most %d", maxListed)
	}
	for _, tag := range tags {
		if err := checkText(o, "tags", tag, maxTag); err != nil {
			return err
		}
	}
	return nil
}

// validate checks everything but what other applications have.
func (a Application) validate() error {
	const o = ApplicationObject
	if a.DisplayName == "" {
		return invalid(o, "displayName", "is required")
	}
	for _, m := range []struct {
		field, text string
		max         int
	}{
		{"displayName", a.DisplayName, maxName}, {"description", a.Description, maxText}, {"notes", a.Notes, maxText},
		{"uniqueName", a.UniqueName, maxText}, {"signInAudience", a.SignInAudience, maxText},
	} {
		if err := checkText(o, m.field, m.text, m.max); err != nil {
			return err
		}
	}
	if a.TokenVersion < 0 || a.TokenVersion > 2 {
		return invalid(o, "api.requestedAccessTokenVersion", "must be 1, 2 or null")
	}
	if err := checkTags(o, a.Tags); err != nil {
		return err
	}
	if len(a.IdentifierURIs) > maxListed {
		return invalid(o, "identifierUris", "at most %d", maxListed)
	}
	for i, uri := range a.IdentifierURIs {
		if err := a.checkURI(uri); err != nil {
			return err
		}
		if slices.Contains(a.IdentifierURIs[:i], uri) {
			return invalid(o, "identifierUris", "%q stands twice", uri)
		}
	}
	if err := checkExtra(o, a.Extra); err != nil {
		return err
	}
	return checkAppRoles(a.AppRoles)
}

// checkExtra bounds the members that are only kept.
func checkExtra(o Object, extra map[string]json.RawMessage) error {
	size := 0
	for name, value := range extra {
		if size += len(name) + len(value); size > maxExtra || !utf8.Valid(value) {
			return invalid(o, "properties", "the object is larger than %d bytes, or not UTF-8", maxExtra)
		}
	}
	return nil
}

func (a Application) checkURI(uri string) error {
	const o = ApplicationObject
	if err := checkText(o, "identifierUris", uri, maxURI); err != nil {
		return err
	}
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() || u.Fragment != "" || strings.ContainsFunc(uri, unicode.IsSpace) {
		return invalid(o, "identifierUris", "%q is not an absolute URI", uri)
	}
	// Everybody takes api:// and a client id for that client.
	if id, ok := strings.CutPrefix(fold(uri), "api://"); ok && IsID(id) && id != a.AppID {
		return invalid(o, "identifierUris", "%q holds the client id of another application", uri)
	}
	return nil
}

func checkAppRoles(list []AppRole) error {
	const o = ApplicationObject
	if len(list) > maxListed {
		return invalid(o, "appRoles", "at most %d", maxListed)
	}
	ids, values := map[string]bool{}, map[string]bool{}
	for _, r := range list {
		if !IsID(r.ID) {
			return invalid(o, "appRoles", "the id %q is not a GUID", r.ID)
		}
		for _, text := range []string{r.Value, r.DisplayName, r.Description} {
			if err := checkText(o, "appRoles", text, maxText); err != nil {
				return err
			}
		}
		if strings.ContainsFunc(r.Value, unicode.IsSpace) {
			return invalid(o, "appRoles", "the value %q has white space", r.Value)
		}
		if ids[r.ID] || r.Value != "" && values[r.Value] {
			return invalid(o, "appRoles", "the id or value of %q stands twice", r.Value)
		}
		ids[r.ID], values[r.Value] = true, true
		for _, who := range r.MemberTypes {
			if who != "User" && who != "Application" || len(r.MemberTypes) > 2 {
				return invalid(o, "appRoles", "the members of %q are none of User and Application", r.Value)
			}
		}
	}
	return nil
}

// groupName is Azure's rule for resource groups: letters, digits, underscores,
// parentheses, hyphens and periods, at most 90, no period at the end
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
// The number stands beside it, because 90 of these classes take long to compile, in
// every process.
var groupName = regexp.MustCompile(`^[\p{L}\p{Nd}_().-]+$`)

const maxGroupName = 90

// identityName is Azure's rule for user-assigned identities, on the same page.
var identityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`)

// issuerName is ours, and that of the credentials of managed identities.
var issuerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`)

// domainName takes no name that could be a tenant's id, or a word such as "common": it has a dot.
var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

const maxDomain = 253

// checkPlace checks what every ARM resource carries. Azure's limits on tags:
// 50, names of 512 and values of 256 characters
// (https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources).
func checkPlace(o Object, location string, tags map[string]string) error {
	if err := checkText(o, "location", location, 64); err != nil {
		return err
	}
	if len(tags) > 50 {
		return invalid(o, "tags", "at most 50")
	}
	for name, value := range tags {
		if name == "" || checkText(o, "tags", name, 512) != nil || checkText(o, "tags", value, 256) != nil {
			return invalid(o, "tags", "the tag %q is too long or not plain text", name)
		}
	}
	return nil
}
