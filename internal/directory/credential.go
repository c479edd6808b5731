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
	m, err := d.identity(ctx, c, *ref.Identity, "federatedIdentityCredentials/read")
	return parent{credential.ManagedIdentity, m.PrincipalID, m.Name}, err
}

// parent locks the row of a credential's parent (without that the limit of 20
// races on PostgreSQL) and permits a write below it.
func (a *act) parent(ref Parent, verb string, t *target) (parent, error) {
	if ref.Application != nil {
		app, err := a.application("applications/credentials/update", *ref.Application, live, t)
		return parent{credential.Application, app.ID, app.DisplayName}, err
	}
	n := onIdentity("federatedIdentityCredentials/"+verb, *ref.Identity)
	if _, err := a.rights.inGroup(a, a.tx, ref.Identity.SubscriptionID, ref.Identity.Group, n); err != nil {
		return parent{}, err
	}
	m, err := a.lockIdentity(*ref.Identity)
	if err != nil {
		return parent{}, err
	}
	n.guarded = m.PrincipalID
	t.note("identity", m.PrincipalID)
	return parent{credential.ManagedIdentity, m.PrincipalID, m.Name}, a.permit(n, t)
}

// Credentials lists a parent's, by name. A search is in name, issuer and subject.
func (d *Directory) Credentials(ctx context.Context, c Caller, ref Parent, page Page) (Paged[Credential], error) {
	p, err := d.readableParent(ctx, c, ref)
	if err != nil {
		return Paged[Credential]{}, err
	}
	w := where{}
	w.add(`parent_id = ?`, p.id)
	if page.Search != "" {
		w.search(d.DB, page.Search, "", nil, []string{`name`, `issuer`, `subject`}, []string{`id`})
	}
	all := w
	w.past(page, `name_key`)
	items, err := query(ctx, d.DB.Read(), scanCredential, `SELECT `+credentialColumns+` FROM credentials WHERE `+w.text()+` ORDER BY `+page.order(`name_key`)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Credential]{}, err
	}
	found := paged(items, page, func(c Credential) string { return p.nameKey(c.Name) })
	return found, total(ctx, d.DB.Read(), &found, page, "credentials", all)
}

// CredentialByID reads one of the caller's tenant by its id alone, with what it
// hangs off. One that the caller may not read is not there for it.
func (d *Directory) CredentialByID(ctx context.Context, c Caller, id string) (Credential, Parent, error) {
	missing := notFound(CredentialObject, id)
	ref, err := one(ctx, d.DB.Read(), missing, func(r row) (Parent, error) {
		var application string
		var m IdentityRef
		err := r.Scan(&application, &m.SubscriptionID, &m.Group, &m.Name)
		if m.Name != "" {
			return Parent{Identity: &m}, err
		}
		return Parent{Application: &Ref{ID: application}}, err
	}, `SELECT c.parent_id, coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, '')
		FROM credentials c LEFT JOIN managed_identities m ON m.id = c.parent_id WHERE c.tenant_id = $1 AND c.id = $2`, c.TenantID, fold(id))
	if err != nil {
		return Credential{}, Parent{}, err
	}
	p, err := d.readableParent(ctx, c, ref)
	if e, ok := errors.AsType[*Error](err); ok && (e.Kind == Forbidden || e.Kind == NotFound) {
		err = missing
	}
	if err != nil {
		return Credential{}, Parent{}, err
	}
	found, err := one(ctx, d.DB.Read(), missing, scanCredential, `SELECT `+credentialColumns+` FROM credentials WHERE parent_id = $1 AND id = $2`, p.id, fold(id))
	return found, ref, err
}

// Credential reads one by its id or name.
func (d *Directory) Credential(ctx context.Context, c Caller, ref Parent, idOrName string) (Credential, error) {
	p, err := d.readableParent(ctx, c, ref)
	if err != nil {
		return Credential{}, err
	}
	return findCredential(ctx, d.DB.Read(), p, idOrName)
}

// findCredential finds one by its id or name; a name comes before an id that looks the same.
func findCredential(ctx context.Context, q db.Querier, p parent, idOrName string) (Credential, error) {
	return one(ctx, q, notFound(CredentialObject, idOrName), scanCredential,
		`SELECT `+credentialColumns+` FROM credentials WHERE parent_id = $1 AND (name_key = $2 OR id = $3) ORDER BY CASE WHEN name_key = $2 THEN 0 ELSE 1 END LIMIT 1`, p.id, p.nameKey(idOrName), fold(idOrName))
}

func findCredentialByName(ctx context.Context, q db.Querier, p parent, name string) (Credential, error) {
	return one(ctx, q, notFound(CredentialObject, name), scanCredential, `SELECT `+credentialColumns+` FROM credentials WHERE parent_id = $1 AND name_key = $2`, p.id, p.nameKey(name))
}

// AddCredential makes one. It counts on the very next exchange.
func (d *Directory) AddCredential(ctx context.Context, c Caller, ref Parent, s credential.Spec) (Credential, error) {
	added, _, err := d.writeCredential(ctx, c, ref, s.Name, findCredentialByName, func(old *Credential) (credential.Spec, error) {
		if old != nil {
			return s, &Error{Kind: Exists, Object: CredentialObject, ID: s.Name, Field: "name", Spec: &s}
		}
		return s, nil
	})
	return added, err
}

// PutCredential makes one or replaces the one of that name.
func (d *Directory) PutCredential(ctx context.Context, c Caller, ref Parent, s credential.Spec) (put Credential, created bool, err error) {
	return d.writeCredential(ctx, c, ref, s.Name, findCredentialByName, func(old *Credential) (credential.Spec, error) {
		put := s
		if old != nil {
			put.Name = old.Name // the case of the first writer stays
		}
		return put, nil
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

// UpdateCredential changes the one of that id or name. With orCreate the one
// of that name, or one that is made under that name.
func (d *Directory) UpdateCredential(ctx context.Context, c Caller, ref Parent, idOrName string, e CredentialEdit, orCreate bool) (updated Credential, created bool, err error) {
	find := findCredential
	if orCreate {
		find = findCredentialByName
	}
	return d.writeCredential(ctx, c, ref, idOrName, find, func(old *Credential) (credential.Spec, error) {
		was := credential.Spec{Name: idOrName}
		switch {
		case old != nil:
			was = old.Spec
		case !orCreate:
			return credential.Spec{}, notFound(CredentialObject, idOrName)
		}
		if e.Name != nil && *e.Name != was.Name {
			return credential.Spec{}, &Error{Kind: Immutable, Object: CredentialObject, ID: was.Name, Field: "name"}
		}
		return e.apply(was), nil
	})
}

// writeCredential is every write of a credential but its end: decide gets the
// one that find found, or nil, and says what it shall become.
func (d *Directory) writeCredential(ctx context.Context, c Caller, ref Parent, idOrName string,
	find func(context.Context, db.Querier, parent, string) (Credential, error), decide func(old *Credential) (credential.Spec, error)) (put Credential, created bool, err error) {
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: CredentialObject}
		p, err := a.parent(ref, "write", t)
		if err != nil {
			return err
		}
		old, err := find(a, a.tx, p, idOrName)
		was := &old
		if created = isNotFound(err); created {
			was, err = nil, nil
		}
		if err != nil {
			return err
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
			t.was(old)
		}
		t.id, t.name = put.ID, s.Name
		t.note("issuer", s.Issuer)
		t.note("subject", s.Subject)
		t.note("audience", put.Audience())
		policy, err := a.policy()
		if err != nil {
			return err
		}
		if created {
			if err := a.checkLimit(p, policy.MaxCredentials); err != nil {
				return err
			}
		}
		if err := a.ensureIssuer(c.TenantID, s.Issuer); err != nil {
			return err
		}
		if policy.RegisteredIssuersOnly && (created || s.Issuer != old.Issuer) {
			if err := a.checkRegistered(s); err != nil {
				return err
			}
		}
		if created {
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

// was notes what a credential was before the write.
func (t *target) was(c Credential) {
	t.note("wasIssuer", c.Issuer)
	t.note("wasSubject", c.Subject)
	t.note("wasAudience", c.Audience())
}

// insertCredential makes one below a parent whose row is locked and that has none of its name.
func (a *act) insertCredential(c Credential, p parent, tenantID string) error {
	_, err := exec(a, a.tx, `INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, description, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, tenantID, p.id, p.nameKey(c.Name), c.Name, c.Issuer, c.Subject, c.Audience(), nullable(c.Description), millis(c.CreatedAt), millis(c.UpdatedAt))
	return conflict(err, c.Spec)
}

// conflict says that another credential of the parent has the issuer and subject.
func conflict(err error, s credential.Spec) error {
	if db.IsUnique(err) {
		return &Error{Kind: Exists, Object: CredentialObject, ID: s.Name, Field: "subject", Spec: &s}
	}
	return err
}

// checkLimit counts below the parent's locked row.
func (a *act) checkLimit(p parent, limit int) error {
	n, err := count(a, a.tx, `SELECT count(*) FROM credentials WHERE parent_id = $1`, p.id)
	if err != nil {
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
		t := &target{object: CredentialObject}
		p, err := a.parent(ref, "delete", t)
		if err != nil {
			return err
		}
		old, err := findCredential(a, a.tx, p, idOrName)
		if err != nil {
			return err
		}
		t.id, t.name = old.ID, old.Name
		t.was(old)
		return a.removeAll(old.ID, `DELETE FROM credentials WHERE id = $1`)
	})
}

func violatedField(err error) string {
	if v, ok := errors.AsType[*credential.Violation](err); ok {
		return string(v.Field)
	}
	return ""
}
