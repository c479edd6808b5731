package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Config is what a service is started with. The zero value of every field but
// DataDir means the documented default.
type Config struct {
	// DataDir holds the database, the local CA and admin.json. It is made (0700) if it is not there.
	DataDir string
	// DB is a postgres:// URL or the path of a SQLite file; empty: entente.db in DataDir.
	DB string
	// Listen is the address of the wires; empty: 127.0.0.1:8443.
	Listen string
	// HealthListen is the address of /livez, /readyz and /metrics, without TLS; empty: 127.0.0.1:8081, "none": none.
	HealthListen string
	// PublicURL is the canonical URL under which clients reach the service;
	// empty: https://localhost:PORT.
	PublicURL string
	// IssuerURL is what the iss of tokens starts with; empty: PublicURL.
	IssuerURL string
	// Hosts are further names under which the service answers, each with URLs of its own.
	Hosts []HostName
	// AdfsTenant is the tenant of the adfs forms, by id or domain; empty: the default tenant.
	AdfsTenant string
	// TLSCert and TLSKey are PEM files, read again when they change; empty: a local CA in DataDir.
	TLSCert, TLSKey string
	// IssuerAllow are CIDRs, addresses and host names of issuers that may be private.
	IssuerAllow []string
	// IssuerCA is a PEM file of certificates to trust, besides the system's, for all issuers.
	IssuerCA string
	// AnyResource gives tokens for every https:// and api:// resource.
	AnyResource bool
	// KeyEncryptionKey is the file of the key that seals signing keys; empty: DataDir/key-encryption-key, with SQLite only.
	KeyEncryptionKey string
	// SigningAlgorithm is RS256 (default) or ES256.
	SigningAlgorithm string
	// IdentityLifetime is how long tokens of managed identities last; 0: one hour. Entra gives them 24 hours.
	IdentityLifetime time.Duration
	// BootstrapAdmin names the workload that administers the default tenant, when the first start makes it.
	BootstrapAdmin *Workload
	// Seed is a manifest (docs/guides/seed.md) to which every start brings the directory; empty: none.
	Seed string
	// PortalOIDC is where people sign in to the portal; the zero value: by one-time links only.
	PortalOIDC PortalOIDC
	// TrustedProxies may say, by X-Forwarded-For, which address they speak for.
	TrustedProxies []netip.Prefix
	// RequestRate is how many token requests per second one client address may make; 0: 1000, negative: no limit.
	RequestRate int
	// Drain is how long the service goes on taking requests after readiness is off; 0: not at all.
	Drain time.Duration
	// Log takes the request events and everything else; nil: slog.Default().
	Log *slog.Logger
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
	// Version stands in the metrics and at the root.
	Version string
}

// HostName is a further name of the service.
type HostName struct {
	Name   string // host, or host:port
	Tenant string // of the adfs forms there; empty: Config.AdfsTenant
}

// ParseHostName reads NAME[=TENANT].
func ParseHostName(s string) (HostName, error) {
	name, tenant, _ := strings.Cut(s, "=")
	if u, err := url.Parse("https://" + name); err != nil || u.Host != name || name == "" {
		return HostName{}, fmt.Errorf("%q is not NAME[=TENANT] with a host name, or host:port, as NAME", s)
	}
	return HostName{Name: strings.ToLower(name), Tenant: tenant}, nil
}

// Workload is a federated administrator.
type Workload struct{ Issuer, Subject string }

// ParseWorkload reads ISSUER,SUBJECT.
func ParseWorkload(s string) (*Workload, error) {
	issuer, subject, ok := strings.Cut(s, ",")
	if !ok || issuer == "" || subject == "" {
		return nil, fmt.Errorf("%q is not ISSUER,SUBJECT (for instance https://oidc.example.org/cluster/,system:serviceaccount:ops:entente-admin)", s)
	}
	return &Workload{Issuer: issuer, Subject: subject}, nil
}

// Embedded says whether the database is a SQLite file.
func (c *Config) Embedded() bool {
	return !strings.HasPrefix(c.DB, "postgres://") && !strings.HasPrefix(c.DB, "postgresql://")
}

func (c *Config) database() string {
	if c.DB != "" {
		return c.DB
	}
	return filepath.Join(c.DataDir, "entente.db")
}

func (c *Config) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.Default()
}

func (c *Config) now() time.Time {
	if c.Clock != nil {
		return c.Clock()
	}
	return time.Now()
}

// complete fills in what depends on the listener's address.
func (c *Config) complete(addr net.Addr) error {
	if c.PublicURL == "" {
		_, port, err := net.SplitHostPort(addr.String())
		if err != nil {
			return err
		}
		c.PublicURL = "https://localhost:" + port
	}
	if c.IssuerURL == "" {
		c.IssuerURL = c.PublicURL
	}
	for name, u := range map[string]*string{"--public-url": &c.PublicURL, "--issuer-url": &c.IssuerURL} {
		origin, err := cleanURL(*u, name == "--public-url")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*u = origin
	}
	return nil
}

// cleanURL checks an URL of ours and takes the slash at its end off.
func cleanURL(s string, root bool) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not an https:// URL without query", s)
	}
	if root && strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("%q has a path: clients look for the service at the root of its host", s)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	u.Host = strings.TrimSuffix(u.Host, ":443")
	return strings.TrimRight(u.String(), "/"), nil
}

func (c *Config) check() error {
	switch {
	case c.DataDir == "":
		return errors.New("no data directory: give --data-dir")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together")
	case !c.Embedded() && c.KeyEncryptionKey == "":
		return errors.New("with PostgreSQL, --key-encryption-key FILE is required: all replicas seal the signing keys with the same key, which must not lie in the database\nhint: head -c 32 /dev/urandom | base64 > kek && chmod 600 kek")
	}
	return c.PortalOIDC.check()
}
