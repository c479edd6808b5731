package directory_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

func (w *world) secretResult(clientID, text string) directory.SecretResult {
	w.Helper()
	m, result, err := w.dir.MatchSecret(w.ctx(), w.tenant.ID, clientID, text)
	w.ok(err)
	if result == directory.SecretOK && m.Client.ClientID != clientID {
		w.Errorf("the secret is right for the client %q, not %q", m.Client.ClientID, clientID)
	}
	return result
}

func TestSecret(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a")
		s, text, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{DisplayName: "ci"})
		w.ok(err)
		bits, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(bits) != 32 || !strings.HasPrefix(text, s.Hint) || len(s.Hint) != 3 {
			w.Errorf("the secret %+v has %d bytes (%v)", s, len(bits), err)
		}
		if !s.Start.Equal(start) || !s.End.Equal(start.AddDate(2, 0, 0)) {
			w.Errorf("it holds from %v to %v, want two years", s.Start, s.End)
		}
		app, err := w.dir.Application(w.ctx(), w.system, c.ref())
		w.ok(err)
		if diff := cmp.Diff([]directory.Secret{s}, app.Secrets, cmpopts.IgnoreUnexported(directory.Secret{})); diff != "" {
			w.Errorf("(-made +read):\n%s", diff)
		}
		if n := w.rows("secrets", "hash = $1 OR hint = $1 OR display_name = $1", text); n != 0 {
			w.Error("the secret's text is kept")
		}
		for _, c := range []struct {
			client, text string
			want         directory.SecretResult
		}{
			{c.AppID, text, directory.SecretOK},
			{strings.ToUpper(c.AppID), text, directory.SecretOK},
			{c.AppID, text + " ", directory.SecretWrong},
			{c.AppID, strings.ToUpper(text), directory.SecretWrong},
			{c.AppID, "", directory.SecretWrong},
			{c.AppID, "\x00\xff", directory.SecretWrong},
			{w.founded.AdministratorClientID, text, directory.SecretWrong},
			{"none", text, directory.SecretWrong},
			{"no\x00ne", text, directory.SecretWrong},
			{"", text, directory.SecretWrong},
		} {
			_, got, err := w.dir.MatchSecret(w.ctx(), w.tenant.ID, c.client, c.text)
			if err != nil || got != c.want {
				w.Errorf("client %q, secret %q: got %s (%v), want %s", c.client, c.text, got, err, c.want)
			}
		}
		if got, want := w.secretResult(w.founded.AdministratorClientID, w.founded.AdministratorSecret), directory.SecretOK; got != want {
			w.Errorf("the administrator's secret is judged %s", got)
		}

		w.ok(w.dir.RemoveSecret(w.ctx(), w.system, c.ref(), strings.ToUpper(s.ID)))
		if got := w.secretResult(c.AppID, text); got != directory.SecretWrong {
			w.Errorf("a removed secret is judged %s", got)
		}
		for _, id := range []string{s.ID, "none", "no\x00ne", ""} {
			w.kind(w.dir.RemoveSecret(w.ctx(), w.system, c.ref(), id), directory.NotFound)
		}
	})
}

// An unknown client costs the same statements as a wrong secret.
func TestJudgingASecretRunsTheSameStatements(t *testing.T) {
	each(t, func(w *world) {
		known, bare := w.client("known"), w.client("bare")
		_, _, err := w.dir.AddSecret(w.ctx(), w.system, known.ref(), directory.NewSecret{})
		w.ok(err)
		statements := func(clientID string) (texts []string) {
			w.Helper()
			d := &directory.Directory{DB: w.db.Watched(func(text string) { texts = append(texts, text) }), Clock: w.clock.Now}
			_, result, err := d.MatchSecret(w.ctx(), w.tenant.ID, clientID, "wrong")
			if err != nil || result != directory.SecretWrong {
				w.Errorf("client %q: %s (%v)", clientID, result, err)
			}
			return texts
		}
		want := statements(known.AppID)
		if len(want) != 2 {
			w.Errorf("a wrong secret costs the statements %q", want)
		}
		for _, clientID := range []string{bare.AppID, w.tenant.ID, "none", "no\x00ne", ""} {
			if diff := cmp.Diff(want, statements(clientID)); diff != "" {
				w.Errorf("client %q (-wrong secret +this):\n%s", clientID, diff)
			}
		}
	})
}

func TestSecretOfAnotherApplicationStays(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client("a"), w.client("b")
		s, text, err := w.dir.AddSecret(w.ctx(), w.system, a.ref(), directory.NewSecret{})
		w.ok(err)
		w.kind(w.dir.RemoveSecret(w.ctx(), w.system, b.ref(), s.ID), directory.NotFound)
		if got := w.secretResult(a.AppID, text); got != directory.SecretOK {
			w.Errorf("it is judged %s", got)
		}
	})
}

func TestSecretHoldsFromStartToEnd(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a")
		from, to := start.Add(time.Hour), start.Add(2*time.Hour)
		_, text, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{Start: from, End: to})
		w.ok(err)
		for _, c2 := range []struct {
			at   time.Time
			want directory.SecretResult
		}{
			{from.Add(-time.Millisecond), directory.SecretExpired},
			{from, directory.SecretOK},
			{to.Add(-time.Millisecond), directory.SecretOK},
			{to, directory.SecretExpired},
		} {
			w.clock.Set(c2.at)
			if got := w.secretResult(c.AppID, text); got != c2.want {
				w.Errorf("at %v: got %s, want %s", c2.at, got, c2.want)
			}
		}
		for _, n := range []directory.NewSecret{{Start: to, End: from}, {Start: from, End: from}, {End: start}} {
			_, _, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), n)
			if e := w.kind(err, directory.Invalid); e.Field != "endDateTime" {
				w.Errorf("got %+v", e)
			}
		}
		_, _, err = w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{DisplayName: "\x00"})
		w.kind(err, directory.Invalid)
	})
}

func TestSecretLimitHoldsInParallel(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a")
		for i := range 95 {
			_, _, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{DisplayName: fmt.Sprint(i)})
			w.ok(err)
		}
		var mu sync.Mutex
		made := 0
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if kindOf(err) != string(directory.LimitReached) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if made != 5 {
			w.Errorf("%d were made below a limit of 100 with 95, want 5", made)
		}
	})
}

// A secret stands on command lines behind a flag of its own.
func TestSecretsAreNoFlags(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	app, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "a"})
	w.ok(err)
	for range 300 { // of which 5 would begin with one
		s, text, err := w.dir.AddSecret(w.ctx(), w.system, directory.Ref{ID: app.ID}, directory.NewSecret{})
		w.ok(err)
		if text[0] == '-' {
			t.Errorf("%q", text)
		}
		w.ok(w.dir.RemoveSecret(w.ctx(), w.system, directory.Ref{ID: app.ID}, s.ID))
	}
}
