package keys

import "time"

// State is where a key stands between its making and its end.
type State string

// The states of a published key. A retired key is not published and is deleted.
const (
	Next     State = "next"     // published, does not sign yet
	Current  State = "current"  // signs
	Previous State = "previous" // has signed; published until its last token is long expired
)

// Key describes a published key. It holds nothing secret.
type Key struct {
	ID         string // kid: JWK thumbprint (RFC 7638), SHA-256, base64url
	TenantID   string
	Algorithm  string // RS256 or ES256
	State      State
	CreatedAt  time.Time
	ActivateAt time.Time // signs from then on
	RetireAt   time.Time // published until then; zero while it has no successor
}

// published says whether the key belongs into its tenant's key set at now.
func (k *Key) published(now time.Time) bool {
	return k.RetireAt.IsZero() || now.Before(k.RetireAt)
}

// chain holds the keys of one tenant in the order in which they sign.
type chain []*entry

// entry is one row of the table: what it says, and its private half.
type entry struct {
	Key // its State is set in the copies that chain.published makes, and nowhere else
	*secret
}

// current picks the key that signs at now: the last one that is active. Before
// the first is active (the clock of the replica that made it is ahead of ours)
// it is the first. It is -1 if no key is published.
func (c chain) current(now time.Time) int {
	current := -1
	for i, k := range c {
		if k.published(now) && (current < 0 || !k.ActivateAt.After(now)) {
			current = i
		}
	}
	return current
}

// published returns the keys that are published at now, with their states.
func (c chain) published(now time.Time) chain {
	current := c.current(now)
	var out chain
	for i, k := range c {
		if !k.published(now) {
			continue
		}
		k = &entry{Key: k.Key, secret: k.secret}
		switch {
		case i < current:
			k.State = Previous
		case i == current:
			k.State = Current
		default:
			k.State = Next
		}
		out = append(out, k)
	}
	return out
}

// with returns the first key of c, which published made, in a state.
func (c chain) with(s State) (Key, bool) {
	for _, k := range c {
		if k.State == s {
			return k.Key, true
		}
	}
	return Key{}, false
}
