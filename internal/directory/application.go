package directory

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

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
	Extra        map[string]json.RawMessage
	Secrets      []Secret
	Certificates []Certificate
	Owners       []string // object ids of service principals that own it from the start, besides its maker; never read
	CreatedAt    time.Time
	DeletedAt    time.Time // zero unless it is deleted and not yet purged
}

// AppRole is a permission that an application defines for those who call it.
type AppRole struct {
	ID          string   `json:"id"` // GUID, kept in lower case
	Value       string   `json:"value"`
	DisplayName string   `json:"displayName"`
	Description string   `json:"description"`
	Enabled     bool     `json:"isEnabled"`
	MemberTypes []string `json:"allowedMemberTypes"` // User, Application
}

// Ref names an application or service principal by one of its keys; exactly
// one is set. Only applications have unique names.
type Ref struct{ ID, AppID, UniqueName string }

func (r Ref) String() string { return r.ID + r.AppID + r.UniqueName }

func (r Ref) key() (column, value string) {
	switch {
	case r.AppID != "":
		return "app_id", fold(r.AppID)
	case r.UniqueName != "":
		return "unique_name", r.UniqueName
	}
	return "id", fold(r.ID)
}

const defaultSignInAudience = "AzureADMyOrg"

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

func readApplication(objects ...string) need {
	return need{action: "microsoft.directory/applications/read", graph: mayRead, owned: writeOwned, objects: objects}
}

func writeApplication(action, guarded string, objects ...string) need {
	return need{action: "microsoft.directory/" + action, graph: mayWrite, owned: writeOwned, objects: objects, guarded: guarded}
}

const applicationColumns = `id, tenant_id, app_id, display_name, coalesce(unique_name, ''), description, notes, sign_in_audience, token_version, app_roles, tags, extra, created_at, deleted_at`

func scanApplication(r row) (Application, error) {
	var a Application
	var appRoles, tags, extra string
	var createdAt, deletedAt int64
	if err := r.Scan(&a.ID, &a.TenantID, &a.AppID, &a.DisplayName, &a.UniqueName, &a.Description, &a.Notes, &a.SignInAudience, &a.TokenVersion, &appRoles, &tags, &extra, &createdAt, &deletedAt); err != nil {
		return a, err
	}
	a.CreatedAt, a.DeletedAt = fromMillis(createdAt), fromMillis(deletedAt)
	if err := fromJSON(appRoles, &a.AppRoles); err != nil {
		return a, err
	}
	if err := fromJSON(tags, &a.Tags); err != nil {
		return a, err
	}
	return a, fromJSON(extra, &a.Extra)
}

// fill reads the URIs, secrets and certificates of applications, each with one statement.
func fill(ctx context.Context, q db.Querier, list []Application, withDER bool) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	uris, err := urisOf(ctx, q, ids)
	if err != nil {
		return err
	}
	secrets, err := secretsOf(ctx, q, ids)
	if err != nil {
		return err
	}
	certificates, err := certificatesOf(ctx, q, ids, withDER)
	if err != nil {
		return err
	}
	for i, a := range list {
		list[i].IdentifierURIs, list[i].Secrets, list[i].Certificates = uris[a.ID], secrets[a.ID], certificates[a.ID]
	}
	return nil
}

// urisOf reads the identifier URIs of at least one application, by its id.
func urisOf(ctx context.Context, q db.Querier, applications []string) (map[string][]string, error) {
	w := where{}
	w.in(`application_id`, applications)
	uris := map[string][]string{}
	_, err := query(ctx, q, func(r row) (struct{}, error) {
		var id, uri string
		err := r.Scan(&id, &uri)
		uris[id] = append(uris[id], uri)
		return struct{}{}, err
	}, `SELECT application_id, uri FROM application_uris WHERE `+w.text()+` ORDER BY application_id, position`, w.args...)
	return uris, err
}

// Application reads one.
func (d *Directory) Application(ctx context.Context, c Caller, ref Ref) (Application, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Application{}, err
	}
	// Asked before the look-up too, so that nobody can probe for ids.
	if err := r.authorise(ctx, d.DB.Read(), readApplication()); err != nil {
		return Application{}, err
	}
	column, value := ref.key()
	a, err := one(ctx, d.DB.Read(), notFound(ApplicationObject, ref.String()), scanApplication,
		`SELECT `+applicationColumns+` FROM applications WHERE tenant_id = $1 AND deleted_at = 0 AND `+column+` = $2`, c.TenantID, value)
	if err != nil {
		return Application{}, err
	}
	if err := r.authorise(ctx, d.DB.Read(), readApplication(a.ID)); err != nil {
		return Application{}, err
	}
	list := []Application{a}
	err = fill(ctx, d.DB.Read(), list, true)
	return list[0], err
}

// Applications lists those that the caller may see.
func (d *Directory) Applications(ctx context.Context, c Caller, f Filter, page Page) (Paged[Application], error) {
	return d.applications(ctx, c, f, page, live)
}

// Whether an application or service principal is there, or deleted and not yet purged.
const (
	live    = `deleted_at = 0`
	deleted = `deleted_at > 0`
	either  = `deleted_at >= 0`
)

func (d *Directory) applications(ctx context.Context, c Caller, f Filter, page Page, state string) (Paged[Application], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Application]{}, err
	}
	if err := r.authorise(ctx, d.DB.Read(), readApplication()); err != nil {
		return Paged[Application]{}, err
	}
	w := where{}
	tables, err := r.applications(ctx, d.DB.Read(), &w, state)
	if err != nil {
		return Paged[Application]{}, err
	}
	w.shared(d.DB, c.TenantID, "applications", "a", f, page)
	if f.IdentifierURI != nil {
		w.add(`a.id IN (SELECT application_id FROM application_uris WHERE tenant_id = ? AND uri = ?)`, c.TenantID, *f.IdentifierURI)
	}
	if f.UniqueName != nil {
		w.add(`a.unique_name = ?`, *f.UniqueName)
	}
	w.never(f.PrincipalKind, f.ParentObjectID)
	all := w
	w.after("a", f.Order, page)
	items, err := query(ctx, d.DB.Read(), scanApplication, `SELECT `+applicationColumns+` FROM applications a WHERE `+w.first("a", tables, f.Order, page)+` ORDER BY `+f.Order.text("a"), w.args...)
	if err != nil {
		return Paged[Application]{}, err
	}
	p := paged(items, page, func(a Application) string { return f.Order.key(a.DisplayName, a.CreatedAt, a.ID) })
	if err := total(ctx, d.DB.Read(), &p, page, tables, all); err != nil {
		return Paged[Application]{}, err
	}
	return p, fill(ctx, d.DB.Read(), p.Items, false)
}

// CreateApplication makes one from a's fields besides its ids. A caller that is
// a principal becomes its owner. Of a's secrets only names and times count: new
// ones are made, whose texts the answer has.
func (d *Directory) CreateApplication(ctx context.Context, c Caller, a Application) (Application, error) {
	a.ID, a.AppID, a.TenantID, a.DeletedAt = newID(), newID(), c.TenantID, time.Time{}
	if a.SignInAudience == "" {
		a.SignInAudience = defaultSignInAudience
	}
	a = a.normal()
	if err := a.validate(); err != nil {
		return Application{}, err
	}
	wanted := a.Secrets
	err := d.change(ctx, c, func(t *act) error {
		a.CreatedAt = t.at
		about := &target{object: ApplicationObject, id: a.ID, name: a.DisplayName, detail: map[string]string{"appId": a.AppID}}
		if err := t.permit(writeApplication("applications/create", ""), about); err != nil {
			return err
		}
		if err := t.insertApplication(a); err != nil {
			return err
		}
		var err error
		if a.Certificates, err = t.setCertificates(a.holder(), nil, a.Certificates); err != nil {
			return err
		}
		if a.Secrets, err = t.insertFirstSecrets(a, wanted); err != nil {
			return err
		}
		return t.ownFromTheStart(a.ID, a.Owners, about)
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

// UpdateApplication changes one by edit, which gets it as it stands and may
// set every field besides ids, times and secrets. It may run more than once.
// What its list of certificates becomes is said at Certificate.
func (d *Directory) UpdateApplication(ctx context.Context, c Caller, ref Ref, edit func(*Application) error) (Application, error) {
	var after Application
	err := d.change(ctx, c, func(a *act) error {
		t := &target{object: ApplicationObject, detail: map[string]string{}}
		before, err := a.application("applications/basic/update", ref, live, t)
		if err != nil {
			return err
		}
		after = before.normal()
		if err := edit(&after); err != nil {
			return err
		}
		after = after.normal()
		after.ID, after.AppID, after.TenantID, after.CreatedAt, after.DeletedAt, after.Secrets = before.ID, before.AppID, before.TenantID, before.CreatedAt, before.DeletedAt, before.Secrets
		if before.UniqueName != "" && after.UniqueName != before.UniqueName {
			return &Error{Kind: Immutable, Object: ApplicationObject, ID: before.ID, Field: "uniqueName"}
		}
		if err := after.validate(); err != nil {
			return err
		}
		t.name = after.DisplayName
		if after.Certificates, err = a.setCertificates(before.holder(), before.Certificates, after.Certificates); err != nil {
			return err
		}
		if t.detail["changed"], err = changes(before, after); err != nil {
			return err
		}
		return a.updateApplication(before, after)
	})
	if err != nil {
		return Application{}, err
	}
	return after, nil
}

// normal returns a with lists of its own, and ids as they are compared.
func (a Application) normal() Application {
	a.IdentifierURIs, a.Tags, a.Extra = slices.Clone(a.IdentifierURIs), slices.Clone(a.Tags), maps.Clone(a.Extra)
	a.AppRoles, a.Certificates = slices.Clone(a.AppRoles), slices.Clone(a.Certificates)
	for i := range a.AppRoles {
		a.AppRoles[i].ID = fold(a.AppRoles[i].ID)
	}
	return a
}

// changes names the fields in which two states of an application differ, for the audit event.
func changes(before, after Application) (string, error) {
	var names []string
	add := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	rolesBefore, tagsBefore, extraBefore, err := before.lists()
	if err != nil {
		return "", err
	}
	rolesAfter, tagsAfter, extraAfter, err := after.lists()
	if err != nil {
		return "", err
	}
	add("displayName", before.DisplayName != after.DisplayName)
	add("uniqueName", before.UniqueName != after.UniqueName)
	add("description", before.Description != after.Description)
	add("notes", before.Notes != after.Notes)
	add("signInAudience", before.SignInAudience != after.SignInAudience)
	add("identifierUris", !slices.Equal(before.IdentifierURIs, after.IdentifierURIs))
	add("requestedAccessTokenVersion", before.TokenVersion != after.TokenVersion)
	add("appRoles", rolesBefore != rolesAfter)
	add("tags", tagsBefore != tagsAfter)
	add("keyCredentials", !slices.EqualFunc(before.Certificates, after.Certificates, func(a, b Certificate) bool { return a.ID == b.ID }))
	add("properties", extraBefore != extraAfter)
	return strings.Join(names, " "), nil
}

// application locks the row of an application, which orders all writes on it
// and below it, and permits one that could take over its service principal.
// A target that is not the application itself notes it in its detail.
func (a *act) application(action string, ref Ref, state string, t *target) (Application, error) {
	if err := a.rights.authorise(a, a.tx, readApplication()); err != nil {
		return Application{}, err // so that nobody can probe for ids
	}
	column, value := ref.key()
	app, err := one(a, a.tx, notFound(ApplicationObject, ref.String()), scanApplication,
		`UPDATE applications SET revision = revision + 1 WHERE tenant_id = $1 AND `+state+` AND `+column+` = $2 RETURNING `+applicationColumns, a.c.TenantID, value)
	if err != nil {
		return Application{}, err
	}
	guarded, err := principalOf(a, a.tx, a.c.TenantID, app.ID)
	if err != nil {
		return Application{}, err
	}
	if t.object == ApplicationObject {
		t.id, t.name = app.ID, app.DisplayName
	} else {
		t.note("application", app.ID)
	}
	if err := a.permit(writeApplication(action, guarded, app.ID), t); err != nil {
		return Application{}, err
	}
	list := []Application{app}
	err = fill(a, a.tx, list, true)
	return list[0], err
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
	return a.insertURIs(app)
}

func (a *act) updateApplication(before, after Application) error {
	appRoles, tags, extra, err := after.lists()
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE applications SET display_name = $1, name_sort = $2, unique_name = $3, description = $4, notes = $5, sign_in_audience = $6,
		token_version = $7, app_roles = $8, tags = $9, extra = $10 WHERE id = $11`,
		after.DisplayName, sortKey(after.DisplayName), nullable(after.UniqueName), after.Description, after.Notes, after.SignInAudience, after.TokenVersion, appRoles, tags, extra, after.ID)
	if db.IsUnique(err) {
		return exists(ApplicationObject, after.UniqueName, "uniqueName")
	}
	if err != nil {
		return err
	}
	if before.DisplayName != after.DisplayName {
		if _, err := exec(a, a.tx, `UPDATE service_principals SET display_name = $1, name_sort = $2, revision = revision + 1 WHERE parent_id = $3`, after.DisplayName, sortKey(after.DisplayName), after.ID); err != nil {
			return err
		}
	}
	if slices.Equal(before.IdentifierURIs, after.IdentifierURIs) {
		return nil
	}
	if _, err := exec(a, a.tx, `DELETE FROM application_uris WHERE application_id = $1`, after.ID); err != nil {
		return err
	}
	return a.insertURIs(after)
}

func (a *act) insertURIs(app Application) error {
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

// lists returns the JSON of a's lists, for their columns.
func (a Application) lists() (appRoles, tags, extra string, err error) {
	if appRoles, err = toJSON(notNil(a.AppRoles)); err != nil {
		return
	}
	if tags, err = toJSON(notNil(a.Tags)); err != nil {
		return
	}
	extra, err = extraJSON(a.Extra)
	return
}

func extraJSON(extra map[string]json.RawMessage) (string, error) {
	if extra == nil {
		extra = map[string]json.RawMessage{}
	}
	return toJSON(extra)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
