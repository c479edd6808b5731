package signin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
)

// How many records a page has.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// ErrAfter means that Query.After is not what List has returned.
var ErrAfter = errors.New("not a page of sign-ins")

// Query selects records of one tenant. Zero fields select everything.
type Query struct {
	TenantID     string // required
	ClientID     string
	CredentialID string    // of the credential or certificate that matched
	Code         int       // the AADSTS number of a refusal
	From         time.Time // inclusive
	To           time.Time // exclusive
	OnlyFailures bool
	OnlyGranted  bool
	Search       string // in client name, issuer and subject, without case of ASCII letters; or one of the record's ids
	After        string // what List returned as next
	Limit        int    // default DefaultLimit, at most MaxLimit
}

// window is how many records one page of a search may look at.
const window = 10_000

// ErrNone means that a tenant has no such record, or no more.
var ErrNone = errors.New("no such sign-in")

// Get returns one record of a tenant that has been written.
func (r *Recorder) Get(ctx context.Context, tenantID, id string) (Record, error) {
	rec, err := scan(r.cfg.DB.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM sign_ins WHERE id = $1 AND tenant_id = $2`, mend(id), mend(tenantID)))
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrNone
	}
	if err != nil {
		return Record{}, fmt.Errorf("read sign-in %q: %w", id, err)
	}
	return rec, nil
}

// scan reads columns.
func scan(row interface{ Scan(...any) error }) (Record, error) {
	var rec Record
	var at int64
	into := []any{&rec.ID, &at, &rec.Code}
	for _, s := range rec.texts() {
		into = append(into, s)
	}
	err := row.Scan(into...)
	rec.At = time.UnixMilli(at).UTC()
	return rec, err
}

// List returns records that have been written, the newest first, and where the
// next page begins: "" after the last one. Records that are written in between
// do not shift the pages. A page looks at a bounded number of records: that of
// a search may hold fewer than asked for, or none, and yet have a next one.
func (r *Recorder) List(ctx context.Context, query Query) (records []Record, next string, err error) {
	if query.TenantID == "" {
		return nil, "", errors.New("list sign-ins: no tenant")
	}
	limit := query.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, MaxLimit)

	text := ` FROM sign_ins WHERE tenant_id = $1`
	args := []any{query.TenantID}
	where := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		text += ` AND ` + condition
	}
	if query.ClientID != "" {
		where(`client_id = ?`, mend(query.ClientID))
	}
	if query.CredentialID != "" {
		where(`credential_id = ?`, mend(query.CredentialID))
	}
	if query.Code != 0 {
		where(`code <> 0`)
		where(`code = ?`, query.Code)
	}
	if !query.From.IsZero() {
		where(`at >= ?`, query.From.UnixMilli())
	}
	if !query.To.IsZero() {
		where(`at < ?`, query.To.UnixMilli())
	}
	if query.OnlyFailures {
		where(`code <> 0`)
	}
	if query.OnlyGranted {
		where(`code = 0`)
	}
	if query.After != "" {
		at, id, err := parseAfter(query.After)
		if err != nil {
			return nil, "", fmt.Errorf("list sign-ins: %w", err)
		}
		where(`(at, id) < (?, ?)`, at, id)
	}
	if query.Search != "" {
		var at int64
		var id string
		switch err := r.cfg.DB.Read().QueryRowContext(ctx, `SELECT at, id`+text+newest+` LIMIT 1 OFFSET `+strconv.Itoa(window-1), args...).Scan(&at, &id); {
		case err == nil:
			where(`(at, id) >= (?, ?)`, at, id)
			next = after(at, id)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, "", fmt.Errorf("list sign-ins: %w", err)
		}
		part := mend(query.Search)
		held := []string{r.cfg.DB.HoldsFolded(`(`+db.Together(`client_name`, `issuer`, `subject`)+`)`, `?`)}
		values := []any{db.Folded(part)}
		if len(part) == 36 && uuid.Validate(part) == nil {
			for _, column := range []string{`client_id`, `principal_id`, `credential_id`, `request_id`} {
				held, values = append(held, column+` = ?`), append(values, db.Folded(part))
			}
		} else {
			held, values = append(held, `token_id = ?`), append(values, part)
		}
		where(`(`+strings.Join(held, ` OR `)+`)`, values...)
	}
	text = `SELECT ` + columns + text + newest + ` LIMIT ` + strconv.Itoa(limit+1)

	rows, err := r.cfg.DB.Read().QueryContext(ctx, text, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list sign-ins: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		rec, err := scan(rows)
		if err != nil {
			return nil, "", fmt.Errorf("list sign-ins: %w", err)
		}
		records = append(records, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("list sign-ins: %w", err)
	}
	if len(records) > limit {
		records = records[:limit]
		last := records[limit-1]
		next = after(last.At.UnixMilli(), last.ID)
	}
	return records, next, nil
}

const newest = ` ORDER BY at DESC, id DESC`

// after is where the page behind a record begins.
func after(at int64, id string) string { return strconv.FormatInt(at, 10) + "_" + id }

// Reached says when the record was that a page which has a next one looked at
// last, for people who search; the zero time for what List did not return.
func Reached(next string) time.Time {
	at, _, err := parseAfter(next)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
}

// parseAfter reads what List makes of the last record of a page.
func parseAfter(after string) (at int64, id string, err error) {
	ms, id, ok := strings.Cut(after, "_")
	at, err = strconv.ParseInt(ms, 10, 64)
	parsed, idErr := uuid.Parse(id)
	if !ok || err != nil || idErr != nil || parsed.String() != id {
		return 0, "", fmt.Errorf("%w: %q", ErrAfter, after)
	}
	return at, id, nil
}

// LastUsed says when each credential of a tenant last got somebody a token, as
// far as records go back; one that has not is missing from the map.
func (r *Recorder) LastUsed(ctx context.Context, tenantID string, credentialIDs []string) (map[string]time.Time, error) {
	used := map[string]time.Time{}
	for _, id := range credentialIDs {
		if id == "" {
			continue
		}
		var at int64
		err := r.cfg.DB.Read().QueryRowContext(ctx,
			`SELECT at FROM sign_ins WHERE tenant_id = $2 AND credential_id = $1 AND code = 0 ORDER BY at DESC, id DESC LIMIT 1`,
			id, tenantID).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("last use of credential %q: %w", id, err)
		}
		used[id] = time.UnixMilli(at).UTC()
	}
	return used, nil
}
