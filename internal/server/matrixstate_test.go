package server

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/db"
)

// state is every row of a database, as text, by table. Sign-ins are left out:
// they are written behind the back of whoever asks.
type state map[string][]string

// table is what restoring one needs.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

// referred are the tables that others refer to.
var referred = []string{"tenants", "subscriptions", "applications", "clusters"}

// tables lists the tables of the database, those that others refer to first.
func tables(t *testing.T, d *db.DB) []string {
	t.Helper()
	text := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if d.Engine == db.PostgreSQL {
		text = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`
	}
	rows, err := d.Read().QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names := slices.Clone(referred)
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(referred, name) && name != "sign_ins" && !strings.Contains(name, "schema") {
			names = append(names, name)
		}
	}
	if err := rows.Err(); err != nil || len(names) < 15 {
		t.Fatalf("the tables are %q (%v)", names, err)
	}
	return names
}

func (m *matrix) read(t *testing.T, name string) table {
	t.Helper()
	rows, err := m.db.Read().QueryContext(t.Context(), `SELECT * FROM `+name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := table{name: name}
	if found.columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(found.columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		found.rows = append(found.rows, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// state reads the database, unless nothing was committed since it was as before says.
func (m *matrix) state(t *testing.T, before state) state {
	t.Helper()
	version := m.version(t)
	if before != nil && version == m.seen {
		return before
	}
	s := state{}
	for _, name := range m.tables {
		lines := []string{}
		for _, row := range m.read(t, name).rows {
			lines = append(lines, fmt.Sprintf("%v", row))
		}
		slices.Sort(lines)
		s[name] = lines
	}
	return s
}

// version changes with every commit: on PostgreSQL also with writes that are rolled back.
func (m *matrix) version(t *testing.T) (version string) {
	t.Helper()
	text := `PRAGMA data_version` // https://www.sqlite.org/pragma.html#pragma_data_version
	if m.db.Engine == db.PostgreSQL {
		text = `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`
	}
	check(t, m.watch.QueryRowContext(t.Context(), text).Scan(&version))
	return version
}

// diff says in which rows two states differ; rows that hold one of these texts do not count.
func (s state) diff(now state, except ...string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		for sign, rows := range map[string][2][]string{"-": {s[name], now[name]}, "+": {now[name], s[name]}} {
			for _, row := range rows[0] {
				counts := !slices.ContainsFunc(except, func(text string) bool { return strings.Contains(row, text) })
				if _, there := slices.BinarySearch(rows[1], row); counts && !there {
					fmt.Fprintf(&b, "%s %s %s\n", sign, name, row)
				}
			}
		}
	}
	return b.String()
}

// keep remembers the database for restore, without what its making recorded.
func (m *matrix) keep(t *testing.T) {
	t.Helper()
	m.write(t, `DELETE FROM audit_events`)
	m.kept, m.seen = nil, m.version(t)
	for _, name := range m.tables {
		m.kept = append(m.kept, m.read(t, name))
	}
}

// restore brings the database back to what was kept, where now differs from before.
func (m *matrix) restore(t *testing.T, before, now state) {
	t.Helper()
	defer func() { m.seen = m.version(t) }()
	var changed []table
	all := false // what others refer to goes only with them
	for i, of := range m.kept {
		if !slices.Equal(before[of.name], now[of.name]) {
			all = all || i < len(referred)
			changed = append(changed, of)
		}
	}
	switch {
	case all:
		changed = m.kept
	case len(changed) == 0:
		return
	}
	check(t, m.db.Update(t.Context(), func(tx *sql.Tx) error {
		for _, of := range slices.Backward(changed) {
			if _, err := tx.ExecContext(t.Context(), `DELETE FROM `+of.name); err != nil {
				return fmt.Errorf("%s: %w", of.name, err)
			}
		}
		for _, of := range changed {
			if err := of.insert(t.Context(), tx); err != nil {
				return fmt.Errorf("%s: %w", of.name, err)
			}
		}
		return nil
	}))
}

// insert puts back all rows.
func (of table) insert(ctx context.Context, tx *sql.Tx) error {
	places := make([]string, len(of.columns))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO `+of.name+` (`+strings.Join(of.columns, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, row := range of.rows {
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}
