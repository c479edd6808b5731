package credential

import (
	"strings"
	"testing"
)

func TestServiceAccountSubject(t *testing.T) {
	for _, tt := range []struct {
		subject, namespace, name string
		ok                       bool
	}{
		{"system:serviceaccount:default:app", "default", "app", true},
		{"system:serviceaccount:a-1:b.c-2.d", "a-1", "b.c-2.d", true},
		{"system:serviceaccount:" + strings.Repeat("n", 63) + ":" + strings.Repeat("s", 253), strings.Repeat("n", 63), strings.Repeat("s", 253), true},
		{"system:serviceaccount:0:1", "0", "1", true},
		{"", "", "", false},
		{"system:serviceaccount:", "", "", false},
		{"system:serviceaccount:ns", "", "", false},
		{"system:serviceaccount:ns:", "", "", false},
		{"system:serviceaccount::sa", "", "", false},
		{"system:serviceaccount:ns:sa:x", "", "", false},
		{"system:serviceaccount:ns.x:sa", "", "", false},
		{"system:serviceaccount:ns:sa.", "", "", false},
		{"system:serviceaccount:ns:.sa", "", "", false},
		{"system:serviceaccount:ns:a..b", "", "", false},
		{"system:serviceaccount:-ns:sa", "", "", false},
		{"system:serviceaccount:ns-:sa", "", "", false},
		{"system:serviceaccount:Ns:sa", "", "", false},
		{"system:serviceaccount:ns:SA", "", "", false},
		{"system:serviceaccount:ns:sa ", "", "", false},
		{"system:serviceaccount:ns:sa\n", "", "", false},
		{"system:serviceaccount:ns:s\u0430", "", "", false},
		{"system:serviceaccount:*:*", "", "", false},
		{" system:serviceaccount:ns:sa", "", "", false},
		{"System:serviceaccount:ns:sa", "", "", false},
		{"system:serviceaccount:" + strings.Repeat("n", 64) + ":sa", "", "", false},
		{"system:serviceaccount:ns:" + strings.Repeat("s", 254), "", "", false},
	} {
		ns, name, ok := ParseServiceAccountSubject(tt.subject)
		if ns != tt.namespace || name != tt.name || ok != tt.ok {
			t.Errorf("ParseServiceAccountSubject(%q) = %q, %q, %v", tt.subject, ns, name, ok)
		}
		if ok && ServiceAccountSubject(ns, name) != tt.subject {
			t.Errorf("ServiceAccountSubject(%q, %q) = %q", ns, name, ServiceAccountSubject(ns, name))
		}
	}
}

func TestAzwiName(t *testing.T) {
	// Computed with: printf %s ns-sa-https://issuer.example/ | openssl sha256 -binary | basenc --base64url
	const want = "jNkAQjcZvJHwt-FJcW--ioaKoBOYRtSurEIHNGjP_8E="
	if got := AzwiName("ns", "sa", "https://issuer.example/"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
