package directory

import (
	"context"
	"slices"
)

// CredentialCounts counts the federated identity credentials of applications,
// by their object ids in lower case: of those, among the first MaxPage, that
// the caller may see. One without any is not in the answer.
func (d *Directory) CredentialCounts(ctx context.Context, c Caller, applications []string) (map[string]int, error) {
	counts := map[string]int{}
	q := d.DB.Read()
	r, err := d.rights(ctx, q, c)
	if err != nil || len(applications) == 0 {
		return counts, err
	}
	ids := make([]string, min(len(applications), MaxPage))
	for i := range ids {
		ids[i] = fold(applications[i])
	}
	if !r.has(mayRead...) {
		if !r.has(writeOwned) {
			return counts, nil
		}
		w := where{}
		w.add(`principal_id = ?`, c.PrincipalID)
		w.in(`object_id`, ids)
		owned, err := query(ctx, q, scanString, `SELECT object_id FROM owners WHERE `+w.text(), w.args...)
		if err != nil {
			return counts, err
		}
		if ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(owned, id) }); len(ids) == 0 {
			return counts, nil
		}
	}
	// The tenant is checked outside, so that no engine prefers the index of all its credentials.
	w := where{}
	w.in(`parent_id`, ids)
	_, err = query(ctx, q, func(row row) (struct{}, error) {
		var id, tenant string
		var n int
		err := row.Scan(&id, &tenant, &n)
		if tenant == c.TenantID {
			counts[id] = n
		}
		return struct{}{}, err
	}, `SELECT parent_id, min(tenant_id), count(*) FROM credentials WHERE `+w.text()+` GROUP BY parent_id`, w.args...)
	return counts, err
}
