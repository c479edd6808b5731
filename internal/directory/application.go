package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/db"
)

// Application is an application object: what a service principal, its secrets and its credentials hang off.
type Application struct {
	ID             string // object id
	TenantID       string
	AppID          string // client id
	DisplayName    string
	UniqueName     string // an immutable alternate key; may be empty
	Description    string
	Notes          string
	SignInAudience string
	IdentifierURIs []string
	TokenVersion   int // of tokens for this application as a resource: 0 (not set, means 1), 1 or 2
	AppRoles       []AppRole
	Tags           []string
	// Extra holds members of the application that only the wire reads, as their JSON.
	Extra     map[string]json.RawMessage
	Secrets   []Secret
	CreatedAt time.Time
}

// AppRole is a permission that an application defines for those who call it.
type AppRole struct {
	ID          string   `json:"id"`
	Value       string   `json:"value"`
	DisplayName string   `json:"displayName"`
	Description string   `json:"description"`
	Enabled     bool     `json:"isEnabled"`
	MemberTypes []string `json:"allowedMemberTypes"`
}

// Ref names an application or service principal by one of its keys; exactly one is set.
type Ref struct{ ID, AppID, UniqueName string }

func (r Ref) String() string { return r.ID + r.AppID + r.UniqueName }

// Filter narrows a list of applications or service principals; nil members do not narrow it.
type Filter struct {
	ID             *string
	AppID          *string
	DisplayName    *string
	NamePrefix     *string // of the display name, without case
	IdentifierURI  *string // applications; of principals: one of the servicePrincipalNames
	UniqueName     *string
	PrincipalKind  *string // Application or ManagedIdentity
	ParentObjectID *string
}

const (
	defaultSignInAudience = "AzureADMyOrg"
	maxSecrets            = 100
	maxListed             = 200 // app roles, identifier URIs, tags
	maxExtra              = 64 << 10
)

// Permissions of Microsoft Graph.
const (
	readApplications  = "Application.Read.All"
	writeApplications = "Application.ReadWrite.All"
	writeOwned        = "Application.ReadWrite.OwnedBy"
	readDirectory     = "Directory.Read.All"
	writeDirectory    = "Directory.ReadWrite.All"
	writeGrants       = "AppRoleAssignment.ReadWrite.All"
)

var (
	mayRead  = []string{readApplications, writeApplications, readDirectory, writeDirectory}
	mayWrite = []string{writeApplications, writeDirectory}
)

func readApplication(object string) need {
	return need{action: "microsoft.directory/applications/read", graph: mayRead, owned: writeOwned, object: object}
}

func writeApplication(action, object, guarded string) need {
	return need{action: "microsoft.directory/" + action, graph: mayWrite, owned: writeOwned, object: object, guarded: guarded}
}

const applicationColumns = `a.id, a.tenant_id, a.app_id, a.display_name, coalesce(a.unique_name, ''), a.description, a.notes, a.sign_in_audience, a.token_version, a.app_roles, a.tags, a.extra, a.created_at`

func scanApplication(r row) (Application, error) {
	var a Application
	var appRoles, tags, extra string
	var createdAt int64
	if err := r.Scan(&a.ID, &a.TenantID, &a.AppID, &a.DisplayName, &a.UniqueName, &a.Description, &a.Notes, &a.SignInAudience, &a.TokenVersion, &appRoles, &tags, &extra, &createdAt); err != nil {
		return a, err
	}
	a.CreatedAt = fromMillis(createdAt)
	if err := fromJSON(appRoles, &a.AppRoles); err != nil {
		return a, err
	}
	if err := fromJSON(tags, &a.Tags); err != nil {
		return a, err
	}
	return a, fromJSON(extra, &a.Extra)
}

// findApplication reads an application of the tenant with its URIs and secrets.
func findApplication(ctx context.Context, q db.Querier, tenantID string, ref Ref) (Application, error) {
	column, value := "a.id", fold(ref.ID)
	switch {
	case ref.AppID != "":
		column, value = "a.app_id", fold(ref.AppID)
	case ref.UniqueName != "":
		column, value = "a.unique_name", ref.UniqueName
	}
	a, err := one(q.QueryRowContext(ctx, `SELECT `+applicationColumns+` FROM applications a WHERE a.tenant_id = $1 AND a.deleted_at = 0 AND `+column+` = $2`, tenantID, value),
		scanApplication, notFound(ApplicationObject, ref.String()))
	if err != nil {
		return a, err
	}
	return a, a.fill(ctx, q)
}

func (a *Application) fill(ctx context.Context, q db.Querier) (err error) {
	if a.IdentifierURIs, err = query(ctx, q, scanString, `SELECT uri FROM application_uris WHERE application_id = $1 ORDER BY position`, a.ID); err != nil {
		return err
	}
	a.Secrets, err = secretsOf(ctx, q, a.ID)
	return err
}

// Application reads one.
func (d *Directory) Application(ctx context.Context, c Caller, ref Ref) (Application, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Application{}, err
	}
	if err := d.authorise(ctx, d.DB.Read(), r, readApplication("")); err != nil {
		return Application{}, err
	}
	a, err := findApplication(ctx, d.DB.Read(), c.TenantID, ref)
	if err != nil {
		return Application{}, err
	}
	return a, d.authorise(ctx, d.DB.Read(), r, readApplication(a.ID))
}

// Applications lists those that the caller may see, by display name without
// case, an exact match before longer names.
func (d *Directory) Applications(ctx context.Context, c Caller, f Filter, page Page) (Paged[Application], error) {
	r, err := d.permitRead(ctx, c, readApplication(""))
	if err != nil {
		return Paged[Application]{}, err
	}
	w := where{}
	w.add(`a.tenant_id = ?`, c.TenantID)
	w.add(`a.deleted_at = 0`)
	if !r.has(mayRead...) {
		w.add(`a.id IN (SELECT object_id FROM owners WHERE principal_id = ?)`, c.PrincipalID)
	}
	w.filter("a", f)
	if f.IdentifierURI != nil {
		w.add(`a.id IN (SELECT application_id FROM application_uris WHERE tenant_id = ? AND uri = ?)`, c.TenantID, *f.IdentifierURI)
	}
	if f.UniqueName != nil {
		w.add(`a.unique_name = ?`, *f.UniqueName)
	}
	w.after("a", page)
	items, err := query(ctx, d.DB.Read(), scanApplication, `SELECT `+applicationColumns+` FROM applications a WHERE `+w.text()+` ORDER BY a.name_sort, a.id LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Application]{}, err
	}
	p := paged(items, page, func(a Application) string { return sortKey(a.DisplayName) + "." + a.ID })
	for i := range p.Items {
		if err := p.Items[i].fill(ctx, d.DB.Read()); err != nil {
			return p, err
		}
	}
	return p, nil
}

// where collects the conditions of a list.
type where struct {
	conditions []string
	args       []any
}

// arg adds a value and returns its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

// add adds a condition in which each ? stands for the next value.
func (w *where) add(condition string, values ...any) {
	for _, v := range values {
		condition = strings.Replace(condition, "?", w.arg(v), 1)
	}
	w.conditions = append(w.conditions, condition)
}

func (w *where) text() string { return strings.Join(w.conditions, " AND ") }

// filter adds what applications and service principals share.
func (w *where) filter(table string, f Filter) {
	if f.ID != nil {
		w.add(table+`.id = ?`, fold(*f.ID))
	}
	if f.AppID != nil {
		w.add(table+`.app_id = ?`, fold(*f.AppID))
	}
	if f.DisplayName != nil {
		w.add(table+`.name_sort = ?`, sortKey(*f.DisplayName))
	}
	if f.NamePrefix != nil {
		w.add(table+`.name_sort >= ?`, sortKey(*f.NamePrefix))
		w.add(table+`.name_sort < ?`, sortKey(*f.NamePrefix)+afterPrefix)
	}
}

// after starts a list behind a page's last item.
func (w *where) after(table string, page Page) {
	if name, id, ok := strings.Cut(page.After, "."); ok {
		w.add(`(`+table+`.name_sort > ? OR (`+table+`.name_sort = ? AND `+table+`.id > ?))`, name, name, id)
	}
}

// CreateApplication makes one from a's fields besides its ids. A caller that
// may write only what it owns becomes its owner.
func (d *Directory) CreateApplication(ctx context.Context, c Caller, a Application) (Application, error) {
	a.ID, a.AppID, a.TenantID, a.Secrets = newID(), newID(), c.TenantID, nil
	if a.SignInAudience == "" {
		a.SignInAudience = defaultSignInAudience
	}
	if err := a.validate(); err != nil {
		return Application{}, err
	}
	err := d.change(ctx, c, func(t *act) error {
		a.CreatedAt = t.at
		if err := t.permit(writeApplication("applications/create", "", ""), &target{object: ApplicationObject, id: a.ID, name: a.DisplayName, detail: map[string]string{"appId": a.AppID}}); err != nil {
			return err
		}
		if err := t.insertApplication(a); err != nil {
			return err
		}
		return t.own(a.ID)
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

// own makes a caller that is a principal the owner of what it has just made.
func (a *act) own(objectID string) error {
	if a.c.Kind != PrincipalCaller {
		return nil
	}
	_, err := exec(a, a.tx, `INSERT INTO owners (object_id, principal_id, tenant_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, objectID, a.c.PrincipalID, a.c.TenantID, millis(a.at))
	return err
}

// UpdateApplication changes one by edit, which gets it as it stands and may set every field besides ids and times.
func (d *Directory) UpdateApplication(ctx context.Context, c Caller, ref Ref, edit func(*Application) error) (Application, error) {
	var after Application
	err := d.change(ctx, c, func(a *act) error {
		before, err := findApplication(a, a.tx, c.TenantID, ref)
		if err != nil {
			return a.hide(err)
		}
		principal, err := a.principalOf(before.ID)
		if err != nil {
			return err
		}
		after = before
		if err := edit(&after); err != nil {
			return err
		}
		after.ID, after.AppID, after.TenantID, after.CreatedAt, after.Secrets = before.ID, before.AppID, before.TenantID, before.CreatedAt, before.Secrets
		if before.UniqueName != "" && after.UniqueName != before.UniqueName {
			return &Error{Kind: Immutable, Object: ApplicationObject, ID: before.ID, Field: "uniqueName"}
		}
		if err := a.permit(writeApplication("applications/basic/update", before.ID, principal), &target{object: ApplicationObject, id: before.ID, name: after.DisplayName}); err != nil {
			return err
		}
		if err := after.validate(); err != nil {
			return err
		}
		return a.updateApplication(after)
	})
	return after, err
}

// hide turns "not there" into "forbidden" for callers that may not even read, so that nobody can probe for ids.
func (a *act) hide(err error) error {
	if denied := a.d.authorise(a, a.tx, a.rights, readApplication("")); denied != nil {
		return denied
	}
	return err
}

// DeleteApplication hides an application with its service principal, credentials and secrets at once; Purge removes it later.
func (d *Directory) DeleteApplication(ctx context.Context, c Caller, ref Ref) error {
	return d.change(ctx, c, func(a *act) error {
		app, err := findApplication(a, a.tx, c.TenantID, ref)
		if err != nil {
			return a.hide(err)
		}
		principal, err := a.principalOf(app.ID)
		if err != nil {
			return err
		}
		if err := a.permit(writeApplication("applications/delete", app.ID, principal), &target{object: ApplicationObject, id: app.ID, name: app.DisplayName}); err != nil {
			return err
		}
		if _, err := exec(a, a.tx, `UPDATE applications SET deleted_at = $1, revision = revision + 1 WHERE id = $2`, millis(a.at), app.ID); err != nil {
			return err
		}
		_, err = exec(a, a.tx, `UPDATE service_principals SET deleted_at = $1, revision = revision + 1 WHERE parent_id = $2 AND deleted_at = 0`, millis(a.at), app.ID)
		return err
	})
}

// principalOf finds the service principal of a parent; empty when it has none.
func (a *act) principalOf(parentID string) (string, error) {
	ids, err := query(a, a.tx, scanString, `SELECT id FROM service_principals WHERE tenant_id = $1 AND parent_id = $2 AND deleted_at = 0`, a.c.TenantID, parentID)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

func (a *act) insertApplication(app Application) error {
	appRoles, tags, extra, err := app.lists()
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `INSERT INTO applications
		(id, tenant_id, app_id, display_name, name_sort, unique_name, description, notes, sign_in_audience, token_version, app_roles, tags, extra, revision, created_at, deleted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, 0)`,
		app.ID, app.TenantID, app.AppID, app.DisplayName, sortKey(app.DisplayName), nullable(app.UniqueName), app.Description, app.Notes, app.SignInAudience, app.TokenVersion, appRoles, tags, extra, millis(app.CreatedAt))
	if db.IsUnique(err) {
		return exists(ApplicationObject, app.UniqueName, "uniqueName")
	}
	if err != nil {
		return err
	}
	return a.setURIs(app)
}

func (a *act) updateApplication(app Application) error {
	appRoles, tags, extra, err := app.lists()
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE applications SET display_name = $1, name_sort = $2, unique_name = $3, description = $4, notes = $5, sign_in_audience = $6,
		token_version = $7, app_roles = $8, tags = $9, extra = $10, revision = revision + 1 WHERE id = $11`,
		app.DisplayName, sortKey(app.DisplayName), nullable(app.UniqueName), app.Description, app.Notes, app.SignInAudience, app.TokenVersion, appRoles, tags, extra, app.ID)
	if db.IsUnique(err) {
		return exists(ApplicationObject, app.UniqueName, "uniqueName")
	}
	if err != nil {
		return err
	}
	return a.setURIs(app)
}

func (a *act) setURIs(app Application) error {
	if _, err := exec(a, a.tx, `DELETE FROM application_uris WHERE application_id = $1`, app.ID); err != nil {
		return err
	}
	for i, uri := range app.IdentifierURIs {
		_, err := exec(a, a.tx, `INSERT INTO application_uris (tenant_id, uri, application_id, position) VALUES ($1, $2, $3, $4)`, app.TenantID, uri, app.ID, i)
		if db.IsUnique(err) {
			return exists(ApplicationObject, uri, "identifierUris")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a Application) lists() (appRoles, tags, extra string, err error) {
	if a.AppRoles == nil {
		a.AppRoles = []AppRole{}
	}
	if a.Tags == nil {
		a.Tags = []string{}
	}
	if a.Extra == nil {
		a.Extra = map[string]json.RawMessage{}
	}
	if appRoles, err = toJSON(a.AppRoles); err != nil {
		return
	}
	if tags, err = toJSON(a.Tags); err != nil {
		return
	}
	extra, err = toJSON(a.Extra)
	return
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (a Application) validate() error {
	const o = ApplicationObject
	if err := checkText(o, "displayName", a.DisplayName, 256); err != nil {
		return err
	}
	if a.DisplayName == "" {
		return invalid(o, "displayName", "is required")
	}
	for field, text := range map[string]string{"description": a.Description, "notes": a.Notes, "uniqueName": a.UniqueName, "signInAudience": a.SignInAudience} {
		if err := checkText(o, field, text, 1024); err != nil {
			return err
		}
	}
	if a.TokenVersion < 0 || a.TokenVersion > 2 {
		return invalid(o, "api.requestedAccessTokenVersion", "must be 1, 2 or null")
	}
	if len(a.IdentifierURIs) > maxListed || len(a.AppRoles) > maxListed || len(a.Tags) > maxListed {
		return invalid(o, "identifierUris", "at most %d identifier URIs, app roles and tags each", maxListed)
	}
	for i, uri := range a.IdentifierURIs {
		u, err := url.Parse(uri)
		if err != nil || !u.IsAbs() || u.Fragment != "" || strings.ContainsFunc(uri, unicode.IsSpace) {
			return invalid(o, "identifierUris", "%q is not an absolute URI", uri)
		}
		if err := checkText(o, "identifierUris", uri, 255); err != nil {
			return err
		}
		if slices.Contains(a.IdentifierURIs[:i], uri) {
			return invalid(o, "identifierUris", "%q stands twice", uri)
		}
	}
	for _, tag := range a.Tags {
		if err := checkText(o, "tags", tag, 256); err != nil {
			return err
		}
	}
	return checkAppRoles(a.AppRoles, a.Extra)
}

func checkAppRoles(list []AppRole, extra map[string]json.RawMessage) error {
	const o = ApplicationObject
	seen := map[string]bool{}
	for _, r := range list {
		if !IsID(r.ID) {
			return invalid(o, "appRoles", "the id %q is not a GUID", r.ID)
		}
		for _, text := range []string{r.Value, r.DisplayName, r.Description} {
			if err := checkText(o, "appRoles", text, 1024); err != nil {
				return err
			}
		}
		if strings.ContainsFunc(r.Value, unicode.IsSpace) {
			return invalid(o, "appRoles", "the value %q has white space", r.Value)
		}
		if seen[r.ID] || r.Value != "" && seen[r.Value] {
			return invalid(o, "appRoles", "the id or value of %q stands twice", r.Value)
		}
		seen[r.ID], seen[r.Value] = true, true
	}
	size := 0
	for name, value := range extra {
		size += len(name) + len(value)
	}
	if size > maxExtra {
		return invalid(o, "properties", "the object is larger than %d bytes", maxExtra)
	}
	return nil
}

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

// Purge removes what was deleted longer ago than KeepDeleted, with its secrets, credentials and assignments.
func (d *Directory) Purge(ctx context.Context) error {
	keep := d.KeepDeleted
	if keep == 0 {
		keep = defaultKeepDeleted
	}
	before := millis(d.now().Add(-keep))
	tenants, err := d.TenantIDs(ctx)
	if err != nil {
		return err
	}
	for _, tenantID := range tenants {
		for _, kind := range []struct {
			object Object
			list   string
			purge  func(*act, string) error
		}{
			{ApplicationObject, `SELECT id FROM applications WHERE tenant_id = $1 AND deleted_at > 0 AND deleted_at < $2 LIMIT 100`, (*act).purgeApplication},
			{PrincipalObject, `SELECT id FROM service_principals WHERE tenant_id = $1 AND deleted_at > 0 AND deleted_at < $2 LIMIT 100`, (*act).purgePrincipal},
		} {
			ids, err := query(ctx, d.DB.Read(), scanString, kind.list, tenantID, before)
			if err != nil {
				return err
			}
			for _, id := range ids {
				err := d.change(ctx, System(tenantID, "purge"), func(a *act) error {
					if err := a.permit(administer("microsoft.directory/deletedItems/delete", "/"), &target{object: kind.object, id: id}); err != nil {
						return err
					}
					return kind.purge(a, id)
				})
				if err != nil {
					return fmt.Errorf("purge %s %q: %w", kind.object, id, err)
				}
			}
		}
	}
	return nil
}

func (a *act) purgeApplication(id string) error {
	for _, text := range []string{
		`DELETE FROM application_uris WHERE application_id = $1`,
		`DELETE FROM application_secrets WHERE application_id = $1`,
		`DELETE FROM credentials WHERE parent_id = $1`,
		`DELETE FROM owners WHERE object_id = $1`,
		`DELETE FROM applications WHERE id = $1`,
	} {
		if _, err := exec(a, a.tx, text, id); err != nil {
			return err
		}
	}
	return nil
}

// purgePrincipal removes a service principal and all that was assigned to it, and is how a managed identity's goes.
func (a *act) purgePrincipal(id string) error {
	for _, text := range []string{
		`DELETE FROM app_role_assignments WHERE principal_id = $1 OR resource_id = $1`,
		`DELETE FROM role_assignments WHERE principal_id = $1`,
		`DELETE FROM owners WHERE object_id = $1 OR principal_id = $1`,
		`DELETE FROM service_principals WHERE id = $1`,
	} {
		if _, err := exec(a, a.tx, text, id); err != nil {
			return err
		}
	}
	return nil
}
