package credential

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Caution is something in a valid credential that is probably not what its
// author meant. It refuses nothing: tokens with such values may exist.
type Caution struct {
	Field  Field
	Detail string // one clause about the field, without its name
	Plain  string // what the value looks like, where it holds a character that is not what it looks like; else empty
}

const discoveryPath = "/.well-known/openid-configuration"

// Cautions lists what is worth a second look before s is saved, in the order of
// the fields; none for most credentials.
func (s Spec) Cautions() []Caution {
	var out []Caution
	add := func(f Field, format string, args ...any) {
		out = append(out, Caution{Field: f, Detail: fmt.Sprintf(format, args...)})
	}
	if slashless(s.Issuer) {
		add(Issuer, `does not end with "/", as the issuers of Azure Kubernetes Service do`)
	}
	if strings.HasSuffix(s.Issuer, discoveryPath) {
		add(Issuer, "is the address of a discovery document; the issuer is what stands before %q", discoveryPath)
	}
	values := []struct {
		field Field
		value string
	}{{Subject, s.Subject}}
	for _, a := range s.Audiences {
		values = append(values, struct {
			field Field
			value string
		}{Audiences, a})
	}
	for _, v := range values {
		if strings.TrimSpace(v.value) != v.value {
			add(v.field, "begins or ends with white space")
		}
		if strings.Contains(v.value, "*") {
			add(v.field, `holds "*", which stands for itself and is no wildcard`)
		}
		for i, r := range v.value {
			if text, disguised := described(r, utf8.RuneCountInString(v.value[:i])+1); disguised {
				out = append(out, Caution{v.field, "holds " + text, Plain(v.value)})
				break
			}
		}
	}
	// What only a look-alike spoils has been said.
	plain := Plain(s.Subject)
	if fold := strings.ToLower(strings.TrimSpace(plain)); strings.HasPrefix(fold, serviceAccountPrefix) {
		if _, _, ok := ParseServiceAccountSubject(plain); !ok {
			add(Subject, `is not of the form "system:serviceaccount:NAMESPACE:NAME" that Kubernetes uses`)
		}
	}
	return out
}

// slashless reports whether issuer is one of AKS without its last slash.
// Source: "Create an OpenID Connect provider on Azure Kubernetes Service".
func slashless(issuer string) bool {
	u := cutURL(issuer)
	host := strings.ToLower(u.host)
	return (host == "oidc.prod-aks.azure.com" || strings.HasSuffix(host, ".oic.prod-aks.azure.com")) &&
		host != "ib.oic.prod-aks.azure.com" && !strings.HasSuffix(u.path, "/")
}
