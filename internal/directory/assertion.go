package directory

import (
	"context"
	"database/sql"
	"time"
)

// SpendAssertion notes that a client has used what digest stands for, which is
// remembered until the time given. It says false when the client had used it
// before: of two that come at once, one is told so.
func (d *Directory) SpendAssertion(ctx context.Context, clientID, digest string, until time.Time) (fresh bool, err error) {
	err = d.DB.Update(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, `INSERT INTO used_assertions (client_id, digest, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, clientID, digest, millis(until))
		fresh = n == 1
		return err
	})
	return fresh && err == nil, err
}

// AssertionSpent says whether SpendAssertion has noted it, and notes nothing.
func (d *Directory) AssertionSpent(ctx context.Context, clientID, digest string) (bool, error) {
	n, err := count(ctx, d.DB.Read(), `SELECT count(*) FROM used_assertions WHERE client_id = $1 AND digest = $2`, clientID, digest)
	return n > 0, err
}

// forgetAtOnce is how many rows one transaction of forget removes.
const forgetAtOnce = 10_000

// forgetAssertions removes the notes about those that have expired.
func (d *Directory) forgetAssertions(ctx context.Context) error {
	return d.forget(ctx, `DELETE FROM used_assertions WHERE (client_id, digest) IN (SELECT client_id, digest FROM used_assertions WHERE expires_at < $1 LIMIT $2)`, d.now())
}

// forget removes all rows of before a time, some at once: text names the time $1 and their number $2.
func (d *Directory) forget(ctx context.Context, text string, before time.Time) error {
	for removed := int64(forgetAtOnce); removed == forgetAtOnce; {
		err := d.DB.Update(ctx, func(tx *sql.Tx) (err error) {
			removed, err = exec(ctx, tx, text, millis(before), forgetAtOnce)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
