package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

type loginOptions struct {
	context, cloud       string
	tenant, subscription string
	clientID             string
	secretFile           string
	certificate          string
	tokenFile            string
	az, environment      bool
	managedIdentity      bool
	noCheck, dryRun      bool
}

func newLogin() *cobra.Command {
	o := &loginOptions{}
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Say who calls a service",
		Long: `Say who calls the service of a context, and prove it by a token that the service
gives. One of

  --client-id ID --client-secret-file FILE      a client secret, which is copied
  --client-id ID                                the same; the secret is asked for, or
                                                it is AZURE_CLIENT_SECRET
  --client-id ID --certificate FILE             a certificate with its private key
  --client-id ID --federated-token-file FILE    a token of an issuer that is trusted,
                                                read anew each time
  --use-az                                      who is logged in to the Azure CLI
  --use-environment                             the client in the environment, each time
  --managed-identity [--client-id ID]           what the machine or the pod has

The login is kept with the context, and a secret in a file for you alone. There is
no flag for the secret itself: others can read command lines.`,
		Example: `  entente login --context lab --client-id ID --client-secret-file secret.txt
  pass show lab | entente login --context lab --client-id ID --client-secret-file -
  entente login --context prod --client-id ID --certificate robot.pem
  entente login --cloud usgov --use-az --tenant contoso.onmicrosoft.us
  entente login --cloud public --managed-identity`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	contextFlags(f, &o.context, &o.cloud)
	f.StringVar(&o.tenant, "tenant", "", "`TENANT`, by id or domain (default: the context's)")
	f.StringVar(&o.subscription, "subscription", "", "`ID` of the subscription to work in (default: the context's)")
	f.StringVar(&o.clientID, "client-id", "", "client `ID`")
	f.StringVar(&o.secretFile, "client-secret-file", "", "`FILE` with the client secret; - is standard input")
	f.StringVar(&o.certificate, "certificate", "", "`FILE` with the client's certificate and private key, PEM or PKCS #12")
	f.StringVar(&o.tokenFile, "federated-token-file", "", "`FILE` with the token that the client proves itself with")
	f.BoolVar(&o.az, "use-az", false, "as who is logged in to the Azure CLI")
	f.BoolVar(&o.environment, "use-environment", false, "as AZURE_CLIENT_ID, whenever a command runs")
	f.BoolVar(&o.managedIdentity, "managed-identity", false, "as the managed identity of the machine or the pod")
	f.BoolVar(&o.noCheck, "no-check", false, "do not ask the service for a token")
	f.BoolVar(&o.dryRun, "dry-run", false, "prove who calls, and keep nothing")
	return cmd
}

// contextFlags are those of verbs that are about a context and no other service.
func contextFlags(f *pflag.FlagSet, context, cloud *string) {
	f.StringVar(context, "context", "", "`NAME` of the context (default: the current one)")
	f.StringVar(cloud, "cloud", "", "`CLOUD`: public, usgov, china, or the name of a context")
}

// contextOf is the context that two flags name, or the current one.
func contextOf(cmd *cobra.Command, context, cloud string) (login.Store, login.Context, error) {
	f := &search{connection: connection{context: context, cloud: cloud}, given: func(flag string) bool { return wasGiven(cmd.Flags(), flag) }, getenv: os.Getenv}
	store, all, err := openContexts(os.Getenv)
	if err != nil {
		return store, login.Context{}, err
	}
	name, err := f.contextName()
	if err != nil {
		return store, login.Context{}, err
	}
	if name = cmp.Or(name, all.Current); name == "" {
		return store, login.Context{}, usage(hint(errors.New("there is no current context"), "entente context add NAME --url URL --ca FILE registers a service; --cloud public is Azure"))
	}
	c, err := findContext(all, name)
	return store, c, err
}

// method is the login that the flags ask for, without the secret.
func (o *loginOptions) method(azure bool) (l login.Login, err error) {
	l.ClientID = o.clientID
	said := 0
	for _, way := range []struct {
		method login.Method
		said   bool
	}{
		{login.Secret, o.secretFile != ""}, {login.Certificate, o.certificate != ""}, {login.Federated, o.tokenFile != ""},
		{login.AzureCLI, o.az}, {login.Environment, o.environment}, {login.ManagedIdentity, o.managedIdentity},
	} {
		if way.said {
			l.Method = way.method
			said++
		}
	}
	if said > 1 {
		return l, usage(errors.New("give one way to log in: --client-secret-file, --certificate, --federated-token-file, --use-az, --use-environment or --managed-identity"))
	}
	if said == 0 {
		switch {
		case o.clientID != "":
			l.Method = login.Secret
		case azure:
			l.Method = login.AzureCLI
		default:
			return l, usage(hint(errors.New("who calls? give --client-id ID, or one of the other ways"), "entente login --help lists them"))
		}
	}
	switch l.Method {
	case login.AzureCLI, login.Environment:
		if l.ClientID != "" {
			return l, usage(fmt.Errorf("--client-id does not go with --use-%s, which says who calls", l.Method))
		}
	case login.Secret, login.Certificate, login.Federated:
		if l.ClientID == "" {
			return l, usage(errors.New("--client-id is missing"))
		}
	}
	if l.CertificateFile, err = absolute(o.certificate); err != nil {
		return l, err
	}
	l.TokenFile, err = absolute(o.tokenFile)
	return l, err
}

// secret finds the client secret: in the file, in the environment, or by asking.
func (o *loginOptions) secret(cmd *cobra.Command) (string, error) {
	var text []byte
	var err error
	in := cmd.InOrStdin()
	switch fromEnvironment := os.Getenv("AZURE_CLIENT_SECRET"); {
	case o.secretFile == "-":
		text, err = readBounded(in, "standard input")
	case o.secretFile != "":
		text, err = readFileBounded(o.secretFile)
	case fromEnvironment != "" && os.Getenv("AZURE_CLIENT_ID") == o.clientID:
		text = []byte(fromEnvironment)
	default:
		text, err = askSecret(in, cmd.ErrOrStderr(), "Client secret of "+o.clientID+": ")
	}
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" || strings.ContainsAny(secret, "\n\x00") {
		return "", errors.New("the client secret is empty, or more than one line")
	}
	return secret, nil
}

// askSecret asks a person, whose answer is not shown.
func askSecret(in io.Reader, out io.Writer, question string) ([]byte, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, usage(hint(errors.New("nobody is there to ask for the client secret"), "--client-secret-file FILE has it, or AZURE_CLIENT_SECRET with AZURE_CLIENT_ID; - is standard input"))
	}
	fmt.Fprint(out, question)
	defer fmt.Fprintln(out)
	return term.ReadPassword(int(f.Fd()))
}

func (o *loginOptions) run(cmd *cobra.Command) error {
	store, c, err := contextOf(cmd, o.context, o.cloud)
	if err != nil {
		return err
	}
	if c.Login, err = o.method(c.IsAzure()); err != nil {
		return err
	}
	if wasGiven(cmd.Flags(), "tenant") {
		c.TenantID = o.tenant
	}
	c.SubscriptionID = cmp.Or(o.subscription, c.SubscriptionID)
	secret := ""
	if c.Login.Method == login.Secret {
		if secret, err = o.secret(cmd); err != nil {
			return err
		}
	}
	who := "not proven: the service was not asked"
	if !o.noCheck {
		s := sessionOf(c)
		a := login.Caller{Endpoints: s.endpoints, Azure: s.azure, TenantID: c.TenantID, Login: c.Login, Secret: secret, HTTP: s.http, Getenv: os.Getenv}
		if err := s.become(cmd.Context(), a); err != nil {
			return s.explainLogin(err)
		}
		claims, err := s.claims(cmd.Context())
		if err != nil {
			return s.explainLogin(err)
		}
		who = fmt.Sprintf("%s of tenant %s", cmp.Or(claims.User, "client "+claims.ClientID), claims.TenantID)
		c.TenantID = cmp.Or(s.tenantID, claims.TenantID)
	}
	if o.dryRun {
		secret = ""
	}
	err = changeContexts(cmd.Context(), store, o.dryRun, func(all *login.Change) error {
		if all.Current == "" {
			all.Current = c.Name
		}
		return all.Put(c, secret)
	})
	if err != nil {
		return err
	}
	did := fmt.Sprintf("logged in to %s, %s (%s): %s", c.Name, c.Endpoints().Authority, loginInWords(c), who)
	if o.dryRun {
		fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would have %s\n", did)
		return nil
	}
	note(cmd, "%s", did)
	return nil
}

// explainLogin is explain where "log in anew" would not help.
func (s *session) explainLogin(err error) error {
	if _, ok := errors.AsType[*hinted](err); ok {
		return err
	}
	if refusal, ok := errors.AsType[*client.TokenError](err); ok && refusal.Status < 500 && !refusal.HasCode(90002) {
		return hint(err, "nothing was kept; look at --client-id, its proof and --tenant")
	}
	return s.explain(err)
}

// sessionOf is the session of a context before anybody is known.
func sessionOf(c login.Context) *session {
	e := c.Endpoints()
	return &session{context: c.Name, azure: c.IsAzure(), endpoints: e, authority: e.Authority, subscription: c.SubscriptionID, http: trustingPEM(c.CA)}
}

// claims are what a token of the caller says, which the service gives for it.
func (s *session) claims(ctx context.Context) (login.Claims, error) {
	t, err := s.source.Token(ctx, client.Scope(s.endpoints.ResourceManagerAudience))
	if err != nil {
		return login.Claims{}, err
	}
	return login.ReadClaims(t.AccessToken)
}

func newLogout() *cobra.Command {
	var context, cloud string
	dryRun := false
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget who calls a service",
		Long: `Forget the login of a context, and the secret that was kept for it. Tokens are not
kept, so there are none to forget; the context stays.`,
		Example: "  entente logout\n  entente logout --context lab",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, c, err := contextOf(cmd, context, cloud)
			if err != nil {
				return err
			}
			switch {
			case c.Login == (login.Login{}):
				note(cmd, "nobody was logged in to %s", c.Name)
			case dryRun:
				fmt.Fprintf(cmd.ErrOrStderr(), "dry run: would forget the login to %s: %s\n", c.Name, loginInWords(c))
				return nil
			default:
				err = changeContexts(cmd.Context(), store, false, func(all *login.Change) error {
					kept, there := all.Find(c.Name)
					if !there || kept.Login == (login.Login{}) {
						return nil
					}
					kept.Login = login.Login{}
					return all.Put(kept, "")
				})
				if err != nil {
					return err
				}
				note(cmd, "nobody is logged in to %s any more", c.Name)
			}
			if c.IsAzure() {
				note(cmd, "commands for it now take who is logged in to az, which az logout ends")
			}
			return nil
		},
	}
	contextFlags(cmd.Flags(), &context, &cloud)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be forgotten, and forget nothing")
	return cmd
}
