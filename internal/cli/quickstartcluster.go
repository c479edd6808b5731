package cli

import (
	"context"
	"encoding/json"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/entente-id/entente/internal/localissuer"
)

// cluster is where the quickstart's service-account tokens come from.
type cluster interface {
	issuer() string
	caPEM() []byte           // the CA of an issuer that is to be asked for its keys
	keySet() json.RawMessage // the keys of one that is not
	mint(ctx context.Context, namespace, account string) (string, error)
	close()
}

func openCluster(ctx context.Context, kubeconfig string) (cluster, error) {
	if kubeconfig != "" {
		return openRealCluster(ctx, kubeconfig)
	}
	issuer, err := localissuer.New(localissuer.Config{})
	if err != nil {
		return nil, err
	}
	return localCluster{issuer}, issuer.Start(ctx, "127.0.0.1:0")
}

// localCluster is an issuer in this process.
type localCluster struct{ i *localissuer.Issuer }

func (c localCluster) issuer() string          { return c.i.URL() }
func (c localCluster) caPEM() []byte           { return c.i.CAPEM() }
func (c localCluster) keySet() json.RawMessage { return nil }
func (c localCluster) close()                  { c.i.Close() }

func (c localCluster) mint(_ context.Context, namespace, account string) (string, error) {
	return c.i.Mint(localissuer.Token{Namespace: namespace, ServiceAccount: account, Audiences: []string{quickAudience}})
}

// realCluster is a kubeconfig's.
type realCluster struct {
	api kubernetes.Interface
	url string
	set json.RawMessage
}

func (c *realCluster) issuer() string          { return c.url }
func (c *realCluster) caPEM() []byte           { return nil }
func (c *realCluster) keySet() json.RawMessage { return c.set }
func (c *realCluster) close()                  {}

func openRealCluster(ctx context.Context, kubeconfig string) (*realCluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	c := &realCluster{api: api}
	document, err := api.Discovery().RESTClient().Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	if err != nil {
		return nil, hint(fmt.Errorf("read the cluster's issuer: %w", err), "the user of the kubeconfig needs the ClusterRole system:service-account-issuer-discovery")
	}
	var discovery struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(document, &discovery); err != nil {
		return nil, fmt.Errorf("read the cluster's discovery document: %w", err)
	}
	c.url = discovery.Issuer
	if c.set, err = api.Discovery().RESTClient().Get().AbsPath("/openid/v1/jwks").DoRaw(ctx); err != nil {
		return nil, fmt.Errorf("read the cluster's keys: %w", err)
	}
	return c, c.prepare(ctx)
}

func (c *realCluster) prepare(ctx context.Context) error {
	_, err := c.api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: quickNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the namespace %s: %w", quickNamespace, err)
	}
	for _, name := range []string{quickAccount, "default"} {
		_, err = c.api.CoreV1().ServiceAccounts(quickNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make the service account %s: %w", name, err)
		}
	}
	return nil
}

func (c *realCluster) mint(ctx context.Context, namespace, account string) (string, error) {
	seconds := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{quickAudience}, ExpirationSeconds: &seconds}}
	token, err := c.api.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request a token for %s/%s: %w", namespace, account, err)
	}
	return token.Status.Token, nil
}
