package testkit

import (
	"slices"
	"testing"
)

func TestDomainErrors(t *testing.T) {
	got := DomainErrors(t, "../directory")
	for _, want := range []string{"Full", "NotFound ApplicationObject", "Invalid CredentialObject", "Exists CredentialObject", "Immutable IdentityObject", "LimitReached SecretObject", "Forbidden PrincipalObject"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
