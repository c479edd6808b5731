package credential

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Reason is one thing that sets two values apart.
type Reason string

const (
	// The first group explains a difference: without them the values are equal.

	Invisible     Reason = "invisible"      // characters that leave no mark
	LookAlike     Reason = "look_alike"     // characters that resemble ASCII ones
	WhiteSpace    Reason = "white_space"    // at the beginning or end
	Scheme        Reason = "scheme"         // http and https; also in the second group
	Port          Reason = "port"           // ":443" said or not; also in the second group
	Case          Reason = "case"           // upper and lower case letters
	TrailingSlash Reason = "trailing_slash" // how many slashes stand at the end

	// The second group says where values differ that differ in more.

	Absent           Reason = "absent"            // the token does not have the claim
	Host             Reason = "host"              // of the issuer
	Path             Reason = "path"              // of the issuer
	Namespace        Reason = "namespace"         // of the service account
	ServiceAccount   Reason = "service_account"   // the name of the service account
	Wildcard         Reason = "wildcard"          // the credential holds "*", which is no wildcard
	SeveralAudiences Reason = "several_audiences" // the token has more than one
	Other            Reason = "other"
)

// Difference is how one field of a trust and of an assertion differ.
type Difference struct {
	Field   Field    // Issuer, Subject or Audiences
	Want    string   // what the credential says
	Got     string   // what the token says; the nearest of several audiences
	At      int      // characters that both begin with
	Reasons []Reason // at least one
	Hint    string   // the reasons as text for a person: clauses joined with "; "
}

// SlashMissing says whether the credential's value lacks a slash at its end that the
// token's has. With the reason TrailingSlash, it has one too many otherwise.
func (d Difference) SlashMissing() bool { return len(slashes(d.Want)) < len(slashes(d.Got)) }

// Slip says whether the values are equal but for what people overlook.
func (d Difference) Slip() bool {
	return len(d.Reasons) > 0 && slices.Equal(d.Reasons, enough(d.Field, d.Want, d.Got))
}

// Slips says whether values differ, and only in what people overlook.
func Slips(differences []Difference) bool {
	return len(differences) > 0 && !slices.ContainsFunc(differences, func(d Difference) bool { return !d.Slip() })
}

// HintFor is Hint where what is called a credential's and a token's value is
// something else.
func (d Difference) HintFor(ofCredential, ofToken string) string {
	noun := " " + strings.TrimSuffix(string(d.Field), "s")
	return strings.NewReplacer(
		"the credential's"+noun, ofCredential, "the token's"+noun, ofToken,
		"the credential's", ofCredential, "the token's", ofToken,
		"in the credential", "in "+ofCredential, "in the token", "in "+ofToken,
	).Replace(d.Hint)
}

// Nearest finds the trust that comes closest to a and how they differ, in the
// order issuer, subject, audiences. The same issuer and subject beat everything,
// as only the audience can be wrong then. Otherwise the trust wins that was most
// likely meant: first one that differs in what a person overlooks, such as the
// issuer's slash; then one for the subject by another issuer, since a subject
// names one workload and an issuer is everybody's; then one of the issuer, with a
// subject of the same name before others. Among equals the one that needs the
// least mending wins, then the first.
//
// Several audiences are always reported as a difference; whoever allows them
// leaves out a Difference whose only reason is SeveralAudiences. Without trusts
// there is neither trust nor difference. It is for people who ask why, not for
// the path of a request.
func Nearest(trusts []Trust, a Assertion) (Trust, []Difference) {
	best, bestExact, bestCost := -1, false, 0
	for i, t := range trusts {
		exact := t.Issuer == a.Issuer && t.Subject == a.Subject
		_, audience := nearestAudience(t.Audience, a.Audiences)
		cost := distance(Issuer, t.Issuer, a.Issuer) + distance(Subject, t.Subject, a.Subject) + audience
		if best < 0 || exact && !bestExact || exact == bestExact && cost < bestCost {
			best, bestExact, bestCost = i, exact, cost
		}
	}
	if best < 0 {
		return Trust{}, nil
	}
	t := trusts[best]
	var diffs []Difference
	if t.Issuer != a.Issuer {
		diffs = append(diffs, explain(Issuer, t.Issuer, a.Issuer))
	}
	if t.Subject != a.Subject {
		diffs = append(diffs, explain(Subject, t.Subject, a.Subject))
	}
	got, _ := nearestAudience(t.Audience, a.Audiences)
	if got != t.Audience {
		diffs = append(diffs, explain(Audiences, t.Audience, got))
	}
	if n := len(a.Audiences); n > 1 {
		hint := fmt.Sprintf("the token has %d audiences, and one is accepted", n)
		if got != t.Audience {
			d := &diffs[len(diffs)-1]
			d.Reasons, d.Hint = append(d.Reasons, SeveralAudiences), d.Hint+"; "+hint
		} else {
			diffs = append(diffs, Difference{Audiences, t.Audience, got, utf8.RuneCountInString(got), []Reason{SeveralAudiences}, hint})
		}
	}
	return t, diffs
}

func nearestAudience(want string, presented []string) (got string, cost int) {
	cost = distance(Audiences, want, "")
	for i, p := range presented {
		if c := distance(Audiences, want, p); i == 0 || c < cost {
			got, cost = p, c
		}
	}
	return got, cost
}

// far is more than three distances within one class can amount to.
const far = 4000

// distance is 0 for equal values, 1 for values that only look different to a
// computer, and otherwise up to 1002 by how much of them lies between their common
// beginning and their common end, beyond the class of the difference: another
// issuer is nearer than another subject, and both together are the farthest.
func distance(field Field, want, got string) int {
	if want == got {
		return 0
	}
	if normalise(want, alike(field)) == normalise(got, alike(field)) {
		return 1
	}
	n := common(want, got)
	w, g := want[n:], got[n:]
	end := 0
	for end < len(w) && end < len(g) && w[len(w)-1-end] == g[len(g)-1-end] {
		end++
	}
	whole := max(len(want), len(got))
	class := 0
	switch {
	case field == Issuer:
		class = 2
	case field == Subject && akin(want, got):
		class = 3
	case field == Subject:
		class = 4
	}
	return class*far + 2 + 1000*(whole-n-end)/whole
}

// akin says that a credential's subject was probably meant for a token's: it is
// the service account of the same name, or a pattern that would fit.
func akin(want, got string) bool {
	if before, after, wild := strings.Cut(want, "*"); wild {
		return strings.HasPrefix(got, before) && strings.HasSuffix(got, after)
	}
	_, w, wok := ParseServiceAccountSubject(want)
	_, g, gok := ParseServiceAccountSubject(got)
	return wok && gok && w == g
}

// explain compares two values that differ.
func explain(field Field, want, got string) Difference {
	d := Difference{Field: field, Want: want, Got: got, At: utf8.RuneCountInString(want[:common(want, got)])}
	n := noun(field)
	if got == "" {
		d.Reasons, d.Hint = []Reason{Absent}, "the token has no "+n
		return d
	}
	var hints []string
	add := func(r Reason, format string, args ...any) {
		d.Reasons = append(d.Reasons, r)
		hints = append(hints, fmt.Sprintf(format, args...))
	}
	if causes := enough(field, want, got); causes != nil {
		for _, r := range causes {
			add(r, "%s", blame(r, n, want, got, d.At))
		}
		d.Hint = strings.Join(hints, "; ")
		return d
	}
	switch field {
	case Issuer:
		w, g := cutURL(want), cutURL(got)
		if !w.ok || !g.ok {
			break
		}
		for _, part := range []struct {
			reason    Reason
			name      string
			want, got string
		}{
			{Scheme, "scheme", w.scheme, g.scheme},
			{Host, "host", w.host, g.host},
			{Port, "port", w.port, g.port},
			{Path, "path", w.path, g.path},
		} {
			if part.want != part.got {
				add(part.reason, "the %s differs: %s in the credential, %s in the token", part.name, show(part.want), show(part.got))
			}
		}
	case Subject:
		wns, wname, wok := ParseServiceAccountSubject(want)
		gns, gname, gok := ParseServiceAccountSubject(got)
		if !wok || !gok {
			break
		}
		if wns != gns {
			add(Namespace, "the namespace differs: %s in the credential, %s in the token", show(wns), show(gns))
		}
		if wname != gname {
			add(ServiceAccount, "the service account differs: %s in the credential, %s in the token", show(wname), show(gname))
		}
	}
	if strings.Contains(want, "*") {
		add(Wildcard, `"*" in the credential's %s stands for itself and is no wildcard`, n)
	}
	if len(d.Reasons) == 0 {
		add(Other, "%s", where(n, want, got, d.At))
	}
	d.Hint = strings.Join(hints, "; ")
	return d
}

// where points at the first difference of two values.
func where(noun, want, got string, at int) string {
	w, g := from(want, at), from(got, at)
	switch {
	case g == "":
		return fmt.Sprintf("the credential's %s goes on after character %d with %s", noun, at, show(w))
	case w == "":
		return fmt.Sprintf("the token's %s goes on after character %d with %s", noun, at, show(g))
	case at == 0:
		return fmt.Sprintf("the %s differs from the first character on: %s in the credential, %s in the token", noun, show(w), show(g))
	default:
		return fmt.Sprintf("the %s differs from character %d on: %s in the credential, %s in the token", noun, at+1, show(w), show(g))
	}
}

// common is the length in bytes of what both begin with, in whole characters.
func common(s, t string) int {
	n := 0
	for n < len(s) && n < len(t) && s[n] == t[n] {
		n++
	}
	for n > 0 && (n < len(s) && !utf8.RuneStart(s[n]) || n < len(t) && !utf8.RuneStart(t[n])) {
		n--
	}
	return n
}

// from is s without its first n characters.
func from(s string, n int) string {
	for range n {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

func show(s string) string {
	if s == "" {
		return "none"
	}
	return quote(s, 60)
}

func noun(f Field) string {
	if f == Audiences {
		return "audience"
	}
	return string(f)
}
