package directory

import (
	"context"
	"strconv"

	"github.com/entente-id/entente/internal/credential"
)

// Policy is what an administrator sets for a tenant.
type Policy struct {
	MaxCredentials int // per parent
	// RegisteredIssuersOnly lets new credentials name only issuers that
	// somebody with the right to do so registered, by themselves or with a
	// cluster. Otherwise whoever may write an application's credentials may
	// open it to any issuer of the internet, as in Entra.
	RegisteredIssuersOnly bool
}

// PolicyEdit changes a policy; nil members stay as they are.
type PolicyEdit struct {
	MaxCredentials        *int
	RegisteredIssuersOnly *bool
}

func (e PolicyEdit) apply(p Policy) Policy {
	if e.MaxCredentials != nil {
		p.MaxCredentials = *e.MaxCredentials
	}
	if e.RegisteredIssuersOnly != nil {
		p.RegisteredIssuersOnly = *e.RegisteredIssuersOnly
	}
	return p
}

const policyColumns = `max_credentials, registered_issuers_only`

func scanPolicy(r row) (p Policy, err error) {
	var registeredOnly int64
	err = r.Scan(&p.MaxCredentials, &registeredOnly)
	p.RegisteredIssuersOnly = registeredOnly != 0
	return p, err
}

// Policy reads the caller's tenant's.
func (d *Directory) Policy(ctx context.Context, c Caller) (Policy, error) {
	if err := d.permitRead(ctx, c, federation("policies/read", "/")); err != nil {
		return Policy{}, err
	}
	return one(ctx, d.DB.Read(), notFound(TenantObject, c.TenantID), scanPolicy, `SELECT `+policyColumns+` FROM tenants WHERE id = $1`, c.TenantID)
}

// SetPolicy changes the caller's tenant's, and returns what it became.
// Credentials beyond a lowered limit, and those of issuers that nobody
// registered, stay and go on working; only new ones are refused.
func (d *Directory) SetPolicy(ctx context.Context, c Caller, e PolicyEdit) (Policy, error) {
	if n := e.MaxCredentials; n != nil && (*n < 1 || *n > maxCredentialsCeiling) {
		return Policy{}, invalid(PolicyObject, "maxFederatedIdentityCredentials", "must be between 1 and %d", maxCredentialsCeiling)
	}
	var p Policy
	err := d.change(ctx, c, func(a *act) error {
		t := &target{object: PolicyObject, id: c.TenantID, name: "default"}
		if n := e.MaxCredentials; n != nil {
			t.note("maxFederatedIdentityCredentials", strconv.Itoa(*n))
		}
		if on := e.RegisteredIssuersOnly; on != nil {
			t.note("registeredIssuersOnly", strconv.FormatBool(*on))
		}
		if err := a.permit(federation("policies/write", "/"), t); err != nil {
			return err
		}
		// The update locks the row, and waits for the writers that hold it (see policy).
		old, err := one(a, a.tx, notFound(TenantObject, c.TenantID), scanPolicy, `UPDATE tenants SET revision = revision + 1 WHERE id = $1 RETURNING `+policyColumns, c.TenantID)
		if err != nil {
			return err
		}
		p = e.apply(old)
		_, err = exec(a, a.tx, `UPDATE tenants SET max_credentials = $1, registered_issuers_only = $2 WHERE id = $3`, p.MaxCredentials, bit(p.RegisteredIssuersOnly), c.TenantID)
		return err
	})
	if err != nil {
		return Policy{}, err
	}
	return p, nil
}

// policy reads the caller's tenant's, which stays as it is until the
// transaction has ended: once a stricter one is there, nothing is written by
// the former one.
func (a *act) policy() (Policy, error) {
	return one(a, a.tx, notFound(TenantObject, a.c.TenantID), scanPolicy, `SELECT `+policyColumns+` FROM tenants WHERE id = $1`+a.d.DB.ForShare(), a.c.TenantID)
}

// checkRegistered refuses a credential of an issuer that nobody registered.
// The issuer's row is locked.
func (a *act) checkRegistered(s credential.Spec) error {
	n, err := count(a, a.tx, `SELECT count(*) FROM (SELECT id FROM issuers WHERE tenant_id = $1 AND url = $2 AND implicit = 0 UNION ALL SELECT id FROM clusters WHERE tenant_id = $1 AND issuer_url = $2 LIMIT 1) n`, a.c.TenantID, s.Issuer)
	if err != nil || n > 0 {
		return err
	}
	return &Error{Kind: Invalid, Object: CredentialObject, ID: s.Name, Field: string(credential.Issuer), Spec: &s,
		Err: &credential.Violation{Field: credential.Issuer, Rule: credential.Unregistered, Value: s.Issuer, Detail: unregistered}}
}

const unregistered = "is not registered, and this tenant takes registered issuers only: register its cluster with 'entente cluster register', or the issuer itself with 'entente apply'"
