package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/intercept"
	"github.com/entente-id/entente/internal/server"
)

// runService is the service that answers for Azure.
type runService struct {
	*session
	asAdmin bool
	served  chan error // of a new one: how it ended
	stop    context.CancelFunc
}

// service finds the service, and that it answers, or starts a new one.
func (o *runOptions) service(ctx context.Context, cmd *cobra.Command, dir string) (*runService, error) {
	r := &runService{asAdmin: o.asAdmin}
	if !o.embedded {
		var err error
		if r.session, err = o.known(ctx, cmd); err != nil {
			return nil, err
		}
	}
	if r.session != nil {
		return r, r.answers(ctx)
	}
	if !cmd.Flags().Changed("as-admin") {
		r.asAdmin = true
	}
	return r, r.start(ctx, filepath.Join(dir, "service"), o.seed, cmd.ErrOrStderr())
}

// known is the service that the flags, the environment or the current context
// mean; nil: there is none, or it is Azure. Its caller is found only where
// COMMAND is to be that: COMMAND may have a credential that this shell has not.
func (o *runOptions) known(ctx context.Context, cmd *cobra.Command) (*session, error) {
	f := &search{connection: o.connection, given: func(flag string) bool { return wasGiven(cmd.Flags(), flag) }, getenv: os.Getenv}
	named, err := f.contextName()
	if err != nil {
		return nil, err
	}
	chosen, _, err := f.chosen()
	if err != nil {
		return nil, err
	}
	s := &session{}
	if chosen != nil {
		s = sessionOf(*chosen)
		switch {
		case s.azure && named != "":
			return nil, usage(hint(fmt.Errorf("%s is Azure itself", named), "without entente run, COMMAND talks to Azure; --embedded starts a new service in its place"))
		case s.azure:
			return nil, nil
		}
		s.tenantID = cmp.Or(o.tenant, chosen.TenantID)
	} else {
		_, err = f.where(s)
		if errors.Is(err, fs.ErrNotExist) && f.url == "" && !f.given("data-dir") && f.getenv("ENTENTE_DATA_DIR") == "" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if s.http, err = trusting(s.caFile); err != nil {
			return nil, err
		}
		if s.tenantID, err = f.whichTenant(ctx, s); err != nil {
			return nil, s.explain(err)
		}
		if f.local {
			s.caller.dataDir, err = absolute(f.dataDir)
		}
	}
	if err != nil || !o.asAdmin {
		return s, err
	}
	if s, err = o.open(cmd); err != nil {
		return nil, err
	}
	if s.caller.secret == "" && s.caller.tokenFile == "" {
		return nil, hint(fmt.Errorf("--as-admin: %s has no secret that COMMAND could be given", s.caller), "without --as-admin, COMMAND is who its environment says")
	}
	return s, nil
}

// answers asks the service whether it is there, and for the tenant's id.
func (r *runService) answers(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tenant := r.tenantID
	if tenant == "" {
		tenant = "adfs"
	}
	if r.tenantID, err = client.ResolveTenant(ctx, r.authority, tenant, r.http); err != nil {
		return r.explain(err)
	}
	if r.asAdmin && r.subscription == "" {
		r.subscriptionID(ctx, "") // of a client that sees none or several, COMMAND has to say which
	}
	return nil
}

// start starts a service that lives as long as COMMAND does. Its tokens have
// the issuer that tokens of Azure have, and client assertions may be for
// Azure's token endpoint.
func (r *runService) start(ctx context.Context, dir, seed string, stderr io.Writer) error {
	log, err := newLog(stderr, "error", "text")
	if err != nil {
		return err
	}
	config := server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, IssuerURL: "https://" + intercept.LoginHosts()[0],
		AnyResource: true, Seed: seed, Log: log, Version: version(),
	}
	for _, name := range intercept.LoginHosts() {
		config.Hosts = append(config.Hosts, server.HostName{Name: name})
	}
	service, err := server.Open(ctx, config)
	if err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.served = make(chan error, 1)
	go func() { r.served <- service.Serve(ctx) }()
	admin, err := readAdmin(dir)
	if err != nil {
		return errors.Join(err, r.close())
	}
	r.session = &session{
		authority: admin.Authority, caFile: admin.CAFile, tenantID: admin.TenantID, subscription: admin.SubscriptionID,
		caller: caller{clientID: admin.ClientID, secret: admin.ClientSecret, dataDir: dir},
	}
	if r.http, err = trusting(r.caFile); err != nil {
		return errors.Join(err, r.close())
	}
	return nil
}

// close ends a service that was started, and waits until its files are closed.
func (r *runService) close() error {
	if r.http != nil {
		r.http.CloseIdleConnections()
	}
	if r.served == nil {
		return nil
	}
	r.stop()
	return <-r.served
}

// variables are those of COMMAND's environment that say who it is and where
// the service is; empty ones are taken out.
func (r *runService) variables(getenv func(string) string) map[string]string {
	set := map[string]string{"ENTENTE_URL": r.authority, "ENTENTE_TENANT": r.tenantID, "ENTENTE_CA": r.caFile, "ENTENTE_DATA_DIR": r.caller.dataDir}
	if r.context != "" {
		set = map[string]string{"ENTENTE_CONTEXT": r.context} // of the file of contexts, which has the rest
	}
	for _, name := range []string{"ENTENTE_URL", "ENTENTE_TENANT", "ENTENTE_CA", "ENTENTE_DATA_DIR", "ENTENTE_CONTEXT", "ENTENTE_CLOUD"} {
		set[name] += ""
	}
	// COMMAND is to go where programs go in Azure.
	for _, name := range []string{"AZURE_AUTHORITY_HOST", "ARM_CLOUD_METADATA_URL", "ARM_METADATA_HOSTNAME", "ARM_METADATA_HOST", "ARM_ENDPOINT"} {
		if v := getenv(name); v != "" && !intercept.Answers(hostIn(v)) {
			set[name] = ""
		}
	}
	if getenv("AZURE_TENANT_ID") == "adfs" {
		set["AZURE_TENANT_ID"] = r.tenantID
	}
	if !r.asAdmin {
		return set
	}
	for _, name := range []string{
		"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_TOKEN_CREDENTIALS",
		"ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_CLIENT_ID_FILE_PATH", "ARM_CLIENT_SECRET_FILE_PATH",
		"ARM_OIDC_TOKEN", "ARM_USE_MSI", "ARM_USE_OIDC", "ARM_USE_AKS_WORKLOAD_IDENTITY",
	} {
		set[name] = ""
	}
	for name, value := range map[string]string{
		"TENANT_ID": r.tenantID, "SUBSCRIPTION_ID": r.subscription, "CLIENT_ID": r.caller.clientID, "CLIENT_SECRET": r.caller.secret,
	} {
		set["AZURE_"+name], set["ARM_"+name] = value, value
	}
	set["AZURE_FEDERATED_TOKEN_FILE"], set["ARM_OIDC_TOKEN_FILE_PATH"] = r.caller.tokenFile, r.caller.tokenFile
	if r.caller.tokenFile != "" {
		set["ARM_USE_OIDC"] = "true"
	}
	return set
}

// hostIn is the host of a URL, or of what is one without its scheme.
func hostIn(s string) string {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
