package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/entente-id/entente/client"
)

// Caller is somebody who calls a service. Its zero fields mean what those of
// [Context] mean.
type Caller struct {
	Endpoints client.Endpoints
	Azure     bool // they are those of a cloud of Azure
	TenantID  string
	Login     Login
	Secret    string                   // of a login by Secret
	HTTP      *http.Client             // nil: a plain one
	Getenv    func(name string) string // for the login by Environment

	password string // of the environment's certificate
}

// ErrNobody says that it is not known who calls.
var ErrNobody = errors.New("nobody is logged in")

// nobody is ErrNobody in words that say why.
type nobody struct{ error }

func (n nobody) Unwrap() error { return n.error }

func (nobody) Is(target error) bool { return target == ErrNobody }

var errNoClient = nobody{errors.New("the environment names no client: AZURE_CLIENT_ID with AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE is not set")}

// FromEnvironment is the login that the environment holds, by the names that the
// Azure SDKs read
// (https://learn.microsoft.com/azure/developer/go/sdk/authentication/authentication-overview),
// in their order: a secret before a certificate before a token's file.
func FromEnvironment(getenv func(string) string) (_ Login, secret string, _ error) {
	l := Login{ClientID: getenv("AZURE_CLIENT_ID")}
	if l.ClientID == "" {
		return Login{}, "", errNoClient
	}
	if secret = getenv("AZURE_CLIENT_SECRET"); secret != "" {
		l.Method = Secret
		return l, secret, nil
	}
	if l.CertificateFile = getenv("AZURE_CLIENT_CERTIFICATE_PATH"); l.CertificateFile != "" {
		l.Method = Certificate
		return l, "", nil
	}
	if l.TokenFile = getenv("AZURE_FEDERATED_TOKEN_FILE"); l.TokenFile != "" {
		l.Method = Federated
		return l, "", nil
	}
	return Login{}, "", errNoClient
}

// Resolved is the caller with what the environment says in place of "environment",
// and the tenant that it names where none is known.
func (c Caller) Resolved() (Caller, error) {
	if c.Login.Method != Environment {
		return c, nil
	}
	getenv := c.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	var err error
	if c.Login, c.Secret, err = FromEnvironment(getenv); err != nil {
		return c, err
	}
	if c.Login.Method == Certificate {
		c.password = getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")
	}
	c.TenantID = cmp.Or(c.TenantID, getenv("AZURE_TENANT_ID"))
	return c, nil
}

// Source makes what gives the caller's tokens. It makes no request.
func (c Caller) Source() (client.TokenSource, error) {
	c, err := c.Resolved()
	if err != nil {
		return nil, err
	}
	if err := c.Login.check(); err != nil {
		return nil, err
	}
	if c.Login.Method == "" {
		return nil, ErrNobody
	}
	// These two are the same everywhere: somebody else knows who we are.
	switch c.Login.Method {
	case AzureCLI:
		return c.azureCLI()
	case ManagedIdentity:
		return c.managedIdentity()
	}
	if c.TenantID == "" {
		return nil, fmt.Errorf("login by %s: the tenant is not known", c.Login.Method)
	}
	if c.Azure {
		return c.azure()
	}
	authority, l := c.Endpoints.Authority, c.Login
	switch l.Method {
	case Secret:
		return client.ClientSecret(authority, c.TenantID, l.ClientID, c.Secret, c.HTTP), nil
	case Federated:
		return client.Federated(authority, c.TenantID, l.ClientID, client.AssertionFile(l.TokenFile), c.HTTP), nil
	}
	s, err := openCertificate(l.CertificateFile, l.KeyFile, c.password)
	if err != nil {
		return nil, err
	}
	audience := authority + "/" + c.TenantID + "/oauth2/v2.0/token"
	return client.Federated(authority, c.TenantID, l.ClientID, func(context.Context) (string, error) {
		return s.assertion(l.ClientID, audience)
	}, c.HTTP), nil
}
