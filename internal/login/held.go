package login

import (
	"context"
	"sync"
	"time"

	"github.com/entente-id/entente/client"
)

// azTimeout is how long az may take. The library gives it ten seconds where nobody
// says otherwise, which a busy machine needs to start it.
const azTimeout = time.Minute

// held asks a source again only when a token of it has five minutes left: az, which
// starts anew for every token, takes a second to give the one that it has.
type held struct {
	from client.TokenSource

	mu     sync.Mutex
	tokens map[string]client.Token // by scope
}

func (k *held) Token(ctx context.Context, scope string) (client.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t, ok := k.tokens[scope]; ok && time.Until(t.ExpiresOn) > 5*time.Minute {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(ctx, azTimeout)
	defer cancel()
	t, err := k.from.Token(ctx, scope)
	if err != nil {
		return t, err
	}
	if k.tokens == nil {
		k.tokens = map[string]client.Token{}
	}
	k.tokens[scope] = t
	return t, nil
}
