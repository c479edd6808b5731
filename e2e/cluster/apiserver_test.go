package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/server"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// kube is the resource that stands for the API server in tokens of version 1.0.
const kube = "https://kubernetes.example.org"

// The other direction: an API server takes our access tokens, of both versions,
// for what they say, by its structured authentication configuration and our
// discovery documents alone. That a token is refused for the reason that the
// test means is read in the API server's log.
func TestAPIServerTakesAccessTokens(t *testing.T) {
	dir := t.TempDir()
	past := issuedBefore(t, dir, 2*time.Hour)
	s := testkit.Serve(t, dir, "--listen", past.listen, "--resources", "any", "--issuer-allow", "127.0.0.1")
	admin := s.AsAdmin(t)

	base := s.Authority + "/" + s.TenantID
	file := filepath.Join(t.TempDir(), "authentication.json")
	writeAuthentication(t, file, s.CAFile, map[string]string{base + "/": kube, base + "/v2.0": past.api.AppID})
	c := start(t, controlplane.Config{Flags: []string{"--authentication-config=" + file}})
	if _, _, err := admin.PutIssuer(t.Context(), "cluster", client.IssuerSpec{Issuer: c.Issuer, CACertificate: string(c.Authority.PEM)}); err != nil {
		t.Fatal(err)
	}
	cat := application(t, admin, c.Issuer)
	_, err := admin.CreateAppRoleAssignment(t.Context(), client.AppRoleAssignment{PrincipalID: cat.ID, ResourceID: past.resource.ID, AppRoleID: past.api.AppRoles[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	token := func(resource string) string {
		t.Helper()
		a := request(t, s, url.Values{
			"client_id": {cat.AppID}, "client_assertion": {c.Token(t, "pets", "cat", audience)}, "scope": {resource + "/.default"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
		if a.Status != 200 {
			t.Fatalf("refused with %d: %s", a.Status, a.Description)
		}
		return a.Token
	}

	// It reads our discovery documents when it has the time.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		_, err := review(t, c, token(kube))
		_, err2 := review(t, c, token(past.api.AppID))
		if err == nil && err2 == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API server takes no token of ours: %v\n%s", err, oidcLines(c.Log()))
		}
	}

	for version, v := range map[string]struct{ resource, expired, other string }{"1.0": {kube, past.v1, vault}, "2.0": {past.api.AppID, past.v2, audience}} {
		t.Run("version "+version, func(t *testing.T) {
			good := token(v.resource)
			if got := decode[claims](t, good, 1); got.Ver != version || got.OID != cat.ID || got.Aud != v.resource {
				t.Fatalf("the token says %+v", got)
			}
			who, err := review(t, c, good)
			if err != nil || who.Username != "entente:"+cat.ID {
				t.Errorf("the token is %+v's (%v)", who, err)
			}

			if decode[header](t, v.expired, 0).Kid != decode[header](t, good, 0).Kid {
				t.Error("the expired token is of another key")
			}
			if of := decode[claims](t, token(v.other), 1); of.Ver != version {
				t.Errorf("the token for another audience has version %s", of.Ver)
			}
			for what, bad := range map[string]struct{ token, reason string }{
				"a turned bit in the signature": {tampered(good), "failed to verify signature"},
				"another oid":                   {changed(t, good, cat.ID, uuid.NewString()), "failed to verify signature"},
				"expired":                       {v.expired, "oidc: token is expired"},
				"another audience":              {token(v.other), "oidc: expected audience"},
			} {
				before := len(c.Log())
				if who, err := review(t, c, bad.token); !apierrors.IsUnauthorized(err) {
					t.Errorf("%s: taken as %q (%v)", what, who.Username, err)
				}
				if log := c.Log()[before:]; !strings.Contains(log, bad.reason) {
					t.Errorf("%s: refused for another reason than %q:\n%s", what, bad.reason, log)
				}
			}
		})
	}

	t.Run("rights", func(t *testing.T) {
		pods := func(token string) error {
			_, err := c.ClientAs(t, token).CoreV1().Pods("pets").List(t.Context(), metav1.ListOptions{})
			return err
		}
		v1, v2 := token(kube), token(past.api.AppID)
		for _, token := range []string{v1, v2} {
			if err := pods(token); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), cat.ID) {
				t.Errorf("without a right: %v", err)
			}
		}
		// A role that was granted here is a group there.
		bind(t, c, "readers", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "entente:" + past.api.AppRoles[0].Value})
		eventually(t, func() error { return pods(v2) })
		if err := pods(v1); !apierrors.IsForbidden(err) {
			t.Errorf("a token without the role: %v", err)
		}
		bind(t, c, "cat", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "entente:" + cat.ID})
		eventually(t, func() error { return pods(v1) })
	})
}

// review asks an API server who it takes the holder of a token for.
func review(t *testing.T, c *controlplane.Cluster, token string) (authenticationv1.UserInfo, error) {
	t.Helper()
	r, err := c.ClientAs(t, token).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return r.Status.UserInfo, nil
}

// bind lets somebody list the pods in the namespace pets.
func bind(t *testing.T, c *controlplane.Cluster, name string, who rbacv1.Subject) {
	t.Helper()
	rbac, meta := c.Client(t).RbacV1(), metav1.ObjectMeta{Name: name}
	_, err := rbac.Roles("pets").Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = rbac.RoleBindings("pets").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{who}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what a cluster does in its own time.
func eventually(t *testing.T, question func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := question()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// writeAuthentication has an API server take the tokens of issuers, each for
// one audience: oid is the user's name, and roles are the groups.
func writeAuthentication(t *testing.T, file, caFile string, issuers map[string]string) {
	t.Helper()
	ca, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	type m map[string]any
	var jwt []m
	for issuer, audience := range issuers {
		jwt = append(jwt, m{
			"issuer": m{"url": issuer, "certificateAuthority": string(ca), "audiences": []string{audience}},
			"claimMappings": m{
				"username": m{"claim": "oid", "prefix": "entente:"},
				"groups":   m{"claim": "roles", "prefix": "entente:"},
			},
		})
	}
	text, err := json.Marshal(m{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func oidcLines(log string) string {
	var lines []string
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "oidc") || strings.Contains(line, "jwt") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// changed is a token that says something else, with the old signature.
func changed(t *testing.T, token, from, to string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(payload), from) {
		t.Fatalf("the token does not say %q", from)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.ReplaceAll(string(payload), from, to)))
	return strings.Join(parts, ".")
}

// before is what a service left behind that served some time ago.
type before struct {
	listen   string // its address
	api      client.Application
	resource client.ServicePrincipal
	v1, v2   string // access tokens for kube and for api
}

// issuedBefore has the service serve in a data directory as long ago as it takes
// for its tokens to have expired: it runs in this process, with a clock of its own.
func issuedBefore(t *testing.T, dir string, ago time.Duration) (b before) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	service, err := server.Open(ctx, server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, AnyResource: true, Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.Now().Add(-ago) },
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx) }()
	b.listen = "127.0.0.1" + service.URL()[strings.LastIndexByte(service.URL(), ':'):]

	s := &testkit.Service{HTTP: testkit.Trusting(t, filepath.Join(dir, "ca.pem"))}
	text, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	if err == nil {
		err = json.Unmarshal(text, &s.Admin)
	}
	if err != nil {
		t.Fatal(err)
	}
	admin := s.AsAdmin(t)
	b.api, err = admin.CreateApplication(ctx, client.ApplicationSpec{
		DisplayName: "Kubernetes", API: &client.API{RequestedAccessTokenVersion: new(2)},
		AppRoles: []client.AppRole{{ID: uuid.NewString(), Value: "pets.read", DisplayName: "Read pets", Description: "Read pets", AllowedMemberTypes: []string{"Application"}, IsEnabled: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.resource, err = admin.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: b.api.AppID}); err != nil {
		t.Fatal(err)
	}
	for resource, token := range map[string]*string{kube: &b.v1, b.api.AppID: &b.v2} {
		a := request(t, s, url.Values{"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}, "scope": {resource + "/.default"}})
		if a.Status != 200 {
			t.Fatalf("refused with %d: %s", a.Status, a.Description)
		}
		*token = a.Token
	}
	s.HTTP.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return b
}
