package portal

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/entente-id/entente/internal/directory"
)

type identitySettingsView struct {
	Errors    []string
	Facts     []fact
	Trust     trustView
	MayChange bool
	Isolation choice
	Isolated  string // for those who may not change it
	Tags      []tagRow
	Action    string
}

// tagRow is a tag, or a row in which one can be written.
type tagRow struct{ NameField, ValueField, Name, Value, Label string }

// maxTags is how many tags a resource has at most
// (https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources).
const maxTags = 50

// freeTags is how many rows for new tags a form has.
const freeTags = 3

// tagRows are the rows of a form for tags, with free ones at the end.
func tagRows(tags map[string]string, free int) []tagRow {
	var rows []tagRow
	add := func(name, value string) {
		n := strconv.Itoa(len(rows) + 1)
		rows = append(rows, tagRow{"tag-" + n, "value-" + n, name, value, n})
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		add(name, tags[name])
	}
	for range free {
		add("", "")
	}
	return rows
}

// tags reads the rows of a form. Rows without a name and a value are no tags.
func (c *call) tags() (tags map[string]string, wrong string) {
	tags = map[string]string{}
	for i := 1; i <= maxTags+freeTags; i++ {
		name, value := c.field(fmt.Sprintf("tag-%d", i)), c.field(fmt.Sprintf("value-%d", i))
		if name == "" && value == "" {
			continue
		}
		if _, twice := tags[name]; twice {
			wrong = "The tag " + name + " stands twice."
		}
		if name == "" {
			wrong = "The tag with the value " + clip(value, 40) + " has no name."
		}
		tags[name] = value
	}
	return tags, wrong
}

// sentTags are the rows of the form that was sent, as they were typed.
func (c *call) sentTags() []tagRow {
	var rows []tagRow
	for i := 1; i <= maxTags+freeTags; i++ {
		n := strconv.Itoa(i)
		if !c.form.Has("tag-" + n) {
			break
		}
		rows = append(rows, tagRow{"tag-" + n, "value-" + n, c.form.Get("tag-" + n), c.form.Get("value-" + n), n})
	}
	return rows
}

func (c *call) identitySettings() error {
	m, err := c.findIdentity()
	if err != nil {
		return err
	}
	return c.showIdentitySettings(m, http.StatusOK, identitySettingsView{Tags: tagRows(m.Tags, freeTags), Isolation: choice{Value: m.IsolationScope}})
}

func (c *call) showIdentitySettings(m directory.Identity, status int, v identitySettingsView) (err error) {
	if v.Trust, err = c.identityTrust(m); err != nil {
		return err
	}
	v.MayChange = c.rights.Can(identityAction+"write", m.ResourceID())
	if !v.MayChange {
		v.Tags = tagRows(m.Tags, 0)
	}
	v.Facts = []fact{{"Name", m.Name}, {"Resource group", m.Group}, {"Location", m.Location}, {"Subscription ID", m.SubscriptionID}, {"Resource ID", m.ResourceID()}}
	v.Isolation = choice{Name: "isolation", Label: "Isolation scope", Value: v.Isolation.Value, Error: v.Isolation.Error,
		Hint: "It is kept for tools that read it; tokens do not depend on it.", Options: []option{{"None", "None"}, {"Regional", "Regional"}}}
	if v.Isolated = m.IsolationScope; m.IsolationScope == "" {
		v.Isolation.Options, v.Isolated = append([]option{{"", "Not set"}}, v.Isolation.Options...), "Not set"
	}
	v.Action = identityPath(m.IdentityRef, "settings")
	return c.show(page{
		template: "identity-settings", title: "Settings", status: status, trail: identityTrail(m.IdentityRef), side: c.identitySide(m, onSettings),
		done: map[string]string{"changed": "The settings were saved."}[c.query("done")],
	}, v)
}

func (c *call) changeIdentity() error {
	m, err := c.findIdentity()
	if err != nil {
		return err
	}
	v := identitySettingsView{Tags: c.sentTags(), Isolation: choice{Value: c.field("isolation")}}
	tags, wrong := c.tags()
	if wrong != "" {
		v.Errors = []string{"Nothing was saved. " + wrong}
		return c.showIdentitySettings(m, http.StatusUnprocessableEntity, v)
	}
	edit := directory.IdentityEdit{Tags: &tags}
	if v.Isolation.Value != m.IsolationScope {
		edit.IsolationScope = &v.Isolation.Value
	}
	_, err = c.Directory.UpdateIdentity(c, c.caller, m.IdentityRef, edit)
	if refused, ok := refused(err); ok {
		v.Errors, v.Isolation.Error = []string{refused.text}, refused.at("isolationScope")
		if wrong := refused.at("tags"); wrong != "" {
			v.Errors = []string{"Nothing was saved. " + wrong}
		}
		return c.showIdentitySettings(m, refused.status, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(identityPath(m.IdentityRef, "settings"), "changed"))
}
