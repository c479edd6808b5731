package testkit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// PostgreSQLDSN makes an empty database on the test process's own PostgreSQL
// server and drops it when the test ends.
//
// The first call starts the server, from Debian's packages (15 or newer);
// where there are none the test is skipped, or fails when CI=true. The server
// ends with the process, also when that is killed, and leaves nothing behind.
func PostgreSQLDSN(t testing.TB) string {
	t.Helper()
	s, err := postgreSQL()
	if errors.Is(err, errNoPostgreSQL) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	// The order of ICU's English is unlike SQLite's order of bytes, so that no
	// room comes to rely on either.
	if err := s.administer(`CREATE DATABASE ` + name + ` TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.administer(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return s.dsn(name)
}

// server is a PostgreSQL server on a socket in a directory of its own.
type server struct {
	directory string
	databases atomic.Int64
	lifeline  io.WriteCloser // the watchdog stops the server when this end is closed, which the kernel does for a dead process
}

// postgreSQL starts the one server of this process.
var postgreSQL = sync.OnceValues(startPostgreSQL)

var errNoPostgreSQL = errors.New("PostgreSQL's server is not installed (looked in /usr/lib/postgresql/*/bin)")

const (
	superuser    = "entente"
	startTimeout = time.Minute
)

// watchdog makes a database cluster in $2 with the programs in $1, runs its
// server, and stops it and removes everything when standard input ends.
// Nothing is worth a flush to disk here.
const watchdog = `
trap 'rm -rf "$2"' EXIT
"$1/initdb" -D "$2/data" -U ` + superuser + ` --auth=trust --encoding=UTF8 --no-locale --no-sync --no-instructions >&2 || exit 1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c max_connections=200 -c shared_buffers=32MB -c jit=off >"$2/log" 2>&1 </dev/null &
read -r _
kill -QUIT $!
wait $!
`

func startPostgreSQL() (*server, error) {
	programs, err := postgreSQLPrograms()
	if err != nil {
		return nil, err
	}
	// Not TMPDIR: another user must reach it, and the path of a socket has at most 107 bytes.
	directory, err := os.MkdirTemp("/tmp", "entente-postgresql-")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", watchdog, "watchdog", programs, directory)
	cmd.Dir = directory
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := detach(cmd, directory); err != nil {
		os.RemoveAll(directory)
		return nil, err
	}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		os.RemoveAll(directory)
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	s := &server{directory: directory, lifeline: lifeline}
	for deadline := time.Now().Add(startTimeout); ; {
		err := s.administer(`SELECT 1`)
		if err == nil {
			return s, nil
		}
		select {
		case <-gone:
			return nil, fmt.Errorf("start PostgreSQL: %s", complaints.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(directory, "log"))
			lifeline.Close()
			return nil, fmt.Errorf("start PostgreSQL: %w\n%s", err, log)
		}
	}
}

// postgreSQLPrograms finds the directory of the newest server.
func postgreSQLPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	newest, directory := 14, ""
	for _, initdb := range found {
		bin := filepath.Dir(initdb)
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err != nil || version <= newest {
			continue
		}
		if _, err := os.Stat(filepath.Join(bin, "postgres")); err == nil {
			newest, directory = version, bin
		}
	}
	if directory == "" {
		return "", errNoPostgreSQL
	}
	return directory, nil
}

func (s *server) dsn(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.directory}, "user": {superuser}}.Encode()
}

// administer runs one statement outside of every test's database.
func (s *server) administer(statement string) error {
	pool, err := sql.Open("pgx", s.dsn("postgres"))
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := pool.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
