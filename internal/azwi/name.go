package azwi

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// DefaultApplicationName is the display name that azwi gives to an application
// that nobody named: "NAMESPACE-NAME-" and the padded URL-safe base64 of the
// SHA-256 of the issuer.
func DefaultApplicationName(namespace, serviceAccount, issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return namespace + "-" + serviceAccount + "-" + base64.URLEncoding.EncodeToString(sum[:])
}

// IdentityCredentialName is the name of a managed identity's credential for a
// service account. It is azwi's name for an application's, as far as Resource
// Manager takes it: that may neither end in "=" nor begin with "-" or "_".
func IdentityCredentialName(namespace, serviceAccount, issuer string) string {
	return "azwi-" + strings.TrimRight(credential.AzwiName(namespace, serviceAccount, issuer), "=")
}

func (o Options) subject() string {
	return credential.ServiceAccountSubject(o.Namespace, o.ServiceAccount)
}

// credential is the one that the options ask for.
func (o Options) credential() client.FederatedCredential {
	c := client.FederatedCredential{Issuer: o.Issuer, Subject: o.subject(), Audiences: []string{credential.DefaultAudience}}
	if o.Identity() {
		c.Name = IdentityCredentialName(o.Namespace, o.ServiceAccount, o.Issuer) // and no description: Resource Manager has none
		return c
	}
	c.Name = credential.AzwiName(o.Namespace, o.ServiceAccount, o.Issuer)
	c.Description = "Federated Service Account for " + o.Namespace + "/" + o.ServiceAccount
	return c
}
