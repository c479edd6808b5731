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
	Text        string // only in the answer that makes it
	hash        string
}

// NewSecret is what a secret is made from. Zero times mean now and two years
// from Start, as for a passwordCredential of Microsoft Graph.
type NewSecret struct {
	DisplayName string
	Start, End  time.Time
}

const secretHint = 3

// newSecret makes a secret. Only its SHA-256 is kept: a slow hash protects
// secrets that people choose, which these never are.
func newSecret(name string, start, end time.Time) (Secret, string) {
	text := newSecretText()
	return Secret{ID: newID(), DisplayName: name, Hint: text[:secretHint], Start: start, End: end, hash: hashSecret(text)}, text
}

// newSecretText makes the text of a secret: 256 random bits. None begins with a
// hyphen, which command lines take for a flag (az login -p SECRET).
func newSecretText() string {
	bits := make([]byte, 32)
	text := "-"
	for text[0] == '-' {
		rand.Read(bits) // never fails (crypto/rand)
		text = base64.RawURLEncoding.EncodeToString(bits)
	}
	return text
}

// make makes a secret at a time.
func (n NewSecret) make(now time.Time) (Secret, string, error) {
	if err := checkText(SecretObject, "displayName", n.DisplayName, maxName); err != nil {
		return Secret{}, "", err
	}
	start, end := n.Start.Truncate(time.Millisecond), n.End.Truncate(time.Millisecond)
	if n.Start.IsZero() {
		start = now
	}
	if n.End.IsZero() {
		end = start.AddDate(2, 0, 0)
	}
	if !end.After(start) {
		return Secret{}, "", invalid(SecretObject, "endDateTime", "must be after startDateTime")
	}
	secret, text := newSecret(n.DisplayName, start, end)
	return secret, text, nil
}

func hashSecret(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// secretsOf reads the secrets of at least one application or service principal, by its id, each list by age.
func secretsOf(ctx context.Context, q db.Querier, holders []string) (map[string][]Secret, error) {
	w := where{}
	w.in(`holder_id`, holders)
	secrets := map[string][]Secret{}
	_, err := query(ctx, q, func(r row) (struct{}, error) {
		var s Secret
		var holder string
		var start, end int64
		err := r.Scan(&holder, &s.ID, &s.DisplayName, &s.Hint, &s.hash, &start, &end)
		s.Start, s.End = fromMillis(start), fromMillis(end)
		secrets[holder] = append(secrets[holder], s)
		return struct{}{}, err
	}, `SELECT holder_id, id, display_name, hint, hash, start_at, end_at FROM secrets WHERE `+w.text()+` ORDER BY holder_id, created_at, id`, w.args...)
	return secrets, err
}

func (a *act) insertSecret(s Secret, holderID string) error {
	_, err := exec(a, a.tx, `INSERT INTO secrets (id, holder_id, display_name, hint, hash, start_at, end_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, holderID, s.DisplayName, s.Hint, s.hash, millis(s.Start), millis(s.End), millis(a.at))
	return err
}

// insertFirstSecrets makes the secrets of an application that is made now. The
// audit has an event for each, as for those that are added later.
func (a *act) insertFirstSecrets(app Application, wanted []Secret) ([]Secret, error) {
	if len(wanted) > maxSecrets {
		return nil, &Error{Kind: LimitReached, Object: SecretObject, ID: app.ID, Limit: maxSecrets}
	}
	var made []Secret
	for _, w := range wanted {
		s, text, err := NewSecret{DisplayName: w.DisplayName, Start: w.Start, End: w.End}.make(a.at)
		if err != nil {
			return nil, err
		}
		t := &target{action: "microsoft.directory/" + updateKeys, object: SecretObject, id: s.ID, name: s.DisplayName}
		t.note("application", app.ID)
		a.noted = append(a.noted, t)
		if err := a.insertSecret(s, app.ID); err != nil {
			return nil, err
		}
		s.Text = text
		made = append(made, s)
	}
	return made, nil
}

// AddSecret makes a client secret of an application and returns it with its
// text, which nothing can show again.
func (d *Directory) AddSecret(ctx context.Context, c Caller, ref Ref, n NewSecret) (Secret, string, error) {
	return d.addSecret(ctx, c, n, secretsOfApplication(ref))
}

// AddPrincipalSecret makes one of a service principal, for which it counts as one of its application's does.
func (d *Directory) AddPrincipalSecret(ctx context.Context, c Caller, ref Ref, n NewSecret) (Secret, string, error) {
	return d.addSecret(ctx, c, n, secretsOfPrincipal(ref))
}

// secretHolder locks and permits a write of secrets, and finds the id and the secrets of what holds them.
type secretHolder func(*act, *target) (string, []Secret, error)

func secretsOfApplication(ref Ref) secretHolder {
	return func(a *act, t *target) (string, []Secret, error) {
		app, err := a.application(updateKeys, ref, live, t)
		return app.ID, app.Secrets, err
	}
}

func secretsOfPrincipal(ref Ref) secretHolder {
	return func(a *act, t *target) (string, []Secret, error) {
		p, err := a.principal(updatePrincipalKeys, ref, t)
		if err == nil {
			err = p.mayHoldKeys()
		}
		return p.ID, p.Secrets, err
	}
}

func (d *Directory) addSecret(ctx context.Context, c Caller, n NewSecret, holder secretHolder) (secret Secret, text string, err error) {
	err = d.change(ctx, c, func(a *act) error {
		var err error
		if secret, text, err = n.make(a.at); err != nil {
			return err
		}
		id, others, err := holder(a, &target{object: SecretObject, id: secret.ID, name: n.DisplayName})
		if err != nil {
			return err
		}
		if len(others) >= maxSecrets {
			return &Error{Kind: LimitReached, Object: SecretObject, ID: id, Limit: maxSecrets}
		}
		return a.insertSecret(secret, id)
	})
	if err != nil {
		return Secret{}, "", err
	}
	return secret, text, nil
}

// RemoveSecret removes one of an application by its id; it stops working on the next request.
func (d *Directory) RemoveSecret(ctx context.Context, c Caller, ref Ref, secretID string) error {
	return d.removeSecret(ctx, c, secretID, secretsOfApplication(ref))
}

// RemovePrincipalSecret removes one of a service principal.
func (d *Directory) RemovePrincipalSecret(ctx context.Context, c Caller, ref Ref, secretID string) error {
	return d.removeSecret(ctx, c, secretID, secretsOfPrincipal(ref))
}

func (d *Directory) removeSecret(ctx context.Context, c Caller, secretID string, holder secretHolder) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: SecretObject}
		_, secrets, err := holder(a, t)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(secrets, func(s Secret) bool { return s.ID == fold(secretID) })
		if i < 0 {
			return notFound(SecretObject, secretID)
		}
		t.id, t.name = secrets[i].ID, secrets[i].DisplayName
		t.note("removed", t.id)
		return a.removeAll(t.id, `DELETE FROM secrets WHERE id = $1`)
	})
}
