// Package db opens the one database of a service and gives it transactions.
//
// It exists so that every other room can write one SQL text: SQLite and
// PostgreSQL both take $1 placeholders, ON CONFLICT and RETURNING, and what
// they disagree on (locking, errors, files) is decided here and nowhere else.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Engine names the database that a DB talks to.
type Engine string

// The two engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Querier is what reads and writes share: *sql.DB, *sql.Tx and *sql.Conn satisfy it.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tx is a transaction, for rooms that pass one on and run no SQL themselves.
type Tx = sql.Tx

// DB is an open, migrated database. It is safe for concurrent use.
type DB struct {
	Engine Engine

	path        string // of the SQLite file
	read, write *sql.DB
	reader      Querier // read, with its statements kept prepared where that pays
}

// How a transaction that lost a race is tried again.
const (
	attempts = 10
	backOff  = 5 * time.Millisecond
)

// Open opens dsn, which is the path of a SQLite file or a postgres:// URL, and
// migrates it forward. A database of a newer schema is refused.
//
// A SQLite file runs in WAL mode with synchronous=FULL, so that an acknowledged
// write survives a power cut (https://www.sqlite.org/pragma.html#pragma_synchronous).
func Open(ctx context.Context, dsn string) (*DB, error) {
	open := openSQLite
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		open = openPostgreSQL
	}
	d, err := open(dsn)
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func openSQLite(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database path: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	f.Close()
	source := func(pragmas ...string) string {
		q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(1)", "synchronous(FULL)"}, pragmas...)}
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	d := &DB{Engine: SQLite, path: path}
	if d.write, err = sql.Open("sqlite", source("journal_mode(WAL)")); err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	d.write.SetMaxOpenConns(1)
	if d.read, err = sql.Open("sqlite", source("query_only(1)")); err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	d.read.SetMaxOpenConns(8)
	d.read.SetMaxIdleConns(8)
	d.reader = &prepared{DB: d.read, statements: map[string]*sql.Stmt{}}
	return d, nil
}

func openPostgreSQL(dsn string) (*DB, error) {
	pool, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	return &DB{Engine: PostgreSQL, read: pool, write: pool, reader: pool}, nil
}

// Close closes the database; a transaction that is running ends first.
func (d *DB) Close() error {
	if d.read == d.write {
		return d.write.Close()
	}
	return errors.Join(d.read.Close(), d.write.Close())
}

// Read returns the pool for reading. Each statement sees every write that was committed before it began.
func (d *DB) Read() Querier { return d.reader }

// Update runs fn in one write transaction: it commits when fn returns nil and
// rolls back otherwise. On PostgreSQL a transaction that lost a race
// (serialisation failure, deadlock) is run again, so fn must not have effects
// besides tx.
func (d *DB) Update(ctx context.Context, fn func(tx *sql.Tx) error) error {
	var err error
	for attempt := range attempts {
		if err = d.update(ctx, fn); !isRetryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(backOff << attempt):
		}
	}
	return err
}

func (d *DB) update(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // after Commit this does nothing
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// IsUnique says whether err comes from a unique index or primary key.
func IsUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

// IsFull says whether err means that the disk has no room for the write.
func IsFull(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_FULL
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "53100"
}

func isRetryable(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}
