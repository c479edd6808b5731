package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Path is where the API server finds the Handler, as with azure-workload-identity.
const Path = "/mutate-v1-pod"

// A Handler answers the API server: pods that are created, and service accounts
// that are written, of which it only warns. It is safe for concurrent use.
type Handler struct {
	Config     Config
	Accounts   AccountReader
	Namespaces NamespaceReader // nil: namespaces choose no mode

	// EnsureBundle makes the ConfigMap BundleName of a namespace; nil: somebody else does.
	EnsureBundle func(ctx context.Context, namespace string) error
	// Notify leaves an Event on a service account; nil: there are none.
	Notify func(account types.NamespacedName, reason, message string)
	// Observe is told how long each answer for a pod took, and the namespace of
	// its service account, "" if that is not there; nil: nobody is.
	Observe func(namespace string, d time.Duration)

	Log     *slog.Logger  // nil: nothing is logged
	Timeout time.Duration // of one answer; 0 = 4 s, less than the API server waits
}

const (
	defaultTimeout = 4 * time.Second
	secondLook     = time.Second // at an account that was found, to see whether it has been annotated since
)

// Handle implements admission.Handler. A dry run changes nothing but its answer.
func (h *Handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	timeout := h.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case req.Operation == admissionv1.Create && req.SubResource == "" && req.Kind.Kind == "Pod":
		return h.admit(ctx, req)
	case req.SubResource == "" && req.Kind.Kind == "ServiceAccount":
		return admission.Allowed("").WithWarnings(AccountWarnings(req.Object.Raw, h.Config)...)
	}
	return admission.Allowed("")
}

func (h *Handler) admit(ctx context.Context, req admission.Request) admission.Response {
	start := time.Now()
	dryRun := req.DryRun != nil && *req.DryRun
	account, result, err := h.decide(ctx, req)
	if err == nil && result.NeedsBundle && !dryRun && h.EnsureBundle != nil {
		if failed := h.EnsureBundle(ctx, req.Namespace); failed != nil {
			// The pod waits for it, and the next attempt makes it: no reason to refuse.
			result.Warnings = append(result.Warnings, fmt.Sprintf("the ConfigMap %s could not be made yet: the pod starts when it is there", BundleName))
			result.Notices = append(result.Notices, Notice{ReasonBundleMissing, fmt.Sprintf("make the ConfigMap %s: %s", BundleName, failed)})
		}
	}
	response := answer(result, err)
	taken := time.Since(start)
	if h.Observe != nil {
		// Whoever reaches the port can ask, and name any namespace; only those
		// that are there may stay in memory.
		namespace := ""
		if account.Found {
			namespace = req.Namespace
		}
		h.Observe(namespace, taken)
	}
	if !dryRun && h.Notify != nil && account.Found {
		var refused *Refusal
		if errors.As(err, &refused) {
			result.Notices = append(result.Notices, Notice{ReasonRefused, err.Error()})
		}
		for _, n := range result.Notices {
			h.Notify(types.NamespacedName{Namespace: account.Namespace, Name: account.Name}, n.Reason, n.Message)
		}
	}
	if h.Log != nil {
		h.log(ctx, req, account, result, err, taken)
	}
	return response
}

// decide reads what stands around a pod, and says what becomes of it.
func (h *Handler) decide(ctx context.Context, req admission.Request) (ServiceAccount, Result, error) {
	p, err := parsePod(req.Object.Raw)
	if err != nil {
		return ServiceAccount{}, Result{}, err
	}
	if p.mirror {
		return ServiceAccount{}, Result{}, nil
	}
	name := types.NamespacedName{Namespace: req.Namespace, Name: p.account}
	account, err := h.find(ctx, name)
	if err != nil {
		return ServiceAccount{}, Result{}, fmt.Errorf("read service account %q: %w", name, err)
	}
	var annotations map[string]string
	if h.Namespaces != nil {
		if annotations, err = h.Namespaces.NamespaceAnnotations(ctx, req.Namespace); err != nil {
			return account, Result{}, fmt.Errorf("read namespace %q: %w", req.Namespace, err)
		}
	}
	result, err := p.mutate(req.Namespace, account, annotations, h.Config)
	return account, result, err
}

// find looks into the cache, and then asks the API server for what was not there
// or had no client id: a pod is often created together with its service account,
// and faster than watches tell of that.
func (h *Handler) find(ctx context.Context, name types.NamespacedName) (ServiceAccount, error) {
	cached, err := h.Accounts.Account(ctx, name, false)
	if err == nil && cached.Found && strings.TrimSpace(cached.Annotations[clientAnnotation]) != "" {
		return cached, nil
	}
	if err != nil || !cached.Found {
		return h.Accounts.Account(ctx, name, true)
	}
	ctx, cancel := context.WithTimeout(ctx, secondLook)
	defer cancel()
	live, err := h.Accounts.Account(ctx, name, true)
	if err != nil || !live.Found {
		return cached, nil // many accounts have no client id, and their programs bring one: what is known will do
	}
	return live, nil
}

func answer(result Result, err error) admission.Response {
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return admission.Errored(refused.Code, refused).WithWarnings(result.Warnings...)
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case len(result.Patch) == 0:
		return admission.Allowed("").WithWarnings(result.Warnings...)
	}
	return admission.Patched("", result.Patch...).WithWarnings(result.Warnings...)
}

func (h *Handler) log(ctx context.Context, req admission.Request, account ServiceAccount, result Result, err error, taken time.Duration) {
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("uid", string(req.UID)),
		slog.String("namespace", req.Namespace),
		slog.String("pod", req.Name),
		slog.String("service_account", account.Name),
		slog.String("mode", string(result.Mode)),
		slog.Int("operations", len(result.Patch)),
		slog.Int("warnings", len(result.Warnings)),
		slog.Bool("dry_run", req.DryRun != nil && *req.DryRun),
		slog.Duration("took", taken),
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	h.Log.LogAttrs(ctx, level, "pod", attrs...)
}

// Objects reads service accounts and namespaces from a cluster, their metadata
// only: a cache of these costs a fraction of one of whole objects.
type Objects struct {
	Cached client.Reader
	Live   client.Reader
}

var (
	_ admission.Handler = (*Handler)(nil)
	_ AccountReader     = Objects{}
	_ NamespaceReader   = Objects{}
)

// AccountKind and NamespaceKind are what Objects asks for, as PartialObjectMetadata.
var (
	AccountKind   = corev1.SchemeGroupVersion.WithKind("ServiceAccount")
	NamespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")
)

// Account implements AccountReader.
func (o Objects) Account(ctx context.Context, name types.NamespacedName, live bool) (ServiceAccount, error) {
	of := o.Cached
	if live {
		of = o.Live
	}
	account := ServiceAccount{Namespace: name.Namespace, Name: name.Name}
	meta, err := metadata(ctx, of, AccountKind, name)
	if meta != nil {
		account.Found, account.Annotations = true, meta.Annotations
	}
	return account, err
}

// NamespaceAnnotations implements NamespaceReader.
func (o Objects) NamespaceAnnotations(ctx context.Context, name string) (map[string]string, error) {
	meta, err := metadata(ctx, o.Cached, NamespaceKind, types.NamespacedName{Name: name})
	if meta == nil { // not there, or unknown: the namespace may be as young as the pod
		meta, err = metadata(ctx, o.Live, NamespaceKind, types.NamespacedName{Name: name})
	}
	if meta == nil {
		return nil, err
	}
	return meta.Annotations, nil
}

// metadata reads one object; nil and no error for one that is not there.
func metadata(ctx context.Context, of client.Reader, kind schema.GroupVersionKind, name types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	meta := new(metav1.PartialObjectMetadata)
	meta.SetGroupVersionKind(kind)
	err := of.Get(ctx, name, meta)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return meta, nil
}
