package directory

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

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
	Order          Order
}

// Order is how a list of applications or service principals is sorted.
type Order string

// The orders. Those by name are by display name without case, an exact match
// before longer names.
const (
	ByName        Order = ""
	ByNameDown    Order = "name desc"
	ByCreated     Order = "created" // the oldest first
	ByCreatedDown Order = "created desc"
)

// column is what an order sorts by, besides the id.
func (o Order) column() string {
	if o == ByCreated || o == ByCreatedDown {
		return "created_at"
	}
	return "name_sort"
}

func (o Order) down() bool { return o == ByNameDown || o == ByCreatedDown }

// text is the ORDER BY of a table's rows.
func (o Order) text(table string) string {
	if o.down() {
		return table + `.` + o.column() + ` DESC, ` + table + `.id DESC`
	}
	return table + `.` + o.column() + `, ` + table + `.id`
}

// key is where a list goes on behind an item.
func (o Order) key(displayName string, createdAt time.Time, id string) string {
	if o.column() == "created_at" {
		return strconv.FormatInt(millis(createdAt), 10) + "." + id
	}
	return sortKey(displayName) + "." + id
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
	places := []string{}
	for _, v := range padded(values) {
		places = append(places, w.arg(v))
	}
	w.add(column + ` IN (` + strings.Join(places, ", ") + `)`)
}

// padded repeats the last value until there are a power of two, or none.
func padded[T any](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	all := make([]T, 1<<bits.Len(uint(len(values)-1)))
	for i := range all {
		all[i] = values[min(i, len(values)-1)]
	}
	return all
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
// rows is the name of the table itself.
func (w *where) shared(d *db.DB, tenantID, rows, table string, f Filter, page Page) {
	if page.Search != "" {
		condition := d.HexHolds(table+`.name_sort`, w.arg(sortKey(page.Search)))
		if IsID(page.Search) { // asked for apart, so that the others are told from an index alone
			id := w.arg(fold(page.Search))
			condition += ` OR ` + table + `.id IN (SELECT id FROM ` + rows + ` WHERE id = ` + id + ` UNION SELECT id FROM ` + rows + ` WHERE app_id = ` + id + ` AND tenant_id = ` + w.arg(tenantID) + `)`
		}
		w.add(`(` + condition + `)`)
	}
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
		w.add(d.HexHolds(table+`.name_sort`, w.arg(sortKey(*f.NamePart))))
	}
}

// after starts a list in an order behind the item of its page's key.
func (w *where) after(table string, o Order, page Page) {
	first, id, ok := strings.Cut(page.After, ".")
	if !ok {
		return
	}
	var value any = first
	if o.column() == "created_at" {
		ms, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			w.add(`1 = 0`) // no page ends there
			return
		}
		value = ms
	}
	than := `>`
	if o.down() {
		than = `<`
	}
	w.add(`(`+table+`.`+o.column()+`, `+table+`.id) `+than+` (?, ?)`, value, id)
}

// first is the condition that a row is one of a page's. The page is found apart
// from what is read of it, so that an index alone can tell which rows they are.
func (w *where) first(table, tables string, o Order, page Page) string {
	return table + `.id IN (SELECT ` + table + `.id FROM ` + tables + ` WHERE ` + w.text() + ` ORDER BY ` + o.text(table) + ` LIMIT ` + w.arg(page.limit()+1) + `)`
}

// order is the ORDER BY of a list by columns, which is what an index has or all
// of it turned round.
func (p Page) order(columns ...string) string {
	if p.Down {
		return strings.Join(columns, " DESC, ") + " DESC"
	}
	return strings.Join(columns, ", ")
}

// past starts a list in the order of columns behind the item whose key, of one
// name for each column and slashes between them, is the page's.
func (w *where) past(page Page, columns ...string) {
	values := []any{}
	for value := range strings.SplitSeq(page.After, "/") {
		values = append(values, value)
	}
	than := `>`
	if page.Down {
		than = `<`
	}
	if page.After != "" && len(values) == len(columns) {
		w.add(`(`+strings.Join(columns, ", ")+`) `+than+` (?`+strings.Repeat(", ?", len(columns)-1)+`)`, values...)
	}
}

// named is a search in a column of folded names, and in columns of texts that
// are in any case, of which only ASCII letters have one. A GUID also finds
// what has it in one of ids.
func (w *where) named(d *db.DB, search, key string, texts []string, ids ...string) {
	if search == "" {
		return
	}
	w.search(d, search, d.Holds(key, `?`), []any{fold(search)}, texts, ids)
}

// search adds that a first condition is met, unless it is empty, or a text
// holds what is searched, or an id is it.
func (w *where) search(d *db.DB, search, condition string, values []any, texts, ids []string) {
	conditions := []string{}
	if condition != "" {
		conditions = append(conditions, condition)
	}
	if len(texts) > 0 {
		conditions, values = append(conditions, d.HoldsFolded(`(`+db.Together(texts...)+`)`, `?`)), append(values, db.Folded(search))
	}
	if IsID(search) {
		for _, id := range ids {
			conditions, values = append(conditions, id+` = ?`), append(values, fold(search))
		}
	}
	w.add(`(`+strings.Join(conditions, ` OR `)+`)`, values...)
}
