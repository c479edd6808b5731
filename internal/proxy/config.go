package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// PublicAuthority is the authority of the global Azure cloud.
const PublicAuthority = "https://login.microsoftonline.com"

// DefaultPort is the port of azure-workload-identity's proxy.
const DefaultPort = 8000

// Config is what the proxy reads from its environment.
type Config struct {
	TenantID  string // required; "adfs" is the tenant behind a service's AD FS names
	ClientID  string // the identity of requests that name none; may be empty
	TokenFile string // required: the projected service account token
	Authority string // https URL; empty: PublicAuthority
	CAFile    string // PEM certificates that are trusted beside the public roots
	// Secret is what callers of the App Service endpoint send; empty: that endpoint is off.
	Secret     string
	Identities Identities
}

// FromEnvironment reads the variables that azure-workload-identity's webhook sets
// (https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html),
// those of App Service, and ENTENTE_IDENTITIES. Errors name the variable.
func FromEnvironment(getenv func(string) string) (Config, error) {
	c := Config{
		TenantID:  strings.TrimSpace(getenv("AZURE_TENANT_ID")),
		ClientID:  strings.TrimSpace(getenv("AZURE_CLIENT_ID")),
		TokenFile: getenv("AZURE_FEDERATED_TOKEN_FILE"),
		Authority: strings.TrimSpace(getenv("AZURE_AUTHORITY_HOST")),
		CAFile:    getenv("SSL_CERT_FILE"),
		Secret:    getenv("IDENTITY_HEADER"),
	}
	if c.TenantID == "" {
		return Config{}, errors.New("AZURE_TENANT_ID is not set: it is the tenant of the identities (\"adfs\" where the authority has one tenant without an id)")
	}
	if strings.ContainsAny(c.TenantID, "/\\?#%") {
		return Config{}, fmt.Errorf("AZURE_TENANT_ID %q is neither an id nor a domain name", c.TenantID)
	}
	if c.TokenFile == "" {
		return Config{}, errors.New("AZURE_FEDERATED_TOKEN_FILE is not set: it names the file of the projected service account token")
	}
	var err error
	if c.Authority, err = authority(c.Authority); err != nil {
		return Config{}, err
	}
	if c.ClientID != "" {
		if err := checkID(c.ClientID); err != nil {
			return Config{}, fmt.Errorf("AZURE_CLIENT_ID %q %w", c.ClientID, err)
		}
	}
	if c.Identities, err = ParseIdentities(getenv("ENTENTE_IDENTITIES")); err != nil {
		return Config{}, fmt.Errorf("ENTENTE_IDENTITIES: %w", err)
	}
	if c.ClientID == "" && len(c.Identities) == 1 {
		c.ClientID = c.Identities[0].ClientID // as a machine with one user-assigned identity
	}
	return c, nil
}

// authority reads AZURE_AUTHORITY_HOST as the Azure SDKs do: some take it without
// a scheme, and all want https.
func authority(host string) (string, error) {
	if host == "" {
		return PublicAuthority, nil
	}
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("AZURE_AUTHORITY_HOST %q is not an https URL of a host", host)
	}
	return strings.TrimRight(host, "/"), nil
}

// checkID refuses what cannot be the id of a client, of an object or of a resource.
func checkID(id string) error {
	if len(id) > maxID {
		return fmt.Errorf("is longer than %d bytes", maxID)
	}
	for _, r := range id {
		if r <= ' ' || r >= 0x7f {
			return errors.New("holds a character that ids do not have")
		}
	}
	return nil
}

const maxID = 1024 // of bytes; resource ids are the longest
