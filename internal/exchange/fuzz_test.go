package exchange

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/directory"
)

// FuzzScope looks for a scope that panics, or that names a resource which is
// not exactly one word of it.
func FuzzScope(f *testing.F) {
	for _, text := range []string{"https://a.test/.default", "openid https://a.test//.default profile", "a/.default b/.default", "a/.default/.default", "/.default", "\u00a0a/.default"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		resource, reason := parseScope(text)
		if (resource == "") != (reason != "") {
			t.Fatalf("%q: %q, %q", text, resource, reason)
		}
		if reason != "" {
			return
		}
		for word := range strings.FieldsSeq(text) {
			switch word {
			case resource + "/.default", "openid", "profile", "offline_access", "email":
			default:
				t.Fatalf("%q: resource %q beside %q", text, resource, word)
			}
		}
	})
}

// FuzzTenant looks for the name of a tenant that panics or that is looked up
// although no database takes it, and for one that is told to be missing
// although it is no name.
func FuzzTenant(f *testing.F) {
	for _, ref := range []string{"example.test", "00000000-0000-0000-0000-000000000000", "{00000000-0000-4000-8000-000000000000}", "a..b", "-a.b", "a.b\n", "xn--a.test", "ａ.test"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if checkTenant(ref) != nil {
			return
		}
		if ref == "" || len(ref) > longestDomain || !utf8.ValidString(ref) || strings.ContainsRune(ref, 0) {
			t.Fatalf("%q is looked up", ref)
		}
		if missingTenant(ref).Reason == TenantNotFound && !directory.IsID(ref) && strings.Trim(strings.ToLower(ref), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Fatalf("%q is a name", ref)
		}
	})
}
