package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The Secret that all replicas share. The first three keys are those that
// azure-workload-identity's Secret has, so what stands in one of its is used
// until it is due.
const (
	keyAuthority   = "ca.crt"
	keyCertificate = "tls.crt"
	keyKey         = "tls.key"

	keyNextAuthority     = "next-ca.crt"
	keyNextCertificate   = "next.crt"
	keyNextKey           = "next.key"
	keyPreviousAuthority = "previous-ca.crt"
)

// RotateAnnotation on the Secret, with any value, asks for a new certificate
// now. It goes away when the rotation has begun.
const RotateAnnotation = "entente.id/rotate"

// A certificateState is what the Secret says. A rotation goes through three:
//
//	serving             the ordinary one
//	serving, next       API servers learn to trust next; everybody serves serving
//	serving, previous   everybody serves what was next; previous is still trusted
type certificateState struct {
	serving  *pair
	next     *pair
	previous []byte // PEM of an authority
}

// readState reads the Secret, and says why a server that is called by the first
// of the names cannot use it. A next pair
// that cannot be used is left out: it is made again.
func readState(secret *corev1.Secret, names []string, now time.Time) (certificateState, error) {
	d := secret.Data
	if len(d[keyCertificate]) == 0 && len(d[keyKey]) == 0 {
		return certificateState{}, errEmptySecret
	}
	needed := names[:1] // azure-workload-identity's certificates have no other
	serving, err := readPair(d[keyAuthority], d[keyCertificate], d[keyKey], needed, now)
	if err != nil {
		return certificateState{}, fmt.Errorf("secret %q: %w", secret.Name, err)
	}
	s := certificateState{serving: serving}
	if next, err := readPair(d[keyNextAuthority], d[keyNextCertificate], d[keyNextKey], needed, now); err == nil {
		s.next = next
	}
	s.previous = onlyCertificates(d[keyPreviousAuthority])
	return s, nil
}

var errEmptySecret = errors.New("there is no certificate yet")

// write puts the state into the Secret, and nothing else: what is not of the
// state is taken out of its data.
func (s certificateState) write(secret *corev1.Secret) {
	secret.Data = map[string][]byte{keyAuthority: s.serving.authority, keyCertificate: s.serving.certificate, keyKey: s.serving.key}
	if s.next != nil {
		secret.Data[keyNextAuthority], secret.Data[keyNextCertificate], secret.Data[keyNextKey] = s.next.authority, s.next.certificate, s.next.key
	}
	if s.previous != nil {
		secret.Data[keyPreviousAuthority] = s.previous
	}
}

// trusted is what API servers have to trust: the caBundle.
func (s certificateState) trusted() []byte {
	all := bytes.Clone(s.serving.authority)
	if s.next != nil {
		all = append(all, s.next.authority...)
	}
	return append(all, s.previous...)
}

// A phase is where a rotation stands.
func (s certificateState) phase() string {
	switch {
	case s.next != nil:
		return "announced"
	case s.previous != nil:
		return "switched"
	}
	return "stable"
}
