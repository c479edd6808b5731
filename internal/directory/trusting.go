package directory

import (
	"context"
	"strings"

	"github.com/entente-id/entente/internal/db"
)

// A TrustingCredential is a credential with what it hangs off.
type TrustingCredential struct {
	Credential
	Parent     Parent
	ParentName string
}

// TrustingCredentials lists the credentials that name an issuer, byte by byte,
// by subject, as far as the caller may see them; with subjects only those that
// name one of these. A search is in the subject, which an index holds.
func (d *Directory) TrustingCredentials(ctx context.Context, c Caller, issuer string, subjects []string, page Page) (Paged[TrustingCredential], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[TrustingCredential]{}, err
	}
	w := where{}
	w.add(`c.issuer = ?`, issuer)
	if len(subjects) > 0 {
		w.in(`c.subject`, subjects[:min(len(subjects), MaxPage)])
	}
	tables, err := w.trusting(ctx, d.DB.Read(), r)
	if err != nil {
		return Paged[TrustingCredential]{}, err
	}
	if page.Search != "" {
		w.search(d.DB, page.Search, `1 = 0`, nil, []string{`c.subject`}, []string{`c.id`})
	}
	var all Tally
	if page.Count {
		if all, err = tally(ctx, d.DB.Read(), tables, w, page.Most); err != nil {
			return Paged[TrustingCredential]{}, err
		}
	}
	if id, subject, ok := cutKey(page.After); ok {
		w.add(`(c.subject, c.id) > (?, ?)`, subject, id)
	}
	items, err := query(ctx, d.DB.Read(), scanTrusting, `SELECT c.`+strings.ReplaceAll(credentialColumns, ", ", ", c.")+`,
			c.parent_id, coalesce(a.display_name, ''), coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, '')
		FROM `+tables+` WHERE `+w.text()+` ORDER BY c.subject, c.id LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[TrustingCredential]{}, err
	}
	found := Paged[TrustingCredential]{Items: items, Total: all.N, More: all.More}
	if n := page.limit(); len(items) > n {
		last := items[n-1]
		found.Items, found.Next = items[:n], last.ID+last.Subject
	}
	return found, nil
}

// trusting keeps a statement to the credentials c, of applications a and
// managed identities m that are there, that the caller may see, and returns its
// tables. For those who see little it begins with what they see.
func (w *where) trusting(ctx context.Context, q db.Querier, r rights) (tables string, err error) {
	tables = `credentials c LEFT JOIN applications a ON a.id = c.parent_id AND a.` + live + ` LEFT JOIN managed_identities m ON m.id = c.parent_id`
	tenant := w.arg(r.caller.TenantID)
	applications, owned := `a.tenant_id = `+tenant, ""
	switch {
	case r.has(mayRead...):
	case r.has(writeOwned):
		owner := w.arg(r.caller.PrincipalID)
		applications = `EXISTS (SELECT 1 FROM owners o WHERE o.object_id = a.id AND o.principal_id = ` + owner + `)`
		owned = ` UNION SELECT object_id FROM owners WHERE principal_id = ` + owner
	default:
		applications = `1 = 0`
	}
	seen := r.reach(identityProvider+"/federatedIdentityCredentials/read", identityProvider)
	inner := where{args: w.args}
	inner.add(`m.tenant_id = ` + tenant)
	seen.narrow(&inner, `m.subscription_id`, `m.group_key`, `m.name_key`)
	w.args = inner.args
	w.conditions = append(w.conditions, `(`+applications+` OR `+inner.text()+`)`)
	few, err := r.ownsFew(ctx, q)
	if few && !seen.everywhere {
		tables = `(SELECT m.id FROM managed_identities m WHERE ` + inner.text() + owned + `) p CROSS JOIN ` + tables
		w.add(`c.parent_id = p.id`)
		return tables, nil // without c.tenant_id, of which SQLite would think that it narrows more
	}
	w.add(`c.tenant_id = ` + tenant)
	return tables, err
}

func scanTrusting(r row) (t TrustingCredential, err error) {
	var parentID, application string
	var m IdentityRef
	t.Credential, err = scanCredential(alsoScan{r, []any{&parentID, &application, &m.SubscriptionID, &m.Group, &m.Name}})
	if t.ParentName = application; m.Name != "" {
		t.Parent, t.ParentName = Parent{Identity: &m}, m.Name
	} else {
		t.Parent = Parent{Application: &Ref{ID: parentID}}
	}
	return t, err
}

// alsoScan is a row with more columns than whoever reads it knows.
type alsoScan struct {
	row
	more []any
}

func (s alsoScan) Scan(dest ...any) error { return s.row.Scan(append(dest, s.more...)...) }
