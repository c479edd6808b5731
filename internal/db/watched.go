package db

import (
	"context"
	"database/sql"
)

// Watched returns d with every statement of its readers told to f before it
// runs, so that what a stranger's request costs can be counted. Closing either
// closes both.
func (d *DB) Watched(f func(text string)) *DB {
	watched := *d
	watched.reader = watchedReader{d.reader, f}
	return &watched
}

type watchedReader struct {
	Querier
	tell func(text string)
}

func (w watchedReader) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	w.tell(query)
	return w.Querier.ExecContext(ctx, query, args...)
}

func (w watchedReader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	w.tell(query)
	return w.Querier.QueryContext(ctx, query, args...)
}

func (w watchedReader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	w.tell(query)
	return w.Querier.QueryRowContext(ctx, query, args...)
}
