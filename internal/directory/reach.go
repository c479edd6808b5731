package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/db"
)

// A reach is where a caller may do something, in the columns of what lives in
// resource groups. A list that is narrowed to it holds full pages and counts
// right; what the caller may see is still decided by rights.can.
type reach struct {
	everywhere bool
	places     [3][][]any // subscriptions, groups and resources, as the values of their columns
}

// mostPlaces bounds a statement. A caller with more roles than that gets pages
// that may hold fewer than asked for and yet have a next one.
const mostPlaces = 256

// reach finds where an action is allowed that is about resources of a
// provider such as Microsoft.X/things, or about groups when that is empty.
func (r rights) reach(action, provider string) reach {
	found := reach{everywhere: r.caller.Kind == SystemCaller}
	n := 0
	for _, a := range r.assignments {
		if !a.definition.Allows(action) {
			continue
		}
		depth, place, ok := placeOf(a.scope, provider)
		switch {
		case !ok:
		case depth < 0:
			found.everywhere = true
		case !slices.ContainsFunc(found.places[depth], func(p []any) bool { return slices.Equal(p, place) }):
			found.places[depth] = append(found.places[depth], place)
			n++
		}
	}
	found.everywhere = found.everywhere || n > mostPlaces
	return found
}

// placeOf reads a folded scope: -1 is the whole tenant, 0 a subscription, 1 a
// group, 2 a resource of the provider.
func placeOf(scope, provider string) (depth int, place []any, ok bool) {
	s := strings.Split(strings.Trim(scope, "/"), "/")
	whole := append([]string{"subscriptions", "", "resourcegroups", "", "providers"}, strings.Split(fold(provider), "/")...)
	if whole = append(whole, ""); provider == "" {
		whole = whole[:4]
	}
	if s[0] == "" {
		return -1, nil, true
	}
	if len(s) > len(whole) {
		return 0, nil, false
	}
	for i, segment := range s {
		if whole[i] == "" {
			place = append(place, segment)
		} else if whole[i] != segment {
			return 0, nil, false
		}
	}
	return len(place) - 1, place, true
}

// narrow keeps a statement to a reach. The columns hold folded ids and names;
// that of the resource is empty in a list of groups.
func (r reach) narrow(w *where, subscription, group, resource string) {
	if r.everywhere {
		return
	}
	conditions, values := []string{}, []any{}
	for depth, columns := range [][]string{{subscription}, {subscription, group}, {subscription, group, resource}} {
		same := `(` + strings.Join(columns, ` = ? AND `) + ` = ?)`
		for _, place := range padded(r.places[depth]) {
			conditions, values = append(conditions, same), append(values, place...)
		}
	}
	if len(conditions) == 0 {
		conditions = []string{`1 = 0`}
	}
	w.add(`(`+strings.Join(conditions, " OR ")+`)`, values...)
}

// resources starts a list of what lives in resource groups, in a table called
// r, and returns the columns of its order. The caller must be able to know of
// the subscription, and have the right on the group, when they are given.
func (r rights) resources(ctx context.Context, q db.Querier, w *where, subscriptionID, group, provider, action string) (order []string, err error) {
	w.add(`r.tenant_id = ?`, r.caller.TenantID)
	order = []string{`r.group_key`, `r.name_key`}
	switch {
	case subscriptionID == "":
		order = []string{`r.name_key`, `r.group_key`, `r.subscription_id`}
	case group == "":
		_, err = r.subscription(ctx, q, subscriptionID)
	default:
		_, err = r.inGroup(ctx, q, subscriptionID, group, need{action: action, scope: groupScope(subscriptionID, group)})
	}
	if subscriptionID != "" {
		w.add(`r.subscription_id = ?`, fold(subscriptionID))
	}
	if group != "" {
		w.add(`r.group_key = ?`, fold(group))
	}
	r.reach(action, provider).narrow(w, `r.subscription_id`, `r.group_key`, `r.name_key`)
	return order, err
}

// resourceKey is where a list of resources goes on, in the order of resources.
func resourceKey(order []string, subscriptionID, group, name string) string {
	if len(order) == 2 {
		return fold(group) + "/" + fold(name)
	}
	return fold(name) + "/" + fold(group) + "/" + fold(subscriptionID)
}
