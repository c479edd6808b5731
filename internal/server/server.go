// Package server puts the surfaces on one listener and keeps them running.
//
// It owns what belongs to no single wire: TLS, names, limits, who is calling,
// one event per request, metrics, health, the first start and the last second.
// The surfaces stay handlers that know nothing of each other.
package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entente-id/entente/internal/arm"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/graph"
	"github.com/entente-id/entente/internal/hosted"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/portal"
	"github.com/entente-id/entente/internal/signin"
	"github.com/entente-id/entente/internal/token"
)

// Service is a service that was opened: its database is migrated, its keys are
// there and its listeners accept connections, which Serve answers.
type Service struct {
	config  Config
	log     *slog.Logger
	hosts   hosts
	metrics *metrics
	limit   *limiter
	people  *limiter // who come back from the provider at which they sign in
	ready   atomic.Bool

	db        *db.DB
	directory *directory.Directory
	keys      *keys.Ring
	issuers   *issuer.Verifier
	signIns   *signin.Recorder
	exchange  *exchange.Exchange
	token     *token.Surface
	graph     *graph.Surface
	arm       *arm.Surface
	hosted    *hosted.Surface
	portal    *portal.Surface

	seal          keys.Sealer
	seed          *manifest.Manifest // nil: none
	provider      *portal.Provider   // at which people sign in to the portal; nil: none
	defaultTenant string
	stopWithin    time.Duration
	listener      net.Listener
	healthLis     net.Listener
	certificates  *certificates
}

// The default addresses.
const (
	DefaultListen       = "127.0.0.1:8443"
	DefaultHealthListen = "127.0.0.1:8081"
	// NoListener switches the health listener off.
	NoListener = "none"
)

// The files of a data directory.
const (
	AdminFile = "admin.json"
	CAFile    = "ca.pem"
)

// Open makes a service ready to serve: it takes the addresses, opens and
// migrates the database, and does the first start where nothing is there yet.
func Open(ctx context.Context, c Config) (s *Service, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.HealthListen == "" {
		c.HealthListen = DefaultHealthListen
	}
	s = &Service{config: c, log: c.log(), metrics: newMetrics(c.Version), limit: newLimiter(c.RequestRate, c.now), people: newLimiter(peopleRate, c.now), stopWithin: stopWithin}
	defer func() {
		if err != nil {
			s.close()
			s = nil
		}
	}()
	if err := s.readSeed(); err != nil {
		return s, err
	}
	if s.provider, err = c.PortalOIDC.open(); err != nil {
		return s, err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return s, fmt.Errorf("data directory: %w", err)
	}
	if s.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return s, fmt.Errorf("--listen: %w", err)
	}
	if c.HealthListen != NoListener {
		if s.healthLis, err = net.Listen("tcp", c.HealthListen); err != nil {
			return s, fmt.Errorf("--health-listen: %w", err)
		}
	}
	if err := s.config.complete(s.listener.Addr()); err != nil {
		return s, err
	}
	s.hosts = newHosts(&s.config)
	if err := s.openTLS(); err != nil {
		return s, err
	}
	if err := s.openRooms(ctx); err != nil {
		return s, err
	}
	if err := s.firstStart(ctx); err != nil {
		return s, err
	}
	return s, s.openSurfaces()
}

func (s *Service) openTLS() error {
	c := &s.config
	s.certificates = &certificates{certFile: c.TLSCert, keyFile: c.TLSKey, names: s.hosts.names(), now: c.now, log: s.log}
	if c.TLSCert == "" {
		ca, err := openLocalCA(c.DataDir, s.hosts.names(), c.now())
		if err != nil {
			return err
		}
		if ca.made {
			s.log.Info("made a local CA for the service's own names", "file", filepath.Join(c.DataDir, CAFile), "names", s.hosts.names())
		}
		s.certificates.ca = ca
	}
	_, err := s.certificates.get(nil)
	return err
}

func (s *Service) openRooms(ctx context.Context) (err error) {
	c := &s.config
	if s.db, err = db.Open(ctx, c.database()); err != nil {
		return err
	}
	s.directory = &directory.Directory{DB: s.db, Clock: c.Clock, Log: s.log, IssuerURL: c.IssuerURL}
	if s.seal, err = s.sealer(); err != nil {
		return err
	}
	if s.keys, err = keys.Open(ctx, keys.Config{DB: s.db, Sealer: s.seal, Algorithm: c.SigningAlgorithm, Clock: c.Clock, Log: s.log}); err != nil {
		if errors.Is(err, keys.ErrSealer) {
			err = fmt.Errorf("--key-encryption-key: %w", err)
		}
		return err
	}
	roots, err := s.issuerRoots()
	if err != nil {
		return err
	}
	if s.issuers, err = issuer.New(issuer.Config{DB: s.db, Allow: c.IssuerAllow, RootCAs: roots, Clock: c.Clock, Log: s.log, Fetched: s.fetched}); err != nil {
		return fmt.Errorf("--issuer-allow: %w", err)
	}
	s.signIns = signin.New(signin.Config{DB: s.db, Clock: c.Clock, Log: s.log, Dropped: func(n int) { s.metrics.dropped.Add(float64(n)) }})
	return nil
}

// sealer opens the key-encryption key: the operator's, or, beside a SQLite
// file, one that lies in the data directory. It seals signing keys, and page
// tokens, which replicas therefore take from each other.
func (s *Service) sealer() (keys.Sealer, error) {
	if file := s.config.KeyEncryptionKey; file != "" {
		sealer, err := keys.LoadSealer(file)
		if err != nil {
			return nil, fmt.Errorf("--key-encryption-key: %w", err)
		}
		return sealer, nil
	}
	file := filepath.Join(s.config.DataDir, "key-encryption-key")
	sealer, made, err := keys.CreateSealer(file)
	if made {
		s.log.Warn("made a key-encryption key beside the database: whoever copies the data directory has both; give --key-encryption-key to keep them apart", "file", file)
	}
	return sealer, err
}

// issuerRoots are the system's certificates and those of --issuer-ca.
func (s *Service) issuerRoots() (*x509.CertPool, error) {
	if s.config.IssuerCA == "" {
		return nil, nil
	}
	roots, err := systemAnd(s.config.IssuerCA)
	if err != nil {
		return nil, fmt.Errorf("--issuer-ca: %w", err)
	}
	return roots, nil
}

func (s *Service) fetched(f issuer.Fetch) {
	result := "ok"
	if f.Err != nil {
		result = string(issuer.KindOf(f.Err))
	}
	s.metrics.fetches.WithLabelValues(result).Inc()
}

func (s *Service) openSurfaces() error {
	c := &s.config
	s.exchange = exchange.New(exchange.Config{
		Directory: s.directory, Issuers: s.issuers, Keys: s.keys, IssuerURL: c.IssuerURL, OwnAudiences: s.hosts.bases(),
		AnyResource: c.AnyResource, IdentityLifetime: c.IdentityLifetime, Clock: c.Clock,
	})
	base := func(r *http.Request) string { return s.hosts.of(r).Base }
	s.token = token.New(token.Config{
		Exchange: s.exchange, Keys: s.keys, Directory: s.directory, Host: s.hosts.of, IssuerURL: c.IssuerURL, Record: s.record, Note: note, Log: s.log, Clock: c.Clock,
	})
	s.graph = graph.New(graph.Config{Directory: s.directory, Caller: s.caller, Base: base, Seal: s.seal, Note: note, Log: s.log})
	s.arm = arm.New(arm.Config{
		Directory: s.directory, SignIns: s.signIns, Caller: s.caller, Base: base, Note: note, Log: s.log,
		SigningKeys: signingKeys{s.keys, s.directory}, CheckKeySet: checkKeySet, Tenant: s.tenantOf, Seal: s.seal,
	})
	s.hosted = hosted.New(hosted.Config{Directory: s.directory, Note: note, Log: s.log})
	s.portal = portal.New(portal.Config{
		Directory: s.directory, Exchange: s.exchange, Issuers: s.issuers, Keys: s.keys, SignIns: s.signIns, Rotate: s.rotate, CheckKeySet: checkKeySet, Refusal: token.Told,
		URL: c.PublicURL, IssuerAllow: c.IssuerAllow, Tenant: s.defaultTenant, Provider: s.provider, Seal: s.seal, Address: addressIn, RequestID: requestID, Note: note, Log: s.log, Clock: c.Clock, Version: c.Version,
	})
	return nil
}

// rotate publishes the next signing key of a caller's tenant.
func (s *Service) rotate(ctx context.Context, c directory.Caller) error {
	_, err := signingKeys{s.keys, s.directory}.Rotate(ctx, c)
	return err
}

// tenantOf is the tenant that callers without a token are sent to.
func (s *Service) tenantOf(r *http.Request) string {
	if t, err := s.directory.LookupTenant(r.Context(), s.hosts.of(r).Tenant); err == nil {
		return t.ID
	}
	return s.defaultTenant
}

// checkKeySet judges a key set before it is stored.
func checkKeySet(set []byte) error {
	usable, problems, err := issuer.ParseKeySet(set)
	if err != nil {
		return err
	}
	for _, p := range problems {
		if p.Private {
			return fmt.Errorf("key %d of the set holds a secret, which must never leave its cluster: make a new key, and upload public keys only", p.Index+1)
		}
	}
	switch {
	case len(usable) > 0:
		return nil
	case len(problems) > 0:
		return fmt.Errorf("no key in the set can be used; the first: %s", problems[0].Reason)
	}
	return errors.New("the set holds no key")
}

// record notes an exchange: in the metrics, in the request's event, and as a
// sign-in record, which may be lost in a crash.
func (s *Service) record(ctx context.Context, o exchange.Outcome, code int, err error) {
	s.metrics.exchanges.WithLabelValues(o.Method, fmt.Sprint(code)).Inc()
	reason := ""
	if e, ok := errors.AsType[*exchange.Error](err); ok {
		reason = string(e.Reason)
	}
	note(ctx, slog.Int("code", code))
	for _, a := range []slog.Attr{
		slog.String("reason", reason), slog.String("tenant", o.Tenant.ID), slog.String("client", o.Client.ClientID), slog.String("authentication", o.Method),
		slog.String("issuer", clip(o.Assertion.Issuer)), slog.String("subject", clip(o.Assertion.Subject)), slog.String("assertion", o.Assertion.SHA256),
		slog.String("credential", o.CredentialID), slog.String("resource", clip(o.Resource)), slog.String("uti", o.TokenID),
	} {
		if a.Value.String() != "" {
			note(ctx, a)
		}
	}
	if o.Tenant.ID == "" {
		return
	}
	s.signIns.Record(signin.Record{
		At: s.config.now(), TenantID: o.Tenant.ID, ClientID: o.Client.ClientID, PrincipalID: o.Client.PrincipalID, ClientName: o.Client.DisplayName, ClientKind: string(o.Client.Kind),
		CredentialID: o.CredentialID, Issuer: o.Assertion.Issuer, Subject: o.Assertion.Subject, Audience: strings.Join(o.Assertion.Audiences, " "), Resource: o.Resource,
		Method: o.Method, Code: code, Reason: reason, Address: addressIn(ctx), RequestID: requestID(ctx), TokenID: o.TokenID,
	})
}

// URL is the canonical base URL.
func (s *Service) URL() string { return s.config.PublicURL }

// HealthURL is the base URL of the health listener; empty when it is off.
func (s *Service) HealthURL() string {
	if s.healthLis == nil {
		return ""
	}
	return "http://" + s.healthLis.Addr().String()
}

// stopWithin is how long stopping takes at most, Config.Drain included, before
// the last records are written; requestsNeed is what requests that are under
// way get in any case.
const (
	stopWithin   = 9 * time.Second
	requestsNeed = time.Second
)

// Serve answers until ctx ends; then it turns readiness off, lets what is under
// way finish, and returns nil. It closes the service.
func (s *Service) Serve(ctx context.Context) error {
	defer s.close()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop() // runs before the wait: the sign-in records are written when nothing is served any more
	for name, run := range map[string]func(context.Context) error{"issuers": s.issuers.Run, "keys": s.keys.Run, "sign-ins": s.signIns.Run, "purge": s.purge} {
		wg.Go(func() {
			if err := run(background); err != nil && background.Err() == nil {
				s.log.Error("a background task ended", "task", name, "error", err)
			}
		})
	}
	quiet := slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	main := &http.Server{
		Handler: http.HandlerFunc(s.observed), ErrorLog: quiet,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificates.get, NextProtos: []string{"h2", "http/1.1"}},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	health := &http.Server{Handler: s.health(), ErrorLog: quiet, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- main.ServeTLS(s.listener, "", "") }()
	if s.healthLis != nil {
		go func() { failed <- health.Serve(s.healthLis) }()
	}
	s.ready.Store(true)
	var err error
	select {
	case <-ctx.Done():
		s.ready.Store(false)
		s.log.Info("stopping: readiness is off, requests under way finish")
		time.Sleep(s.config.Drain)
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(s.stopWithin-s.config.Drain, requestsNeed))
	defer cancel()
	return errors.Join(err, s.finish(end, main), s.finish(end, health))
}

// finish lets the requests of a server finish until ctx ends. Who is slower
// than that, for instance in sending a body, is cut off.
func (s *Service) finish(ctx context.Context, h *http.Server) error {
	err := h.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("stopping: requests that did not finish in time are cut off")
		return h.Close()
	}
	return err
}

// purgeEvery is how often deleted objects are looked for that nobody can restore any more.
const purgeEvery = time.Hour

func (s *Service) purge(ctx context.Context) error {
	for {
		if err := s.directory.Purge(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("purge deleted objects", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(purgeEvery):
		}
	}
}

// Close ends a service that was opened and is not served.
func (s *Service) Close() { s.close() }

func (s *Service) close() {
	for _, l := range []net.Listener{s.listener, s.healthLis} {
		if l != nil {
			l.Close()
		}
	}
	if s.db != nil {
		if err := s.db.Close(); err != nil {
			s.log.Error("close the database", "error", err)
		}
	}
}
