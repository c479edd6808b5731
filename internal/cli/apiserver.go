package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // which a kubeconfig may name
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiServer is a cluster's API server, for the two documents that it publishes
// about its service-account tokens.
type apiServer struct{ api rest.Interface }

// openAPIServer finds the API server of a context of a kubeconfig, as openKubernetes
// does.
func openAPIServer(kubeconfig, context string) (*apiServer, error) {
	api, err := openKubernetes(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return &apiServer{api.Discovery().RESTClient()}, nil
}

// openKubernetes finds the API server of a context of a kubeconfig: the file that is
// named, else those of KUBECONFIG, else ~/.kube/config, else, inside a pod, the
// API server of the pod's cluster. It makes no request.
func openKubernetes(kubeconfig, context string) (kubernetes.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	file := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	config, err := file.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		raw, _ := file.RawConfig() // was read already
		switch name := cmp.Or(context, raw.CurrentContext); {
		case len(raw.Contexts) > 0 && name == "":
			return nil, hint(errors.New("read the kubeconfig: it has no current context"), "--kube-context NAME chooses one")
		case len(raw.Contexts) > 0:
			return nil, fmt.Errorf("read the kubeconfig: the context %q names no cluster in it", name)
		}
		return nil, hint(errors.New("no cluster is known: there is no kubeconfig, and this is no pod"), "--kubeconfig FILE names one")
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.Timeout = 30 * time.Second
	config.Wrap(func(base http.RoundTripper) http.RoundTripper { return traced{base} })
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return api, nil
}

func (a *apiServer) read(ctx context.Context, path string) ([]byte, error) {
	body, err := a.api.Get().AbsPath(path).Stream(ctx)
	if err != nil {
		err = fmt.Errorf("ask the cluster for %s: %w", path, err)
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return nil, hint(err, "who asks needs the ClusterRole system:service-account-issuer-discovery, which every service account has")
		}
		return nil, err
	}
	defer body.Close()
	return readBounded(body, path)
}

// keySet is what the cluster publishes.
func (a *apiServer) keySet(ctx context.Context) (keySet, error) {
	document, err := a.read(ctx, "/openid/v1/jwks")
	if err != nil {
		return keySet{}, err
	}
	set, err := checkKeySet(document)
	if err != nil {
		return keySet{}, fmt.Errorf("the cluster's key set: %w", err)
	}
	return set, nil
}

// issuer is whose tokens the cluster signs, in its own words.
func (a *apiServer) issuer(ctx context.Context) (string, error) {
	document, err := a.read(ctx, "/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(document, &discovery); err != nil {
		return "", fmt.Errorf("the cluster's discovery document: %w", err)
	}
	return discovery.Issuer, nil
}
