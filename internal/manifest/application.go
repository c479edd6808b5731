package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/entente-id/entente/internal/credential"
)

func (c *checker) applications(o *Objects) {
	type use struct {
		line, by int
		told     bool // apart from others, by a unique name or client id
	}
	unique, clients, display, uris := seen{}, seen{}, map[string]use{}, map[string]use{}
	for i := range o.Applications {
		a := &o.Applications[i]
		p := a.Place
		c.text(p, "displayName", a.DisplayName, true, maxName)
		c.text(p, "uniqueName", a.UniqueName, p.Has("uniqueName"), maxText)
		c.once(unique, p, "uniqueName", a.UniqueName)
		c.shape(p, "clientId", a.ClientID, false, guid.MatchString, wantGUID)
		c.once(clients, p, "clientId", strings.ToLower(a.ClientID))
		told := a.UniqueName != "" || a.ClientID != ""
		name := strings.ToLower(a.DisplayName)
		if first, again := display[name]; !again {
			display[name] = use{p.lineOf("displayName"), i, told}
		} else if name != "" && !(told && first.told) {
			c.add(p, "displayName", "is given twice, first on line %d: give both a uniqueName or a clientId", first.line)
		}
		c.text(p, "description", a.Description, false, maxText)
		c.text(p, "notes", a.Notes, false, maxText)
		c.list(p, "identifierUris", a.IdentifierURIs, identifierURI)
		for n, uri := range a.IdentifierURIs {
			element := fmt.Sprintf("identifierUris[%d]", n)
			if first, again := uris[uri]; !again {
				uris[uri] = use{line: p.lineOf(element), by: i}
			} else if first.by != i {
				c.add(p, element, "%s is given twice, first on line %d", quote(uri), first.line)
			}
		}
		c.list(p, "tags", a.Tags, short(maxTagValue))
		if c.given(p, "requestedAccessTokenVersion", false) && a.TokenVersion != 1 && a.TokenVersion != 2 {
			c.add(p, "requestedAccessTokenVersion", "should be 1 or 2")
		}
		c.appRoles(a)
		c.list(a.ServicePrincipal.Place, "tags", a.ServicePrincipal.Tags, short(maxTagValue))
		c.holder(&a.Holder, credential.Application)
	}
}

func identifierURI(value string) error {
	if u, err := url.Parse(value); err != nil || !u.IsAbs() || u.Fragment != "" || spaced(value) {
		return errors.New("should be an absolute URI, such as api://pets")
	}
	return short(maxURI)(value)
}

func (c *checker) appRoles(a *Application) {
	if len(a.AppRoles) > maxListed {
		c.add(a.Place, "appRoles", "has more than %d elements", maxListed)
		return
	}
	ids, values := seen{}, seen{}
	for i := range a.AppRoles {
		r := &a.AppRoles[i]
		p := r.Place
		c.shape(p, "id", r.ID, false, guid.MatchString, wantGUID)
		c.once(ids, p, "id", strings.ToLower(r.ID))
		c.text(p, "value", r.Value, true, maxText)
		if spaced(r.Value) {
			c.add(p, "value", "%s holds white space", quote(r.Value))
		}
		c.once(values, p, "value", r.Value)
		c.text(p, "displayName", r.DisplayName, false, maxText)
		c.text(p, "description", r.Description, false, maxText)
		c.list(p, "allowedMemberTypes", r.MemberTypes, oneOf("User", "Application"))
		if r.DisplayName == "" {
			r.DisplayName = r.Value
		}
		if r.Description == "" {
			r.Description = r.DisplayName
		}
		if !p.Has("isEnabled") {
			r.Enabled = true
		}
		if !p.Has("allowedMemberTypes") {
			r.MemberTypes = []string{"Application"}
		}
	}
}
