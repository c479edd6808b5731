package credential

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ValidateIssuer applies the rule for issuers alone, which holds for a
// credential and for a registered issuer alike, and returns nil or a *Violation.
//
// An issuer is an https URL of at most MaxIssuer characters with a host and
// without user information, query or fragment (OpenID Connect Discovery 1.0
// section 2; RFC 8414 section 2). It is ASCII, as RFC 3986 wants URLs: a host
// in another script is written in its "xn--" form, where it cannot be taken for
// one that it only looks like. Nothing is normalised, since tokens are compared
// with these very bytes; the scheme has to be in lower case for that reason.
// Private and local hosts are valid here: whether they are fetched is decided
// where they are dialled.
func ValidateIssuer(issuer string) error {
	if v := checkIssuer(issuer); v != nil {
		return v
	}
	return nil
}

func checkIssuer(issuer string) *Violation {
	if v := checkLength(Issuer, issuer, MaxIssuer); v != nil {
		return v
	}
	violate := func(rule Rule, format string, args ...any) *Violation {
		return &Violation{Issuer, rule, issuer, fmt.Sprintf(format, args...)}
	}
	if v := checkURLBytes(issuer); v != "" {
		return violate(Malformed, "%s", v)
	}

	const scheme = "https://"
	rest, ok := strings.CutPrefix(issuer, scheme)
	if !ok {
		switch lower := strings.ToLower(issuer); {
		case strings.HasPrefix(lower, scheme):
			return violate(Malformed, "must begin with %q in lower case", scheme)
		case strings.HasPrefix(lower, "http://"):
			return violate(Forbidden, "must use https")
		default:
			return violate(Malformed, "must be a URL that begins with %q", scheme)
		}
	}
	if strings.Contains(rest, "?") {
		return violate(Forbidden, "must not have a query")
	}
	if strings.Contains(rest, "#") {
		return violate(Forbidden, "must not have a fragment")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Contains(authority, "@") {
		return violate(Forbidden, "must not have user information")
	}
	if v := checkAuthority(authority); v != "" {
		return violate(Malformed, "%s", v)
	}
	if v := checkPath(path); v != "" {
		return violate(Malformed, "%s", v)
	}
	return nil
}

// checkURLBytes refuses what stands in no URL (RFC 3986 section 2).
func checkURLBytes(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return checkASCII(s, i)
		case c == ' ' || '\t' <= c && c <= '\r':
			return "must not hold white space"
		case c < ' ' || c == 0x7f:
			return "must not hold control characters"
		case strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			return fmt.Sprintf("must not hold %q, which stands in no URL", string(rune(c)))
		}
	}
	return ""
}

// checkASCII says of what stands at s[i], which is not ASCII, what it is.
func checkASCII(s string, i int) string {
	const form = `a host is written in its "xn--" form, a path percent-encoded`
	r, size := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && size == 1 {
		return "must be ASCII: " + form
	}
	text, disguised := described(r, i+1)
	if disguised {
		return "must be ASCII, and holds " + text
	}
	return "must be ASCII, and holds " + text + ": " + form
}

// checkAuthority takes a host name, an IPv4 address or an IPv6 address in
// brackets, and a port.
func checkAuthority(authority string) string {
	host, port, colon := authority, "", false
	if strings.HasPrefix(authority, "[") {
		literal, after, closed := strings.Cut(authority[1:], "]")
		a, err := netip.ParseAddr(literal)
		if !closed || err != nil || !a.Is6() || a.Zone() != "" {
			return "must have an IPv6 address without a zone between its brackets"
		}
		if after != "" && after[0] != ':' {
			return "must have nothing but a port after its address"
		}
		port, colon = strings.CutPrefix(after, ":")
	} else {
		host, port, colon = strings.Cut(authority, ":")
		if host == "" {
			return "must have a host"
		}
		if strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
			return "must have a host without empty labels"
		}
		for i := range len(host) {
			if c := host[i]; !alphanumeric(c) && c != '-' && c != '.' && c != '_' {
				return fmt.Sprintf("must have a host of letters, digits, %q, %q and %q", "-", ".", "_")
			}
		}
	}
	if !colon {
		return ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "must have a port between 1 and 65535, or none and no colon"
	}
	return ""
}

// checkPath wants every percent sign to begin an octet, and no octet to be a
// control character.
func checkPath(path string) string {
	if strings.ContainsAny(path, "[]") {
		return "must not hold brackets in its path"
	}
	for {
		_, after, found := strings.Cut(path, "%")
		if !found {
			return ""
		}
		if len(after) < 2 {
			return "must not hold an incomplete percent-encoding"
		}
		c, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			return "must not hold a malformed percent-encoding"
		}
		if c < ' ' || c == 0x7f {
			return "must not hold encoded control characters"
		}
		path = after[2:]
	}
}
