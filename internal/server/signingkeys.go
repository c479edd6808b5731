package server

import (
	"context"

	"github.com/entente-id/entente/internal/arm"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
)

// signingKeys shows a tenant's signing keys on the ARM surface, which may not
// know the room that holds them. The surface has checked the caller's right.
type signingKeys struct {
	ring      *keys.Ring
	directory *directory.Directory
}

func (k signingKeys) Keys(ctx context.Context, c directory.Caller) ([]arm.SigningKey, error) {
	list, err := k.ring.Keys(ctx, c.TenantID)
	shown := make([]arm.SigningKey, len(list))
	for i, key := range list {
		shown[i] = shownKey(key)
	}
	return shown, err
}

func (k signingKeys) Rotate(ctx context.Context, c directory.Caller) (arm.SigningKey, error) {
	key, err := k.ring.Rotate(ctx, c.TenantID, func(ctx context.Context, tx *db.Tx, key keys.Key) error {
		return k.directory.Record(ctx, tx, c, directory.Event{Action: "Entente.Federation/signingKeys/rotate/action", Object: directory.SigningKeyObject, TargetID: key.ID})
	})
	if db.IsFull(err) {
		err = &directory.Error{Kind: directory.Full, Object: directory.SigningKeyObject, Err: err}
	}
	return shownKey(key), err
}

func shownKey(k keys.Key) arm.SigningKey {
	return arm.SigningKey{ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), CreatedAt: k.CreatedAt, ActivateAt: k.ActivateAt, RetireAt: k.RetireAt}
}
