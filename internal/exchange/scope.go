package exchange

import (
	"slices"
	"strings"
)

// passedOver are the scopes of OpenID Connect, which clients add to every
// request (MSAL does) and which mean nothing to an application.
var passedOver = []string{"openid", "profile", "offline_access", "email"}

// parseScope returns the resource of a scope parameter: what stands before the
// last "/.default" of the one scope that has it, a slash at its end included,
// so that https://management.core.windows.net//.default asks for a resource
// whose name ends in a slash
// (https://learn.microsoft.com/entra/identity-platform/scopes-oidc#trailing-slash-and-default).
func parseScope(text string) (resource string, reason Reason) {
	others := 0
	for scope := range strings.FieldsSeq(text) {
		name, ok := strings.CutSuffix(scope, "/.default")
		switch {
		case slices.Contains(passedOver, scope):
		case !ok || name == "":
			others++
		case resource != "" && resource != name:
			return "", ScopeManyResources
		default:
			resource = name
		}
	}
	switch {
	case resource == "":
		return "", ScopeInvalid
	case others > 0:
		return "", ScopeMixed
	}
	return resource, ""
}
