package portal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/entente-id/entente/internal/issuer"
)

// The commands by which people get what they paste.
const (
	keySetCommand = "kubectl get --raw /openid/v1/jwks"
	issuerCommand = "kubectl get --raw /.well-known/openid-configuration"
)

// keySetField is the field for a pasted key set.
func keySetField(value, wrong string) field {
	return field{
		Name: "keyset", Label: "Key set", Value: value, Error: wrong, Lines: 8, Placeholder: `{"keys": [ … ]}`,
		Hint: "A JSON Web Key Set with public keys. It must hold all keys that count: what is left out is refused at once.",
	}
}

// keySetChange is what a key set changes.
type keySetChange struct {
	Added, Kept, Removed []keyRow
	Replaced             []keyRow // keep their id and are others
	Problems             []string
	Looked               string // digest of the set that was looked at
}

// Nothing says whether the two sets are the same keys.
func (k keySetChange) Nothing() bool { return len(k.Added)+len(k.Removed)+len(k.Replaced) == 0 }

// Breaks says whether every token that is out there stops being accepted.
func (k keySetChange) Breaks() bool { return len(k.Kept) == 0 && len(k.Removed)+len(k.Replaced) > 0 }

// compareKeySets says what a set that was checked changes of the present one.
// ids are those of the present keys for whoever may not see them.
func compareKeySets(present []byte, ids []string, set []byte) keySetChange {
	change := keySetChange{Looked: digest(set)}
	keys, problems, err := issuer.ParseKeySet(set)
	if err != nil {
		return change
	}
	change.Problems = problemTexts(problems)
	now := map[string]bool{}
	was, rows := publicKeys(present), map[string]keyRow{}
	old, _, err := issuer.ParseKeySet(present)
	if err == nil {
		for _, row := range keyRows(old) {
			rows[row.ID] = row
		}
	}
	for _, id := range ids {
		if _, known := rows[id]; !known {
			rows[id] = keyRow{ID: id}
		}
	}
	is := publicKeys(set)
	for _, row := range keyRows(keys) {
		now[row.ID] = true
		switch _, there := rows[row.ID]; {
		case !there:
			change.Added = append(change.Added, row)
		case was[row.ID] != "" && was[row.ID] != is[row.ID]:
			change.Replaced = append(change.Replaced, row)
		default:
			change.Kept = append(change.Kept, row)
		}
	}
	for _, row := range keyRows(old) {
		if !now[row.ID] {
			change.Removed = append(change.Removed, row)
		}
	}
	if len(old) == 0 {
		for _, id := range ids {
			if !now[id] {
				change.Removed = append(change.Removed, keyRow{ID: id})
			}
		}
	}
	return change
}

// publicKeys are the public parts of the keys of a set, by their ids.
func publicKeys(set []byte) map[string]string {
	var parsed struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	_ = json.Unmarshal(set, &parsed) // what is no set has no keys
	public := map[string]string{}
	for _, members := range parsed.Keys {
		var id string
		_ = json.Unmarshal(members["kid"], &id)
		var parts []string
		for _, name := range []string{"kty", "crv", "n", "e", "x", "y"} {
			parts = append(parts, string(members[name]))
		}
		public[id] = strings.Join(parts, " ")
	}
	return public
}

func digest(set []byte) string {
	sum := sha256.Sum256(set)
	return hex.EncodeToString(sum[:8])
}
