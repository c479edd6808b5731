package db

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the PostgreSQL advisory lock that lets one of several starting processes migrate.
const migrationLock = 0x656e74656e7465 // "entente"

// migrate brings the schema to the newest version, in one transaction. Before
// that, a snapshot of a SQLite file that already holds data is left beside it
// (FILE.before-N).
func (d *DB) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if err := d.alone(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)`)
		return err
	}); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	have, err := d.schemaVersion(ctx, d.write)
	switch {
	case err != nil:
		return err
	case have > len(names):
		return fmt.Errorf("the database has schema %d and this program knows %d: run the newer program", have, len(names))
	case have == len(names):
		return nil
	case d.Engine == SQLite && have > 0:
		if err := d.snapshot(ctx, len(names)); err != nil {
			return err
		}
	}
	return d.alone(ctx, func(tx *sql.Tx) error {
		have, err := d.schemaVersion(ctx, tx) // again: another process may have been faster
		if err != nil {
			return err
		}
		for version := have + 1; version <= len(names); version++ {
			if err := step(ctx, tx, version, names[version-1]); err != nil {
				return fmt.Errorf("migrate to schema %d: %w", version, err)
			}
		}
		return nil
	})
}

// alone is Update in one of several starting processes at a time. In
// PostgreSQL not even CREATE TABLE IF NOT EXISTS may meet itself.
func (d *DB) alone(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return d.Update(ctx, func(tx *sql.Tx) error {
		if d.Engine == PostgreSQL {
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

func step(ctx context.Context, tx *sql.Tx, version int, name string) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO schema_version (version) VALUES ($1)`, version)
	return err
}

func (d *DB) schemaVersion(ctx context.Context, q Querier) (int, error) {
	var version int
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schema_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

func (d *DB) snapshot(ctx context.Context, version int) error {
	path := fmt.Sprintf("%s.before-%d", d.path, version)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("snapshot before migration: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // as private as the database itself
	if err != nil {
		return fmt.Errorf("snapshot before migration: %w", err)
	}
	f.Close()
	if _, err := d.write.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil {
		return fmt.Errorf("snapshot before migration: %w", err)
	}
	return nil
}
