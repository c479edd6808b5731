package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T) (*DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a ?#%.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, path
}

func addTenant(ctx context.Context, q Querier, id string) error {
	_, err := q.ExecContext(ctx, `INSERT INTO tenants (id, display_name, domain_key, is_default, max_credentials, revision, created_at) VALUES ($1, $2, $1, 0, 20, 1, 0)`, id, "Tenant")
	return err
}

func TestUpdateCommitsOrRollsBack(t *testing.T) {
	ctx := t.Context()
	d, _ := open(t)
	boom := errors.New("boom")
	if err := d.Update(ctx, func(tx *sql.Tx) error {
		if err := addTenant(ctx, tx, "a"); err != nil {
			return err
		}
		return boom
	}); !errors.Is(err, boom) {
		t.Fatalf("got %v, want the function's own error", err)
	}
	if err := d.Update(ctx, func(tx *sql.Tx) error { return addTenant(ctx, tx, "b") }); err != nil {
		t.Fatal(err)
	}
	var ids string
	if err := d.Read().QueryRowContext(ctx, `SELECT group_concat(id) FROM tenants`).Scan(&ids); err != nil || ids != "b" {
		t.Fatalf("got tenants %q (%v), want only b", ids, err)
	}
}

func TestUniqueViolationIsRecognised(t *testing.T) {
	ctx := t.Context()
	d, _ := open(t)
	for i, want := range []bool{false, true} {
		err := d.Update(ctx, func(tx *sql.Tx) error { return addTenant(ctx, tx, "a") })
		if IsUnique(err) != want {
			t.Errorf("insert %d: IsUnique(%v) = %v, want %v", i, err, !want, want)
		}
	}
	if IsUnique(nil) || IsFull(nil) || isRetryable(nil) {
		t.Error("nil is taken for an error")
	}
}

func TestParallelWritersAllCommit(t *testing.T) {
	ctx := t.Context()
	d, path := open(t)
	other, err := Open(ctx, path) // a second process, as far as SQLite can tell
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			err := []*DB{d, other}[i%2].Update(ctx, func(tx *sql.Tx) error { return addTenant(ctx, tx, strings.Repeat("x", i+1)) })
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := d.Read().QueryRowContext(ctx, `SELECT count(*) FROM tenants`).Scan(&n); err != nil || n != 40 {
		t.Fatalf("got %d tenants (%v), want 40", n, err)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	d, _ := open(t)
	if err := addTenant(t.Context(), d.Read(), "a"); err == nil {
		t.Fatal("the reading pool accepted a write")
	}
}

func TestFileIsPrivateAndReopens(t *testing.T) {
	ctx := t.Context()
	d, path := open(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := d.Update(ctx, func(tx *sql.Tx) error { return addTenant(ctx, tx, "kept") }); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	var n int
	if err := again.Read().QueryRowContext(ctx, `SELECT count(*) FROM tenants WHERE id = $1`, "kept").Scan(&n); err != nil || n != 1 {
		t.Fatalf("got %d rows (%v), want the row that was written before", n, err)
	}
}

func TestSnapshotIsPrivateAndWhole(t *testing.T) {
	ctx := t.Context()
	d, path := open(t)
	if err := d.Update(ctx, func(tx *sql.Tx) error { return addTenant(ctx, tx, "kept") }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the one of a migration that failed is replaced
		if err := d.snapshot(ctx, 7); err != nil {
			t.Fatal(err)
		}
	}
	path += ".before-7"
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	again, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	var n int
	if err := again.Read().QueryRowContext(ctx, `SELECT count(*) FROM tenants WHERE id = $1`, "kept").Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d rows (%v), want the row of the original", n, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	ctx := t.Context()
	d, path := open(t)
	if err := d.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version) VALUES (9999)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Fatalf("got %v, want a refusal that names the schema", err)
	}
}

func TestSynchronousIsFull(t *testing.T) {
	d, _ := open(t)
	var mode string
	var level int
	if err := d.write.QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode %q (%v), want wal", mode, err)
	}
	if err := d.write.QueryRow(`PRAGMA synchronous`).Scan(&level); err != nil || level != 2 {
		t.Errorf("synchronous %d (%v), want 2 (FULL)", level, err)
	}
}

// More texts than are kept, from several goroutines: each statement still
// answers, and what a dropped one was doing is not disturbed.
func TestPreparedStatementsAreBounded(t *testing.T) {
	ctx := t.Context()
	d, _ := open(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2 * mostStatements {
				want := g*10_000 + i
				var got int
				if err := d.Read().QueryRowContext(ctx, fmt.Sprintf(`SELECT $1 + %d`, i), g*10_000).Scan(&got); err != nil || got != want {
					t.Errorf("got %d (%v), want %d", got, err, want)
				}
			}
		})
	}
	wg.Wait()
	if n := len(d.reader.(*prepared).statements); n > mostStatements {
		t.Errorf("%d statements are kept", n)
	}
	var x int
	if err := d.Read().QueryRowContext(ctx, `SELECT nonsense`).Scan(&x); err == nil {
		t.Error("a statement that cannot be prepared gives no error")
	}
}
