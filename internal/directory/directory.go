// Package directory is the domain: tenants, applications, service principals,
// managed identities, their credentials, issuers and role assignments, with
// the rules that hold between them.
//
// It knows no HTTP and no wire format, so that Graph, ARM and the portal are
// three ways to say the same thing. Every method that a person or program can
// reach takes the caller first, reads its rights live from the database, and
// a write that was not permitted or not recorded is rolled back. The look-ups
// in match.go are the exchange's own and take none.
package directory

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
)

// Directory is the domain over one database. The zero values of the fields
// besides DB mean the documented defaults.
type Directory struct {
	DB *db.DB
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// Log takes what no caller is told; nil means slog.Default().
	Log *slog.Logger
	// KeepDeleted is how long a deleted application can be restored; 0 means
	// 30 days (https://learn.microsoft.com/graph/api/resources/directory).
	KeepDeleted time.Duration
	// IssuerURL is the service's own URL, "https://host" without a slash at its
	// end, below which it publishes hosted issuers; empty: it hosts none.
	IssuerURL string
}

const defaultKeepDeleted = 30 * 24 * time.Hour

func (d *Directory) now() time.Time {
	if d.Clock != nil {
		return d.Clock().UTC()
	}
	return time.Now().UTC()
}

func (d *Directory) log() *slog.Logger {
	if d.Log != nil {
		return d.Log
	}
	return slog.Default()
}

// Page asks for one page of a list: at most Limit items (0 means the default)
// after the item that After, the previous page's Next, stands for.
type Page struct {
	After string
	Limit int
	// Search keeps only what holds this text, without case: in the name and,
	// depending on the list, in what else people know a thing by. A GUID also
	// finds the one that has it as its id or client id. Of an After it must be
	// the same as before.
	Search string
	// Down turns the order round, of lists that are by name and take no
	// Filter. Of an After it must be the same as before.
	Down  bool
	Count bool // also say how long the list is
	Most  int  // do not count further than this; 0: to the end
}

// Paged is one page of a list. Next is empty on the last one.
type Paged[T any] struct {
	Items []T
	Next  string
	Total int  // how long the list is, when Page.Count asked for it
	More  bool // it is longer than Total, which is Page.Most
}

// The sizes of a page.
const (
	DefaultPage = 100
	MaxPage     = 999
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultPage
	}
	return min(p.Limit, MaxPage)
}

// A Tally is a number that was not counted further than somebody cares.
type Tally struct {
	N    int
	More bool // there are more than N
}

// Tally is how long the list is, when Page.Count asked for it.
func (p Paged[T]) Tally() Tally { return Tally{p.Total, p.More} }

// tally counts rows, up to most unless that is 0.
func tally(ctx context.Context, q db.Querier, tables string, w where, most int) (Tally, error) {
	text := `SELECT count(*) FROM ` + tables + ` WHERE ` + w.text()
	if most > 0 {
		text = `SELECT count(*) FROM (SELECT 1 AS one FROM ` + tables + ` WHERE ` + w.text() + ` LIMIT ` + w.arg(most+1) + `) AS counted`
	}
	n, err := query(ctx, q, scanInt, text, w.args...)
	switch {
	case err != nil || len(n) == 0:
		return Tally{}, err
	case most > 0 && n[0] > most:
		return Tally{N: most, More: true}, nil
	}
	return Tally{N: n[0]}, nil
}

// paged cuts items, of which one more than the page holds was read, to a page.
func paged[T any](items []T, p Page, key func(T) string) Paged[T] {
	if len(items) <= p.limit() {
		return Paged[T]{Items: items}
	}
	items = items[:p.limit()]
	return Paged[T]{Items: items, Next: key(items[len(items)-1])}
}

// total says how long a page's list is, when that was asked for: by counting
// the rows that meet the conditions, unless the page is the whole list.
func total[T any](ctx context.Context, q db.Querier, p *Paged[T], page Page, tables string, w where) error {
	if !page.Count {
		return nil
	}
	if page.After == "" && p.Next == "" {
		p.Total = len(p.Items)
		return nil
	}
	t, err := tally(ctx, q, tables, w, page.Most)
	p.Total, p.More = t.N, t.More
	return err
}

// query reads all rows of a statement; scan reads one.
func query[T any](ctx context.Context, q db.Querier, scan func(row) (T, error), text string, args ...any) ([]T, error) {
	if !storable(args...) {
		return []T{}, nil
	}
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// row is what *sql.Row and *sql.Rows share.
type row interface{ Scan(dest ...any) error }

// one reads the one row of a statement, or missing when there is none.
func one[T any](ctx context.Context, q db.Querier, missing *Error, scan func(row) (T, error), text string, args ...any) (T, error) {
	var none T
	if !storable(args...) {
		return none, missing
	}
	item, err := scan(q.QueryRowContext(ctx, text, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return none, missing
	}
	return item, err
}

// storable says whether a row of either engine could hold the texts among
// args. PostgreSQL refuses NUL and what is not UTF-8, also in a question; here
// such a question has no answer, on both engines.
func storable(args ...any) bool {
	for _, arg := range args {
		if s, ok := arg.(string); ok && (!utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0) {
			return false
		}
	}
	return true
}

// count reads the one number of a statement.
func count(ctx context.Context, q db.Querier, text string, args ...any) (n int, err error) {
	err = q.QueryRowContext(ctx, text, args...).Scan(&n)
	return n, err
}

func exec(ctx context.Context, q db.Querier, text string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func newID() string { return uuid.NewString() }

// IsID says whether s is a GUID in the form that the directory gives out, in any case.
func IsID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// fold is how names that are compared without case are kept.
func fold(s string) string { return strings.ToLower(s) }

// sortKey makes a text whose order is the byte order of s, folded, under every collation of a database.
func sortKey(s string) string { return hex.EncodeToString([]byte(fold(s))) }

// afterPrefix is greater than every sortKey that starts with its argument.
const afterPrefix = "g"

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func toJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

func fromJSON(text string, v any) error {
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("decode a stored value: %w", err)
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
