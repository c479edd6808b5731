package e2e

import (
	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
)

// trustIn is the credential that trusts the tests' workload.
func trustIn(issuer *localissuer.Issuer) client.FederatedCredential {
	return client.FederatedCredential{Name: "cluster", Issuer: issuer.URL(), Subject: subject, Audiences: []string{audience}}
}

func subjectUpdate(subject string) client.FederatedCredentialUpdate {
	return client.FederatedCredentialUpdate{Subject: subject}
}
