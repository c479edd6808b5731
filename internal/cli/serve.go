package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/server"
)

type serveOptions struct {
	config    server.Config
	hosts     []string
	resources string
	bootstrap string
	proxies   []string
	roles     lines
	logLevel  string
	logFormat string
}

func newServe() *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service. With nothing given it keeps a SQLite database in the data
directory, answers on https://localhost:8443 with a certificate of a local CA
that it makes there, and leaves what an administrator needs in admin.json.

Every flag has a twin in the environment: ENTENTE_ and its name in upper case,
with _ for - (lists are separated by spaces there).`,
		Example: `  # on a laptop
  entente serve

  # clusters whose issuers have private addresses and a CA of their own
  entente serve --issuer-allow 10.0.0.0/8 --issuer-ca cluster-ca.pem

  # for others, with a certificate of your own
  entente serve --data-dir /var/lib/entente --listen :8443 \
    --public-url https://entente.example.org --tls-cert tls.pem --tls-key tls-key.pem

  # replicas on PostgreSQL, administered by a workload and not by a secret
  head -c 32 /dev/urandom | base64 > kek && chmod 600 kek
  entente serve --db postgres://entente@db.example.org/entente --key-encryption-key kek \
    --bootstrap-admin https://oidc.example.org/ops/,system:serviceaccount:ops:entente-admin

  # people sign in to the portal at an OpenID Connect provider
  entente serve --portal-oidc-issuer https://id.example.org --portal-oidc-client-id entente \
    --portal-oidc-client-secret-file secret --portal-oidc-role groups=platform:Owner`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config.DataDir, "data-dir", defaultDataDir(), "`DIR` of the database, the local CA and admin.json")
	f.StringVar(&o.config.DB, "db", "", "database: a `FILE`, or postgres://… (default DIR/entente.db)")
	f.StringVar(&o.config.Listen, "listen", server.DefaultListen, "`ADDRESS` of the token endpoint, Graph and Resource Manager")
	f.StringVar(&o.config.HealthListen, "health-listen", server.DefaultHealthListen, "`ADDRESS` of /livez, /readyz and /metrics, without TLS; none for none")
	f.StringVar(&o.config.PublicURL, "public-url", "", "`URL` under which clients reach the service (default https://localhost:PORT)")
	f.StringVar(&o.config.IssuerURL, "issuer-url", "", "`URL` that the iss of tokens starts with (default: the public URL)")
	f.StringArrayVar(&o.hosts, "host", nil, "further `NAME[=TENANT]` to answer under; TENANT is that of its adfs forms (repeatable)")
	f.StringVar(&o.config.AdfsTenant, "adfs-tenant", "", "`TENANT` of the adfs forms, by id or domain (default: the default tenant)")
	f.StringVar(&o.config.TLSCert, "tls-cert", "", "PEM `FILE` of the certificate chain; read again when it changes (default: by a local CA)")
	f.StringVar(&o.config.TLSKey, "tls-key", "", "PEM `FILE` of its private key")
	f.StringArrayVar(&o.config.IssuerAllow, "issuer-allow", nil, "`HOST`, address or CIDR of issuers that may be private (repeatable)")
	f.StringVar(&o.config.IssuerCA, "issuer-ca", "", "PEM `FILE` of certificates to trust for issuers, besides the system's")
	f.StringVar(&o.resources, "resources", "registered", "`WHICH` resources tokens are given for: registered, or any (every https:// and api:// name)")
	f.StringVar(&o.config.KeyEncryptionKey, "key-encryption-key", "", "`FILE` of the 32-byte key that seals signing keys (default, with SQLite only: one in DIR)")
	f.StringVar(&o.config.SigningAlgorithm, "signing-algorithm", "RS256", "`ALGORITHM` of new signing keys: RS256 or ES256")
	f.DurationVar(&o.config.IdentityLifetime, "managed-identity-token-lifetime", time.Hour, "how long tokens of managed identities last, 10m to 24h (Entra: 24h)")
	f.StringVar(&o.bootstrap, "bootstrap-admin", "", "`ISSUER,SUBJECT` of the workload that administers the service from its first start; no secret is made then")
	f.StringVar(&o.config.Seed, "seed", "", "YAML `FILE` of applications, identities, credentials and rights, to which every start brings the directory")
	f.StringVar(&o.config.PortalOIDC.Issuer, "portal-oidc-issuer", "", "`URL` of an OpenID Connect provider at which people sign in to the portal (default: one-time links only)")
	f.StringVar(&o.config.PortalOIDC.ClientID, "portal-oidc-client-id", "", "`ID` of this service there; its redirect URI there is the public URL and /portal/sign-in/callback")
	f.StringVar(&o.config.PortalOIDC.ClientSecretFile, "portal-oidc-client-secret-file", "", "`FILE` of its secret there, for nobody else to read (default: none, a public client)")
	f.Var(&o.roles, "portal-oidc-role", "`CLAIM=VALUE:ROLE[@SCOPE]`: whose ID token has the value has the role (repeatable; in the environment one a line)")
	f.StringArrayVar(&o.config.PortalOIDC.Scopes, "portal-oidc-scope", nil, "`SCOPE` to ask for besides openid, profile and email (repeatable)")
	f.StringVar(&o.config.PortalOIDC.NameClaim, "portal-oidc-name-claim", "", "`CLAIM` that people are called by (default: preferred_username, email, name or sub)")
	f.StringVar(&o.config.PortalOIDC.CA, "portal-oidc-ca", "", "PEM `FILE` of certificates to trust for the provider, besides the system's")
	f.StringArrayVar(&o.proxies, "trusted-proxies", nil, "`CIDR` of proxies whose X-Forwarded-For counts (repeatable)")
	f.IntVar(&o.config.RequestRate, "request-rate", 1000, "token requests per second and client address; negative for no limit")
	f.DurationVar(&o.config.Drain, "drain", time.Second, "how long to go on answering after readiness is off")
	f.StringVar(&o.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "json", "`FORMAT`: json or text")
	return cmd
}

func (o *serveOptions) run(cmd *cobra.Command) error {
	c, err := o.complete(cmd)
	if err != nil {
		return usage(err)
	}
	if err := server.NoDumps(); err != nil { // some sandboxes forbid it
		c.Log.Warn("the memory of this process may be dumped", "error", err)
	}
	s, err := server.Open(cmd.Context(), c)
	if errors.Is(err, syscall.EADDRINUSE) {
		return hint(err, "choose other addresses: entente serve --listen 127.0.0.1:9443 --health-listen 127.0.0.1:9081")
	}
	if err != nil {
		return err
	}
	c.Log.Info("serving", "url", s.URL(), "health", s.HealthURL(), "data", c.DataDir, "version", c.Version)
	if out := cmd.OutOrStdout(); isTerminal(out) {
		o.greet(out, c, s.URL())
	}
	return s.Serve(cmd.Context())
}

// greet tells a person at a terminal what to do next; the log is for programs.
func (o *serveOptions) greet(w io.Writer, c server.Config, url string) {
	fmt.Fprintf(w, "\nServing at %s until interrupted (Ctrl-C).\n", url)
	if _, err := readAdmin(c.DataDir); err == nil {
		env := self() + " env"
		if c.DataDir != defaultDataDir() {
			env += " --data-dir " + quote(c.DataDir)
		}
		fmt.Fprintf(w, "As its administrator, in another shell:\n\n  eval \"$(%s)\"\n\n", env)
	}
}

// complete turns the flags into a configuration.
func (o *serveOptions) complete(cmd *cobra.Command) (server.Config, error) {
	c := o.config
	var err error
	if c.Log, err = newLog(cmd.ErrOrStderr(), o.logLevel, o.logFormat); err != nil {
		return c, err
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return c, fmt.Errorf("--data-dir: %w", err)
	}
	c.Version = version()
	switch o.resources {
	case "any":
		c.AnyResource = true
	case "registered":
	default:
		return c, fmt.Errorf("--resources: %q is neither registered nor any", o.resources)
	}
	for _, text := range o.hosts {
		host, err := server.ParseHostName(text)
		if err != nil {
			return c, fmt.Errorf("--host: %w", err)
		}
		c.Hosts = append(c.Hosts, host)
	}
	if o.bootstrap != "" {
		if c.BootstrapAdmin, err = server.ParseWorkload(o.bootstrap); err != nil {
			return c, fmt.Errorf("--bootstrap-admin: %w", err)
		}
	}
	for _, text := range o.proxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("--trusted-proxies: %q is not a CIDR (for instance 10.0.0.0/8, or 10.0.0.7/32 for one address)", text)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	for _, text := range o.roles {
		if err := c.PortalOIDC.AddRole(text); err != nil {
			return c, fmt.Errorf("--portal-oidc-role: %w", err)
		}
	}
	if c.IdentityLifetime < 10*time.Minute || c.IdentityLifetime > 24*time.Hour {
		return c, fmt.Errorf("--managed-identity-token-lifetime: %s is not between 10m and 24h", c.IdentityLifetime)
	}
	return c, nil
}

// lines is a list whose elements hold spaces: in the environment, where other
// lists are separated by them, it has one a line.
type lines []string

func (l *lines) Set(text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			*l = append(*l, line)
		}
	}
	return nil
}

func (l *lines) String() string { return strings.Join(*l, "\n") }

func (l *lines) Type() string { return "lines" }
