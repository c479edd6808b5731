package arm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on a path; Azure's longest ids have some 20 segments.
const (
	maxPath     = 4096
	maxSegments = 40
)

// splitPath decodes a path once, segment by segment. Slashes in front count as
// one, since clients join addresses that end in a slash and scopes that are
// empty; one slash at the end is none. So are two behind a namespace, between
// which the SDKs' generic clients put the path of a parent, if there is one.
// What another reader of the same path could take for other segments is
// refused.
func splitPath(u *url.URL) ([]string, error) {
	bad := refuse(http.StatusBadRequest, "InvalidRequestUri", "The path of the request is not valid.")
	path := u.EscapedPath()
	if len(path) > maxPath {
		return nil, bad
	}
	path = strings.TrimSuffix(strings.TrimLeft(path, "/"), "/")
	if path == "" {
		return nil, nil
	}
	raw := strings.Split(path, "/")
	if len(raw) > maxSegments {
		return nil, bad
	}
	segments := make([]string, 0, len(raw))
	for i, text := range raw {
		if n := len(segments); text == "" && n >= 2 && raw[i-1] != "" && same(segments[n-2], "providers") {
			continue
		}
		segment, err := url.PathUnescape(text)
		if err != nil || segment == "" || segment == "." || segment == ".." || !utf8.ValidString(segment) ||
			strings.ContainsAny(segment, `/\;?#`) || strings.ContainsFunc(segment, unicode.IsControl) {
			return nil, bad
		}
		segments = append(segments, segment)
	}
	return segments, nil
}

// scopeOf reads the segments of a scope ("/", a subscription, a resource group,
// a resource, at any depth) and writes it as Azure spells it: keywords in their
// own case, subscription ids in lower case, names as they came.
func scopeOf(segments []string) (scope, subscription string, ok bool) {
	if len(segments) == 0 {
		return "/", "", true
	}
	var b strings.Builder
	rest := segments
	if same(rest[0], "subscriptions") {
		if len(rest) < 2 {
			return "", "", false
		}
		subscription = strings.ToLower(rest[1])
		b.WriteString("/subscriptions/" + subscription)
		if rest = rest[2:]; len(rest) >= 2 && same(rest[0], "resourceGroups") {
			word := "resourceGroups"
			if len(rest) > 3 && (same(rest[3], managedIdentity) || same(rest[3], containerService)) {
				word = "resourcegroups" // as everywhere in ids of these providers
			}
			b.WriteString("/" + word + "/" + rest[1])
			rest = rest[2:]
		}
	}
	for len(rest) > 0 { // providers/{namespace}/{type}/{name}[/{type}/{name}…]
		if len(rest) < 4 || !same(rest[0], "providers") {
			return "", "", false
		}
		end := slices.IndexFunc(rest[1:], func(s string) bool { return same(s, "providers") }) + 1
		if end == 0 {
			end = len(rest)
		}
		if end < 4 || end%2 != 0 {
			return "", "", false
		}
		b.WriteString("/providers/" + strings.Join(rest[1:end], "/"))
		rest = rest[end:]
	}
	return b.String(), subscription, true
}

// same compares a segment with a word of ours, in ASCII without case: "ſ" is no "s".
func same(segment, word string) bool {
	return len(segment) == len(word) && strings.EqualFold(segment, word)
}

// below is the id of something on a scope.
func below(scope, rest string) string { return strings.TrimSuffix(scope, "/") + rest }
