package directory

import (
	"context"

	"github.com/entente-id/entente/internal/db"
)

// Counts are how many things of a tenant the caller may see.
type Counts struct {
	Applications, Identities, Clusters, Credentials Tally
}

// mostCounted is where Counts stops. Credentials are those of no more than as
// many applications, and managed identities, unless the caller may see all.
const mostCounted = 1000

// Counts counts. What the caller has no right to at all is 0.
func (d *Directory) Counts(ctx context.Context, c Caller) (Counts, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Counts{}, err
	}
	var apps where
	applications, err := r.applications(ctx, d.DB.Read(), &apps, live)
	if err != nil {
		return Counts{}, err
	}
	if !r.has(mayRead...) && !r.has(writeOwned) {
		apps.add(`1 = 0`)
	}
	within := func(provider, action string) (w where) {
		w.add(`r.tenant_id = ?`, c.TenantID)
		r.reach(provider+"/"+action, provider).narrow(&w, `r.subscription_id`, `r.group_key`, `r.name_key`)
		return w
	}
	const trust = "federatedIdentityCredentials/read"
	var n Counts
	var trusting Tally // identities whose credentials the caller may see
	for _, count := range []struct {
		into   *Tally
		tables string
		w      where
	}{
		{&n.Applications, applications, apps},
		{&n.Identities, `managed_identities r`, within(identityProvider, "read")},
		{&n.Clusters, `clusters r`, within(clusterProvider, "read")},
		{&trusting, `managed_identities r`, within(identityProvider, trust)},
	} {
		if *count.into, err = tally(ctx, d.DB.Read(), count.tables, count.w, mostCounted); err != nil {
			return Counts{}, err
		}
	}
	if r.has(mayRead...) && r.reach(identityProvider+"/"+trust, identityProvider).everywhere {
		w := where{}
		w.add(`c.tenant_id = ?`, c.TenantID)
		w.add(`NOT EXISTS (SELECT 1 FROM applications a WHERE a.id = c.parent_id AND a.deleted_at > 0)`)
		n.Credentials, err = tally(ctx, d.DB.Read(), `credentials c`, w, mostCounted)
		return n, err
	}
	ofApps, err := tallyBelow(ctx, d.DB.Read(), `SELECT a.id FROM `+applications, apps)
	if err != nil {
		return Counts{}, err
	}
	ofIdentities, err := tallyBelow(ctx, d.DB.Read(), `SELECT r.id FROM managed_identities r`, within(identityProvider, trust))
	n.Credentials.N = min(ofApps.N+ofIdentities.N, mostCounted)
	n.Credentials.More = ofApps.N+ofIdentities.N > mostCounted || ofApps.More || ofIdentities.More || n.Applications.More || trusting.More
	return n, err
}

// tallyBelow counts the credentials of the first parents that a statement selects.
func tallyBelow(ctx context.Context, q db.Querier, parents string, w where) (Tally, error) {
	tables := `(` + parents + ` WHERE ` + w.text() + ` LIMIT ` + w.arg(mostCounted) + `) p JOIN credentials c ON c.parent_id = p.id`
	return tally(ctx, q, tables, where{conditions: []string{`1 = 1`}, args: w.args}, mostCounted)
}

// mostNames is how many principals PrincipalNames looks up.
const mostNames = 1000

// PrincipalNames returns the display names of service principals by their
// object ids, in lower case: of those, among the first 1000, that are there and
// that the caller may see.
func (d *Directory) PrincipalNames(ctx context.Context, c Caller, ids []string) (map[string]string, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil || len(ids) == 0 {
		return map[string]string{}, err
	}
	asked, seen := []string{}, map[string]bool{}
	for _, id := range ids {
		if id = fold(id); IsID(id) && !seen[id] && len(asked) < mostNames {
			asked, seen[id] = append(asked, id), true
		}
	}
	if len(asked) == 0 {
		return map[string]string{}, nil
	}
	w := where{}
	w.add(`p.tenant_id = ?`, c.TenantID)
	w.add(`p.` + live)
	w.in(`p.id`, asked)
	all := r.has(mayRead...)
	owner := w.arg(c.PrincipalID)
	names := map[string]string{}
	_, err = query(ctx, d.DB.Read(), func(row row) (struct{}, error) {
		var id, name string
		var m IdentityRef
		var owned int
		err := row.Scan(&id, &name, &m.SubscriptionID, &m.Group, &m.Name, &owned)
		if all || id == c.PrincipalID || owned > 0 && r.has(writeOwned) || m.Name != "" && r.can(identityProvider+"/read", m.ResourceID()) {
			names[id] = name
		}
		return struct{}{}, err
	}, `SELECT p.id, p.display_name, coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, ''),
			CASE WHEN EXISTS (SELECT 1 FROM owners o WHERE o.object_id IN (p.id, p.parent_id) AND o.principal_id = `+owner+`) THEN 1 ELSE 0 END
		FROM service_principals p LEFT JOIN managed_identities m ON m.id = p.parent_id WHERE `+w.text(), w.args...)
	return names, err
}

// AllRoleAssignments lists the role assignments of the tenant that the caller
// may see, by scope; with a scope those that RoleAssignments lists for it. A
// search is in the principal's name and the scope, and for the principal's id.
func (d *Directory) AllRoleAssignments(ctx context.Context, c Caller, scope string, f AssignmentFilter, page Page) (Paged[RoleAssignment], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[RoleAssignment]{}, err
	}
	w := where{}
	w.add(`g.tenant_id = ?`, c.TenantID)
	if f.PrincipalID != "" {
		w.add(`g.principal_id = ?`, fold(f.PrincipalID))
	}
	if f.DefinitionID != "" {
		w.add(`g.definition_id = ?`, fold(f.DefinitionID))
	}
	if scope != "" {
		w.around(`g.scope_key`, scopeKey(scope), !f.AtScope)
	}
	w.readableScopes(r, `g.scope_key`, readAssignments)
	const tables = `role_assignments g LEFT JOIN service_principals p ON p.id = g.principal_id`
	if page.Search != "" {
		w.search(d.DB, page.Search, d.DB.HexHolds(`coalesce(p.name_sort, '')`, w.arg(sortKey(page.Search)))+` OR `+d.DB.Holds(`g.scope_key`, `?`), []any{fold(page.Search)}, nil, []string{`g.principal_id`})
	}
	all := w
	if name, key, ok := cutKey(page.After); ok {
		w.add(`(g.scope_key, g.name) > (?, ?)`, key, name)
	}
	items, err := query(ctx, d.DB.Read(), scanAssignment, `SELECT g.name, g.scope, g.definition_id, g.principal_id, g.principal_type, g.description, g.created_by, g.created_at
		FROM `+tables+` WHERE `+w.text()+` ORDER BY g.scope_key, g.name LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[RoleAssignment]{}, err
	}
	p := paged(items, page, func(a RoleAssignment) string { return a.Name + scopeKey(a.Scope) })
	err = total(ctx, d.DB.Read(), &p, page, tables, all)
	p.Items = readable(p.Items, func(a RoleAssignment) bool { return r.can(readAssignments, a.Scope) })
	return p, err
}

// cutKey cuts a page's key into the GUID that it begins with and the scope behind it.
func cutKey(after string) (name, scope string, ok bool) {
	const guid = 36
	if len(after) <= guid {
		return "", "", false
	}
	return after[:guid], after[guid:], true
}

// around adds that a column's scope is one or is above it, or is below it too.
func (w *where) around(column, key string, below bool) {
	if key == "/" && below {
		return
	}
	above := []string{"/"}
	for i := 1; i < len(key); i++ {
		if key[i] == '/' {
			above = append(above, key[:i])
		}
	}
	above = append(above, key)
	inner := where{args: w.args}
	inner.in(column, above)
	condition := inner.text()
	w.args = inner.args
	if below {
		condition += ` OR substr(` + column + `, 1, length(` + w.arg(key+"/") + `)) = ` + w.arg(key+"/")
	}
	w.add(`(` + condition + `)`)
}

// readableScopes keeps a statement to scopes on which the caller may do something.
func (w *where) readableScopes(r rights, column, action string) {
	if r.caller.Kind == SystemCaller {
		return
	}
	var keys []string
	for _, a := range r.assignments {
		if !a.definition.Allows(action) {
			continue
		}
		if keys = append(keys, a.scope); a.scope == "/" || len(keys) > mostPlaces {
			return
		}
	}
	if len(keys) == 0 {
		w.add(`1 = 0`)
		return
	}
	condition, values := "", []any{}
	for i, key := range padded(keys) {
		if i > 0 {
			condition += ` OR `
		}
		condition += column + ` = ? OR substr(` + column + `, 1, length(?)) = ?`
		values = append(values, key, key+"/", key+"/")
	}
	w.add(`(`+condition+`)`, values...)
}
