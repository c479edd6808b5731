package keys

import (
	"context"
	"fmt"
)

// Public returns the JWK Set (RFC 7517 section 5) of a tenant: every published
// key, the one that signs first. A key that cannot be opened is left out.
func (r *Ring) Public(ctx context.Context, tenantID string) ([]byte, error) {
	_, chain, err := r.chainOf(ctx, tenantID)
	if err != nil {
		return nil, fmt.Errorf("publish keys: %w", err)
	}
	set := []byte(`{"keys":[`)
	empty := len(set)
	published := chain.published(r.now())
	for _, state := range []State{Current, Next, Previous} {
		for _, k := range published {
			if k.State != state {
				continue
			}
			pair, err := k.open(ctx, r.cfg.DB.Read(), r.cfg.Sealer)
			if err != nil {
				r.cfg.Log.ErrorContext(ctx, "signing key is not published", "tenant", tenantID, "error", err)
				continue
			}
			if len(set) > empty {
				set = append(set, ',')
			}
			set = append(set, pair.jwk...)
		}
	}
	return append(set, `]}`...), nil
}

// Keys describes the published keys of a tenant, read from the database, in the
// order in which they sign.
func (r *Ring) Keys(ctx context.Context, tenantID string) ([]Key, error) {
	chain, err := r.tenant(ctx, r.cfg.DB.Read(), tenantID)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, k := range chain.published(r.now()) {
		out = append(out, k.Key)
	}
	return out, nil
}
