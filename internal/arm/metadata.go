package arm

// What clients read at /metadata/endpoints before they know anything else has
// three shapes, by api-version: az 2.45 registers a cloud from the first and
// reads the second from ARM_CLOUD_METADATA_URL; az 2.73 and Terraform's
// providers read the third.

type legacyEndpoints struct {
	GalleryEndpoint string               `json:"galleryEndpoint"`
	GraphEndpoint   string               `json:"graphEndpoint"`
	PortalEndpoint  string               `json:"portalEndpoint"`
	Authentication  legacyAuthentication `json:"authentication"`
}

type legacyAuthentication struct {
	LoginEndpoint string   `json:"loginEndpoint"`
	Audiences     []string `json:"audiences"`
}

type cloud struct {
	Name                     string              `json:"name"`
	Portal                   string              `json:"portal"`
	Authentication           cloudAuthentication `json:"authentication"`
	ResourceManager          string              `json:"resourceManager"`
	MicrosoftGraphResourceID string              `json:"microsoftGraphResourceId"`
	GraphAudience            string              `json:"graphAudience"`
	Graph                    string              `json:"graph"`
	Gallery                  string              `json:"gallery"`
	Batch                    string              `json:"batch"`
	Media                    string              `json:"media"`
	SQLManagement            string              `json:"sqlManagement"`
	VMImageAliasDoc          string              `json:"vmImageAliasDoc"`
	ActiveDirectoryDataLake  string              `json:"activeDirectoryDataLake"`
	Suffixes                 map[string]string   `json:"suffixes"`
}

type cloudAuthentication struct {
	LoginEndpoint    string   `json:"loginEndpoint"`
	Audiences        []string `json:"audiences"`
	Tenant           string   `json:"tenant"`
	IdentityProvider string   `json:"identityProvider"`
}

// The first versions of the second and of the third shape. Versions are
// compared as text, which orders dates; "1.0" comes before all of them.
const (
	firstArray  = "2019-05-01"
	firstObject = "2022-09-01"
)

// metadata answers anybody. The first two shapes send az to the adfs form of
// the login endpoint, the only one with which az 2.45 does not ask Microsoft
// whether it may trust this host; the third names the host itself, below which
// Terraform looks for /{tenant}/oauth2/v2.0/token.
func (s *Surface) metadata(c *call) (*answer, error) {
	base, audiences := c.base, []string{"https://management.core.windows.net/", "https://management.azure.com/"}
	if c.version < firstArray {
		return found(legacyEndpoints{GalleryEndpoint: base + "/", GraphEndpoint: base + "/", PortalEndpoint: base + "/", Authentication: legacyAuthentication{base + "/adfs", audiences}}), nil
	}
	name := s.config.CloudName
	if name == "" {
		name = "Entente"
	}
	described := cloud{
		Name: name, Portal: base, Authentication: cloudAuthentication{base + "/adfs", audiences, "common", "AAD"}, ResourceManager: base,
		MicrosoftGraphResourceID: base + "/", GraphAudience: base + "/", Graph: base + "/", Gallery: base + "/", Batch: base + "/", Media: base + "/",
		SQLManagement: base + "/", VMImageAliasDoc: base + "/", ActiveDirectoryDataLake: base + "/",
		Suffixes: map[string]string{"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
	}
	if c.version < firstObject {
		return found([]cloud{described}), nil
	}
	described.Authentication.LoginEndpoint = base
	return found(described), nil
}
