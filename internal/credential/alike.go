package credential

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many bytes of a value are searched for what a person would
// overlook. A credential's values are shorter; a token's need not be.
const longest = 4096

// alike lists what can make two values of a field look the same, in the order
// in which it is taken away.
func alike(field Field) []Reason {
	if field == Issuer {
		return []Reason{Invisible, LookAlike, WhiteSpace, Scheme, Port, Case, TrailingSlash}
	}
	return []Reason{Invisible, LookAlike, WhiteSpace, Case, TrailingSlash}
}

// enough returns the fewest reasons that explain why want and got differ, or
// nil if no reasons do.
func enough(field Field, want, got string) []Reason {
	reasons := alike(field)
	equal := func(rs []Reason) bool { return normalise(want, rs) == normalise(got, rs) }
	if !equal(reasons) {
		return nil
	}
	for _, r := range slices.Clone(reasons) {
		without := slices.DeleteFunc(slices.Clone(reasons), func(x Reason) bool { return x == r })
		if equal(without) {
			reasons = without
		}
	}
	return reasons
}

// normalise takes away from s what the reasons stand for.
func normalise(s string, reasons []Reason) string {
	if len(s) > longest || !utf8.ValidString(s) {
		return s
	}
	for _, r := range reasons {
		switch r {
		case Invisible:
			s = strings.Map(func(r rune) rune {
				if invisible(r) {
					return -1
				}
				return r
			}, s)
		case LookAlike:
			s = strings.Map(resemble, s)
		case WhiteSpace:
			s = strings.TrimSpace(s)
		case Scheme:
			if len(s) >= 7 && strings.EqualFold(s[:7], "http://") {
				s = "https://" + s[7:]
			}
		case Port:
			if u := cutURL(s); u.ok && u.port == "443" {
				s = u.scheme + "://" + u.host + u.path
			}
		case Case:
			s = strings.Map(fold, s)
		case TrailingSlash:
			s = strings.TrimRight(s, "/")
		}
	}
	return s
}

// slashes are those that s ends with.
func slashes(s string) string {
	s = strings.TrimSpace(s)
	return s[len(strings.TrimRight(s, "/")):]
}

// blame says how r shows in two values that differ because of it.
func blame(r Reason, noun, want, got string, at int) string {
	switch r {
	case Invisible:
		return blameCharacter(invisible, func(r rune) string { return "invisible " + code(r) }, noun, want, got)
	case LookAlike:
		return blameCharacter(
			func(r rune) bool { return resemble(r) != r },
			func(r rune) string { return fmt.Sprintf("%s, which looks like %q", code(r), string(resemble(r))) },
			noun, want, got)
	case WhiteSpace:
		if strings.TrimSpace(want) != want {
			return fmt.Sprintf("the credential's %s begins or ends with white space", noun)
		}
		return fmt.Sprintf("the token's %s begins or ends with white space", noun)
	case Scheme:
		if w := cutURL(want); strings.EqualFold(w.scheme, "http") {
			return fmt.Sprintf("the credential's %s begins with http, the token's with https", noun)
		}
		return fmt.Sprintf("the token's %s begins with http, the credential's with https", noun)
	case Port:
		if w := cutURL(want); w.port == "443" {
			return fmt.Sprintf(`the credential's %s says ":443", the token's does not`, noun)
		}
		return fmt.Sprintf(`the token's %s says ":443", the credential's does not`, noun)
	case TrailingSlash:
		switch w, g := slashes(want), slashes(got); {
		case g == "":
			return fmt.Sprintf(`the credential's %s ends with %q, the token's does not`, noun, w)
		case w == "":
			return fmt.Sprintf(`the token's %s ends with %q, the credential's does not`, noun, g)
		default:
			return fmt.Sprintf(`the credential's %s ends with %q, the token's with %q`, noun, w, g)
		}
	default:
		return fmt.Sprintf("upper and lower case letters differ in the %s, from character %d on", noun, at+1)
	}
}

// blameCharacter names the first character that fits, in the credential's value
// or else in the token's, and its position counted from 1.
func blameCharacter(fits func(rune) bool, name func(rune) string, noun, want, got string) string {
	for _, side := range []struct{ whose, value, other string }{{"credential", want, got}, {"token", got, want}} {
		// What both sides hold in the same place is not what sets them apart.
		for i := common(side.value, side.other); i < len(side.value); {
			r, size := utf8.DecodeRuneInString(side.value[i:])
			if fits(r) {
				at := utf8.RuneCountInString(side.value[:i]) + 1
				return fmt.Sprintf("character %d of the %s's %s is %s", at, side.whose, noun, name(r))
			}
			i += size
		}
	}
	return fmt.Sprintf("the %s holds characters that look like others", noun)
}

// code is U+0430 "а", or U+200B for what cannot be shown.
func code(r rune) string {
	if unicode.IsPrint(r) {
		return fmt.Sprintf("U+%04X %q", r, string(r))
	}
	return fmt.Sprintf("U+%04X", r)
}

// parts are those of a URL, cut where a person would, without judging them.
type parts struct {
	scheme, host, port, path string
	ok                       bool
}

func cutURL(s string) parts {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return parts{}
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	p := parts{scheme: scheme, host: authority, path: path, ok: true}
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		p.host, p.port = authority[:i], authority[i+1:]
	}
	return p
}
