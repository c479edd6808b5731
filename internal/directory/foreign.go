package directory

import (
	"context"
	"database/sql"
	"time"
)

// SigningKeyObject is a key of the tenant's, which lies in a room of its own.
const SigningKeyObject Object = "signing key"

// Permit says whether the caller may do an ARM action on a scope, for what
// other rooms keep. It returns nil or an error of kind Forbidden or Unauthenticated.
func (d *Directory) Permit(ctx context.Context, c Caller, action, scope string) error {
	return d.permitRead(ctx, c, need{action: action, scope: scope})
}

// Record permits and records a write that another room makes in the
// transaction tx, under the rule of all writes: an action that the caller may
// not do, or that cannot be recorded, does not happen. Of e it reads Action,
// Object, TargetID, TargetName and Detail.
func (d *Directory) Record(ctx context.Context, tx *sql.Tx, c Caller, e Event) error {
	a := &act{Context: ctx, d: d, tx: tx, c: c, at: d.now().Truncate(time.Millisecond)}
	var err error
	if a.rights, err = d.rights(ctx, tx, c); err != nil {
		return err
	}
	t := &target{object: e.Object, id: e.TargetID, name: e.TargetName, detail: e.Detail}
	if err := a.permit(need{action: e.Action, scope: "/"}, t); err != nil {
		return err
	}
	return a.record(t)
}
