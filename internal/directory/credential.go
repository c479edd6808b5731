package directory

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
)

// Credential is a federated identity credential: its parent trusts the issuer's tokens for the subject and audience.
type Credential struct {
	credential.Spec
	ID                   string
	CreatedAt, UpdatedAt time.Time
}

// Audience is the one audience.
func (c Credential) Audience() string { return c.Audiences[0] }

// Parent names what a credential hangs off: an application, or a managed identity.
type Parent struct {
	Application *Ref
	Identity    *IdentityRef
}

const credentialColumns = `id, name, issuer, subject, audience, description, created_at, updated_at`

func scanCredential(r row) (Credential, error) {
	var c Credential
	var audience string
	var description sql.NullString
	var createdAt, updatedAt int64
	err := r.Scan(&c.ID, &c.Name, &c.Issuer, &c.Subject, &audience, &description, &createdAt, &updatedAt)
	c.Audiences, c.Description = []string{audience}, description.String
	c.CreatedAt, c.UpdatedAt = fromMillis(createdAt), fromMillis(updatedAt)
	return c, err
}

// parent is a Parent that was found.
type parent struct {
	kind credential.ParentKind
	id   string
	name string
}

// nameKey is how names of credentials are compared: exactly on Graph, where
// they may be base64; without case on ARM, as all names there.
func (p parent) nameKey(name string) string {
	if p.kind == credential.ManagedIdentity {
		return fold(name)
	}
	return name
}

func (d *Directory) readableParent(ctx context.Context, c Caller, ref Parent) (parent, error) {
	if ref.Application != nil {
		app, err := d.Application(ctx, c, *ref.Application)
		return parent{credential.Application, app.ID, app.DisplayName}, err
	}
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return parent{}, err
	}
	if err := d.authorise(ctx, d.DB.Read(), r, need{action: identityProvider + "/federatedIdentityCredentials/read", scope: ref.Identity.ResourceID()}); err != nil {
		return parent{}, err
	}
	m, err := findIdentity(ctx, d.DB.Read(), c.TenantID, *ref.Identity)
	return parent{credential.ManagedIdentity, m.PrincipalID, m.Name}, err
}

// permitOnParent locks the parent's row (on PostgreSQL the limit of 20 races
// without it) and permits a write below it.
func (a *act) permitOnParent(ref Parent, verb string, t *target) (parent, error) {
	if ref.Application != nil {
		app, err := a.permitOnApplication("applications/credentials/update", *ref.Application, t)
		return parent{credential.Application, app.ID, app.DisplayName}, err
	}
	permission := need{action: identityProvider + "/federatedIdentityCredentials/" + verb, scope: ref.Identity.ResourceID()}
	if err := a.d.authorise(a, a.tx, a.rights, permission); err != nil {
		return parent{}, err
	}
	m, err := findIdentity(a, a.tx, a.c.TenantID, *ref.Identity)
	if err != nil {
		return parent{}, err
	}
	n, err := exec(a, a.tx, `UPDATE managed_identities SET revision = revision + 1 WHERE id = $1`, m.PrincipalID)
	if err != nil {
		return parent{}, err
	}
	if n == 0 {
		return parent{}, notFound(IdentityObject, ref.Identity.Name)
	}
	permission.guarded = m.PrincipalID
	if t.detail == nil {
		t.detail = map[string]string{}
	}
	t.detail["identity"] = m.PrincipalID
	return parent{credential.ManagedIdentity, m.PrincipalID, m.Name}, a.permit(permission, t)
}

// Credentials lists a parent's, by age.
func (d *Directory) Credentials(ctx context.Context, c Caller, ref Parent, page Page) (Paged[Credential], error) {
	p, err := d.readableParent(ctx, c, ref)
	if err != nil {
		return Paged[Credential]{}, err
	}
	items, err := query(ctx, d.DB.Read(), scanCredential, `SELECT `+credentialColumns+` FROM credentials WHERE parent_id = $1 AND name_key > $2 ORDER BY name_key LIMIT $3`, p.id, page.After, page.limit()+1)
	return paged(items, page, func(c Credential) string { return p.nameKey(c.Name) }), err
}

// Credential reads one by its id or name.
func (d *Directory) Credential(ctx context.Context, c Caller, ref Parent, idOrName string) (Credential, error) {
	p, err := d.readableParent(ctx, c, ref)
	if err != nil {
		return Credential{}, err
	}
	return findCredential(ctx, d.DB.Read(), p, idOrName)
}

func findCredential(ctx context.Context, q db.Querier, p parent, idOrName string) (Credential, error) {
	return one(q.QueryRowContext(ctx, `SELECT `+credentialColumns+` FROM credentials WHERE parent_id = $1 AND (name_key = $2 OR id = $3) ORDER BY CASE WHEN name_key = $2 THEN 0 ELSE 1 END LIMIT 1`,
		p.id, p.nameKey(idOrName), fold(idOrName)), scanCredential, notFound(CredentialObject, idOrName))
}

// AddCredential makes one. It counts on the very next exchange.
func (d *Directory) AddCredential(ctx context.Context, c Caller, ref Parent, s credential.Spec) (Credential, error) {
	added, _, err := d.putCredential(ctx, c, ref, s.Name, func(old *Credential) (credential.Spec, error) {
		if old != nil {
			return s, &Error{Kind: Exists, Object: CredentialObject, ID: s.Name, Field: "name", Spec: &s}
		}
		return s, nil
	})
	return added, err
}

// PutCredential makes one or replaces the one of that name.
func (d *Directory) PutCredential(ctx context.Context, c Caller, ref Parent, s credential.Spec) (put Credential, created bool, err error) {
	return d.putCredential(ctx, c, ref, s.Name, func(old *Credential) (credential.Spec, error) {
		if old != nil {
			s.Name = old.Name // the case of the first writer stays
		}
		return s, nil
	})
}

// CredentialEdit changes a credential; nil members stay as they are. Name may
// only repeat the name that the credential has.
type CredentialEdit struct {
	Name, Issuer, Subject, Description *string
	Audiences                          *[]string
}

func (e CredentialEdit) apply(s credential.Spec) credential.Spec {
	for _, m := range []struct{ from, to *string }{{e.Issuer, &s.Issuer}, {e.Subject, &s.Subject}, {e.Description, &s.Description}} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	if e.Audiences != nil {
		s.Audiences = *e.Audiences
	}
	return s
}

// UpdateCredential changes the one of that id or name. With orCreate one that
// is not there is made under that name.
func (d *Directory) UpdateCredential(ctx context.Context, c Caller, ref Parent, idOrName string, e CredentialEdit, orCreate bool) (updated Credential, created bool, err error) {
	return d.putCredential(ctx, c, ref, idOrName, func(old *Credential) (credential.Spec, error) {
		name := idOrName
		if old != nil {
			name = old.Name
		} else if !orCreate {
			return credential.Spec{}, notFound(CredentialObject, idOrName)
		}
		if e.Name != nil && *e.Name != name {
			return credential.Spec{}, &Error{Kind: Immutable, Object: CredentialObject, ID: name, Field: "name"}
		}
		if old != nil {
			return e.apply(old.Spec), nil
		}
		return e.apply(credential.Spec{Name: name}), nil
	})
}

// putCredential is every write of a credential: decide gets the one that is
// there, or nil, and says what it shall become.
func (d *Directory) putCredential(ctx context.Context, c Caller, ref Parent, idOrName string, decide func(old *Credential) (credential.Spec, error)) (put Credential, created bool, err error) {
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: CredentialObject, detail: map[string]string{}}
		p, err := a.permitOnParent(ref, "write", t)
		if err != nil {
			return err
		}
		old, err := findCredential(a, a.tx, p, idOrName)
		if created = isNotFound(err); err != nil && !created {
			return err
		}
		was := &old
		if created {
			was = nil
		}
		s, err := decide(was)
		if err != nil {
			return err
		}
		if err := s.Validate(p.kind); err != nil {
			return &Error{Kind: Invalid, Object: CredentialObject, ID: s.Name, Field: violatedField(err), Spec: &s, Err: err}
		}
		put = Credential{Spec: s, ID: old.ID, CreatedAt: old.CreatedAt, UpdatedAt: a.at}
		if created {
			put.ID, put.CreatedAt = newID(), a.at
		} else {
			t.detail["wasIssuer"], t.detail["wasSubject"], t.detail["wasAudience"] = old.Issuer, old.Subject, old.Audience()
		}
		t.id, t.name = put.ID, s.Name
		t.detail["issuer"], t.detail["subject"], t.detail["audience"] = s.Issuer, s.Subject, put.Audience()
		if err := a.ensureIssuer(c.TenantID, s.Issuer); err != nil {
			return err
		}
		if created {
			if err := a.checkLimit(p); err != nil {
				return err
			}
			return a.insertCredential(put, p, c.TenantID)
		}
		_, err = exec(a, a.tx, `UPDATE credentials SET issuer = $1, subject = $2, audience = $3, description = $4, updated_at = $5 WHERE id = $6`,
			s.Issuer, s.Subject, put.Audience(), nullable(s.Description), millis(a.at), put.ID)
		return conflict(err, s)
	})
	if err != nil {
		return Credential{}, false, err
	}
	return put, created, nil
}

func (a *act) insertCredential(c Credential, p parent, tenantID string) error {
	var taken int
	if err := a.tx.QueryRowContext(a, `SELECT count(*) FROM credentials WHERE parent_id = $1 AND name_key = $2`, p.id, p.nameKey(c.Name)).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 { // asked beforehand, because afterwards an error does not say which index refused
		return &Error{Kind: Exists, Object: CredentialObject, ID: c.Name, Field: "name", Spec: &c.Spec}
	}
	_, err := exec(a, a.tx, `INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, description, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, tenantID, p.id, p.nameKey(c.Name), c.Name, c.Issuer, c.Subject, c.Audience(), nullable(c.Description), millis(c.CreatedAt), millis(c.UpdatedAt))
	return conflict(err, c.Spec)
}

// conflict says which credential refused another one of its issuer and subject.
func conflict(err error, s credential.Spec) error {
	if db.IsUnique(err) {
		return &Error{Kind: Exists, Object: CredentialObject, ID: s.Name, Field: "subject", Spec: &s}
	}
	return err
}

// checkLimit counts below the parent's locked row.
func (a *act) checkLimit(p parent) error {
	limit, err := a.tenantLimit()
	if err != nil {
		return err
	}
	var n int
	if err := a.tx.QueryRowContext(a, `SELECT count(*) FROM credentials WHERE parent_id = $1`, p.id).Scan(&n); err != nil {
		return err
	}
	if n >= limit {
		return &Error{Kind: LimitReached, Object: CredentialObject, ID: p.name, Limit: limit}
	}
	return nil
}

// RemoveCredential removes the one of that id or name; it is refused on the very next exchange.
func (d *Directory) RemoveCredential(ctx context.Context, c Caller, ref Parent, idOrName string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: CredentialObject, detail: map[string]string{}}
		p, err := a.permitOnParent(ref, "delete", t)
		if err != nil {
			return err
		}
		old, err := findCredential(a, a.tx, p, idOrName)
		if err != nil {
			return err
		}
		t.id, t.name = old.ID, old.Name
		t.detail["wasIssuer"], t.detail["wasSubject"], t.detail["wasAudience"] = old.Issuer, old.Subject, old.Audience()
		_, err = exec(a, a.tx, `DELETE FROM credentials WHERE id = $1`, old.ID)
		return err
	})
}

func violatedField(err error) string {
	if v, ok := errors.AsType[*credential.Violation](err); ok {
		return string(v.Field)
	}
	return ""
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == NotFound
}
