package plan

import (
	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
)

type pair struct{ issuer, subject string }

// matched is a credential of the file and the one that is there for it, or nil.
type matched struct {
	want  *manifest.FederatedCredential
	old   *client.FederatedCredential
	moved bool // its issuer and subject were those of another until now
}

// match finds, for each credential of the file, the one that is there, and what
// is left over.
//
// Issuer and subject come first, because they are what a credential is for: who
// has them keeps on trusting the workload, whatever the name. Names come second:
// a credential whose issuer or subject changed in the file is changed. Where the
// file has, under a name that is there, an issuer and subject that are not, the
// name counts against a renamed one that took it for itself; that one's trust is
// then moved to another credential, in two writes.
//
// key is how the parent compares names.
func match(have []client.FederatedCredential, stated []manifest.FederatedCredential, key func(string) string) (found []matched, rest []*client.FederatedCredential) {
	byPair, byName := map[pair]int{}, map[string]int{}
	for i, c := range have {
		byPair[pair{c.Issuer, c.Subject}], byName[key(c.Name)] = i, i
	}
	taken := make([]int, len(have)) // by which of the file, from 1
	found = make([]matched, len(stated))
	var open []int
	for n := range stated {
		found[n].want = &stated[n]
		if i, ok := byPair[pair{stated[n].Issuer, stated[n].Subject}]; ok {
			found[n].old, taken[i] = &have[i], n+1
		} else {
			open = append(open, n)
		}
	}
	for len(open) > 0 {
		n := open[0]
		open = open[1:]
		i, ok := byName[key(stated[n].Name)]
		if !ok {
			continue
		}
		if other := taken[i] - 1; other >= 0 {
			found[other].old, found[other].moved = nil, true
			open = append(open, other)
		}
		found[n].old, taken[i] = &have[i], n+1
	}
	for i := range have {
		if taken[i] == 0 {
			rest = append(rest, &have[i])
		}
	}
	return found, rest
}

// order puts writes such that each finds its issuer and subject free, which no two
// credentials of one parent share. Nothing is written in a circle: that would be
// an exchange of issuers and subjects, and those are matched where they stand.
func order(have []client.FederatedCredential, writes []matched) []matched {
	held := map[pair]*client.FederatedCredential{}
	for i := range have {
		held[pair{have[i].Issuer, have[i].Subject}] = &have[i]
	}
	sorted := make([]matched, 0, len(writes))
	for len(writes) > 0 {
		var later []matched
		for _, w := range writes {
			to := pair{w.want.Issuer, w.want.Subject}
			if by := held[to]; by != nil && by != w.old {
				later = append(later, w)
				continue
			}
			if w.old != nil {
				delete(held, pair{w.old.Issuer, w.old.Subject})
			}
			sorted = append(sorted, w)
		}
		if len(later) == len(writes) { // left to the service, whose words are better than a loop
			return append(sorted, later...)
		}
		writes = later
	}
	return sorted
}
