package cli

import (
	"context"

	"github.com/entente-id/entente/internal/login"
)

// changeContexts changes the file of contexts; in a dry run only what was read of it.
// A dry run has no use for a secret, and must not be given one.
func changeContexts(ctx context.Context, store login.Store, dryRun bool, change func(*login.Change) error) error {
	if !dryRun {
		return explainStore(store.Update(ctx, change))
	}
	all, err := store.Load()
	if err != nil {
		return explainStore(err)
	}
	return change(&login.Change{Contexts: all})
}
