package portal

import (
	"net/http"
	"slices"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

type groupsView struct {
	List      *listing
	Search    string
	Name      column
	Groups    []groupRow
	MayCreate bool
	New       string
}

type groupRow struct {
	Name, To, Subscription, Location string
	Created                          time.Time
}

// groups is the list of resource groups.
func (c *call) groups() error {
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	found, err := c.Directory.Groups(c, c.caller, "", some)
	if err != nil {
		return err
	}
	subscriptions, err := c.Directory.Subscriptions(c, c.caller)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, s := range subscriptions {
		names[s.ID] = s.DisplayName
	}
	v := groupsView{List: l, Search: "Search by part of a name", Name: l.Name("Name"), New: groupsPath + "/new", MayCreate: len(c.mayHoldGroups(subscriptions)) > 0}
	for _, g := range fill(l, found) {
		v.Groups = append(v.Groups, groupRow{g.Name, groupPath(g.SubscriptionID, g.Name), names[g.SubscriptionID], g.Location, g.CreatedAt})
	}
	return c.show(page{template: "groups", title: "Resource groups", wide: true, done: map[string]string{
		"deleted": "The resource group was deleted with everything in it.",
	}[c.query("done")]}, v)
}

// mayHoldGroups are the subscriptions in which the caller may make groups.
func (c *call) mayHoldGroups(all []directory.Subscription) []directory.Subscription {
	return slices.DeleteFunc(slices.Clone(all), func(s directory.Subscription) bool { return !c.rights.Can(groupAction+"write", s.Scope()) })
}

type newGroupView struct {
	Errors         []string
	Subscription   choice
	Name, Location field
	Back           string
}

// defaultLocation is that of what is made without another.
const defaultLocation = "local"

func (c *call) newGroup() error {
	return c.showNewGroup(http.StatusOK, newGroupView{Location: field{Value: defaultLocation}})
}

func (c *call) showNewGroup(status int, v newGroupView) error {
	subscriptions, err := c.Directory.Subscriptions(c, c.caller)
	if err != nil {
		return err
	}
	v.Subscription = choice{Name: "subscription", Label: "Subscription", Value: c.field("subscription"), Error: v.Subscription.Error, Required: true}
	for _, s := range c.mayHoldGroups(subscriptions) {
		v.Subscription.Options = append(v.Subscription.Options, option{s.ID, s.DisplayName + " (" + s.ID + ")"})
	}
	v.Name = field{Name: "name", Label: "Name", Value: c.field("name"), Hint: "Letters, digits, _ ( ) - and . in it, at most 90. It cannot be changed later.", Error: v.Name.Error, Max: 90, Required: true}
	v.Location = field{Name: "location", Label: "Location", Value: v.Location.Value, Hint: "A word that is shown with it; nothing depends on it.", Error: v.Location.Error, Max: 64, Required: true}
	v.Back = groupsPath
	return c.show(page{template: "group-new", title: "Create a resource group", status: status, trail: []crumb{{"Resource groups", groupsPath}}}, v)
}

func (c *call) createGroup() error {
	g := directory.Group{SubscriptionID: c.field("subscription"), Name: c.field("name"), Location: c.field("location")}
	v := newGroupView{Location: field{Value: g.Location}}
	// PutGroup changes the one of this name, which a page that creates must not.
	switch there, err := c.Directory.Group(c, c.caller, g.SubscriptionID, g.Name); {
	case err == nil:
		v.Errors, v.Name.Error = []string{"Nothing was made. See the marked field."}, "The subscription has a resource group "+there.Name+" already."
		return c.showNewGroup(http.StatusConflict, v)
	case !isNotFound(err) && !isForbidden(err):
		return err
	}
	g, _, err := c.Directory.PutGroup(c, c.caller, g)
	if refused, ok := refused(err); ok {
		v.Errors, v.Name.Error, v.Location.Error = []string{refused.text}, refused.at("name"), refused.at("location")
		return c.showNewGroup(refused.status, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(groupPath(g.SubscriptionID, g.Name), "created"))
}
