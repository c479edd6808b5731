package directory

import (
	"context"
	"strings"
)

// A TrustingCredential is a credential with what it hangs off.
type TrustingCredential struct {
	Credential
	Parent     Parent
	ParentName string
}

// TrustingCredentials lists the credentials that name an issuer, byte by byte,
// by subject, as far as the caller may see them; with subjects only those that
// name one of these. A search is in the subject and the credential's name.
func (d *Directory) TrustingCredentials(ctx context.Context, c Caller, issuer string, subjects []string, page Page) (Paged[TrustingCredential], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[TrustingCredential]{}, err
	}
	w := where{}
	w.add(`c.tenant_id = ?`, c.TenantID)
	w.add(`c.issuer = ?`, issuer)
	if len(subjects) > 0 {
		w.in(`c.subject`, subjects[:min(len(subjects), MaxPage)])
	}
	w.trusting(r)
	if page.Search != "" {
		w.search(d.DB, page.Search, `1 = 0`, nil, []string{`c.subject`, `c.name`}, []string{`c.id`})
	}
	const tables = `credentials c LEFT JOIN applications a ON a.id = c.parent_id AND a.` + live + ` LEFT JOIN managed_identities m ON m.id = c.parent_id`
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

// trusting keeps a statement to the credentials of what is there, of
// applications a and managed identities m, that the caller may see.
func (w *where) trusting(r rights) {
	applications := `a.id IS NOT NULL`
	switch {
	case r.caller.Kind == SystemCaller || r.has(mayRead...):
	case r.has(writeOwned):
		applications = `EXISTS (SELECT 1 FROM owners o WHERE o.object_id = a.id AND o.principal_id = ` + w.arg(r.caller.PrincipalID) + `)`
	default:
		applications = `1 = 0`
	}
	inner := where{args: w.args}
	r.reach(identityProvider+"/federatedIdentityCredentials/read", identityProvider).narrow(&inner, `m.subscription_id`, `m.group_key`, `m.name_key`)
	inner.conditions = append(inner.conditions, `m.id IS NOT NULL`)
	w.args = inner.args
	w.conditions = append(w.conditions, `(`+applications+` OR `+inner.text()+`)`)
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
