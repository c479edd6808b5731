package seed_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// The manifest and the directory have one opinion of every value, although each
// has rules of its own.
func TestOneOpinion(t *testing.T) {
	w := sqlite(t)
	ctx := t.Context()
	long := func(n int) string { return strings.Repeat("x", n) }
	w.want(1, 0, 0, "resourceGroups: [{name: home}]")
	for _, c := range []struct {
		of, text string // with one %q for the value
		values   []string
		write    func(value string) error
	}{
		{"group", "resourceGroups: [{name: %q}]", []string{"a", "A.b-(c)_9", "a.", ".a", "ä", "a b", "a/b", long(90), long(91)}, func(v string) error {
			_, _, err := w.dir.PutGroup(ctx, w.system, directory.Group{SubscriptionID: w.sub, Name: v, Location: "local"})
			return err
		}},
		{"location", "resourceGroups: [{name: located, location: %q}]", []string{"local", long(64), long(65)}, func(v string) error {
			_, _, err := w.dir.PutGroup(ctx, w.system, directory.Group{SubscriptionID: w.sub, Name: "located", Location: v})
			if err == nil {
				w.ok(w.dir.DeleteGroup(ctx, w.system, w.sub, "located")) // so that the next one may be elsewhere
			}
			return err
		}},
		{"tag", "resourceGroups: [{name: tagged, tags: {%q: x}}]", []string{"env", long(512), long(513)}, func(v string) error {
			_, _, err := w.dir.PutGroup(ctx, w.system, directory.Group{SubscriptionID: w.sub, Name: "tagged", Location: "local", Tags: map[string]string{v: "x"}})
			return err
		}},
		{"identity", "managedIdentities: [{name: %q, resourceGroup: home}]", []string{"abc", "ab", "-ab", "a-b_c", "a.b", long(128), long(129)}, func(v string) error {
			_, _, err := w.dir.PutIdentity(ctx, w.system, directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: w.sub, Group: "home", Name: v}, Location: "local"})
			return err
		}},
		{"issuer's name", "issuers: [{name: %q, issuer: https://name.example/}]", []string{"ab", "a.b", "auto-x", "AUTO-x", "a/b", long(121)}, func(v string) error {
			_, _, err := w.dir.PutIssuer(ctx, w.system, directory.Issuer{Name: v, URL: "https://name.example/"})
			return err
		}},
		{"key address", "issuers: [{name: address, issuer: https://address.example/, jwksUri: %q}]", []string{"https://keys.example/x?y", "http://keys.example/", "https://", "keys", "https://u@keys.example/", "https://keys.example/#f", "https://k.example/" + long(1024)}, func(v string) error {
			_, _, err := w.dir.PutIssuer(ctx, w.system, directory.Issuer{Name: "address", URL: "https://address.example/", KeySource: directory.JWKSURIKeys, JWKSURI: v})
			return err
		}},
		{"algorithm", "issuers: [{name: algorithm, issuer: https://algorithm.example/, algorithms: [%q]}]", []string{"RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA", "HS256", "none", "rs256"}, func(v string) error {
			_, _, err := w.dir.PutIssuer(ctx, w.system, directory.Issuer{Name: "algorithm", URL: "https://algorithm.example/", Algorithms: []string{v}})
			return err
		}},
		{"URI", "applications: [{displayName: uri, identifierUris: [%q]}]", []string{"api://a", "urn:x", "relative", "https://a.example/#f", "api://a b", "https://" + long(248), "https://" + long(247)}, func(v string) error {
			_, err := w.dir.UpdateApplication(ctx, w.system, directory.Ref{ID: w.application("uri").ID}, func(a *directory.Application) error {
				a.IdentifierURIs = []string{v}
				return nil
			})
			return err
		}},
		{"display name", "applications: [{displayName: %q, uniqueName: display}]", []string{"a", long(256), long(257), "a\nb"}, func(v string) error {
			_, err := w.dir.CreateApplication(ctx, w.system, directory.Application{DisplayName: v})
			return err
		}},
		{"app role", "applications: [{displayName: roles, appRoles: [{value: %q}]}]", []string{"a.B", "a b", "a\tb", long(1024), long(1025)}, func(v string) error {
			_, err := w.dir.CreateApplication(ctx, w.system, directory.Application{DisplayName: "roles of the test", AppRoles: []directory.AppRole{
				{ID: "5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70", Value: v, Enabled: true, MemberTypes: []string{"Application"}},
			}})
			return err
		}},
		{"domain", "tenants: [{domain: %q, administrator: {issuer: https://ops.example/, subject: x}}]", []string{"a.example", "localhost", "-a.example", "a..example", "A-1.example", "a_b.example", long(64) + ".example", strings.Repeat("a.", 126) + "aa"}, func(v string) error {
			_, err := w.dir.CreateTenant(ctx, w.system, directory.NewTenant{Domain: v})
			if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.Exists {
				return nil // by the loading
			}
			return err
		}},
	} {
		if c.of == "URI" {
			w.want(2, 0, 0, "applications: [{displayName: uri}]")
		}
		for _, v := range c.values {
			_, stated := w.load(fmt.Sprintf(c.text, v))
			if _, ok := errors.AsType[*manifest.Problems](stated); !ok && stated != nil {
				t.Errorf("%s %.40q: the manifest takes it, and loading ends with %v", c.of, v, stated)
			}
			written := c.write(v)
			if e, ok := errors.AsType[*directory.Error](written); ok && e.Kind != directory.Invalid {
				t.Errorf("%s %.40q: %v", c.of, v, written)
			}
			if (stated == nil) != (written == nil) {
				t.Errorf("%s %.40q: the manifest says %v, the directory %v", c.of, v, stated, written)
			}
		}
	}
}
