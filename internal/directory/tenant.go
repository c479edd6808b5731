package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/roles"
)

// Tenant is a directory of its own: nothing in it is seen from another one.
type Tenant struct {
	ID          string // GUID, lower case
	DisplayName string
	Domain      string // another name for it in URLs, lower case
	Default     bool   // the one that was made at first start
	// MaxCredentials is how many federated identity credentials one parent
	// may hold: 20, as in Entra, unless an administrator raises it.
	MaxCredentials int
	// RegisteredIssuersOnly is that of the tenant's Policy.
	RegisteredIssuersOnly bool
	CreatedAt             time.Time
}

// maxCredentialsCeiling bounds the policy; the cost of an exchange does not depend on it.
const maxCredentialsCeiling = 100_000

// NewTenant is what a tenant is made from. The zero value is a good one.
type NewTenant struct {
	ID             string // GUID; empty: a new one
	SubscriptionID string // GUID; empty: a new one
	DisplayName    string // empty: "Entente"
	Domain         string // another name for it in URLs, with a dot; empty: ID.entente.internal

	// AdministratorIssuer and AdministratorSubject name the workload that
	// administers the tenant, by a federated identity credential. When both
	// are empty the administrator gets a client secret.
	AdministratorIssuer, AdministratorSubject string

	// Keep is told what was made before the transaction commits, so that the
	// administrator's secret is kept before it counts. An error undoes the
	// tenant. It may be called more than once; the last call counts.
	Keep func(Founded) error
}

// Founded is what the founder of a tenant needs to know; the secret is nowhere else.
type Founded struct {
	Tenant                   Tenant
	SubscriptionID           string
	AdministratorClientID    string
	AdministratorPrincipalID string
	AdministratorSecret      string // empty when the administrator is federated
}

const tenantColumns = `id, display_name, domain_key, is_default, max_credentials, registered_issuers_only, created_at`

func scanTenant(r row) (Tenant, error) {
	var t Tenant
	var isDefault, registeredOnly, createdAt int64
	err := r.Scan(&t.ID, &t.DisplayName, &t.Domain, &isDefault, &t.MaxCredentials, &registeredOnly, &createdAt)
	t.Default, t.RegisteredIssuersOnly, t.CreatedAt = isDefault != 0, registeredOnly != 0, fromMillis(createdAt)
	return t, err
}

// LookupTenant finds a tenant by its id or domain, in any case.
func (d *Directory) LookupTenant(ctx context.Context, ref string) (Tenant, error) {
	return one(ctx, d.DB.Read(), notFound(TenantObject, ref), scanTenant, `SELECT `+tenantColumns+` FROM tenants WHERE id = $1 OR domain_key = $1`, fold(ref))
}

// DefaultTenant finds the tenant of the first start.
func (d *Directory) DefaultTenant(ctx context.Context) (Tenant, error) {
	return one(ctx, d.DB.Read(), notFound(TenantObject, "default"), scanTenant, `SELECT `+tenantColumns+` FROM tenants WHERE is_default = 1`)
}

// TenantIDs lists the ids of all tenants, for the service's own upkeep.
func (d *Directory) TenantIDs(ctx context.Context) ([]string, error) {
	return query(ctx, d.DB.Read(), scanString, `SELECT id FROM tenants ORDER BY created_at, id`)
}

// Tenants lists what the caller may see: its own tenant, and for an
// administrator of the default tenant all of them.
func (d *Directory) Tenants(ctx context.Context, c Caller) ([]Tenant, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return nil, err
	}
	all, err := query(ctx, d.DB.Read(), scanTenant, `SELECT `+tenantColumns+` FROM tenants ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	host := r.administrator() && slices.ContainsFunc(all, func(t Tenant) bool { return t.Default && t.ID == c.TenantID })
	return readable(all, func(t Tenant) bool { return host || t.ID == c.TenantID }), nil
}

// Bootstrap makes the default tenant at first start. Of several processes that
// start at once exactly one makes it; the others get created == false and the
// tenant that is there.
func (d *Directory) Bootstrap(ctx context.Context, n NewTenant) (founded Founded, created bool, err error) {
	if t, err := d.DefaultTenant(ctx); err == nil {
		return Founded{Tenant: t}, false, nil
	} else if !isNotFound(err) {
		return Founded{}, false, err
	}
	founded, err = d.found(ctx, System("", "first start"), n, true)
	if db.IsUnique(err) {
		t, err := d.DefaultTenant(ctx)
		return Founded{Tenant: t}, false, err
	}
	return founded, err == nil, err
}

// CreateTenant makes another tenant. It is a right of the default tenant's administrators.
func (d *Directory) CreateTenant(ctx context.Context, c Caller, n NewTenant) (Founded, error) {
	own, err := d.LookupTenant(ctx, c.TenantID)
	if err != nil {
		return Founded{}, err
	}
	if !own.Default {
		return Founded{}, &Error{Kind: Forbidden, Object: PrincipalObject, ID: c.PrincipalID, Action: administratorAction, Scope: "/", Caller: c, Detail: "only the default tenant's administrators make tenants"}
	}
	founded, err := d.found(ctx, c, n, false)
	if db.IsUnique(err) {
		return Founded{}, exists(TenantObject, n.ID, "id")
	}
	return founded, err
}

func (d *Directory) found(ctx context.Context, c Caller, n NewTenant, isDefault bool) (Founded, error) {
	for _, id := range []*string{&n.ID, &n.SubscriptionID} {
		if *id == "" {
			*id = newID()
		}
		if !IsID(*id) || strings.Trim(*id, "0-") == "" {
			return Founded{}, invalid(TenantObject, "id", "%q is not a GUID", *id)
		}
		*id = fold(*id)
	}
	if n.DisplayName == "" {
		n.DisplayName = "Entente"
	}
	if n.Domain = fold(n.Domain); n.Domain == "" {
		n.Domain = n.ID + ".entente.internal"
	}
	if c.TenantID == "" { // the first tenant is its own founder's
		c.TenantID = n.ID
	}
	if err := checkText(TenantObject, "displayName", n.DisplayName, maxName); err != nil {
		return Founded{}, err
	}
	if len(n.Domain) > maxDomain || !domainName.MatchString(n.Domain) {
		return Founded{}, invalid(TenantObject, "domain", "%q is not a domain name of at least two parts", n.Domain)
	}
	admin, err := newAdministrator(n.AdministratorIssuer, n.AdministratorSubject)
	if err != nil {
		return Founded{}, err
	}
	var f Founded
	err = d.change(ctx, c, func(a *act) error {
		if err := a.permit(administer(), &target{object: TenantObject, id: n.ID, name: n.DisplayName}); err != nil {
			return err
		}
		tenant := Tenant{ID: n.ID, DisplayName: n.DisplayName, Domain: n.Domain, Default: isDefault, MaxCredentials: credential.DefaultLimit, CreatedAt: a.at}
		if _, err := exec(a, a.tx, `INSERT INTO tenants (id, display_name, domain_key, is_default, max_credentials, revision, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)`,
			tenant.ID, tenant.DisplayName, tenant.Domain, bit(tenant.Default), tenant.MaxCredentials, millis(a.at)); err != nil {
			return err
		}
		if _, err := exec(a, a.tx, `INSERT INTO subscriptions (id, tenant_id, display_name, created_at) VALUES ($1, $2, $3, $4)`,
			n.SubscriptionID, n.ID, n.DisplayName, millis(a.at)); err != nil {
			return err
		}
		graph, err := a.insertGraph(n.ID)
		if err != nil {
			return err
		}
		f, err = a.insertAdministrator(n.ID, graph, admin)
		f.Tenant, f.SubscriptionID = tenant, n.SubscriptionID
		if err != nil || n.Keep == nil {
			return err
		}
		return n.Keep(f)
	})
	if err != nil {
		return Founded{}, err
	}
	return f, nil
}

// RecoverAdministrator makes one more administrator of a tenant, by its id or
// domain, as Bootstrap does: federated when issuer and subject are given, with
// a client secret otherwise. It asks for no right: whoever can call it has the
// database.
func (d *Directory) RecoverAdministrator(ctx context.Context, tenant, issuer, subject string) (Founded, error) {
	t, err := d.LookupTenant(ctx, tenant)
	if err != nil {
		return Founded{}, err
	}
	admin, err := newAdministrator(issuer, subject)
	if err != nil {
		return Founded{}, err
	}
	var f Founded
	err = d.change(ctx, System(t.ID, "administrator recovery"), func(a *act) error {
		graph, err := findPrincipal(a, a.tx, t.ID, Ref{AppID: roles.GraphAppID})
		if err != nil {
			return err
		}
		to := &target{object: PrincipalObject, name: administratorName}
		if err := a.permit(administer(), to); err != nil {
			return err
		}
		f, err = a.insertAdministrator(t.ID, graph.ID, admin)
		f.Tenant, to.id = t, f.AdministratorPrincipalID
		return err
	})
	if err != nil {
		return Founded{}, err
	}
	return f, nil
}

const administratorName = "Entente administrator"

// newAdministrator is the credential of a federated administrator; nil for one with a secret.
func newAdministrator(issuer, subject string) (*credential.Spec, error) {
	if issuer == "" && subject == "" {
		return nil, nil
	}
	s := credential.Spec{Name: "administrator", Issuer: issuer, Subject: subject, Audiences: []string{credential.DefaultAudience}, Description: "Administers the tenant"}
	if err := s.Validate(credential.Application); err != nil {
		return nil, &Error{Kind: Invalid, Object: CredentialObject, Field: "administrator", Spec: &s, Err: err}
	}
	return &s, nil
}

// insertAdministrator makes an application that may do everything in a tenant,
// trusting the credential or, when that is nil, a secret.
func (a *act) insertAdministrator(tenantID, graphID string, admin *credential.Spec) (Founded, error) {
	app := Application{ID: newID(), TenantID: tenantID, AppID: newID(), DisplayName: administratorName, SignInAudience: defaultSignInAudience, CreatedAt: a.at}
	if err := a.insertApplication(app); err != nil {
		return Founded{}, err
	}
	principal := ServicePrincipal{ID: newID(), TenantID: tenantID, AppID: app.AppID, Kind: credential.Application, parentID: app.ID, DisplayName: app.DisplayName, Enabled: true, CreatedAt: a.at}
	if err := a.insertPrincipal(principal); err != nil {
		return Founded{}, err
	}
	for _, definition := range []string{roles.Owner, roles.FederationAdministrator} {
		if err := a.insertAssignment(RoleAssignment{Name: newID(), Scope: "/", DefinitionID: definition, PrincipalID: principal.ID, PrincipalType: "ServicePrincipal", CreatedBy: a.c.PrincipalID, CreatedAt: a.at}, tenantID); err != nil {
			return Founded{}, err
		}
	}
	for _, role := range roles.GraphAppRoles() {
		switch role.Value {
		case writeApplications, writeGrants, readDirectory:
			if err := a.insertGrant(Grant{ID: newID(), PrincipalID: principal.ID, ResourceID: graphID, AppRoleID: role.ID, CreatedAt: a.at}, tenantID); err != nil {
				return Founded{}, err
			}
		}
	}
	f := Founded{AdministratorClientID: app.AppID, AdministratorPrincipalID: principal.ID}
	if admin == nil {
		var secret Secret
		secret, f.AdministratorSecret = newSecret("administrator", a.at, a.at.AddDate(100, 0, 0))
		return f, a.insertSecret(secret, app.ID)
	}
	if err := a.ensureIssuer(tenantID, admin.Issuer); err != nil {
		return Founded{}, err
	}
	return f, a.insertCredential(Credential{Spec: *admin, ID: newID(), CreatedAt: a.at, UpdatedAt: a.at}, parent{kind: credential.Application, id: app.ID}, tenantID)
}

// insertGraph makes the service principal of Microsoft Graph, so that its app roles can be granted as everywhere.
func (a *act) insertGraph(tenantID string) (string, error) {
	p := ServicePrincipal{ID: newID(), TenantID: tenantID, AppID: roles.GraphAppID, Kind: credential.Application, DisplayName: "Microsoft Graph", Enabled: true, CreatedAt: a.at}
	for _, r := range roles.GraphAppRoles() {
		p.AppRoles = append(p.AppRoles, AppRole{ID: r.ID, Value: r.Value, DisplayName: r.DisplayName, Description: r.Description, Enabled: true, MemberTypes: []string{"Application"}})
	}
	return p.ID, a.insertPrincipal(p)
}
