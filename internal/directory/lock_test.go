package directory_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// held runs statements in a transaction of its own that stays open until
// release, which rolls it back. SQLite has one writer at a time, so that what
// this shows, the order of two writes that overlap, is PostgreSQL's alone.
func (w *world) held(text string, args ...any) (release func()) {
	w.Helper()
	begun, end, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	undo := errors.New("undo")
	go func() {
		defer close(ended)
		err := w.db.Update(w.ctx(), func(tx *sql.Tx) error {
			_, err := tx.Exec(text, args...)
			if begun <- err; err != nil {
				return err
			}
			<-end
			return undo
		})
		if !errors.Is(err, undo) {
			w.Errorf("the held transaction ends with %v", err)
		}
	}()
	w.ok(<-begun)
	return func() { close(end); <-ended }
}

// waiting returns when n transactions wait for another's lock, or when done is closed.
func (w *world) waiting(n int, done <-chan struct{}) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); w.rows("pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'") < n; time.Sleep(time.Millisecond) {
		select {
		case <-done:
			return
		default:
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d transactions never came to wait", n)
		}
	}
}

// background runs f and closes done when it has returned.
func (w *world) background(f func() error) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		if err := f(); err != nil {
			w.Errorf("in the background: %v", err)
		}
	}()
	return done
}

// An issuer does not go away between the moment a credential finds it and the
// moment the credential is there.
func TestIssuerWaitsForItsCredential(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	c, s := w.client("client"), spec("one")
	_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL})
	w.ok(err)
	release := w.held(`INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, created_at, updated_at) VALUES ('x', $1, $2, 'x', 'x', $3, $4, 'x', 0, 0)`,
		w.tenant.ID, c.app.ID, s.Issuer, s.Subject)
	added := w.background(func() error { _, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), s); return err })
	w.waiting(1, added) // for the pair that the held transaction has
	removed := w.background(func() error { return w.dir.RemoveIssuer(w.ctx(), w.admin, "prod") })
	w.waiting(2, removed)
	release()
	<-added
	<-removed
	if m := w.match(c.AppID, s); m.Miss != credential.Hit || !m.Issuer.Implicit {
		w.Errorf("the credential matches as %+v", m)
	}
}

// Two that make one issuer at once, and its first credentials, meet without an error.
func TestIssuerIsMadeOnce(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	a, b, s := w.client("a"), w.client("b"), spec("one")
	release := w.held(`INSERT INTO issuers (id, tenant_id, name_key, name, url, key_source, jwks_uri, key_set, algorithms, ca_pem, many_audiences, implicit, revision, created_at, updated_at)
		VALUES ('x', $1, 'x', 'x', $2, 'Discovery', '', '', '', '', 0, 1, 1, 0, 0)`, w.tenant.ID, s.Issuer)
	var done []chan struct{}
	for _, c := range []client{a, b} {
		done = append(done, w.background(func() error { _, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), s); return err }))
	}
	done = append(done, w.background(func() error {
		_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: s.Issuer, ManyAudiences: true})
		return err
	}))
	w.waiting(len(done), nil)
	release()
	for _, d := range done {
		<-d
	}
	for _, c := range []client{a, b} {
		if m := w.match(c.AppID, s); m.Miss != credential.Hit || m.Issuer.Name != "prod" || !m.Issuer.ManyAudiences {
			w.Errorf("the credential matches as %+v", m)
		}
	}
}

// A parent that is going away takes along the credential that waits for it.
func TestCredentialWaitsForItsParent(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	c := w.client("client")
	release := w.held(`UPDATE applications SET revision = revision WHERE id = $1`, c.app.ID)
	deleted := w.background(func() error { return w.dir.DeleteApplication(w.ctx(), w.system, c.ref()) })
	w.waiting(1, deleted)
	added := w.background(func() error {
		_, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), spec("one"))
		if kindOf(err) == string(directory.NotFound) {
			return nil
		}
		return errors.Join(err, errors.New("a deleted application got a credential"))
	})
	w.waiting(2, added)
	release()
	<-deleted
	<-added
}

// A service principal that is restored waits for its application without
// holding what others, who begin with the application, come to want.
func TestRestoredPrincipalWaitsForItsApplicationFirst(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	c := w.client("client")
	w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.admin, c.principalRef()))
	release := w.held(`UPDATE applications SET revision = revision + 1 WHERE id = $1`, c.app.ID)
	restored := w.background(func() error {
		_, err := w.dir.RestoreServicePrincipal(w.ctx(), w.admin, c.principal.ID)
		return err
	})
	w.waiting(1, restored)
	w.ok(w.db.Update(w.ctx(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`SELECT id FROM service_principals WHERE id = $1 FOR UPDATE NOWAIT`, c.principal.ID)
		return err
	}))
	release()
	<-restored
	_, err := w.dir.ServicePrincipal(w.ctx(), w.admin, c.principalRef())
	w.ok(err)
}
