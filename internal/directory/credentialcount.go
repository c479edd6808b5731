package directory

import "context"

// CredentialCounts counts the federated identity credentials of applications,
// by their object ids in lower case: of those, among the first MaxPage, that the
// caller may see. One without any is not in the answer.
func (d *Directory) CredentialCounts(ctx context.Context, c Caller, applications []string) (map[string]int, error) {
	counts := map[string]int{}
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil || len(applications) == 0 || !r.has(mayRead...) && !r.has(writeOwned) {
		return counts, err
	}
	ids := make([]string, min(len(applications), MaxPage))
	for i := range ids {
		ids[i] = fold(applications[i])
	}
	w := where{}
	tables, err := r.applications(ctx, d.DB.Read(), &w, live)
	if err != nil {
		return counts, err
	}
	w.in(`c.parent_id`, ids)
	_, err = query(ctx, d.DB.Read(), func(row row) (struct{}, error) {
		var id string
		var n int
		err := row.Scan(&id, &n)
		counts[id] = n
		return struct{}{}, err
	}, `SELECT c.parent_id, count(*) FROM `+tables+` JOIN credentials c ON c.parent_id = a.id WHERE `+w.text()+` GROUP BY c.parent_id`, w.args...)
	return counts, err
}
