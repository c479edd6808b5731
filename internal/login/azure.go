package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/entente-id/entente/client"
)

// sdk gives the tokens of a credential of azidentity.
type sdk struct {
	azcore.TokenCredential
	tenant, clientID string // for errors
	machine          bool   // it, and not the service, says who calls
}

func (s sdk) Token(ctx context.Context, scope string) (client.Token, error) {
	t, err := s.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return client.Token{}, s.explain(err)
	}
	return client.Token{AccessToken: t.Token, ExpiresOn: t.ExpiresOn}, nil
}

// explain makes a refusal one of package client's. The library's own text is the
// whole answer, on many lines.
func (s sdk) explain(err error) error {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if s.machine && (!ok || failed.RawResponse == nil) {
		return nobody{fmt.Errorf("log in: %w", err)}
	}
	if !ok || failed.RawResponse == nil || failed.RawResponse.Body == nil {
		return fmt.Errorf("log in: %w", err)
	}
	var body struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		SubError      string `json:"suberror"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
	}
	text, readErr := io.ReadAll(io.LimitReader(failed.RawResponse.Body, 64<<10))
	if readErr != nil || json.Unmarshal(text, &body) != nil || body.Description == "" {
		return fmt.Errorf("log in: %w", err)
	}
	return &client.TokenError{
		Tenant: s.tenant, ClientID: s.clientID, Status: failed.RawResponse.StatusCode, Code: oneLine(body.Error), Codes: body.Codes,
		Description: oneLine(body.Description), SubError: oneLine(body.SubError), TraceID: oneLine(body.TraceID), CorrelationID: oneLine(body.CorrelationID),
	}
}

// oneLine makes a text of a server fit for a terminal.
func oneLine(s string) string {
	if len(s) > 4000 {
		s = strings.ToValidUTF8(s[:4000], "")
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) || r == unicode.ReplacementChar }), " ")
}

func (c Caller) options() azcore.ClientOptions {
	o := azcore.ClientOptions{Cloud: azcloud.Configuration{ActiveDirectoryAuthorityHost: c.Endpoints.Authority + "/"}}
	if c.HTTP != nil {
		// Where a token is asked for, nothing is sent elsewhere.
		h := *c.HTTP
		h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		o.Transport = &h
	}
	return o
}

// azure is a client that proves itself to Azure.
func (c Caller) azure() (client.TokenSource, error) {
	l, s := c.Login, sdk{tenant: c.TenantID, clientID: c.Login.ClientID}
	var err error
	switch l.Method {
	case Secret:
		s.TokenCredential, err = azidentity.NewClientSecretCredential(c.TenantID, l.ClientID, c.Secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: c.options()})
	case Federated:
		s.TokenCredential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: c.options(), ClientID: l.ClientID, TenantID: c.TenantID, TokenFilePath: l.TokenFile,
		})
	default:
		var own *certificate
		if own, err = openCertificate(l.CertificateFile, l.KeyFile, c.password); err == nil {
			s.TokenCredential, err = azidentity.NewClientCertificateCredential(c.TenantID, l.ClientID, own.chain, own.key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: c.options()})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("login by %s: %w", l.Method, err)
	}
	return s, nil
}

// azureCLI is whoever is logged in to az, in the tenant of the context.
func (c Caller) azureCLI() (client.TokenSource, error) {
	credential, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: c.TenantID})
	if err != nil {
		return nil, fmt.Errorf("login by az: %w", err)
	}
	return &held{from: sdk{TokenCredential: credential, tenant: c.TenantID, machine: true}}, nil
}

// managedIdentity is what the machine has. The library asks an address of the
// machine's own and not the service, so the HTTP client of the service is not used.
func (c Caller) managedIdentity() (client.TokenSource, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{}
	if c.Login.ClientID != "" {
		o.ID = azidentity.ClientID(c.Login.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(o)
	if err != nil {
		return nil, fmt.Errorf("login by managed identity: %w", err)
	}
	return sdk{TokenCredential: credential, tenant: c.TenantID, clientID: c.Login.ClientID, machine: true}, nil
}
