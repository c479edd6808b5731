package portal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

const (
	attemptCookieName = "__Host-entente-signin"
	attemptLife       = 10 * time.Minute
	maxReturn         = 1024
)

// attempt is a sign-in under way: what must come back, and where the person wanted to go.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	ReturnTo string `json:"r"`
	Until    int64  `json:"u"` // Unix seconds
}

// attemptCookie is Lax and not Strict because the provider's answer is a
// navigation from another site, and by its prefix no other host can set it
// (RFC 6265bis section 4.1.3.2).
func attemptCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: attemptCookieName, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// purpose is the associated data of the cookie: it opens at no other place,
// nor under another provider, client or mapping.
func (u *upstream) purpose() []byte {
	return []byte("portal sign-in\x00" + u.marked + "\x00" + u.redirect)
}

func (u *upstream) sealAttempt(a attempt) (*http.Cookie, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	sealed, err := u.seal.Encrypt(text, u.purpose())
	if err != nil {
		return nil, err
	}
	return attemptCookie(base64.RawURLEncoding.EncodeToString(sealed), int(attemptLife/time.Second)), nil
}

// openAttempt reads the cookie of a callback. All of its errors look the same to a person.
func (u *upstream) openAttempt(r *http.Request) (attempt, error) {
	a, err := u.readAttempt(r)
	if err != nil {
		return attempt{}, refuseAnswer("This browser has no sign-in under way: it took longer than ten minutes, was finished before, or was begun elsewhere.", err)
	}
	return a, nil
}

func (u *upstream) readAttempt(r *http.Request) (a attempt, err error) {
	cookies := r.CookiesNamed(attemptCookieName)
	if len(cookies) != 1 {
		return a, errors.New("not one sign-in cookie")
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cookies[0].Value)
	if err != nil {
		return a, errors.New("the sign-in cookie is not base64url")
	}
	text, err := u.seal.Decrypt(sealed, u.purpose())
	if err != nil {
		return a, errors.New("the sign-in cookie does not open")
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, errors.New("the sign-in cookie holds something else")
	}
	if u.now().Unix() >= a.Until {
		return attempt{}, errors.New("the sign-in cookie has expired")
	}
	return a, nil
}

// returnPath lets through pages of the portal, whose names it does not judge,
// and makes the first page, Path, of everything else: other hosts in any spelling that some
// browser understands, and the pages of signing in and out.
func returnPath(s string) string {
	if len(s) > maxReturn || strings.Contains(s, "//") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return Path
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Opaque != "" || u.User != nil || u.Host != "" || u.Fragment != "" {
		return Path
	}
	if strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return Path
	}
	if u.Path != Path && !strings.HasPrefix(u.Path, Path+"/") {
		return Path
	}
	for _, not := range []string{"/sign-in", "/sign-out", "/link"} {
		if page := strings.TrimPrefix(u.Path, Path); page == not || strings.HasPrefix(page, not+"/") {
			return Path
		}
	}
	return s
}
