package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
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
		Example: `  entente serve
  entente serve --data-dir /var/lib/entente --listen :8443 --public-url https://entente.example.org --tls-cert tls.pem --tls-key tls-key.pem
  entente serve --issuer-allow 10.0.0.0/8 --issuer-ca cluster-ca.pem
  entente serve --db postgres://entente@db.example.org/entente --key-encryption-key kek --bootstrap-admin https://oidc.example.org/ops/,system:serviceaccount:ops:entente-admin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config.DataDir, "data-dir", defaultDataDir(), "directory of the database, the local CA and admin.json")
	f.StringVar(&o.config.DB, "db", "", "database: a file, or postgres://… (default DATA-DIR/entente.db)")
	f.StringVar(&o.config.Listen, "listen", server.DefaultListen, "address of the token endpoint, Graph and Resource Manager")
	f.StringVar(&o.config.HealthListen, "health-listen", server.DefaultHealthListen, `address of /livez, /readyz and /metrics, without TLS; "none" for none`)
	f.StringVar(&o.config.PublicURL, "public-url", "", "URL under which clients reach the service (default https://localhost:PORT)")
	f.StringVar(&o.config.IssuerURL, "issuer-url", "", "what the iss of tokens starts with (default: the public URL)")
	f.StringArrayVar(&o.hosts, "host", nil, "further name to answer under, as NAME[=TENANT], TENANT being that of its adfs forms (repeatable)")
	f.StringVar(&o.config.AdfsTenant, "adfs-tenant", "", "tenant of the adfs forms, by id or domain (default: the default tenant)")
	f.StringVar(&o.config.TLSCert, "tls-cert", "", "certificate chain, PEM; read again when it changes (default: a local CA in the data directory)")
	f.StringVar(&o.config.TLSKey, "tls-key", "", "its private key, PEM")
	f.StringArrayVar(&o.config.IssuerAllow, "issuer-allow", nil, "CIDR, address or host name of issuers that may be private (repeatable)")
	f.StringVar(&o.config.IssuerCA, "issuer-ca", "", "PEM file of certificates to trust for issuers, besides the system's")
	f.StringVar(&o.resources, "resources", "registered", `resources that tokens are given for: "registered", or "any" https:// and api:// resource`)
	f.StringVar(&o.config.KeyEncryptionKey, "key-encryption-key", "", "file of the 32-byte key that seals signing keys (default, with SQLite only: one in the data directory)")
	f.StringVar(&o.config.SigningAlgorithm, "signing-algorithm", "RS256", "algorithm of new signing keys: RS256 or ES256")
	f.DurationVar(&o.config.IdentityLifetime, "managed-identity-token-lifetime", time.Hour, "lifetime of managed identities' tokens (Entra: 24h)")
	f.StringVar(&o.bootstrap, "bootstrap-admin", "", "ISSUER,SUBJECT of the workload that administers the service from its first start; no secret is made then")
	f.StringArrayVar(&o.proxies, "trusted-proxies", nil, "CIDR of proxies whose X-Forwarded-For counts (repeatable)")
	f.IntVar(&o.config.RequestRate, "request-rate", 1000, "token requests per second and client address; negative for no limit")
	f.DurationVar(&o.config.Drain, "drain", time.Second, "how long to go on answering after readiness is off")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "json", "json or text")
	return cmd
}

func (o *serveOptions) run(cmd *cobra.Command) error {
	c, err := o.complete(cmd)
	if err != nil {
		return err
	}
	s, err := server.Open(cmd.Context(), c)
	if errors.Is(err, syscall.EADDRINUSE) {
		return hint(err, "choose other addresses: entente serve --listen 127.0.0.1:9443 --health-listen 127.0.0.1:9081")
	}
	if err != nil {
		return err
	}
	c.Log.Info("serving", "url", s.URL(), "health", s.HealthURL(), "data", c.DataDir, "version", c.Version)
	if c.Embedded() && o.bootstrap == "" {
		c.Log.Info("to use it from a shell", "run", fmt.Sprintf(`eval "$(entente env --data-dir %s)"`, c.DataDir))
	}
	return s.Serve(cmd.Context())
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
			return c, fmt.Errorf("--trusted-proxies: %w", err)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	if c.IdentityLifetime < 10*time.Minute || c.IdentityLifetime > 24*time.Hour {
		return c, fmt.Errorf("--managed-identity-token-lifetime: %s is not between 10m and 24h", c.IdentityLifetime)
	}
	return c, nil
}
