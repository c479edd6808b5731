package portal

import (
	"strings"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/exchange"
)

// pairView is two values side by side, as the part "pairs" shows them.
type pairView struct {
	What      string
	Expected  bool // there is something that Got is compared with
	Want, Got []pieceView
	Differs   bool
	Hint      string // what sets them apart, in words
}

// pieceView is a part of a value. What a person would overlook stands there in words.
type pieceView struct {
	Text   string
	Mark   bool   // it differs, or is not what it seems
	Want   bool   // it is of what was expected
	Hidden bool   // Text leaves no mark, and Note stands for it
	Note   string // the character, in words
}

// longestShown is how many characters of a value a page shows.
const longestShown = 1000

// piecesOf splits what was expected and what is there into pieces.
func piecesOf(want, got string) (ofWant, ofGot []pieceView) {
	for _, r := range credential.Diff(clip(want, longestShown), clip(got, longestShown)) {
		p := pieceView{Text: r.Text, Mark: r.In != credential.InBoth, Want: r.In == credential.InWant}
		if p.Mark || r.Mark == credential.Invisible || r.Mark == credential.LookAlike {
			p.Mark = p.Mark || r.Mark != ""
			p.Note, p.Hidden = r.Note, r.Mark == credential.Invisible || r.Mark == credential.WhiteSpace
		}
		if r.In != credential.InGot {
			ofWant = append(ofWant, p)
		}
		if r.In != credential.InWant {
			ofGot = append(ofGot, p)
		}
	}
	return ofWant, ofGot
}

// shown is a value by itself, with what a person would overlook in words.
func shown(value string) []pieceView {
	_, pieces := piecesOf(value, value)
	return pieces
}

// disguised is shown, or nothing for a value that is what it seems.
func disguised(value string) []pieceView {
	if credential.Plain(value) == value {
		return nil
	}
	return shown(value)
}

// whole is a value of which nothing in particular is marked.
func whole(value string, differs, want bool) []pieceView {
	pieces := shown(value)
	for i := range pieces {
		pieces[i].Mark, pieces[i].Want = pieces[i].Mark || differs, want
	}
	return pieces
}

// comparedWords are what a step compares, as people say it.
var comparedWords = map[string]string{
	"key id": "Key id", "client enabled": "Client is enabled", "keys of the issuer": "Key, and where keys come from",
	"audience of the token": "Audience of the access token", "version of the token": "Version of the access token", "roles": "Its roles",
	"expires in": "It expires in", "issuer of the token": "Issuer of the access token",
}

// pairs puts what a step compared side by side. Issuer, subject and audience
// are compared by characters, other things as a whole.
func pairs(compared []exchange.Compared) []pairView {
	var list []pairView
	for _, c := range compared {
		p := pairView{What: comparedWords[c.What], Expected: c.Want != "", Differs: c.Differs, Hint: sentence(clip(c.Hint, longestShown))}
		if p.What == "" {
			p.What = strings.TrimSuffix(sentence(c.What), ".")
		}
		if c.Differs && isTrust(c.What) && c.Want != "" {
			p.Want, p.Got = piecesOf(c.Want, c.Got)
		} else {
			p.Want, p.Got = whole(c.Want, false, true), whole(c.Got, c.Differs, false)
		}
		list = append(list, p)
	}
	return list
}

// isTrust says whether a thing is one of those by which credentials are matched.
func isTrust(what string) bool { return what == "issuer" || what == "subject" || what == "audience" }

// ofCredential are the comparisons with a credential.
func ofCredential(compared []exchange.Compared) []exchange.Compared {
	var list []exchange.Compared
	for _, c := range compared {
		if isTrust(c.What) {
			list = append(list, c)
		}
	}
	return list
}

// printable is text with escapes in the place of characters that cannot be seen.
func printable(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range text {
		writePrintable(&b, r)
	}
	return b.String()
}
