package login

import (
	"slices"
	"strings"

	"github.com/entente-id/entente/client"
)

// The names of Azure's clouds, which are contexts that are always there.
const (
	Public       = "public"
	USGovernment = "usgov"
	China        = "china"
)

type cloud struct {
	name      string
	also      []string // what az, azwi and the SDKs call it, in lower case
	endpoints func() client.Endpoints
}

var clouds = []cloud{
	{Public, []string{"azurecloud", "azurepubliccloud"}, client.Public},
	{USGovernment, []string{"azureusgovernment", "azureusgovernmentcloud"}, client.USGovernment},
	{China, []string{"azurechinacloud"}, client.China},
}

// Clouds are the names of Azure's clouds.
func Clouds() []string { return []string{Public, USGovernment, China} }

// Cloud finds one of Azure's clouds by its name, or by what az ("AzureCloud"), azwi
// and the SDKs ("AzurePublicCloud") call it; case does not matter. It returns the
// name that we have for it.
func Cloud(name string) (ours string, _ client.Endpoints, ok bool) {
	lower := strings.ToLower(name)
	for _, c := range clouds {
		if c.name == lower || slices.Contains(c.also, lower) {
			return c.name, c.endpoints(), true
		}
	}
	return "", client.Endpoints{}, false
}
