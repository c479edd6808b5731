package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// ficWait proves a credential by a real exchange.
type ficWait struct {
	wait                               bool
	tokenFile, kubeconfig, kubeContext string
	patience                           time.Duration
}

func (w *ficWait) flags(f *pflag.FlagSet) {
	f.BoolVar(&w.wait, "wait", false, "exchange a real token until the service takes it")
	f.StringVar(&w.tokenFile, "token-file", "", "with --wait: `FILE` with a token that the credential trusts")
	f.StringVar(&w.kubeconfig, "kubeconfig", "", "with --wait: `FILE` that says where the service account's cluster is (default: as kubectl)")
	f.StringVar(&w.kubeContext, "kube-context", "", "with --wait: `NAME` of the kubeconfig's context (default: the current one)")
	f.DurationVar(&w.patience, "wait-timeout", 5*time.Minute, "how long --wait waits")
}

func (w *ficWait) check(subject string) error {
	_, _, isServiceAccount := credential.ParseServiceAccountSubject(subject)
	switch {
	case !w.wait && (w.tokenFile != "" || w.kubeconfig != "" || w.kubeContext != ""):
		return usage(errors.New("--token-file, --kubeconfig and --kube-context go with --wait"))
	case w.wait && w.tokenFile == "" && !isServiceAccount:
		return usage(errors.New("--wait needs a token of the subject: --token-file FILE (only those of service accounts can be asked for)"))
	}
	return nil
}

// assertion is what gives the token, which is looked at first: one that does not say
// what the credential trusts would be refused for ever. It is nil where nobody waits.
func (w *ficWait) assertion(ctx context.Context, c client.FederatedCredential) (func(context.Context) (string, error), error) {
	if !w.wait {
		return nil, nil
	}
	read := client.AssertionFile(w.tokenFile)
	if w.tokenFile == "" {
		token, err := w.request(ctx, c)
		if err != nil {
			return nil, err
		}
		read = func(context.Context) (string, error) { return token, nil }
	}
	text, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("--wait: %w", err)
	}
	token, err := issuer.Read(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("--wait: %w", err)
	}
	says := token.Says()
	if !says.Expiry.IsZero() && time.Now().After(says.Expiry) {
		return nil, hint(fmt.Errorf("--wait: nothing was written: the token expired at %s", says.Expiry.UTC().Format(time.RFC3339)), "give a newer one")
	}
	trust := credential.Trust{ID: c.Name, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audiences[0]}
	if _, differences := credential.Nearest([]credential.Trust{trust}, credential.Assertion{Issuer: says.Issuer, Subject: says.Subject, Audiences: says.Audiences}); len(differences) > 0 {
		d := differences[0]
		return nil, hint(fmt.Errorf("--wait: nothing was written: the token is not one that the credential would trust: its %s is %q, and not %q", d.Field, d.Got, d.Want), "%s", d.Hint)
	}
	return read, nil
}

// request asks the cluster of the kubeconfig for a token of the service account
// (Kubernetes API, TokenRequest of authentication.k8s.io/v1).
func (w *ficWait) request(ctx context.Context, c client.FederatedCredential) (string, error) {
	namespace, name, _ := credential.ParseServiceAccountSubject(c.Subject)
	server, err := openAPIServer(w.kubeconfig, w.kubeContext)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"spec": map[string]any{"audiences": c.Audiences, "expirationSeconds": 3600},
	})
	if err != nil {
		return "", err
	}
	path := "/api/v1/namespaces/" + url.PathEscape(namespace) + "/serviceaccounts/" + url.PathEscape(name) + "/token"
	answer, err := server.api.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Raw()
	if err != nil {
		err = fmt.Errorf("--wait: nothing was written: ask the cluster for a token of the service account %s/%s: %w", namespace, name, err)
		if !apierrors.IsNotFound(err) {
			return "", hint(err, "--token-file FILE has a token that you have already")
		}
		return "", hint(&absent{err.Error()},
			"kubectl create serviceaccount %s --namespace %s makes it; --token-file FILE has a token that you have already", quote(name), quote(namespace))
	}
	var made struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &made); err != nil || made.Status.Token == "" {
		return "", errors.New("--wait: nothing was written: the cluster's answer has no token in it")
	}
	return made.Status.Token, nil
}

// passing are the refusals that end by themselves in Azure, where a change takes
// minutes to be known everywhere: no such credential, issuer, subject, audience or
// application, yet
// (https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations).
var passing = []int{70021, 700211, 700212, 700213, 7002138, 700016}

func isPassing(err error, azure bool) bool {
	refusal, ok := errors.AsType[*client.TokenError](err)
	if !ok {
		return false
	}
	if refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests {
		return true
	}
	for _, code := range passing {
		if azure && refusal.HasCode(code) {
			return true
		}
	}
	return false
}

// until exchanges the token until the service takes it.
func (w *ficWait) until(cmd *cobra.Command, s *session, p ficParent, assertion func(context.Context) (string, error)) error {
	if assertion == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), w.patience)
	defer cancel()
	tenant := s.tenantID
	if tenant == "" { // az knows it
		claims, err := s.claims(ctx)
		if err != nil {
			return s.explain(err)
		}
		tenant = claims.TenantID
	}
	goes := progressOf(cmd)
	defer goes.done()
	source := client.Federated(s.authority, tenant, p.ClientID, assertion, s.http)
	for every := time.Second; ; every = min(2*every, 15*time.Second) {
		_, err := source.Token(ctx, client.Scope(s.endpoints.ResourceManagerAudience))
		switch {
		case err == nil:
			goes.done()
			note(cmd, "proven: a token was exchanged, and %s may be used as client %s of tenant %s", p, p.ClientID, tenant)
			return nil
		case !isPassing(err, s.azure):
			return hint(fmt.Errorf("the credential was written, and the exchange is refused: %w", err), "a token of the cluster and this credential fit; the reason is in the message")
		}
		goes.step("not yet: %v", err)
		if pause(ctx, every) != nil {
			return fmt.Errorf("the credential was written, and the exchange is still refused after %s: %w", w.patience, err)
		}
	}
}
