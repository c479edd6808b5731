package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DefaultSweepInterval is how often unmutated pods are looked for.
const DefaultSweepInterval = time.Minute

// ReasonNotMutated is the reason of Events on pods, and on their service accounts.
const ReasonNotMutated = "PodNotMutated"

const (
	sweepPage = 500     // objects of one answer
	sweepMost = 8 << 20 // bytes of it; else there are fewer objects in the next
	sweepFew  = 20      // unknown pods of a namespace that are read one by one
)

// A sweeper finds pods that carry the label and were created without the
// webhook: while its configuration was not there, did not select them, or was
// told to ignore failures. Nothing else would ever say so: their programs find
// no token, or the node's identity.
//
// What a pod is made of never changes, so each is looked at once, and from then
// on only the metadata of pods is listed.
type sweeper struct {
	live   client.Reader
	every  time.Duration
	events *events
	log    *slog.Logger
	*metrics
}

// A labelled pod is what a sweeper remembers of one.
type labelled struct {
	namespace string
	mutated   bool
}

// Lead sweeps until ctx ends.
func (s *sweeper) Lead(ctx context.Context) {
	defer s.unmutated.Reset() // the next leader tells
	known := map[types.UID]labelled{}
	for {
		err := s.sweep(ctx, known)
		if ctx.Err() != nil {
			return
		}
		s.sweeps.WithLabelValues(result(err)).Inc()
		if err != nil {
			s.log.Warn("look for unmutated pods", "error", err)
		} else {
			s.lastSwept.SetToCurrentTime()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.every):
		}
	}
}

// sweep looks once, and brings known up to date.
func (s *sweeper) sweep(ctx context.Context, known map[types.UID]labelled) error {
	there := map[types.UID]bool{}
	unknown := map[string][]string{} // namespace → names
	list := new(metav1.PartialObjectMetadataList)
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	err := s.pages(ctx, list, func() {
		for _, m := range list.Items {
			if m.DeletionTimestamp != nil || m.Annotations[mirrorAnnotation] != "" {
				continue
			}
			there[m.UID] = true
			if _, ok := known[m.UID]; !ok {
				unknown[m.Namespace] = append(unknown[m.Namespace], m.Name)
			}
		}
	})
	if err != nil {
		return err
	}
	for uid := range known {
		if !there[uid] {
			delete(known, uid)
		}
	}
	for namespace, names := range unknown {
		if err := s.look(ctx, namespace, names, known); err != nil {
			return err
		}
	}
	counts := map[string]int{}
	for _, p := range known {
		if !p.mutated {
			counts[p.namespace]++
		}
	}
	s.unmutated.Reset()
	for namespace, n := range counts {
		s.unmutated.WithLabelValues(namespace).Set(float64(n))
	}
	return nil
}

// look reads pods of a namespace whole.
func (s *sweeper) look(ctx context.Context, namespace string, names []string, known map[types.UID]labelled) error {
	if len(names) > sweepFew {
		list := new(corev1.PodList)
		return s.pages(ctx, list, func() {
			for n := range list.Items {
				s.judge(&list.Items[n], known)
			}
		}, client.InNamespace(namespace))
	}
	for _, name := range names {
		p := new(corev1.Pod)
		err := s.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, p)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read pod %s/%s: %w", namespace, name, err)
		}
		s.judge(p, known)
	}
	return nil
}

// judge says of a pod, once, that it was not mutated.
func (s *sweeper) judge(p *corev1.Pod, known map[types.UID]labelled) {
	if _, ok := known[p.UID]; ok || p.DeletionTimestamp != nil || p.Annotations[mirrorAnnotation] != "" || p.Labels[Label] != "true" {
		return
	}
	known[p.UID] = labelled{p.Namespace, mutated(p)}
	if known[p.UID].mutated {
		return
	}
	account := types.NamespacedName{Namespace: p.Namespace, Name: p.Spec.ServiceAccountName}
	s.log.Warn("pod was not mutated", "namespace", p.Namespace, "pod", p.Name, "service_account", account.Name, "created", p.CreationTimestamp.UTC())
	s.events.OnPod(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, p.UID, ReasonNotMutated,
		"carries the label "+Label+" and was created without the webhook: it has no token. Delete it, so that it is created again")
	if account.Name != "" {
		s.events.OnAccount(account, ReasonNotMutated, fmt.Sprintf("pod %s was created without the webhook and has no token", p.Name))
	}
}

// mutated says whether a pod has what a webhook injects, be it this one or
// azure-workload-identity of any version, or has all of it by itself.
func mutated(p *corev1.Pod) bool {
	for _, v := range p.Spec.Volumes {
		if v.Projected != nil && (strings.HasPrefix(v.Name, volumePrefix) || v.Name == legacyVolume) {
			return true
		}
	}
	for _, of := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for _, c := range of {
			for _, e := range c.Env {
				if e.Name == fileVariable || e.Name == identityEndpoint || e.Name == tokenProxyVariable {
					return true
				}
			}
		}
	}
	return false
}

// legacyVolume is the token's up to azure-workload-identity 1.5.
const legacyVolume = "azure-identity-token"

// pages lists labelled pods that have not ended, page by page, and calls each
// for what is in the list then. A pod may have more than a megabyte: of
// such ones a page has few, for this process has not much memory.
func (s *sweeper) pages(ctx context.Context, list client.ObjectList, each func(), more ...client.ListOption) error {
	running := client.MatchingFieldsSelector{Selector: fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)), fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)}
	limit := int64(sweepPage)
	for token := ""; ; {
		options := append([]client.ListOption{running, client.MatchingLabels{Label: "true"}, client.Limit(limit), client.Continue(token)}, more...)
		err := s.live.List(ctx, list, options...)
		if errors.Is(err, errTooLarge) && limit > 1 {
			limit /= 2
			continue
		}
		if err != nil {
			return fmt.Errorf("list pods: %w", err)
		}
		limit = min(2*limit, sweepPage)
		each()
		if token = list.GetContinue(); token == "" {
			return nil
		}
	}
}

// errTooLarge says that an answer of the API server was not read to its end.
var errTooLarge = errors.New("the answer is too large")

// bounded has answers of the API server end with errTooLarge after some bytes.
func bounded(most int64) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Body = &boundedBody{resp.Body, most}
			}
			return resp, err
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
