package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	CreatedAt      time.Time
}

// maxCredentialsCeiling bounds the policy; the cost of an exchange does not depend on it.
const maxCredentialsCeiling = 100_000

// NewTenant is what a tenant is made from. The zero value is a good one.
type NewTenant struct {
	ID             string // GUID; empty: a new one
	SubscriptionID string // GUID; empty: a new one
	DisplayName    string // empty: "Entente"
	Domain         string // empty: ID.entente.internal

	// AdministratorIssuer and AdministratorSubject name the workload that
	// administers the tenant, by a federated identity credential. When both
	// are empty the administrator gets a client secret.
	AdministratorIssuer, AdministratorSubject string
}

// Founded is what the founder of a tenant needs to know; the secret is nowhere else.
type Founded struct {
	Tenant                   Tenant
	SubscriptionID           string
	AdministratorClientID    string
	AdministratorPrincipalID string
	AdministratorSecret      string // empty when the administrator is federated
}

const tenantColumns = `id, display_name, domain_key, is_default, max_credentials, created_at`

func scanTenant(r row) (Tenant, error) {
	var t Tenant
	var isDefault, createdAt int64
	err := r.Scan(&t.ID, &t.DisplayName, &t.Domain, &isDefault, &t.MaxCredentials, &createdAt)
	t.Default, t.CreatedAt = isDefault != 0, fromMillis(createdAt)
	return t, err
}

// LookupTenant finds a tenant by its id or domain, in any case.
func (d *Directory) LookupTenant(ctx context.Context, ref string) (Tenant, error) {
	return one(d.DB.Read().QueryRowContext(ctx, `SELECT `+tenantColumns+` FROM tenants WHERE id = $1 OR domain_key = $1`, fold(ref)), scanTenant, notFound(TenantObject, ref))
}

// DefaultTenant finds the tenant of the first start.
func (d *Directory) DefaultTenant(ctx context.Context) (Tenant, error) {
	return one(d.DB.Read().QueryRowContext(ctx, `SELECT `+tenantColumns+` FROM tenants WHERE is_default = 1`), scanTenant, notFound(TenantObject, "default"))
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
	seen := []Tenant{}
	host := false
	for _, t := range all {
		host = host || t.ID == c.TenantID && t.Default && r.administrator()
	}
	for _, t := range all {
		if host || t.ID == c.TenantID {
			seen = append(seen, t)
		}
	}
	return seen, nil
}

// Bootstrap makes the default tenant at first start. Of several processes that
// start at once exactly one makes it; the others get created == false and the
// tenant that is there.
func (d *Directory) Bootstrap(ctx context.Context, n NewTenant) (founded Founded, created bool, err error) {
	if t, err := d.DefaultTenant(ctx); err == nil {
		return Founded{Tenant: t}, false, nil
	} else if e, ok := errors.AsType[*Error](err); !ok || e.Kind != NotFound {
		return Founded{}, false, err
	}
	founded, err = d.found(ctx, System(n.ID, "first start"), n, true)
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
		return founded, exists(TenantObject, n.ID, "id")
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
	if n.Domain == "" {
		n.Domain = n.ID + ".entente.internal"
	}
	if c.TenantID == "" {
		c.TenantID = n.ID
	}
	if err := checkText(TenantObject, "displayName", n.DisplayName, 256); err != nil {
		return Founded{}, err
	}
	admin := credential.Spec{Name: "administrator", Issuer: n.AdministratorIssuer, Subject: n.AdministratorSubject, Audiences: []string{credential.DefaultAudience}, Description: "The administrator of the first start"}
	federated := n.AdministratorIssuer != "" || n.AdministratorSubject != ""
	if federated {
		if err := admin.Validate(credential.Application); err != nil {
			return Founded{}, &Error{Kind: Invalid, Object: CredentialObject, Field: "administrator", Spec: &admin, Err: err}
		}
	}
	var f Founded
	err := d.change(ctx, c, func(a *act) error {
		if err := a.permit(administer(administratorAction, "/"), &target{object: TenantObject, id: n.ID, name: n.DisplayName}); err != nil {
			return err
		}
		if _, err := exec(a, a.tx, `INSERT INTO tenants (id, display_name, domain_key, is_default, max_credentials, revision, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)`,
			n.ID, n.DisplayName, fold(n.Domain), bit(isDefault), credential.DefaultLimit, millis(a.at)); err != nil {
			return err
		}
		if _, err := exec(a, a.tx, `INSERT INTO subscriptions (id, tenant_id, display_name, created_at) VALUES ($1, $2, $3, $4)`,
			n.SubscriptionID, n.ID, n.DisplayName, millis(a.at)); err != nil {
			return err
		}
		graph, err := a.addGraph(n.ID)
		if err != nil {
			return err
		}
		app := Application{ID: newID(), TenantID: n.ID, AppID: newID(), DisplayName: "Entente administrator", SignInAudience: defaultSignInAudience, CreatedAt: a.at}
		if err := a.insertApplication(app); err != nil {
			return err
		}
		principal := ServicePrincipal{ID: newID(), TenantID: n.ID, AppID: app.AppID, Kind: credential.Application, parentID: app.ID, DisplayName: app.DisplayName, Enabled: true, CreatedAt: a.at}
		if err := a.insertPrincipal(principal); err != nil {
			return err
		}
		for _, definition := range []string{roles.Owner, roles.FederationAdministrator} {
			if err := a.insertAssignment(RoleAssignment{Name: newID(), Scope: "/", DefinitionID: definition, PrincipalID: principal.ID, PrincipalType: "ServicePrincipal", CreatedBy: c.PrincipalID, CreatedAt: a.at}, n.ID); err != nil {
				return err
			}
		}
		for _, role := range roles.GraphAppRoles() {
			switch role.Value {
			case "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All":
				if err := a.insertGrant(Grant{ID: newID(), PrincipalID: principal.ID, ResourceID: graph, AppRoleID: role.ID, CreatedAt: a.at}, n.ID); err != nil {
					return err
				}
			}
		}
		f = Founded{
			Tenant:         Tenant{ID: n.ID, DisplayName: n.DisplayName, Domain: fold(n.Domain), Default: isDefault, MaxCredentials: credential.DefaultLimit, CreatedAt: a.at},
			SubscriptionID: n.SubscriptionID, AdministratorClientID: app.AppID, AdministratorPrincipalID: principal.ID,
		}
		if federated {
			if err := a.ensureIssuer(n.ID, admin.Issuer); err != nil {
				return err
			}
			return a.insertCredential(Credential{Spec: admin, ID: newID(), CreatedAt: a.at, UpdatedAt: a.at}, parent{kind: credential.Application, id: app.ID}, n.ID)
		}
		secret, text := newSecret("administrator", a.at, a.at.AddDate(100, 0, 0))
		f.AdministratorSecret = text
		return a.insertSecret(secret, app.ID)
	})
	if err != nil {
		return Founded{}, err
	}
	return f, nil
}

// addGraph makes the service principal of Microsoft Graph, so that its app roles can be granted as everywhere.
func (a *act) addGraph(tenantID string) (string, error) {
	p := ServicePrincipal{ID: newID(), TenantID: tenantID, AppID: roles.GraphAppID, Kind: credential.Application, DisplayName: "Microsoft Graph", Enabled: true, CreatedAt: a.at}
	for _, r := range roles.GraphAppRoles() {
		p.AppRoles = append(p.AppRoles, AppRole{ID: r.ID, Value: r.Value, DisplayName: r.DisplayName, Description: r.Description, Enabled: true, MemberTypes: []string{"Application"}})
	}
	return p.ID, a.insertPrincipal(p)
}

// Policy is what an administrator sets for a tenant.
type Policy struct {
	MaxCredentials int // per parent
}

// Policy reads the caller's tenant's.
func (d *Directory) Policy(ctx context.Context, c Caller) (Policy, error) {
	if _, err := d.permitRead(ctx, c, administer("Entente.Federation/policies/read", "/")); err != nil {
		return Policy{}, err
	}
	t, err := d.LookupTenant(ctx, c.TenantID)
	return Policy{MaxCredentials: t.MaxCredentials}, err
}

// SetPolicy changes the caller's tenant's. Credentials beyond a lowered limit stay; only new ones are refused.
func (d *Directory) SetPolicy(ctx context.Context, c Caller, p Policy) error {
	if p.MaxCredentials < 1 || p.MaxCredentials > maxCredentialsCeiling {
		return invalid(PolicyObject, "maxFederatedIdentityCredentials", "must be between 1 and %d", maxCredentialsCeiling)
	}
	return d.change(ctx, c, func(a *act) error {
		if err := a.permit(administer("Entente.Federation/policies/write", "/"), &target{object: PolicyObject, id: c.TenantID, name: "default", detail: map[string]string{"maxFederatedIdentityCredentials": fmt.Sprint(p.MaxCredentials)}}); err != nil {
			return err
		}
		_, err := exec(a, a.tx, `UPDATE tenants SET max_credentials = $1, revision = revision + 1 WHERE id = $2`, p.MaxCredentials, c.TenantID)
		return err
	})
}

// tenantLimit reads how many credentials one parent may hold.
func (a *act) tenantLimit() (limit int, err error) {
	err = a.tx.QueryRowContext(a, `SELECT max_credentials FROM tenants WHERE id = $1`, a.c.TenantID).Scan(&limit)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound(TenantObject, a.c.TenantID)
	}
	return limit, err
}
