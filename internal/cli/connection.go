package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
	"github.com/entente-id/entente/internal/server"
)

// connection is what the flags of a client verb say about the service to talk to.
// What they leave open comes from the environment that "entente env" exports, and
// if nothing is there, from the current context, and else from admin.json of the
// default data directory.
type connection struct {
	url, ca, tenant, dataDir string
	cloud, context           string // two names of one thing, see contextName

	// as is who calls, for verbs that have flags of their own to say so: its login
	// and its secret. nil: who is found.
	as *login.Caller
}

// connectionHelp ends the help of every client verb.
const connectionHelp = `

The service is that of --data-dir or --url, or the one that --context or --cloud
names ("entente context list"; public, usgov and china are Azure's), else the one
that this shell was pointed at with ENTENTE_CONTEXT or eval "$(entente env)"
(ENTENTE_URL, ENTENTE_TENANT), else the current context, else the service of the
default data directory. The caller of a context is who logged in to it ("entente
login"), of Azure else the one of az. The caller of a URL is AZURE_CLIENT_ID with
AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, or the administrator in the
data directory's admin.json.`

func (c *connection) flags(f *pflag.FlagSet) {
	f.StringVar(&c.url, "url", "", "`URL` of the service")
	f.StringVar(&c.ca, "ca", "", "PEM `FILE` of the CA to trust for it (default: the data directory's, or the system's)")
	f.StringVar(&c.tenant, "tenant", "", "`TENANT`, by id or domain (default: the caller's)")
	f.StringVar(&c.dataDir, "data-dir", defaultDataDir(), "data `DIR` of a service on this machine, for its address and its administrator")
	f.StringVar(&c.context, "context", "", "`NAME` of the context to use (default: the current one)")
	f.StringVar(&c.cloud, "cloud", "", "`CLOUD`: public, usgov, china, or the name of a context")
}

// session is a service that was found, and the caller.
type session struct {
	authority    string // https://HOST, without a slash at its end
	caFile       string // empty: the system's
	tenantID     string
	subscription string // empty: not known yet
	caller       caller
	http         *http.Client
	client       *client.Client

	context   string // whose it is; empty: of no context
	azure     bool   // it is a cloud of Azure
	endpoints client.Endpoints
	source    client.TokenSource // of the client's tokens
}

// caller is how somebody proves who they are.
type caller struct {
	clientID, secret, tokenFile string
	dataDir                     string       // where the secret stands, if it is an administrator's
	method                      login.Method // in a context
}

func (c caller) String() string {
	switch {
	case c.clientID != "":
		return "client " + c.clientID
	case c.method == login.AzureCLI:
		return "who is logged in to az"
	}
	return "the caller"
}

// open finds the service and the caller. It asks the service only for the id of a
// tenant that is not given by id.
func (c connection) open(cmd *cobra.Command) (*session, error) {
	given := func(flag string) bool { return wasGiven(cmd.Flags(), flag) }
	return c.find(cmd.Context(), given, os.Getenv)
}

// search is what find works with.
type search struct {
	connection
	given  func(flag string) bool // on the command line itself
	getenv func(name string) string

	admin server.Admin // of the data directory
	local bool         // it is the service's
	// foreign says that the environment is pointed at another service. It stands
	// for one service as a whole, so that no secret gets to another by mistake.
	foreign bool
}

// find is open, apart from where flags and variables come from.
func (c connection) find(ctx context.Context, given func(flag string) bool, getenv func(string) string) (*session, error) {
	f := &search{connection: c, given: given, getenv: getenv}
	chosen, store, err := f.chosen()
	if err != nil {
		return nil, err
	}
	if chosen != nil {
		return f.enter(ctx, *chosen, store)
	}
	s := &session{}
	byDirectory, err := f.where(s)
	if err != nil {
		return nil, err
	}
	if s.http, err = trusting(s.caFile); err != nil {
		return nil, err
	}
	if s.tenantID, err = f.whichTenant(ctx, s); err != nil {
		return nil, s.explain(err)
	}
	if f.as != nil {
		s.endpoints = client.Entente(s.authority)
		return s, s.become(ctx, login.Caller{Endpoints: s.endpoints, TenantID: s.tenantID, Login: f.as.Login, Secret: f.as.Secret, HTTP: s.http, Getenv: getenv})
	}
	if err := f.who(s, byDirectory); err != nil {
		return nil, err
	}
	return s, s.connect()
}

// where finds the service, and tells whether the data directory says so.
func (f *search) where(s *session) (byDirectory bool, _ error) {
	environment := f.getenv("ENTENTE_URL")
	f.foreign = f.given("url") && environment != "" && !sameURL(f.url, environment)
	if f.given("data-dir") || f.foreign {
		for flag, value := range map[string]*string{"url": &f.url, "ca": &f.ca, "tenant": &f.tenant} {
			if !f.given(flag) {
				*value = ""
			}
		}
	}
	byDirectory = f.url == ""
	var err error
	f.admin, err = readAdmin(f.dataDir)
	switch absent := errors.Is(err, fs.ErrNotExist); {
	case err == nil:
	case absent && byDirectory && !f.given("data-dir"):
		return false, hint(fmt.Errorf("no service is known: ENTENTE_URL is not set, and %w", errors.Unwrap(err)),
			`start one with "entente serve", or give --data-dir DIR; for one on another machine: entente context add NAME --url URL --ca FILE; for Azure: --cloud public`)
	case byDirectory || f.given("data-dir"):
		return false, err
	}
	s.authority, s.caFile = strings.TrimRight(f.url, "/"), f.ca
	if byDirectory {
		s.authority = f.admin.Authority
	}
	f.local = err == nil && (f.given("data-dir") || sameURL(s.authority, f.admin.Authority))
	if s.caFile == "" && f.local {
		s.caFile = f.admin.CAFile
	}
	return byDirectory, nil
}

// whichTenant is the id of the tenant with the name that was given; else the one
// of the administrator or of the environment; else that of the service's AD FS names.
func (f *search) whichTenant(ctx context.Context, s *session) (string, error) {
	name := f.tenant
	if name == "" && f.local {
		return f.admin.TenantID, nil
	}
	if name == "" && !f.foreign {
		name = f.getenv("AZURE_TENANT_ID")
	}
	if id, err := uuid.Parse(name); err == nil {
		return id.String(), nil
	}
	if name == "" || name == "common" || name == "organizations" {
		name = "adfs"
	}
	return client.ResolveTenant(ctx, s.authority, name, s.http)
}

// who finds the caller: the administrator in the data directory where that was
// named or found, and elsewhere the one in the environment first.
func (f *search) who(s *session, byDirectory bool) error {
	var environment caller
	if !f.foreign {
		environment = caller{clientID: f.getenv("AZURE_CLIENT_ID"), secret: f.getenv("AZURE_CLIENT_SECRET")}
		if environment.secret == "" {
			environment.tokenFile = f.getenv("AZURE_FEDERATED_TOKEN_FILE")
		}
	}
	ofAdmin := f.local && s.tenantID == f.admin.TenantID
	switch {
	case ofAdmin && (f.given("data-dir") || byDirectory || !environment.complete()):
		s.caller = caller{clientID: f.admin.ClientID, secret: f.admin.ClientSecret, dataDir: f.dataDir}
		s.subscription = f.admin.SubscriptionID
		return nil
	case environment.complete():
		s.caller = environment
		s.subscription = f.getenv("AZURE_SUBSCRIPTION_ID")
		return nil
	case f.local:
		return hint(refused{fmt.Errorf("%s has the administrator of tenant %s, not of %s", filepath.Join(f.dataDir, server.AdminFile), f.admin.TenantID, s.tenantID)},
			"set AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, of a client of that tenant")
	case f.foreign:
		return hint(refused{fmt.Errorf("no client is known for %s: the environment has one for %s", s.authority, f.getenv("ENTENTE_URL"))},
			"set ENTENTE_URL=%s with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of that service, or give --data-dir DIR", s.authority)
	}
	return hint(refused{fmt.Errorf("no client is known for %s", s.authority)},
		"set AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, or give --data-dir DIR, whose admin.json has the administrator")
}

func (c caller) complete() bool { return c.clientID != "" && (c.secret != "" || c.tokenFile != "") }

func sameURL(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

// connect makes the client, and the names of files such that they hold elsewhere.
func (s *session) connect() (err error) {
	a := &s.caller
	for _, name := range []*string{&s.caFile, &a.tokenFile, &a.dataDir} {
		if *name, err = absolute(*name); err != nil {
			return err
		}
	}
	source := client.ClientSecret(s.authority, s.tenantID, a.clientID, a.secret, s.http)
	if a.tokenFile != "" {
		source = client.Federated(s.authority, s.tenantID, a.clientID, client.AssertionFile(a.tokenFile), s.http)
	}
	s.endpoints = client.Entente(s.authority)
	return s.with(source)
}

// with makes the client of a source of tokens.
func (s *session) with(source client.TokenSource) (err error) {
	s.source = source
	s.client, err = client.New(client.Config{
		Endpoints: s.endpoints, TenantID: s.tenantID, HTTP: s.http, Credential: source, UserAgent: "entente/" + version(),
	})
	return err
}

// subscriptionID is the one that was asked for, else the caller's only one.
func (s *session) subscriptionID(ctx context.Context, asked string) (string, error) {
	if asked != "" || s.subscription != "" {
		return cmp.Or(asked, s.subscription), nil
	}
	all, err := s.client.Subscriptions(ctx)
	if err != nil {
		return "", err
	}
	switch len(all) {
	case 1:
		s.subscription = all[0].SubscriptionID
		return s.subscription, nil
	case 0:
		return "", hint(refused{fmt.Errorf("%s sees no subscription", s.caller)}, "give it a role on one or on something in it, for instance Reader")
	}
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.SubscriptionID
	}
	return "", hint(fmt.Errorf("%s sees %d subscriptions: %s", s.caller, len(all), strings.Join(ids, ", ")), "choose one with --subscription ID")
}

// explain gives an error of the connection the hint that mends it.
func (s *session) explain(err error) error {
	if _, ok := errors.AsType[*hinted](err); ok || err == nil {
		return err
	}
	if s.context != "" {
		return s.explainContext(err)
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	refusal, refused := errors.AsType[*client.TokenError](err)
	answer, answered := errors.AsType[*client.Error](err)
	switch {
	case untrusted && s.caFile == "":
		return hint(err, "--ca FILE names the CA of the service (of one that made its own: ca.pem in its data directory)")
	case untrusted:
		return hint(err, "the service's certificate is not by the CA in %s; --ca FILE names another", s.caFile)
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint(err, "nothing answers at %s: start the service with \"entente serve\", or name another with --url URL", s.authority)
	case refused && refusal.HasCode(90002):
		return hint(err, "--tenant takes the id or the domain of a tenant of %s", s.authority)
	case refused && s.caller.dataDir == "" && refusal.Status < 500:
		return hint(err, "AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, say who calls; --tenant where they belong")
	case answered && answer.Status == http.StatusForbidden:
		return hint(err, "%s; entente whoami shows what it has", s.caller.needs(answer))
	}
	return err
}

// trusting is an HTTP client that trusts the CA in a file and no other; without a
// file those of the system.
func trusting(caFile string) (*http.Client, error) {
	if caFile == "" {
		return trustingOnly(nil), nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the service: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA of the service: there is no certificate in %s", caFile)
	}
	return trustingOnly(roots), nil
}

// trustingPEM is an HTTP client that trusts the certificates in a text, which was
// checked, or else the system's.
func trustingPEM(text string) *http.Client {
	if text == "" {
		return trustingOnly(nil)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	return trustingOnly(roots)
}

// trustingOnly is an HTTP client that trusts these roots, or else the system's.
func trustingOnly(roots *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return tracedClient(transport)
}

// absolute is a file's name that holds in other directories; none stays none.
func absolute(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	return filepath.Abs(name)
}
