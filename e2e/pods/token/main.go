// Command token is a program of somebody who uses the Azure SDK for Go: it gets
// an access token and writes {"token"} or {"error"}.
//
//	token SCOPE [CREDENTIAL]
//
// CREDENTIAL is default, which is an unmodified DefaultAzureCredential and what
// the others are by default; no-discovery, the same with its instance discovery
// off; managed-identity, which asks for AZURE_CLIENT_ID's, or with object-id and
// resource-id for the one that IDENTITY names so; or token-proxy, a
// WorkloadIdentityCredential that may use a cluster's token proxy.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

func main() {
	answer := map[string]string{}
	token, err := run(append(os.Args[1:], "", "default"))
	if err != nil {
		answer["error"] = err.Error()
	} else {
		answer["token"] = token
	}
	json.NewEncoder(os.Stdout).Encode(answer)
}

func run(args []string) (string, error) {
	var c azcore.TokenCredential
	var err error
	switch args[1] {
	case "", "default":
		c, err = azidentity.NewDefaultAzureCredential(nil)
	case "no-discovery":
		c, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{DisableInstanceDiscovery: true})
	case "managed-identity":
		c, err = azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(os.Getenv("AZURE_CLIENT_ID"))})
	case "object-id":
		c, err = azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ObjectID(os.Getenv("IDENTITY"))})
	case "resource-id":
		c, err = azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ResourceID(os.Getenv("IDENTITY"))})
	case "token-proxy":
		c, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{EnableAzureProxy: true})
	default:
		err = fmt.Errorf("there is no credential %q", args[1])
	}
	if err != nil {
		return "", err
	}
	token, err := c.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{args[0]}})
	return token.Token, err
}
