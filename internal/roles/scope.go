package roles

import "strings"

// Covers reports whether an assignment at assignmentScope reaches scope: the
// segments of the one are the first segments of the other, in any (ASCII) case.
// "/" covers everything. One trailing slash on either is ignored.
//
// A scope that does not begin with "/" or has an empty, "." or ".." segment
// covers nothing and is covered by nothing, not even by "/": what another
// reader of the same path would take for somewhere else is refused here.
func Covers(assignmentScope, scope string) bool {
	a, ok := clean(assignmentScope)
	if !ok {
		return false
	}
	s, ok := clean(scope)
	if !ok || len(s) < len(a) {
		return false
	}
	return lower(s[:len(a)]) == lower(a) && (len(s) == len(a) || s[len(a)] == '/')
}

// clean returns scope without a trailing slash, so "" for the root.
func clean(scope string) (string, bool) {
	if !strings.HasPrefix(scope, "/") {
		return "", false
	}
	scope = strings.TrimSuffix(scope, "/")
	if scope == "" {
		return "", true
	}
	for segment := range strings.SplitSeq(scope[1:], "/") {
		switch segment {
		case "", ".", "..":
			return "", false
		}
	}
	return scope, true
}
