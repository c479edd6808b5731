package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// azwiAuth is azwi's flags for who calls where, beside those of every client verb.
type azwiAuth struct {
	connection
	environment, subscription string
	method, clientID, secret  string
	certificate, key          string

	http *http.Client // of a test
}

// azwiHelp ends the help of azwi's commands.
const azwiHelp = `

azwi's commands work on Azure with --azure-env, on the service that --data-dir,
--url, --context, --cloud or the environment of "entente env" names, else on that of
the current context or the default data directory, and if there is none of these on
Azure. Azure is asked as whoever is logged in to az, unless --auth-method says
otherwise. A secret is best given in ENTENTE_CLIENT_SECRET.`

const defaultAzureEnvironment = "AzurePublicCloud"

func (a *azwiAuth) flags(f *pflag.FlagSet) {
	f.StringVar(&a.environment, "azure-env", defaultAzureEnvironment, "`CLOUD`: AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, or AzureStackCloud with AZURE_ENVIRONMENT_FILEPATH")
	f.StringVarP(&a.subscription, "subscription-id", "s", "", "`ID` of the subscription (default: the one that az has chosen)")
	f.StringVar(&a.method, "auth-method", "cli", "`METHOD`: cli, client_secret or client_certificate")
	f.StringVar(&a.clientID, "client-id", "", "client `ID` for client_secret and client_certificate")
	f.StringVar(&a.secret, "client-secret", "", "`SECRET` for client_secret")
	f.StringVar(&a.certificate, "certificate-path", "", "PEM `FILE` of the certificate for client_certificate")
	f.StringVar(&a.key, "private-key-path", "", "PEM `FILE` of its private key")
	a.connection.flags(f)
}

// check looks at the flags alone.
func (a *azwiAuth) check(cmd *cobra.Command) error {
	if _, _, err := a.login(cmd); err != nil {
		return err
	}
	if !cmd.Flags().Changed("azure-env") {
		return nil
	}
	for _, other := range []string{"url", "ca", "data-dir", "context", "cloud"} {
		if wasGiven(cmd.Flags(), other) {
			return fmt.Errorf("--azure-env says that Azure is meant, and --%s another service", other)
		}
	}
	_, err := azureEnvironment(a.environment, os.Getenv)
	return err
}

// login is who calls by azwi's flags; without a method, nobody is named by them.
func (a *azwiAuth) login(cmd *cobra.Command) (l login.Login, secret string, err error) {
	method := a.method
	if method == "cli" && a.clientID != "" && a.secret != "" {
		method = "client_secret"
	}
	switch method {
	case "":
		return l, "", errors.New("--auth-method is a required parameter")
	case "cli":
		if cmd.Flags().Changed("auth-method") {
			l.Method = login.AzureCLI
		}
		return l, "", nil
	case "client_secret", "client_certificate":
	default:
		return l, "", fmt.Errorf("--auth-method: ERROR: method unsupported. method=%q", method)
	}
	id, err := uuid.Parse(a.clientID)
	if err != nil {
		return l, "", fmt.Errorf("parsing --client-id: %w", err)
	}
	l.ClientID = id.String()
	if method == "client_secret" {
		if a.secret == "" {
			return l, "", errors.New(`--client-secret must be specified when --auth-method="client_secret"`)
		}
		l.Method = login.Secret
		return l, a.secret, nil
	}
	if a.certificate == "" || a.key == "" {
		return l, "", errors.New(`--certificate-path and --private-key-path must be specified when --auth-method="client_certificate"`)
	}
	l.Method, l.CertificateFile, l.KeyFile = login.Certificate, a.certificate, a.key
	return l, "", nil
}

// azwiTarget is where azwi's verbs work, and as whom.
type azwiTarget struct {
	endpoints    client.Endpoints
	azure        bool // a cloud of Azure
	tenantID     string
	subscription func(context.Context) (string, error) // of managed identities
	http         *http.Client
	session      *session // with its own caller; nil: none

	login  login.Login // of azwi's flags, before the session's
	secret string
}

// credentialFor says who calls, and where. It is the one place where that is
// decided: azwi's flags come before what the session has.
func (t *azwiTarget) credentialFor() (client.TokenSource, client.Endpoints, error) {
	switch {
	case t.login.Method != "":
	case t.session == nil, t.azure && t.session.caller.method == login.AzureCLI: // whose tenant az has to be told
		t.login.Method = login.AzureCLI
	default:
		return t.session.source, t.endpoints, nil
	}
	who := login.Caller{Endpoints: t.endpoints, Azure: t.azure, TenantID: t.tenantID, Login: t.login, Secret: t.secret, HTTP: t.http}
	source, err := who.Source()
	return source, t.endpoints, err
}

// explain gives an error the hint that mends it.
func (t *azwiTarget) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*hinted](err); ok {
		return err
	}
	if t.session != nil && !t.azure && errors.Is(err, syscall.ECONNREFUSED) {
		return hint(err, "nothing answers at %s: start the service with \"entente serve\", name another with --url URL, or work on Azure with --azure-env %s", t.session.authority, defaultAzureEnvironment)
	}
	if t.session != nil && t.login.Method == "" {
		return t.session.explain(err)
	}
	if refusal, ok := errors.AsType[*client.TokenError](err); ok && refusal.Status < 500 {
		return hint(err, "--auth-method, --client-id and the flags beside them say who calls")
	}
	return err
}

// open finds where to work.
func (a *azwiAuth) open(cmd *cobra.Command, log *slog.Logger) (*azwiTarget, error) {
	l, secret, err := a.login(cmd)
	if err != nil {
		return nil, err
	}
	t := &azwiTarget{login: l, secret: secret, http: a.http}
	if cmd.Flags().Changed("azure-env") {
		return t, a.toAzure(cmd, t, log)
	}
	c := a.connection
	if l.Method != "" {
		c.as = &login.Caller{Login: l, Secret: secret}
	}
	s, err := c.open(cmd)
	switch {
	case err == nil:
		t.session, t.endpoints, t.azure, t.http = s, s.endpoints, s.azure, s.http
	case a.unnamed(cmd) && errors.Is(err, fs.ErrNotExist):
		return t, a.toAzure(cmd, t, log)
	default:
		return nil, err
	}
	if s.azure {
		return t, a.toAzure(cmd, t, log)
	}
	log.Info("using the service "+s.authority, "tenantID", s.tenantID)
	t.tenantID = s.tenantID
	t.subscription = func(ctx context.Context) (string, error) {
		if a.subscription != "" {
			return parseSubscription(a.subscription)
		}
		id, err := s.subscriptionID(ctx, "")
		return id, s.explain(err)
	}
	return t, nil
}

// unnamed says that nothing but the default data directory could be the service.
func (a *azwiAuth) unnamed(cmd *cobra.Command) bool {
	return a.url == "" && a.ca == "" && a.context == "" && a.cloud == "" && !cmd.Flags().Changed("data-dir")
}

// toAzure completes a target in Azure by azwi's rules: the subscription is that of
// the flag or of az, and the tenant is that of the subscription.
func (a *azwiAuth) toAzure(cmd *cobra.Command, t *azwiTarget, log *slog.Logger) (err error) {
	ctx := cmd.Context()
	if t.endpoints == (client.Endpoints{}) {
		if t.endpoints, err = azureEnvironment(a.environment, os.Getenv); err != nil {
			return err
		}
		_, _, t.azure = login.Cloud(a.environment)
	}
	if t.http == nil {
		t.http = trustingOnly(nil)
	}
	id, err := a.azureSubscription(t, log)
	if err != nil {
		return err
	}
	t.subscription = func(context.Context) (string, error) { return id, nil }
	switch {
	case t.session != nil && t.session.tenantID != "":
		t.tenantID = t.session.tenantID
	case wasGiven(cmd.Flags(), "tenant"): // ENTENTE_TENANT is a service's
		if tenant, err := uuid.Parse(a.tenant); err == nil {
			t.tenantID = tenant.String()
		} else if t.tenantID, err = client.ResolveTenant(ctx, t.endpoints.Authority, a.tenant, t.http); err != nil {
			return err
		}
	default:
		if t.tenantID, err = client.DiscoverTenant(ctx, t.endpoints.ResourceManager, id, t.http); err != nil {
			return fmt.Errorf("finding the tenant: %w", err)
		}
	}
	log.Debug("using Azure", "resourceManager", t.endpoints.ResourceManager, "subscriptionID", id, "tenantID", t.tenantID)
	return nil
}

// azureSubscription is the one of the flag, of the context, or of az.
func (a *azwiAuth) azureSubscription(t *azwiTarget, log *slog.Logger) (string, error) {
	if id, err := parseSubscription(a.subscription); err == nil {
		return id, nil
	}
	if a.subscription != "" {
		log.Warn("--subscription-id is no UUID", "given", a.subscription)
	} else if t.session != nil && t.session.subscription != "" {
		return t.session.subscription, nil
	}
	id, err := azSubscription(os.Getenv)
	if err != nil {
		return "", hint(errSubscription, "az login, and az account set -s ID, choose one for az and for this command")
	}
	log.Info("No subscription provided, using selected subscription from Azure CLI", "subscriptionID", id)
	return id, nil
}

// azureEnvironment is where a cloud is, by azwi's name for it.
func azureEnvironment(name string, getenv func(string) string) (client.Endpoints, error) {
	const failed = "failed to parse --azure-env as a valid target Azure cloud environment: "
	if !strings.EqualFold(name, "AzureStackCloud") {
		if _, endpoints, ok := login.Cloud(name); ok {
			return endpoints, nil
		}
		return client.Endpoints{}, fmt.Errorf(failed+"%q is none of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud and AzureStackCloud", name)
	}
	file := getenv("AZURE_ENVIRONMENT_FILEPATH")
	if file == "" {
		return client.Endpoints{}, errors.New(failed + "AzureStackCloud is described in a file, which AZURE_ENVIRONMENT_FILEPATH names")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return client.Endpoints{}, fmt.Errorf(failed+"%w", err)
	}
	// https://learn.microsoft.com/azure-stack/user/azure-stack-version-profiles-go
	var described struct {
		Authority       string `json:"activeDirectoryEndpoint"`
		ResourceManager string `json:"resourceManagerEndpoint"`
		Audience        string `json:"serviceManagementEndpoint"`
		TokenAudience   string `json:"tokenAudience"`
		Graph           string `json:"microsoftGraphEndpoint"`
	}
	if err := json.Unmarshal(text, &described); err != nil {
		return client.Endpoints{}, fmt.Errorf(failed+"%s: %w", file, err)
	}
	for member, value := range map[string]string{"activeDirectoryEndpoint": described.Authority, "resourceManagerEndpoint": described.ResourceManager, "microsoftGraphEndpoint": described.Graph} {
		if value == "" {
			return client.Endpoints{}, fmt.Errorf(failed+"%s has no %s", file, member)
		}
	}
	return client.Endpoints{
		Authority:               strings.TrimRight(described.Authority, "/"),
		Graph:                   strings.TrimRight(described.Graph, "/"),
		ResourceManager:         strings.TrimRight(described.ResourceManager, "/"),
		GraphAudience:           strings.TrimRight(described.Graph, "/"),
		ResourceManagerAudience: cmp.Or(described.Audience, described.TokenAudience),
	}, nil
}
