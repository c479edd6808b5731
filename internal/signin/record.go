package signin

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a field in bytes. What people can register has at most 600
// characters; what strangers present may be longer and ends with an ellipsis.
const maxText = 600

const ellipsis = "…"

// Record is one exchange with a tenant that exists, granted or refused. Text
// that is too long, not UTF-8 or has control characters is mended, not refused.
type Record struct {
	ID           string    // given by the Recorder
	At           time.Time // zero: when it is recorded; kept in milliseconds
	TenantID     string    // without one a record is for nobody to see and is not kept
	ClientID     string
	PrincipalID  string
	ClientName   string
	ClientKind   string
	CredentialID string // the credential that matched, if one did
	Issuer       string
	Subject      string
	Audience     string
	Resource     string
	Method       string // assertion or secret
	Reason       string // why it was refused, for people
	Address      string // of the client
	RequestID    string
	TokenID      string // of the token that was issued
	Code         int    // 0: granted, else the AADSTS number
}

// texts lists the text fields in the order of the columns.
func (r *Record) texts() []*string {
	return []*string{
		&r.TenantID, &r.ClientID, &r.PrincipalID, &r.ClientName, &r.ClientKind, &r.CredentialID,
		&r.Issuer, &r.Subject, &r.Audience, &r.Resource, &r.Method, &r.Reason, &r.Address, &r.RequestID, &r.TokenID,
	}
}

// own mends the text fields and copies them into memory of their own: a field
// may be a part of a request's body, which must not stay alive with it.
func (r *Record) own() {
	var all strings.Builder
	texts := r.texts()
	size := 0
	for _, s := range texts {
		*s = mend(*s)
		size += len(*s)
	}
	all.Grow(size)
	for _, s := range texts {
		all.WriteString(*s)
	}
	rest := all.String()
	for _, s := range texts {
		*s, rest = rest[:len(*s)], rest[len(*s):]
	}
}

// mend makes s a text that both databases take (PostgreSQL has no NUL) and that
// is safe to print.
func mend(s string) string {
	s, long := cut(s)
	if !isPlain(s) {
		var longer bool // the replacement character has three bytes
		s, longer = cut(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return utf8.RuneError
			}
			return r // a byte that is not UTF-8 is utf8.RuneError already
		}, s))
		long = long || longer
	}
	if long {
		s += ellipsis
	}
	return s
}

// isPlain says whether s is printable ASCII, as nearly all text here is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut shortens s to maxText bytes of whole characters.
func cut(s string) (short string, long bool) {
	if len(s) <= maxText {
		return s, false
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end], true
}
