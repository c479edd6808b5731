package manifest

import (
	"regexp"
	"strings"
)

// ownerMark ends the owner in the name of a credential.
const ownerMark = "--"

// maxOwner leaves room for the rest of a name.
const maxOwner = 40

// owner is words of letters and digits, so that the mark stands in none, and what
// stands before the first mark of a name is all of its owner.
var owner = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// OwnerOf returns whose a credential is by its name, such as "pets" of
// "pets--cluster", or "". A name is the one thing of a credential that both
// applications and managed identities have, that no one else needs, and that
// never changes: so the mark is in it, and needs nobody to keep it.
func OwnerOf(name string) string {
	before, _, marked := strings.Cut(name, ownerMark)
	if !marked || len(before) > maxOwner || !owner.MatchString(before) {
		return ""
	}
	return before
}

// ownerOf checks the owner of the file and keeps it for the names of credentials.
func (c *checker) ownerOf(m *Manifest) {
	if !c.given(m.Place, "owner", false) {
		return
	}
	if !owner.MatchString(m.Owner) || len(m.Owner) > maxOwner {
		c.add(m.Place, "owner", "%s should be words of small letters and digits with a - between them, at most %d characters", quote(m.Owner), maxOwner)
		return
	}
	c.owner = m.Owner
}

// owned says of a credential of a file with an owner that its name is not that owner's.
func (c *checker) owned(f *FederatedCredential) {
	if c.owner != "" && OwnerOf(f.Name) != c.owner {
		c.add(f.Place, "name", "%s should begin with %s, since the file has that owner", quote(f.Name), quote(c.owner+ownerMark))
	}
}
