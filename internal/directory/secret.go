package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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

func scanSecret(r row) (Secret, error) {
	var s Secret
	var start, end int64
	err := r.Scan(&s.ID, &s.DisplayName, &s.Hint, &s.hash, &start, &end)
	s.Start, s.End = fromMillis(start), fromMillis(end)
	return s, err
}

func secretsOf(ctx context.Context, q db.Querier, applicationID string) ([]Secret, error) {
	return query(ctx, q, scanSecret, `SELECT id, display_name, hint, hash, start_at, end_at FROM application_secrets WHERE application_id = $1 ORDER BY created_at, id`, applicationID)
}

func (a *act) insertSecret(s Secret, applicationID string) error {
	_, err := exec(a, a.tx, `INSERT INTO application_secrets (id, application_id, display_name, hint, hash, start_at, end_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, applicationID, s.DisplayName, s.Hint, s.hash, millis(s.Start), millis(s.End), millis(a.at))
	return err
}

// AddSecret makes a client secret and returns it with its text, which nothing can show again.
func (d *Directory) AddSecret(ctx context.Context, c Caller, ref Ref, n NewSecret) (Secret, string, error) {
	if err := checkText(SecretObject, "displayName", n.DisplayName, 256); err != nil {
		return Secret{}, "", err
	}
	var secret Secret
	var text string
	err := d.change(ctx, c, func(a *act) error {
		start, end := n.Start, n.End
		if start.IsZero() {
			start = a.at
		}
		if end.IsZero() {
			end = start.AddDate(2, 0, 0)
		}
		if !end.After(start) {
			return invalid(SecretObject, "endDateTime", "must be after startDateTime")
		}
		secret, text = newSecret(n.DisplayName, start, end)
		app, err := a.permitOnApplication("applications/credentials/update", ref, &target{object: SecretObject, id: secret.ID, name: n.DisplayName})
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
		app, err := a.permitOnApplication("applications/credentials/update", ref, &target{object: SecretObject, id: secretID, detail: map[string]string{"removed": secretID}})
		if err != nil {
			return err
		}
		n, err := exec(a, a.tx, `DELETE FROM application_secrets WHERE application_id = $1 AND id = $2`, app.ID, fold(secretID))
		if err == nil && n == 0 {
			err = notFound(SecretObject, secretID)
		}
		return err
	})
}

// permitOnApplication locks the application's row, which orders all writes
// below it, and permits one that could take over its service principal.
func (a *act) permitOnApplication(action string, ref Ref, t *target) (Application, error) {
	app, err := findApplication(a, a.tx, a.c.TenantID, ref)
	if err != nil {
		return app, a.hide(err)
	}
	n, err := exec(a, a.tx, `UPDATE applications SET revision = revision + 1 WHERE id = $1 AND deleted_at = 0`, app.ID)
	if err != nil {
		return app, err
	}
	if n == 0 {
		return app, notFound(ApplicationObject, ref.String())
	}
	principal, err := a.principalOf(app.ID)
	if err != nil {
		return app, err
	}
	if t.detail == nil {
		t.detail = map[string]string{}
	}
	t.detail["application"] = app.ID
	if err := a.permit(writeApplication(action, app.ID, principal), t); err != nil {
		return app, err
	}
	if app.Secrets, err = secretsOf(a, a.tx, app.ID); err != nil { // again, now that the row is ours
		return app, err
	}
	return app, nil
}
