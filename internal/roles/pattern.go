package roles

import "strings"

// match reports whether s has the form of pattern, in which each "*" stands
// for any run of characters, the empty one and slashes included.
//
// The pieces between the stars are found leftmost first and never again, so
// the time is linear in len(pattern)+len(s) whatever they hold; a matcher that
// backtracks is not, and patterns come from whoever writes role definitions.
func match(pattern, s string) bool {
	first, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	for {
		piece, more, starred := strings.Cut(rest, "*")
		if !starred {
			return strings.HasSuffix(s, piece)
		}
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(piece):], more
	}
}

// lower maps A–Z to a–z and leaves every other byte alone. It allocates only
// when something changes.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
