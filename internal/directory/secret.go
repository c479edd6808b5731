package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// Secret is a client secret as it can be shown: its text is known only to whoever made it.
type Secret struct {
	ID          string
	DisplayName string
	Hint        string // the first characters, to tell secrets apart
	Start, End  time.Time
	hash        string
}

// NewSecret is what a secret is made from. Zero times mean now and two years
// from Start, as for a passwordCredential of Microsoft Graph.
type NewSecret struct {
	DisplayName string
	Start, End  time.Time
}

const secretHint = 3

// newSecret makes a secret of 256 random bits. Only its SHA-256 is kept: a
// slow hash protects secrets that people choose, which these never are.
func newSecret(name string, start, end time.Time) (Secret, string) {
	bits := make([]byte, 32)
	rand.Read(bits) // never fails (crypto/rand)
	text := base64.RawURLEncoding.EncodeToString(bits)
	return Secret{ID: newID(), DisplayName: name, Hint: text[:secretHint], Start: start, End: end, hash: hashSecret(text)}, text
}

func hashSecret(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// secretsOf reads the secrets of at least one application, by its id, each list by age.
func secretsOf(ctx context.Context, q db.Querier, applications []string) (map[string][]Secret, error) {
	w := where{}
	w.in(`holder_id`, applications)
	secrets := map[string][]Secret{}
	_, err := query(ctx, q, func(r row) (struct{}, error) {
		var s Secret
		var application string
		var start, end int64
		err := r.Scan(&application, &s.ID, &s.DisplayName, &s.Hint, &s.hash, &start, &end)
		s.Start, s.End = fromMillis(start), fromMillis(end)
		secrets[application] = append(secrets[application], s)
		return struct{}{}, err
	}, `SELECT holder_id, id, display_name, hint, hash, start_at, end_at FROM secrets WHERE `+w.text()+` ORDER BY holder_id, created_at, id`, w.args...)
	return secrets, err
}

func (a *act) insertSecret(s Secret, applicationID string) error {
	_, err := exec(a, a.tx, `INSERT INTO secrets (id, holder_id, display_name, hint, hash, start_at, end_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, applicationID, s.DisplayName, s.Hint, s.hash, millis(s.Start), millis(s.End), millis(a.at))
	return err
}

// AddSecret makes a client secret and returns it with its text, which nothing can show again.
func (d *Directory) AddSecret(ctx context.Context, c Caller, ref Ref, n NewSecret) (Secret, string, error) {
	if err := checkText(SecretObject, "displayName", n.DisplayName, maxName); err != nil {
		return Secret{}, "", err
	}
	var secret Secret
	var text string
	err := d.change(ctx, c, func(a *act) error {
		start, end := n.Start.Truncate(time.Millisecond), n.End.Truncate(time.Millisecond)
		if n.Start.IsZero() {
			start = a.at
		}
		if n.End.IsZero() {
			end = start.AddDate(2, 0, 0)
		}
		if !end.After(start) {
			return invalid(SecretObject, "endDateTime", "must be after startDateTime")
		}
		secret, text = newSecret(n.DisplayName, start, end)
		app, err := a.application("applications/credentials/update", ref, live, &target{object: SecretObject, id: secret.ID, name: n.DisplayName})
		if err != nil {
			return err
		}
		if len(app.Secrets) >= maxSecrets {
			return &Error{Kind: LimitReached, Object: SecretObject, ID: app.ID, Limit: maxSecrets}
		}
		return a.insertSecret(secret, app.ID)
	})
	if err != nil {
		return Secret{}, "", err
	}
	return secret, text, nil
}

// RemoveSecret removes one by its id; it stops working on the next request.
func (d *Directory) RemoveSecret(ctx context.Context, c Caller, ref Ref, secretID string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: SecretObject}
		app, err := a.application("applications/credentials/update", ref, live, t)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(app.Secrets, func(s Secret) bool { return s.ID == fold(secretID) })
		if i < 0 {
			return notFound(SecretObject, secretID)
		}
		t.id, t.name = app.Secrets[i].ID, app.Secrets[i].DisplayName
		t.note("removed", t.id)
		return a.removeAll(t.id, `DELETE FROM secrets WHERE id = $1`)
	})
}
