package credential

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const serviceAccountPrefix = "system:serviceaccount:"

// ServiceAccountSubject is the subject of every token of a Kubernetes service
// account: "system:serviceaccount:NAMESPACE:NAME".
func ServiceAccountSubject(namespace, name string) string {
	return serviceAccountPrefix + namespace + ":" + name
}

// ParseServiceAccountSubject is the inverse of ServiceAccountSubject. It takes
// only what Kubernetes itself can issue: a namespace that is an RFC 1123 label
// and a name that is an RFC 1123 subdomain.
func ParseServiceAccountSubject(subject string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(subject, serviceAccountPrefix)
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, ":")
	if !ok || !isLabel(namespace) || !isSubdomain(name) {
		return "", "", false
	}
	return namespace, name, true
}

func isLabel(s string) bool { return len(s) <= 63 && isDashed(s) }

func isSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !isDashed(part) {
			return false
		}
	}
	return true
}

// isDashed reports whether s is lower-case letters, digits and inner dashes.
func isDashed(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}

// AzwiName is the name that azwi gives to the credential of a service account:
// padded URL-safe base64 of SHA-256 of "NAMESPACE-NAME-ISSUER", 44 characters.
func AzwiName(namespace, name, issuer string) string {
	sum := sha256.Sum256([]byte(namespace + "-" + name + "-" + issuer))
	return base64.URLEncoding.EncodeToString(sum[:])
}
