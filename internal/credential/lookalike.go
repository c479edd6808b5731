package credential

import (
	"fmt"
	"strings"
	"unicode"
)

// resembled pairs characters with the ASCII ones that a person takes them for,
// in the order "other, ASCII". A choice from Unicode Technical Standard #39 of
// what keyboards, word processors and web pages put into identifiers.
var resembled = pairs(
	"аaсcԁdеeһhіiјjӏlоoрpԛqѕsуyԝwхx"+ // Cyrillic
		"АAВBСCЕEНHІIЈJКKМMОOРPԚQЅSТTԜWХXҮY"+
		"αaιiκkνvοoρpυuχx"+ // Greek
		"ΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX"+
		"օoոnսuցg"+ // Armenian
		"ɑaɡgıiſs\u212AK", // Latin
	"\u2010-\u2011-\u2012-\u2013-\u2014-\u2015-\u2212-\uFE58-\uFE63-",
	"\u2044/\u2215/\u29F8/",
	"\u02D0:\u0589:\u05C3:\u2236:\uA789:\uFE55:",
	"\u2024.\u3002.\uFE52.\uFF61.",
	"\u02BC'\u2018'\u2019'\u201C\"\u201D\"",
	"\u2217*\u204E*\u02CD_",
)

func pairs(texts ...string) map[rune]rune {
	m := map[rune]rune{}
	runes := []rune(strings.Join(texts, ""))
	for i := 0; i+1 < len(runes); i += 2 {
		m[runes[i]] = runes[i+1]
	}
	return m
}

// resemble returns the ASCII character that r looks like, or r.
func resemble(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case 0xFF01 <= r && r <= 0xFF5E: // full width
		return r - 0xFF01 + '!'
	case 0x1D400 <= r && r <= 0x1D6A3: // mathematical alphabets, capitals first
		if i := (r - 0x1D400) % 52; i < 26 {
			return 'A' + i
		} else {
			return 'a' + i - 26
		}
	case 0x1D7CE <= r && r <= 0x1D7FF: // mathematical digits
		return '0' + (r-0x1D7CE)%10
	case unicode.Is(unicode.Zs, r):
		return ' '
	}
	if a, ok := resembled[r]; ok {
		return a
	}
	return r
}

// Plain is s as a person reads it: look-alikes as the ASCII characters that they are
// taken for, and without invisible characters. It is s itself if there are none.
func Plain(s string) string { return normalise(s, []Reason{Invisible, LookAlike}) }

// described names the character at a position, counted from 1, and tells whether a
// person would take it for another, or for none.
func described(r rune, at int) (text string, disguised bool) {
	switch {
	case invisible(r):
		return fmt.Sprintf("the invisible character %s at position %d", code(r), at), true
	case resemble(r) != r:
		return fmt.Sprintf("%s at position %d, which looks like %q", code(r), at, string(resemble(r))), true
	}
	return fmt.Sprintf("%s at position %d", code(r), at), false
}

// invisible reports whether r leaves no mark where it stands: format characters
// (zero width, direction, byte order mark) and variation selectors.
func invisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == '\u034F' || r == '\u115F' || r == '\u1160' || r == '\u3164'
}
