package directory

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/entente-id/entente/internal/db"
)

// Filter narrows a list of applications or service principals; nil members do
// not narrow it. A member that does not belong to the listed type matches nothing.
type Filter struct {
	ID             *string
	AppID          *string
	DisplayName    *string // without case
	NamePrefix     *string // of the display name, without case
	NamePart       *string // of the display name, without case
	IdentifierURI  *string // applications; of principals: one of the servicePrincipalNames
	UniqueName     *string // applications
	PrincipalKind  *string // principals: Application or ManagedIdentity
	ParentObjectID *string // principals: the application or managed identity that they belong to
}

// where collects the conditions of a statement and their values.
type where struct {
	conditions []string
	args       []any
}

// arg adds a value and returns its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

// add adds a condition in which each ? stands for the next value.
func (w *where) add(condition string, values ...any) {
	for _, v := range values {
		condition = strings.Replace(condition, "?", w.arg(v), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// in adds the condition that a column holds one of at least one values. The
// last one is repeated until there are a power of two, so that there are few
// texts of a statement to keep prepared.
func (w *where) in(column string, values []string) {
	places := make([]string, 1<<bits.Len(uint(len(values)-1)))
	for i := range places {
		places[i] = w.arg(values[min(i, len(values)-1)])
	}
	w.add(column + ` IN (` + strings.Join(places, ", ") + `)`)
}

func (w *where) text() string { return strings.Join(w.conditions, " AND ") }

// never adds what no row meets, for a filter that does not belong to the list.
func (w *where) never(filters ...*string) {
	for _, f := range filters {
		if f != nil {
			w.add(`1 = 0`)
		}
	}
}

// shared adds what the lists of applications and of service principals have in common.
func (w *where) shared(d *db.DB, table string, f Filter) {
	if f.ID != nil {
		w.add(table+`.id = ?`, fold(*f.ID))
	}
	if f.AppID != nil {
		w.add(table+`.app_id = ?`, fold(*f.AppID))
	}
	if f.DisplayName != nil {
		w.add(table+`.name_sort = ?`, sortKey(*f.DisplayName))
	}
	if f.NamePrefix != nil {
		w.add(table+`.name_sort >= ?`, sortKey(*f.NamePrefix))
		w.add(table+`.name_sort < ?`, sortKey(*f.NamePrefix)+afterPrefix)
	}
	if f.NamePart != nil {
		w.add(d.HexHolds(table+`.name_sort`, `?`), sortKey(*f.NamePart))
	}
}

// after starts a list by display name behind its page's pageKey.
func (w *where) after(table string, page Page) {
	if name, id, ok := strings.Cut(page.After, "."); ok {
		w.add(`(`+table+`.name_sort, `+table+`.id) > (?, ?)`, name, id)
	}
}

// pageKey is where a list by display name goes on.
func pageKey(displayName, id string) string { return sortKey(displayName) + "." + id }
