// Package webhook changes pods that ask for a federated identity.
//
// It is a pure function, Mutate, and what stands around it: a pod that is
// changed wrongly does not start, and the API server asks nobody a second time,
// so everything that decides can be tested without a cluster. A patch is made
// for the document that the API server sent, never for a Pod of this program's
// own version of the API, so that a field which this program has not heard of
// comes out as it went in.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/entente-id/entente/internal/credential"
)

// A Mode is the way in which a pod is helped to a token.
type Mode string

const (
	// Workload gives containers a federated token file and says whose it is: what azure-workload-identity does.
	Workload Mode = "workload"
	// ADFS is Workload with the tenant "adfs", by which unmodified SDKs find an authority that is not Microsoft's.
	ADFS Mode = "adfs"
	// ManagedIdentity gives containers the App Service endpoint of a proxy beside them, and nothing else.
	ManagedIdentity Mode = "managed-identity"
	// TokenProxy is Workload through the transport of AKS' identity bindings, with another audience.
	TokenProxy Mode = "token-proxy"
)

// Modes are all modes, in the order of the documentation.
func Modes() []Mode { return []Mode{Workload, ADFS, ManagedIdentity, TokenProxy} }

// ParseMode reads the name of a mode. Empty is Workload.
func ParseMode(name string) (Mode, error) {
	if name == "" {
		return Workload, nil
	}
	for _, m := range Modes() {
		if string(m) == name {
			return m, nil
		}
	}
	return "", fmt.Errorf("mode %q is none of %q", name, Modes())
}

// What stands in a Config that says nothing else.
const (
	DefaultAudience  = credential.DefaultAudience
	DefaultProxyPort = 8000
	DefaultAuthority = "https://login.microsoftonline.com/"
)

// Label is what pods carry that want to be changed, with the value "true".
const Label = "azure.workload.identity/use"

// BundleName and BundleKey are the ConfigMap, in the namespace of the pod, and
// its key that hold the certificates of an own authority and the public roots.
const (
	BundleName = "entente-ca-bundle"
	BundleKey  = "ca-bundle.crt"
)

// Config is what an operator decides for all pods. The zero value is that of
// Azure's public cloud without a default tenant and without a proxy.
type Config struct {
	TenantID          string // of service accounts that name none; AZURE_TENANT_ID
	AuthorityHost     string // AZURE_AUTHORITY_HOST of containers; "" = DefaultAuthority
	Audience          string // of the token; "" = DefaultAudience
	Mode              Mode   // of pods and namespaces that name none; "" = Workload
	CABundle          bool   // the authority has a CA of its own: BundleName is mounted and named
	KubernetesVersion string // "v1.34.10": whether there are native sidecars; "" = there are

	ProxyImage      string // of the proxy; "" = pods that need it are refused
	ProxyInitImage  string // of the container that redirects 169.254.169.254; "" = ProxyImage
	ProxyPullPolicy string // "" = IfNotPresent
	ProxyLogLevel   string // "" = info

	TokenProxy TokenProxyConfig

	RefuseDefaultServiceAccount bool // pods of the account "default" are refused, and not only warned

	Secret func() string // makes an IDENTITY_HEADER; nil = 256 random bits
}

// TokenProxyConfig is the transport of AKS' identity bindings; the names are
// those of azure-workload-identity's environment and flags.
type TokenProxyConfig struct {
	Suffix               string // pods annotated azure.workload.identity/use-SUFFIX: "true"; "" = only by mode
	Audience             string // of the token; must be another than Config.Audience
	Endpoint             string // AZURE_KUBERNETES_TOKEN_PROXY, an https URL; "" = there is no such transport
	SNIName              string // AZURE_KUBERNETES_SNI_NAME
	CAData               string // AZURE_KUBERNETES_CA_DATA, PEM; at most one of the three
	CAConfigMap          string // AZURE_KUBERNETES_CA_CONFIGMAP_NAME: key ca.crt, in the namespace of the pod
	CATrustSigner        string // AZURE_KUBERNETES_CA_CTB_SIGNER_NAME
	CATrustLabelSelector string // AZURE_KUBERNETES_CA_CTB_LABEL_SELECTOR, of CATrustSigner
}

// Validate says what of a configuration cannot be meant, and by which flag or
// variable it was said.
func (c Config) Validate() error {
	if _, err := ParseMode(string(c.Mode)); err != nil {
		return fmt.Errorf("--mode: %w", err)
	}
	if c.AuthorityHost != "" {
		if err := checkURL(c.AuthorityHost); err != nil {
			return fmt.Errorf("--authority-host: %w", err)
		}
	}
	if c.KubernetesVersion != "" {
		if _, err := version.ParseGeneric(c.KubernetesVersion); err != nil {
			return fmt.Errorf("version of the cluster: %w", err)
		}
	}
	if c.Mode == ManagedIdentity && c.ProxyImage == "" {
		return errors.New("--mode managed-identity needs PROXY_IMAGE")
	}
	return c.TokenProxy.validate(c)
}

func (t TokenProxyConfig) validate(c Config) error {
	if t.Suffix != "" {
		if wrong := validation.IsQualifiedName(prefix + "use-" + t.Suffix); len(wrong) > 0 {
			return fmt.Errorf("--custom-token-endpoint-annotation-suffix %q: %s", t.Suffix, strings.Join(wrong, "; "))
		}
	}
	if t.Endpoint == "" {
		if t.Suffix != "" || c.Mode == TokenProxy {
			return errors.New("token proxy: AZURE_KUBERNETES_TOKEN_PROXY is missing")
		}
		return nil
	}
	if err := checkURL(t.Endpoint); err != nil {
		return fmt.Errorf("AZURE_KUBERNETES_TOKEN_PROXY: %w", err)
	}
	if t.Audience == "" || t.Audience == c.audience() {
		return fmt.Errorf("--custom-token-endpoint-audience must be there, and another than %q", c.audience())
	}
	given := 0
	for _, s := range []string{t.CAData, t.CAConfigMap, t.CATrustSigner} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return errors.New("of AZURE_KUBERNETES_CA_DATA, AZURE_KUBERNETES_CA_CONFIGMAP_NAME and AZURE_KUBERNETES_CA_CTB_SIGNER_NAME only one may be there")
	}
	if t.CATrustLabelSelector != "" && t.CATrustSigner == "" {
		return errors.New("AZURE_KUBERNETES_CA_CTB_LABEL_SELECTOR needs AZURE_KUBERNETES_CA_CTB_SIGNER_NAME")
	}
	if _, err := labelSelector(t.CATrustLabelSelector); err != nil {
		return fmt.Errorf("AZURE_KUBERNETES_CA_CTB_LABEL_SELECTOR: %w", err)
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not an https URL without user, query and fragment", s)
	}
	return nil
}

// labelSelector reads a label selector, as text ("a=b,c in (d,e)") or as JSON
// (meta/v1.LabelSelector). Empty is none.
func labelSelector(s string) (*metav1.LabelSelector, error) {
	if s = strings.TrimSpace(s); s == "" {
		return nil, nil
	}
	if !strings.HasPrefix(s, "{") {
		selector, err := metav1.ParseToLabelSelector(s)
		if err != nil {
			return nil, fmt.Errorf("label selector %q: %w", s, err)
		}
		return selector, nil
	}
	selector := new(metav1.LabelSelector)
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(selector); err != nil {
		return nil, fmt.Errorf("label selector %q: %w", s, err)
	}
	_, err := metav1.LabelSelectorAsSelector(selector)
	return selector, err
}

func (c Config) audience() string {
	if c.Audience == "" {
		return DefaultAudience
	}
	return c.Audience
}

func (c Config) authority() string {
	if c.AuthorityHost == "" {
		return DefaultAuthority
	}
	return c.AuthorityHost
}

// nativeSidecars says whether init containers may go on running. They do so
// unasked since Kubernetes 1.29, and kubelets may be three minor versions older
// than the API server (kubernetes.io/releases/version-skew-policy), which is why
// azure-workload-identity says 1.32 as well.
func (c Config) nativeSidecars() bool {
	v, err := version.ParseGeneric(c.KubernetesVersion)
	return err != nil || v.AtLeast(version.MajorMinor(1, 32))
}

// AuthorityOf returns the authority host of the cloud that AZURE_ENVIRONMENT
// names, in any case; "" is AzurePublicCloud. AzureStackCloud reads the member
// activeDirectoryEndpoint of the file that AZURE_ENVIRONMENT_FILEPATH names.
func AuthorityOf(environment, file string) (string, error) {
	switch strings.ToLower(environment) {
	case "", "azurepubliccloud", "azurecloud":
		return DefaultAuthority, nil
	case "azureusgovernmentcloud", "azureusgovernment":
		return "https://login.microsoftonline.us/", nil
	case "azurechinacloud":
		return "https://login.chinacloudapi.cn/", nil
	case "azurestackcloud":
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("AZURE_ENVIRONMENT_FILEPATH: %w", err)
		}
		var cloud struct {
			Authority string `json:"activeDirectoryEndpoint"`
		}
		if err := json.Unmarshal(data, &cloud); err != nil {
			return "", fmt.Errorf("AZURE_ENVIRONMENT_FILEPATH: read %q: %w", file, err)
		}
		if err := checkURL(cloud.Authority); err != nil {
			return "", fmt.Errorf("AZURE_ENVIRONMENT_FILEPATH: activeDirectoryEndpoint of %q: %w", file, err)
		}
		return cloud.Authority, nil
	}
	return "", fmt.Errorf("AZURE_ENVIRONMENT: no cloud is called %q", environment)
}

// A ServiceAccount is what a webhook knows of one.
type ServiceAccount struct {
	Namespace, Name string
	Annotations     map[string]string
	Found           bool // false: it was looked for, live too, and is not there
}

// Result is what becomes of a pod.
type Result struct {
	Patch       []jsonpatch.Operation // of the document that was given; empty: it is as it should be
	Warnings    []string              // for whoever creates the pod, most of them shorter than 120 characters
	Notices     []Notice              // for whoever owns the service account
	Mode        Mode                  // "" = nothing was to be done (mirror pods)
	NeedsBundle bool                  // the pod mounts the ConfigMap BundleName of its namespace
}

// A Notice is an Event on a service account.
type Notice struct{ Reason, Message string }

// Reasons of notices: a bounded set, which may label metrics.
const (
	ReasonNoClientID    = "ClientIDMissing"
	ReasonBadClientID   = "ClientIDMalformed"
	ReasonBadIdentity   = "IdentityMalformed"
	ReasonNoTenant      = "TenantMissing"
	ReasonDefault       = "DefaultServiceAccount"
	ReasonAnnotation    = "AnnotationUnknown"
	ReasonRefused       = "PodRefused"
	ReasonBundleMissing = "CABundleMissing"
)

// A Refusal is why a pod is not admitted.
type Refusal struct {
	Code    int32 // http.StatusBadRequest: what the pod says cannot be; http.StatusForbidden: a policy
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func badRequest(format string, args ...any) error {
	return &Refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// An AccountReader finds service accounts. For one that is not there it answers
// Found false and no error. live passes by every cache.
type AccountReader interface {
	Account(ctx context.Context, name types.NamespacedName, live bool) (ServiceAccount, error)
}

// A NamespaceReader finds the annotations of a namespace; none and no error for
// one that is not there.
type NamespaceReader interface {
	NamespaceAnnotations(ctx context.Context, name string) (map[string]string, error)
}
