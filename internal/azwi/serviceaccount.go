package azwi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The annotations that the webhook of Azure Workload Identity reads
// (https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html).
const (
	clientIDAnnotation   = "azure.workload.identity/client-id"
	tenantIDAnnotation   = "azure.workload.identity/tenant-id"
	expirationAnnotation = "azure.workload.identity/service-account-token-expiration" // seconds
)

var errNoCluster = errors.New("no cluster is known")

// createServiceAccount makes the service account, or gives the one that is there
// the annotations. What else it has stays.
func (s *run) createServiceAccount(ctx context.Context) error {
	if s.Kubernetes == nil {
		return errNoCluster
	}
	o := s.Options
	clientID, err := s.clientID(ctx)
	if err != nil {
		return err
	}
	want := map[string]string{clientIDAnnotation: clientID, tenantIDAnnotation: s.Client.TenantID()}
	if d := o.expiration(); d != DefaultExpiration {
		want[expirationAnnotation] = strconv.FormatInt(int64(d.Round(time.Second).Seconds()), 10)
	}
	args := []any{"name", o.ServiceAccount, "namespace", o.Namespace}
	accounts := s.Kubernetes.CoreV1().ServiceAccounts(o.Namespace)
	account, err := accounts.Get(ctx, o.ServiceAccount, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if s.dry("create the Kubernetes service account", args...) {
			return nil
		}
		account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.ServiceAccount, Annotations: want}}
		_, err = accounts.Create(ctx, account, metav1.CreateOptions{})
		if err == nil {
			s.info("created Kubernetes service account", args...)
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the service account: %w", err)
		}
		account, err = accounts.Get(ctx, o.ServiceAccount, metav1.GetOptions{}) // somebody was faster
	}
	if err != nil {
		return fmt.Errorf("getting the service account: %w", err)
	}
	change := annotationChange(account.Annotations, want)
	if change == nil {
		s.note("Kubernetes service account has been previously created", args...)
		return nil
	}
	if s.dry("annotate the Kubernetes service account", args...) {
		return nil
	}
	if _, err := accounts.Patch(ctx, o.ServiceAccount, types.MergePatchType, change, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotating the service account: %w", err)
	}
	s.info("updated Kubernetes service account", args...)
	return nil
}

// annotationChange is a JSON merge patch (RFC 7396), or nil when nothing is to be
// changed. An expiration that is not wanted is taken away: its absence means an
// hour.
func annotationChange(have, want map[string]string) []byte {
	change := map[string]any{}
	for name, value := range want {
		if have[name] != value {
			change[name] = value
		}
	}
	if _, ok := want[expirationAnnotation]; !ok {
		if _, ok := have[expirationAnnotation]; ok {
			change[expirationAnnotation] = nil
		}
	}
	if len(change) == 0 {
		return nil
	}
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": change}}) // strings cannot fail
	return patch
}

func (s *run) deleteServiceAccount(ctx context.Context) error {
	if s.Kubernetes == nil {
		return errNoCluster
	}
	o := s.Options
	args := []any{"name", o.ServiceAccount, "namespace", o.Namespace}
	accounts := s.Kubernetes.CoreV1().ServiceAccounts(o.Namespace)
	var err error
	if s.DryRun {
		_, err = accounts.Get(ctx, o.ServiceAccount, metav1.GetOptions{})
	} else {
		err = accounts.Delete(ctx, o.ServiceAccount, metav1.DeleteOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		s.note("service account not found", args...)
	case err != nil:
		return fmt.Errorf("deleting the service account: %w", err)
	case !s.dry("delete the service account", args...):
		s.info("deleted service account", args...)
	}
	return nil
}
