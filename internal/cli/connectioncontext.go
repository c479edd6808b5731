package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// contextName is the context that --context or --cloud asks for, which are two
// names of one thing: Azure's clouds are contexts.
func (f *search) contextName() (string, error) {
	if f.given("context") || f.given("cloud") {
		for _, other := range []string{"url", "data-dir", "ca"} {
			if f.given(other) {
				return "", usage(fmt.Errorf("--%s says where the service is, and so does --context (--cloud)", other))
			}
		}
	}
	context, cloud := f.context, f.cloud
	switch {
	case f.given("context") && !f.given("cloud"):
		cloud = ""
	case f.given("cloud") && !f.given("context"):
		context = ""
	case f.given("url"), f.given("data-dir"):
		return "", nil // outweigh the environment
	}
	if context != "" && cloud != "" && context != cloud {
		return "", usage(fmt.Errorf("--context %s and --cloud %s are two contexts", context, cloud))
	}
	return cmp.Or(context, cloud), nil
}

// chosen is the context that counts, or nil: one that was named, or the current one
// if neither the command line nor the environment says where the service is.
func (f *search) chosen() (*login.Context, login.Store, error) {
	name, err := f.contextName()
	if err != nil {
		return nil, login.Store{}, err
	}
	if name == "" && (f.url != "" || f.given("data-dir") || f.getenv("ENTENTE_DATA_DIR") != "") {
		return nil, login.Store{}, nil
	}
	store, all, err := openContexts(f.getenv)
	if err != nil {
		return nil, store, err
	}
	if name = cmp.Or(name, all.Current); name == "" {
		return nil, store, nil
	}
	c, err := findContext(all, name)
	return &c, store, err
}

// openContexts reads the file of contexts.
func openContexts(getenv func(string) string) (login.Store, login.Contexts, error) {
	store, err := login.Default(getenv)
	if err != nil {
		return store, login.Contexts{}, err
	}
	all, err := store.Load()
	return store, all, explainStore(err)
}

// explainStore gives an error of the file of contexts the command that mends it.
func explainStore(err error) error {
	if loose, ok := errors.AsType[*login.LooseError](err); ok {
		return hint(err, "look whether it is as you left it, then: chmod 600 %s", quote(loose.File))
	}
	return err
}

func findContext(all login.Contexts, name string) (login.Context, error) {
	c, ok := all.Find(name)
	if !ok {
		return c, hint(notThere("there is no context %q", name), "entente context list shows those that there are; entente context add %s --url URL --ca FILE makes one", quote(name))
	}
	return c, nil
}

// enter opens the session of a context.
func (f *search) enter(ctx context.Context, c login.Context, store login.Store) (*session, error) {
	s := sessionOf(c)
	who := login.Caller{Endpoints: s.endpoints, Azure: s.azure, TenantID: c.TenantID, Login: c.Login, HTTP: s.http, Getenv: f.getenv}
	if f.given("tenant") {
		who.TenantID = f.tenant
	}
	var err error
	switch {
	case f.as != nil:
		who.Login, who.Secret = f.as.Login, f.as.Secret
	case c.Login.Method == "":
		err = f.implied(s, &who)
	case c.Login.Method == login.Secret:
		if who.Secret, err = store.Secret(c); err != nil {
			return nil, s.explainContext(explainStore(err))
		}
	}
	if err != nil {
		return nil, err
	}
	return s, s.become(ctx, who)
}

// implied is the caller of a context that nobody logged in to: of Azure who is
// logged in to az; of a service of one's own the client in the environment, if that
// is set up for this very service, or else its administrator on this machine.
func (f *search) implied(s *session, who *login.Caller) error {
	if s.azure {
		who.Login.Method = login.AzureCLI
		return nil
	}
	authority := strings.TrimSuffix(strings.TrimRight(f.getenv("AZURE_AUTHORITY_HOST"), "/"), "/adfs")
	if sameURL(s.authority, f.getenv("ENTENTE_URL")) || sameURL(s.authority, authority) {
		if _, _, err := login.FromEnvironment(f.getenv); err == nil {
			who.Login.Method = login.Environment
			s.subscription = cmp.Or(s.subscription, f.getenv("AZURE_SUBSCRIPTION_ID"))
			return nil
		}
	}
	admin, err := readAdmin(f.dataDir)
	if err == nil && sameURL(s.authority, admin.Authority) && (who.TenantID == "" || who.TenantID == admin.TenantID) {
		who.Login, who.Secret, who.TenantID = login.Login{Method: login.Secret, ClientID: admin.ClientID}, admin.ClientSecret, admin.TenantID
		s.subscription = cmp.Or(s.subscription, admin.SubscriptionID)
		s.caller.dataDir, err = absolute(f.dataDir)
		return err
	}
	return hint(refused{fmt.Errorf("nobody is logged in to %s", s.context)}, "entente login --context %s --client-id ID --client-secret-file FILE (entente login --help has other ways)", quote(s.context))
}

// become makes the session's client that of a caller.
func (s *session) become(ctx context.Context, who login.Caller) (err error) {
	if who, err = who.Resolved(); err != nil {
		return hint(err, "set them, or log in otherwise: entente login --context %s --help", quote(s.context))
	}
	l := who.Login
	s.caller.clientID, s.caller.secret, s.caller.tokenFile, s.caller.method = l.ClientID, who.Secret, l.TokenFile, l.Method
	if s.tenantID, err = s.resolveTenant(ctx, who); err != nil {
		return s.explain(err)
	}
	who.TenantID = s.tenantID
	source, err := who.Source()
	if err != nil {
		return err
	}
	return s.with(source)
}

// resolveTenant is the id of the caller's tenant. In Azure it may stay unknown where
// somebody else knows it: az, or the machine.
func (s *session) resolveTenant(ctx context.Context, who login.Caller) (string, error) {
	name := who.TenantID
	if id, err := uuid.Parse(name); err == nil {
		return id.String(), nil
	}
	none := name == "" || name == "common" || name == "organizations"
	switch {
	case none && !s.azure:
		name = "adfs"
	case none && (who.Login.Method == login.AzureCLI || who.Login.Method == login.ManagedIdentity):
		return "", nil
	case none && s.subscription != "":
		return client.DiscoverTenant(ctx, s.endpoints.ResourceManager, s.subscription, s.http)
	case none:
		return "", usage(hint(errors.New("the tenant is not known"), "--tenant takes its id or domain; entente login --tenant keeps it"))
	}
	return client.ResolveTenant(ctx, s.authority, name, s.http)
}

// explainContext is explain for the sessions of contexts.
func (s *session) explainContext(err error) error {
	if _, ok := errors.AsType[*hinted](err); ok {
		return err
	}
	name := quote(s.context)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	refusal, refused := errors.AsType[*client.TokenError](err)
	answer, answered := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, login.ErrNoSecret):
		return hint(err, "entente login --context %s --client-id %s --client-secret-file FILE", name, cmp.Or(s.caller.clientID, "ID"))
	case errors.Is(err, login.ErrNobody):
		return hint(err, "az login, or another way to log in: entente login --context %s --help", name)
	case untrusted && s.azure:
		return hint(err, "the system does not trust the certificate, which may be that of a proxy; SSL_CERT_FILE names other certificates to trust")
	case untrusted:
		return hint(err, "context %s has a CA that did not make the service's certificate: entente context remove %s, and add it again with --ca FILE", s.context, name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint(err, "nothing answers at %s; entente context show %s says whose address that is", s.authority, name)
	case refused && refusal.HasCode(90002):
		return hint(err, "--tenant takes the id or the domain of a tenant of %s", s.authority)
	case refused && refusal.Status < 500:
		return hint(err, "entente login --context %s logs in anew", name)
	case answered && answer.Status == http.StatusForbidden:
		return hint(err, "%s; entente whoami --context %s shows what it has", s.caller.needs(answer), name)
	}
	return err
}
