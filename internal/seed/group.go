package seed

import (
	"maps"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// defaultLocation is that of groups whose file names none: a service that runs
// somewhere has one place.
const defaultLocation = "local"

func (t *tenant) resourceGroups(o *manifest.Objects) error {
	for i := range o.ResourceGroups {
		want := &o.ResourceGroups[i]
		t.groups[fold(want.Name)] = true
		old, there, err := t.group(want.Name)
		if err != nil {
			return err
		}
		if !there {
			location := want.Location
			if location == "" {
				location = defaultLocation
			}
			t.make(directory.GroupObject, want.Name, want.Place, func() ([]any, error) {
				_, _, err := t.Directory.PutGroup(t, t.caller, directory.Group{SubscriptionID: t.subscription, Name: want.Name, Location: location, Tags: want.Tags})
				return nil, err
			})
			continue
		}
		t.keepsLocation(want.Place, want.Location, old.Location)
		if !want.Has("tags") || maps.Equal(want.Tags, old.Tags) {
			t.unchanged++
			continue
		}
		t.change(directory.GroupObject, old.Name, want.Place, func() error {
			_, _, err := t.Directory.PutGroup(t, t.caller, directory.Group{SubscriptionID: t.subscription, Name: old.Name, Tags: want.Tags})
			return err
		})
	}
	return nil
}

// group reads one.
func (t *tenant) group(name string) (directory.Group, bool, error) {
	if !t.there {
		return directory.Group{}, false, nil
	}
	return found(t.Directory.Group(t, t.caller, t.subscription, name))
}

// hasGroup says whether a group is there, or will be.
func (t *tenant) hasGroup(name string) (bool, error) {
	if t.groups[fold(name)] {
		return true, nil
	}
	_, there, err := t.group(name)
	t.groups[fold(name)] = there
	return there, err
}

func (t *tenant) keepsLocation(at manifest.Place, want, is string) {
	if want != "" && fold(want) != fold(is) {
		t.add(at, "location", "is %q, and cannot be changed", is)
	}
}
