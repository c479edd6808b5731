package testkit

import (
	"database/sql"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
)

func TestEachDatabaseIsItsOwn(t *testing.T) {
	Engines(t, func(t *testing.T, d *db.DB) {
		other := SQLite
		if d.Engine == db.PostgreSQL {
			other = PostgreSQL
		}
		for _, d := range []*db.DB{d, other(t)} {
			err := d.Update(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.Exec(`INSERT INTO tenants (id, display_name, domain_key, is_default, max_credentials, revision, created_at) VALUES ('a', 'a', 'a', 1, 20, 1, 0)`)
				return err
			})
			if err != nil {
				t.Fatalf("the row of one test stands in the way of another's: %v", err)
			}
		}
	})
}

func TestClockMovesOnlyWhenTold(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := NewClock(start)
	if got := c.Now(); !got.Equal(start) {
		t.Errorf("a new clock stands at %v, want %v", got, start)
	}
	if got := c.Advance(-time.Hour); !got.Equal(start.Add(-time.Hour)) || !c.Now().Equal(got) {
		t.Errorf("after an hour back the clock stands at %v", got)
	}
	c.Set(start)
	if got := c.Now(); !got.Equal(start) {
		t.Errorf("a clock that was set stands at %v, want %v", got, start)
	}
}

// child makes TestServerEndsWithItsProcess's own process start a server, say where, and wait.
const child = "ENTENTE_TESTKIT_CHILD"

func TestServerEndsWithItsProcess(t *testing.T) {
	if os.Getenv(child) != "" {
		dsn := PostgreSQLDSN(t)
		s, _ := postgreSQL()
		os.Stdout.WriteString("started " + s.directory + " " + dsn + "\n")
		select {}
	}
	PostgreSQLDSN(t) // skips where there is none
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithItsProcess$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(said[:n]))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if len(words) != 3 || words[0] != "started" {
		t.Fatalf("the child said %q, want where its server is", said[:n])
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(words[1]); os.IsNotExist(err) {
			break // removed after the server had stopped
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there: the server of a killed process runs on", words[1])
		}
	}
	left, err := exec.Command("pgrep", "-f", words[1]).Output()
	if err == nil {
		t.Errorf("processes of %s are left: %s", words[1], left)
	}
}
