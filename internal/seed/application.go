package seed

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// holder is an application or managed identity of the manifest, with its
// service principal. Its ids are known when its first step is done, or before.
type holder struct {
	kind             credential.ParentKind
	want             *manifest.Holder
	uniqueName, name string
	uris             []string
	roles            []directory.AppRole // as they will be
	id               string              // object id, of an application
	clientID         string
	principalID      string
	parent           func() directory.Parent
}

func (t *tenant) applications(o *manifest.Objects) error {
	claimed := map[string]int{} // ids of applications that are there, by line
	for i := range o.Applications {
		want := &o.Applications[i]
		old, there, err := t.application(want)
		if err != nil {
			return err
		}
		if first := claimed[old.ID]; there && first > 0 {
			t.add(want.Place, "", "means the application %q (%s), as line %d does: give that application the uniqueName of one of them", old.DisplayName, old.AppID, first)
			continue
		}
		ids := map[string]string{}
		for n := range want.AppRoles { // which have ids from now on, so that they can be assigned
			ids[want.AppRoles[n].Value] = uuid.NewString()
		}
		put := statedApplication(old, want, ids)
		h := &holder{kind: credential.Application, want: &want.Holder, uniqueName: put.UniqueName, name: put.DisplayName, uris: put.IdentifierURIs, roles: put.AppRoles}
		h.parent = func() directory.Parent { return directory.Parent{Application: &directory.Ref{ID: h.id}} }
		t.holders = append(t.holders, h)
		if err := t.free(want, old, put); err != nil {
			return err
		}
		if !there {
			t.make(directory.ApplicationObject, put.DisplayName, want.Place, func() ([]any, error) {
				made, err := t.Directory.CreateApplication(t, t.caller, put)
				h.id, h.clientID = made.ID, made.AppID
				return []any{"client", made.AppID}, err
			})
			t.makePrincipal(h, want)
			continue
		}
		claimed[old.ID], h.id, h.clientID = want.Line, old.ID, old.AppID
		if sameApplication(old, put) {
			t.unchanged++
		} else {
			t.change(directory.ApplicationObject, put.DisplayName, want.Place, func() error {
				_, err := t.Directory.UpdateApplication(t, t.caller, directory.Ref{ID: h.id}, func(a *directory.Application) error {
					*a = statedApplication(*a, want, ids)
					return nil
				})
				return err
			})
		}
		if err := t.principal(h, want); err != nil {
			return err
		}
	}
	return nil
}

// application finds the one that is meant: by its client id, its unique name, or
// else by its display name if exactly one has that and no other unique name.
func (t *tenant) application(want *manifest.Application) (directory.Application, bool, error) {
	if want.ClientID != "" {
		return t.applicationByID(want)
	}
	if !t.there {
		return directory.Application{}, false, nil
	}
	if want.UniqueName != "" {
		a, there, err := found(t.Directory.Application(t, t.caller, directory.Ref{UniqueName: want.UniqueName}))
		if there || err != nil {
			return a, there, err
		}
	}
	list, err := t.Directory.Applications(t, t.caller, directory.Filter{DisplayName: &want.DisplayName}, directory.Page{})
	if err != nil {
		return directory.Application{}, false, err
	}
	candidates := slices.DeleteFunc(list.Items, func(a directory.Application) bool { return want.UniqueName != "" && a.UniqueName != "" })
	switch len(candidates) {
	case 0:
		return directory.Application{}, false, nil
	case 1:
		return candidates[0], true, nil
	}
	t.add(want.Place, "displayName", "%q is the name of several applications: give the uniqueName or clientId of the one that is meant (their client ids: %s)", want.DisplayName, clientIDs(candidates))
	return directory.Application{}, false, nil
}

// applicationByID finds the application that has a client id. Who gives one
// means an application that is there.
func (t *tenant) applicationByID(want *manifest.Application) (a directory.Application, there bool, err error) {
	if t.there {
		a, there, err = found(t.Directory.Application(t, t.caller, directory.Ref{AppID: fold(want.ClientID)}))
	}
	switch {
	case err != nil:
	case !there:
		t.add(want.Place, "clientId", "no application has it: leave it out to make a new one, which gets its own")
	case want.UniqueName != "" && a.UniqueName != "" && a.UniqueName != want.UniqueName:
		t.add(want.Place, "uniqueName", "is %q of the application that has the clientId, and cannot be changed", a.UniqueName)
	}
	return a, there, err
}

func clientIDs(list []directory.Application) string {
	var ids []string
	for i, a := range list {
		if i == 5 {
			ids = append(ids, "…")
			break
		}
		ids = append(ids, a.AppID)
	}
	return strings.Join(ids, ", ")
}

// free says which names are another application's, deleted ones among them.
func (t *tenant) free(want *manifest.Application, old, put directory.Application) error {
	if !t.there {
		return nil
	}
	taken := func(field, value string, f directory.Filter) error {
		for deleted, list := range map[string]func() (directory.Paged[directory.Application], error){
			"": func() (directory.Paged[directory.Application], error) {
				return t.Directory.Applications(t, t.caller, f, directory.Page{Limit: 1})
			},
			" (deleted and not yet purged)": func() (directory.Paged[directory.Application], error) {
				return t.Directory.DeletedApplications(t, t.caller, f, directory.Page{Limit: 1})
			},
		} {
			found, err := list()
			if err != nil {
				return err
			}
			for _, a := range found.Items {
				if a.ID != old.ID {
					t.add(want.Place, field, "%q is that of the application %q%s, %s", value, a.DisplayName, deleted, a.AppID)
				}
			}
		}
		return nil
	}
	if put.UniqueName != old.UniqueName {
		if err := taken("uniqueName", put.UniqueName, directory.Filter{UniqueName: &put.UniqueName}); err != nil {
			return err
		}
	}
	for _, uri := range put.IdentifierURIs {
		if slices.Contains(old.IdentifierURIs, uri) {
			continue
		}
		if id, ok := strings.CutPrefix(fold(uri), "api://"); ok && directory.IsID(id) && id != old.AppID {
			t.add(want.Place, "identifierUris", "%q holds the client id of another application", uri)
		}
		if err := taken("identifierUris", uri, directory.Filter{IdentifierURI: &uri}); err != nil {
			return err
		}
	}
	return nil
}

// statedApplication is an application as it is, with what the manifest says of it.
// ids are for app roles that come new, by their values.
func statedApplication(a directory.Application, want *manifest.Application, ids map[string]string) directory.Application {
	a.DisplayName = want.DisplayName
	if want.UniqueName != "" {
		a.UniqueName = want.UniqueName
	}
	if want.Has("description") {
		a.Description = want.Description
	}
	if want.Has("notes") {
		a.Notes = want.Notes
	}
	if want.Has("identifierUris") {
		a.IdentifierURIs = want.IdentifierURIs
	}
	if want.Has("tags") {
		a.Tags = want.Tags
	}
	if want.Has("requestedAccessTokenVersion") {
		a.TokenVersion = want.TokenVersion
	}
	a.AppRoles = slices.Clone(a.AppRoles)
	for n := range want.AppRoles {
		r := &want.AppRoles[n]
		i := slices.IndexFunc(a.AppRoles, func(old directory.AppRole) bool {
			return r.ID != "" && old.ID == fold(r.ID) || r.ID == "" && old.Value == r.Value
		})
		if i < 0 {
			id := fold(r.ID)
			if id == "" {
				id = ids[r.Value]
			}
			a.AppRoles = append(a.AppRoles, directory.AppRole{ID: id, Value: r.Value, DisplayName: r.DisplayName, Description: r.Description, Enabled: r.Enabled, MemberTypes: r.MemberTypes})
			continue
		}
		old := &a.AppRoles[i]
		old.Value = r.Value
		if r.Has("displayName") {
			old.DisplayName = r.DisplayName
		}
		if r.Has("description") {
			old.Description = r.Description
		}
		if r.Has("isEnabled") {
			old.Enabled = r.Enabled
		}
		if r.Has("allowedMemberTypes") {
			old.MemberTypes = r.MemberTypes
		}
	}
	return a
}

func sameApplication(a, b directory.Application) bool {
	return a.DisplayName == b.DisplayName && a.UniqueName == b.UniqueName && a.Description == b.Description && a.Notes == b.Notes && a.TokenVersion == b.TokenVersion &&
		slices.Equal(a.IdentifierURIs, b.IdentifierURIs) && slices.Equal(a.Tags, b.Tags) && slices.EqualFunc(a.AppRoles, b.AppRoles, func(a, b directory.AppRole) bool {
		return a.ID == b.ID && a.Value == b.Value && a.DisplayName == b.DisplayName && a.Description == b.Description && a.Enabled == b.Enabled && slices.Equal(a.MemberTypes, b.MemberTypes)
	})
}

// principal plans the service principal of an application that is there.
func (t *tenant) principal(h *holder, want *manifest.Application) error {
	sp, there, err := found(t.Directory.ServicePrincipal(t, t.caller, directory.Ref{AppID: h.clientID}))
	if err != nil {
		return err
	}
	if !there {
		t.makePrincipal(h, want)
		return nil
	}
	h.principalID = sp.ID
	var edit directory.PrincipalEdit
	s := &want.ServicePrincipal
	if s.Has("accountEnabled") && s.Enabled != sp.Enabled {
		edit.Enabled = &s.Enabled
	}
	if s.Has("appRoleAssignmentRequired") && s.AssignmentRequired != sp.AssignmentRequired {
		edit.AssignmentRequired = &s.AssignmentRequired
	}
	if s.Has("tags") && !slices.Equal(s.Tags, sp.Tags) {
		edit.Tags = &s.Tags
	}
	if edit == (directory.PrincipalEdit{}) {
		t.unchanged++
		return nil
	}
	t.change(directory.PrincipalObject, h.name, s.Place, func() error {
		return t.Directory.UpdateServicePrincipal(t, t.caller, directory.Ref{ID: h.principalID}, edit)
	})
	return nil
}

func (t *tenant) makePrincipal(h *holder, want *manifest.Application) {
	s := &want.ServicePrincipal
	t.make(directory.PrincipalObject, h.name, want.Place, func() ([]any, error) {
		sp, err := t.Directory.CreateServicePrincipal(t, t.caller, directory.NewPrincipal{
			AppID: h.clientID, Tags: s.Tags, Disabled: s.Has("accountEnabled") && !s.Enabled, AssignmentRequired: s.AssignmentRequired,
		})
		h.principalID = sp.ID
		return []any{"principal", sp.ID}, err
	})
}
