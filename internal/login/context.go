package login

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/entente-id/entente/client"
)

// Method is a way in which a caller proves who they are.
type Method string

// The methods. The zero value is that nobody has logged in.
const (
	AzureCLI        Method = "az"               // whoever is logged in to the Azure CLI
	Environment     Method = "environment"      // what the Azure SDKs read: AZURE_CLIENT_ID and its proof
	Secret          Method = "secret"           // a client secret, kept in the file of secrets
	Certificate     Method = "certificate"      // a certificate with its private key, in a file
	Federated       Method = "federated"        // a token of an issuer that is trusted, in a file
	ManagedIdentity Method = "managed-identity" // what the machine or the pod has
)

// Login says how a context authenticates. It holds no secret.
type Login struct {
	Method          Method `json:"method"`
	ClientID        string `json:"clientId,omitempty"`        // of Secret, Certificate, Federated; of ManagedIdentity where it is user-assigned
	CertificateFile string `json:"certificateFile,omitempty"` // PEM or PKCS #12, absolute
	KeyFile         string `json:"keyFile,omitempty"`         // PEM, absolute; empty: the private key stands in CertificateFile
	TokenFile       string `json:"tokenFile,omitempty"`       // read anew for every token, absolute
}

func (l Login) check() error {
	known := map[Method]bool{"": true, AzureCLI: true, Environment: true, ManagedIdentity: true, Secret: true, Certificate: true, Federated: true}
	switch {
	case !known[l.Method]:
		return fmt.Errorf("login: the method %q is not known", l.Method)
	case l.ClientID == "" && (l.Method == Secret || l.Method == Certificate || l.Method == Federated):
		return fmt.Errorf("login by %s: there is no client id", l.Method)
	case l.CertificateFile == "" && l.Method == Certificate:
		return errors.New("login by certificate: there is no file")
	case l.TokenFile == "" && l.Method == Federated:
		return errors.New("login by a federated token: there is no file")
	}
	return nil
}

// Context is a service with a name, and who calls it.
type Context struct {
	Name           string `json:"name"`
	Cloud          string `json:"cloud,omitempty"` // one of Clouds(); empty: an Entente service
	URL            string `json:"url,omitempty"`   // of an Entente service: https, without a slash at its end
	CA             string `json:"ca,omitempty"`    // PEM certificates that are trusted for it, and no other; empty: the system's
	TenantID       string `json:"tenant,omitempty"`
	SubscriptionID string `json:"subscription,omitempty"`
	Login          Login  `json:"login,omitzero"`
}

// IsAzure tells Azure's clouds from Entente services.
func (c Context) IsAzure() bool { return c.Cloud != "" }

// Endpoints are where the three wires of the context are.
func (c Context) Endpoints() client.Endpoints {
	if _, e, ok := Cloud(c.Cloud); ok {
		return e
	}
	return client.Entente(c.URL)
}

// where is what a secret is bound to.
func (c Context) where() string { return c.Endpoints().Authority }

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Check says whether a context can be kept.
func (c Context) Check() error {
	if !contextName.MatchString(c.Name) {
		return fmt.Errorf("name %q is not up to 64 letters, digits, dots, hyphens and underscores", c.Name)
	}
	if ours, _, reserved := Cloud(c.Name); reserved && (ours != c.Name || ours != c.Cloud) {
		return fmt.Errorf("name %q is the one of a cloud of Azure", c.Name)
	}
	fault := func(err error) error { return fmt.Errorf("context %q: %w", c.Name, err) }
	switch {
	case c.Cloud != "" && c.URL != "":
		return fault(errors.New("it has both a cloud and a URL"))
	case c.Cloud != "" && !slices.Contains(Clouds(), c.Cloud):
		return fault(fmt.Errorf("cloud %q is none of %s", c.Cloud, strings.Join(Clouds(), ", ")))
	case c.Cloud == "":
		if err := checkURL(c.URL); err != nil {
			return fault(err)
		}
	}
	if c.CA != "" {
		if err := checkCA([]byte(c.CA)); err != nil {
			return fault(err)
		}
	}
	if err := c.Login.check(); err != nil {
		return fault(err)
	}
	return nil
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%q is not an https URL", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(address, "/"):
		return fmt.Errorf("%q has more than a host and a path", u.Redacted())
	}
	return nil
}

// checkCA wants PEM blocks that are certificates, at least one, and no private key.
func checkCA(text []byte) error {
	n := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("the CA: there is a %q in it, which is no certificate", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("the CA: %w", err)
		}
		n++
	}
	if n == 0 {
		return errors.New("the CA: there is no certificate in it")
	}
	return nil
}

// Contexts are those that are kept, and which one counts where none is named.
type Contexts struct {
	Current string    `json:"current,omitempty"`
	All     []Context `json:"contexts"`
}

// Find returns the context with a name. Azure's clouds are found by any of their
// names, also where nothing was kept about them.
func (c Contexts) Find(name string) (Context, bool) {
	if ours, _, ok := Cloud(name); ok {
		name = ours
	}
	if i := c.index(name); i >= 0 {
		return c.All[i], true
	}
	if slices.Contains(Clouds(), name) {
		return Context{Name: name, Cloud: name}, true
	}
	return Context{}, false
}

// Names are those of the kept contexts and of Azure's clouds.
func (c Contexts) Names() []string {
	var names []string
	for _, one := range c.All {
		names = append(names, one.Name)
	}
	for _, name := range Clouds() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (c Contexts) index(name string) int {
	return slices.IndexFunc(c.All, func(one Context) bool { return one.Name == name })
}

// put adds a context or replaces the one with its name.
func (c *Contexts) put(one Context) {
	if i := c.index(one.Name); i >= 0 {
		c.All[i] = one
		return
	}
	c.All = append(c.All, one)
}

// remove forgets a context, and that it was the current one.
func (c *Contexts) remove(name string) (was bool) {
	i := c.index(name)
	if i < 0 {
		return false
	}
	c.All = slices.Delete(c.All, i, i+1)
	if c.Current == name {
		c.Current = ""
	}
	return true
}
