package credential

import (
	"unicode"
	"unicode/utf8"
)

// Trust is a stored credential, reduced to what matching needs.
type Trust struct{ ID, Issuer, Subject, Audience string }

// Assertion is what a token claims. Audiences holds its aud, one element when
// that is a string.
type Assertion struct {
	Issuer, Subject string
	Audiences       []string
}

// Miss says why no trust fits an assertion, as the first of the checks that
// nothing passed. Hit, the zero value, says that one does.
type Miss string

const (
	Hit Miss = ""
	// NoCredential: there is nothing to compare with.
	NoCredential Miss = "no_credential"
	// IssuerMiss: no trust names the issuer.
	IssuerMiss Miss = "issuer"
	// SubjectMiss: none that names the issuer names the subject.
	SubjectMiss Miss = "subject"
	// SubjectCaseMiss: as SubjectMiss, but one of them differs in case only.
	SubjectCaseMiss Miss = "subject_case"
	// AudienceMiss: none that names both names the audience, or the token has
	// several audiences and may have one.
	AudienceMiss Miss = "audience"
)

// Match finds the trust that fits a. Issuer and subject must be equal byte for
// byte and so must one audience; a token with several audiences fits nothing
// unless manyAudiences is set. Empty claims fit nothing. The index is -1 unless
// miss is Hit.
//
// It is linear in the trusts, allocates nothing and says nothing about whether
// the token is genuine: that is checked after a hit, against the issuer of the
// trust, so that a token of an unknown issuer costs no fetch.
func Match(trusts []Trust, a Assertion, manyAudiences bool) (index int, miss Miss) {
	if len(trusts) == 0 {
		return -1, NoCredential
	}
	miss = IssuerMiss
	for i, t := range trusts {
		if t.Issuer != a.Issuer || a.Issuer == "" {
			continue
		}
		if t.Subject != a.Subject || a.Subject == "" {
			if miss == IssuerMiss {
				miss = SubjectMiss
			}
			continue
		}
		if hasAudience(a.Audiences, t.Audience, manyAudiences) {
			return i, Hit
		}
		miss = AudienceMiss
	}
	if miss == SubjectMiss && a.Subject != "" {
		for _, t := range trusts {
			if t.Issuer == a.Issuer && equalFold(t.Subject, a.Subject) {
				return -1, SubjectCaseMiss
			}
		}
	}
	return -1, miss
}

func hasAudience(presented []string, want string, many bool) bool {
	if want == "" || len(presented) > 1 && !many {
		return false
	}
	for _, a := range presented {
		if a == want {
			return true
		}
	}
	return false
}

// equalFold reports whether s and t differ in case only. Unlike
// strings.EqualFold it keeps ASCII to itself, so that U+017F (ſ) is no s and
// U+212A (K) no k: those are look-alikes, not the other case.
func equalFold(s, t string) bool {
	for s != "" && t != "" {
		r, n := utf8.DecodeRuneInString(s)
		q, m := utf8.DecodeRuneInString(t)
		if r != q && fold(r) != fold(q) || r == utf8.RuneError && s[:n] != t[:m] {
			return false
		}
		s, t = s[n:], t[m:]
	}
	return s == t
}

func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	// The least letter of the orbit beyond ASCII stands for all of them.
	least := r
	for q := unicode.SimpleFold(r); q != r; q = unicode.SimpleFold(q) {
		if q >= utf8.RuneSelf {
			least = min(least, q)
		}
	}
	return least
}
