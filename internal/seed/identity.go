package seed

import (
	"maps"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

func (t *tenant) identities(o *manifest.Objects) error {
	for i := range o.ManagedIdentities {
		want := &o.ManagedIdentities[i]
		grouped, err := t.hasGroup(want.ResourceGroup)
		if err != nil {
			return err
		}
		if !grouped {
			t.add(want.Place, "resourceGroup", "%q is not there, and not in this file", want.ResourceGroup)
			continue
		}
		h := &holder{kind: credential.ManagedIdentity, want: &want.Holder, name: want.Name}
		ref := func() directory.IdentityRef {
			return directory.IdentityRef{SubscriptionID: t.subscription, Group: want.ResourceGroup, Name: want.Name}
		}
		h.parent = func() directory.Parent {
			r := ref()
			return directory.Parent{Identity: &r}
		}
		t.holders = append(t.holders, h)
		var old directory.Identity
		there := false
		if t.there {
			if old, there, err = found(t.Directory.Identity(t, t.caller, ref())); err != nil {
				return err
			}
		}
		if !there {
			t.make(directory.IdentityObject, want.Name, want.Place, func() ([]any, error) {
				m := directory.Identity{IdentityRef: ref(), Location: want.Location, Tags: want.Tags, IsolationScope: want.IsolationScope}
				if m.Location == "" { // that of its group
					g, err := t.Directory.Group(t, t.caller, m.SubscriptionID, m.Group)
					if err != nil {
						return nil, err
					}
					m.Location = g.Location
				}
				m, _, err := t.Directory.PutIdentity(t, t.caller, m)
				h.principalID, h.clientID = m.PrincipalID, m.ClientID
				return []any{"client", m.ClientID, "principal", m.PrincipalID}, err
			})
			continue
		}
		h.principalID, h.clientID = old.PrincipalID, old.ClientID
		t.keepsLocation(want.Place, want.Location, old.Location)
		var edit directory.IdentityEdit
		if want.Has("tags") && !maps.Equal(want.Tags, old.Tags) {
			edit.Tags = &want.Tags
		}
		if want.Has("isolationScope") && want.IsolationScope != old.IsolationScope {
			edit.IsolationScope = &want.IsolationScope
		}
		if edit == (directory.IdentityEdit{}) {
			t.unchanged++
			continue
		}
		t.change(directory.IdentityObject, old.Name, want.Place, func() error {
			_, err := t.Directory.UpdateIdentity(t, t.caller, ref(), edit)
			return err
		})
	}
	return nil
}
