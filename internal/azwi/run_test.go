package azwi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/azwi"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/server"
)

const issuer = "https://oidc.example.org/cluster/"

// azure is a service that stands for Azure, a cluster, and somebody who works on
// both. Every write that goes out is noted.
type azure struct {
	*testing.T
	server.Admin
	client  *client.Client
	cluster *fake.Clientset
	log     bytes.Buffer
	writes  []string
	answer  func(*http.Request) *http.Response // in the service's place, unless nil
	waited  int
}

func start(t *testing.T) *azure {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	s, err := server.Open(ctx, server.Config{DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	a := &azure{T: t, cluster: fake.NewClientset()}
	text, err := os.ReadFile(filepath.Join(dir, server.AdminFile))
	if err == nil {
		err = json.Unmarshal(text, &a.Admin)
	}
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(a.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		<-done
	})
	plain := &http.Client{Transport: transport}
	a.client, err = client.New(client.Config{
		Endpoints: client.Entente(a.Authority), TenantID: a.TenantID,
		HTTP:       &http.Client{Transport: watched{a, transport}},
		Credential: client.ClientSecret(a.Authority, a.TenantID, a.ClientID, a.ClientSecret, plain),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// watched is a transport whose writes are noted.
type watched struct {
	*azure
	next http.RoundTripper
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		w.writes = append(w.writes, r.Method+" "+r.URL.Path)
	}
	if w.answer != nil {
		if a := w.answer(r); a != nil {
			return a, nil
		}
	}
	return w.next.RoundTrip(r)
}

// refusal is an answer of Graph or Resource Manager.
func refusal(r *http.Request, status int, code string) *http.Response {
	body := fmt.Sprintf(`{"error":{"code":%q,"message":"as the test wants"}}`, code)
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

var account = azwi.Options{Namespace: "pets", ServiceAccount: "cat", Issuer: issuer}

func (a *azure) run(v azwi.Verb, o azwi.Options, change ...func(*azwi.Run)) error {
	a.Helper()
	a.log.Reset()
	a.writes = nil
	a.cluster.ClearActions()
	handler := slog.NewTextHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, at slog.Attr) slog.Attr {
		if at.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return at
	}})
	r := &azwi.Run{
		Verb: v, Options: o, Client: a.client, SubscriptionID: a.SubscriptionID, Kubernetes: a.cluster, Tool: "test", Log: slog.New(handler),
		Wait: func(ctx context.Context, d time.Duration) error { a.waited++; return ctx.Err() },
	}
	for _, c := range change {
		c(r)
	}
	err := r.Do(a.Context())
	for _, action := range a.cluster.Actions() {
		if action.GetVerb() != "get" {
			a.writes = append(a.writes, action.GetVerb()+" "+action.GetResource().Resource)
		}
	}
	return err
}

// does is run, which has to succeed, to write this often and to say these texts.
func (a *azure) does(v azwi.Verb, o azwi.Options, writes int, texts ...string) {
	a.Helper()
	if err := a.run(v, o); err != nil {
		a.Fatalf("%s %+v: %v\n%s", v, o, err, a.log.String())
	}
	if len(a.writes) != writes {
		a.Errorf("%s %+v writes %q, want %d writes", v, o, a.writes, writes)
	}
	a.says(texts...)
}

func (a *azure) says(texts ...string) {
	a.Helper()
	for _, text := range texts {
		if !strings.Contains(a.log.String(), text) {
			a.Errorf("want %q in\n%s", text, a.log.String())
		}
	}
}

// fails is run, which has to fail with these texts and without a write.
func (a *azure) fails(v azwi.Verb, o azwi.Options, texts ...string) {
	a.Helper()
	err := a.run(v, o)
	if err == nil {
		a.Fatalf("%s %+v succeeds\n%s", v, o, a.log.String())
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			a.Errorf("%s %+v: %v, want %q in it", v, o, err, text)
		}
	}
	if len(a.writes) > 0 {
		a.Errorf("%s %+v writes %q and fails: %v", v, o, a.writes, err)
	}
}

func (a *azure) annotations() map[string]string {
	a.Helper()
	sa, err := a.cluster.CoreV1().ServiceAccounts("pets").Get(a.Context(), "cat", metav1.GetOptions{})
	if err != nil {
		a.Fatal(err)
	}
	return sa.Annotations
}

func with(o azwi.Options, change func(*azwi.Options)) azwi.Options {
	change(&o)
	return o
}

// An application from nothing to nothing, each step repeated, and found by the
// names that azwi gives.
func TestApplication(t *testing.T) {
	a := start(t)
	scope := "/subscriptions/" + a.SubscriptionID
	o := with(account, func(o *azwi.Options) { o.Scope, o.Role = scope, "Reader" })

	a.does(azwi.Create, o, 5,
		"[aad-application] created an AAD application", "[aad-application] created service principal", "[service-account] created Kubernetes service account",
		"[federated-identity] added federated credential", "[role-assignment] created role assignment",
		"--aad-application-name not specified, constructing name")
	if n := strings.Count(a.log.String(), "constructing name"); n != 1 {
		t.Errorf("it says %d times that it makes up the name", n)
	}
	app, err := a.client.ApplicationByName(t.Context(), azwi.DefaultApplicationName("pets", "cat", issuer))
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.client.ApplicationCredentials(t.Context(), app.ID)
	if err != nil || len(found) != 1 {
		t.Fatalf("credentials: %+v, %v", found, err)
	}
	found[0].ID = ""
	if diff := cmp.Diff(client.FederatedCredential{
		Name: credential.AzwiName("pets", "cat", issuer), Issuer: issuer, Subject: "system:serviceaccount:pets:cat",
		Description: "Federated Service Account for pets/cat", Audiences: []string{"api://AzureADTokenExchange"},
	}, found[0]); diff != "" {
		t.Error(diff)
	}
	principal, err := a.client.ServicePrincipal(t.Context(), app.AppID)
	if err != nil || !slices.Equal(principal.Tags, []string{"test"}) {
		t.Errorf("service principal: %+v, %v", principal, err)
	}
	if diff := cmp.Diff(map[string]string{"azure.workload.identity/client-id": app.AppID, "azure.workload.identity/tenant-id": a.TenantID}, a.annotations()); diff != "" {
		t.Error(diff)
	}
	assignments, err := a.client.RoleAssignments(t.Context(), scope, principal.ID)
	if err != nil || len(assignments) != 1 {
		t.Fatalf("assignments: %+v, %v", assignments, err)
	}

	a.does(azwi.Create, o, 0, "AAD application has been previously created", "service principal has been previously created",
		"Kubernetes service account has been previously created", "federated credential has been previously created", "role assignment has previously been created")

	// Deleting it is done once and can be said again.
	o.RoleAssignmentID = assignments[0].ID
	a.does(azwi.Delete, o, 4, "deleted role assignment", "deleted federated identity credential", "deleted service account", "deleted aad application")
	a.does(azwi.Delete, o, 1, "role assignment not found", "federated identity credential not found", "service account not found", "aad application not found")
	if !slices.Equal(a.writes, []string{"delete serviceaccounts"}) {
		t.Errorf("deleting again writes %q", a.writes)
	}
}

// The same with a managed identity in the application's place.
func TestManagedIdentity(t *testing.T) {
	a := start(t)
	scope := "/subscriptions/" + a.SubscriptionID
	o := with(account, func(o *azwi.Options) {
		o.Scope, o.Role, o.IdentityName, o.ResourceGroup = scope, "reader", "cat", "pets"
	})
	a.fails(azwi.Create, o, `failed to run phase aad-application: the resource group "pets" is not there; --location says where to make it`)
	o.Location = "north"
	a.does(azwi.Create, o, 5, "created the resource group", "created a managed identity", "created Kubernetes service account", "added federated credential", "created role assignment")
	id := client.IdentityID{SubscriptionID: a.SubscriptionID, ResourceGroup: "pets", Name: "cat"}
	m, err := a.client.Identity(t.Context(), id)
	if err != nil || m.Location != "north" {
		t.Fatalf("%+v, %v", m, err)
	}
	found, err := a.client.IdentityCredentials(t.Context(), id)
	if err != nil || len(found) != 1 || found[0].Name != azwi.IdentityCredentialName("pets", "cat", issuer) || found[0].Subject != "system:serviceaccount:pets:cat" || found[0].Issuer != issuer {
		t.Errorf("credentials: %+v, %v", found, err)
	}
	if got := a.annotations()["azure.workload.identity/client-id"]; got != m.ClientID {
		t.Errorf("annotated with %s, want %s", got, m.ClientID)
	}
	o.Location = ""
	a.does(azwi.Create, o, 0, "managed identity has been previously created", "federated credential has been previously created", "role assignment has previously been created")

	// Another identity of the group needs no location.
	a.does(azwi.Create, with(o, func(o *azwi.Options) { o.IdentityName, o.ServiceAccount = "dog", "dog" }), 4, "created a managed identity")

	assignments, err := a.client.RoleAssignments(t.Context(), scope, m.PrincipalID)
	if err != nil || len(assignments) != 1 {
		t.Fatalf("assignments: %+v, %v", assignments, err)
	}
	o.RoleAssignmentID = assignments[0].ID
	a.does(azwi.Delete, o, 4, "deleted role assignment", "deleted federated identity credential", "deleted service account", "deleted managed identity")
	a.does(azwi.Delete, o, 1, "federated identity credential not found", "managed identity not found")

	// A subscription that is not there is not an identity that is not there.
	err = a.run(azwi.Delete, o, func(r *azwi.Run) { r.SubscriptionID = "00000000-0000-4000-8000-00000000dead" })
	if err == nil || !strings.Contains(err.Error(), "SubscriptionNotFound") {
		t.Errorf("another subscription: %v", err)
	}
}

// What azwi takes the first of is an error that names them all.
func TestAmbiguousNames(t *testing.T) {
	a := start(t)
	ids := []string{}
	for range 2 {
		app, err := a.client.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "twin"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, app.ID)
	}
	o := with(account, func(o *azwi.Options) {
		o.ApplicationName, o.Scope, o.Role = "twin", "/subscriptions/"+a.SubscriptionID, "Reader"
	})
	only := func(v azwi.Verb, p azwi.Phase, o azwi.Options) error {
		return a.run(v, o, func(r *azwi.Run) { r.Phases = []azwi.Phase{p} })
	}
	for _, c := range []struct {
		verb  azwi.Verb
		phase azwi.Phase
	}{
		{azwi.Create, azwi.ApplicationPhase}, {azwi.Create, azwi.ServiceAccountPhase}, {azwi.Create, azwi.CredentialPhase}, {azwi.Create, azwi.RolePhase},
		{azwi.Delete, azwi.CredentialPhase}, {azwi.Delete, azwi.ApplicationPhase},
	} {
		err := only(c.verb, c.phase, o)
		if err == nil || !strings.Contains(err.Error(), ids[0]) || !strings.Contains(err.Error(), ids[1]) || !strings.Contains(err.Error(), "--aad-application-object-id says which") {
			t.Errorf("%s %s: %v", c.verb, c.phase, err)
		}
		if len(a.writes) > 0 {
			t.Errorf("%s %s writes %q", c.verb, c.phase, a.writes)
		}
	}
	// By its id it is one, also beside its name.
	o.ApplicationObjectID = ids[1]
	o.RoleAssignmentID = o.Scope + "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001"
	a.does(azwi.Create, o, 4, "AAD application has been previously created", ids[1])
	a.does(azwi.Delete, o, 3, "deleted aad application")
	if _, err := a.client.Application(t.Context(), ids[0]); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// A look-up that fails ends the run, and what is not the object that was meant is
// not touched.
func TestLookUps(t *testing.T) {
	a := start(t)
	app, err := a.client.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "pets"})
	if err != nil {
		t.Fatal(err)
	}
	only := func(p azwi.Phase) func(*azwi.Run) { return func(r *azwi.Run) { r.Phases = []azwi.Phase{p} } }
	for name, c := range map[string]struct {
		verb  azwi.Verb
		phase azwi.Phase
		o     azwi.Options
		want  string
	}{
		"no application":             {azwi.Create, azwi.CredentialPhase, with(account, func(o *azwi.Options) { o.ApplicationName = "dogs" }), `application named "dogs": not found; the phase aad-application makes it`},
		"no application to annotate": {azwi.Create, azwi.ServiceAccountPhase, with(account, func(o *azwi.Options) { o.ApplicationName = "dogs" }), `application named "dogs": not found`},
		"another name":               {azwi.Delete, azwi.ApplicationPhase, with(account, func(o *azwi.Options) { o.ApplicationName, o.ApplicationObjectID = "dogs", app.ID }), `is named "pets", not "dogs"`},
		"an id of nothing":           {azwi.Create, azwi.ApplicationPhase, with(account, func(o *azwi.Options) { o.ApplicationObjectID = "00000000-0000-4000-8000-00000000dead" }), "getting the application"},
		"no role":                    {azwi.Create, azwi.RolePhase, azwi.Options{Scope: "/subscriptions/" + a.SubscriptionID, Role: "Ruler", ServicePrincipalObjectID: app.ID}, `role definition named "Ruler": not found`},
		"no principal":               {azwi.Create, azwi.RolePhase, azwi.Options{Scope: "/subscriptions/" + a.SubscriptionID, Role: "Reader", ServicePrincipalName: "dogs"}, `service principal named "dogs": not found`},
		"no service principal":       {azwi.Create, azwi.RolePhase, azwi.Options{Scope: "/subscriptions/" + a.SubscriptionID, Role: "Reader", ApplicationName: "pets"}, "service principal of the application"},
		"no identity":                {azwi.Create, azwi.CredentialPhase, with(account, func(o *azwi.Options) { o.IdentityName, o.ResourceGroup = "cat", "none" }), `getting the managed identity "cat"`},
	} {
		err := a.run(c.verb, c.o, only(c.phase))
		if err == nil || !strings.Contains(err.Error(), c.want) || len(a.writes) > 0 {
			t.Errorf("%s: %v after %q", name, err, a.writes)
		}
	}

	// The service has a fault: nothing is taken for absent.
	a.answer = func(r *http.Request) *http.Response {
		if strings.HasPrefix(r.URL.Path, "/v1.0/applications") {
			return refusal(r, 500, "generalException")
		}
		return nil
	}
	o := with(account, func(o *azwi.Options) { o.ApplicationName = "pets" })
	for _, v := range []azwi.Verb{azwi.Create, azwi.Delete} {
		for _, p := range []azwi.Phase{azwi.ApplicationPhase, azwi.CredentialPhase} {
			if err := a.run(v, o, only(p)); err == nil || !strings.Contains(err.Error(), "500 generalException") || len(a.writes) > 0 {
				t.Errorf("%s %s with a fault: %v after %q", v, p, err, a.writes)
			}
		}
	}
}

// A credential is known by issuer and subject; what is in its way is said.
func TestCredentials(t *testing.T) {
	a := start(t)
	app, err := a.client.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "pets"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(c client.FederatedCredential) client.FederatedCredential {
		t.Helper()
		c, err := a.client.CreateApplicationCredential(t.Context(), app.ID, c)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	subject := credential.ServiceAccountSubject("pets", "cat")
	o := with(account, func(o *azwi.Options) { o.ApplicationObjectID = app.ID })
	only := func(r *azwi.Run) { r.Phases = []azwi.Phase{azwi.CredentialPhase} }
	check := func(v azwi.Verb, o azwi.Options, fails string, writes int, says ...string) {
		t.Helper()
		err := a.run(v, o, only)
		if (err != nil) != (fails != "") || err != nil && !strings.Contains(err.Error(), fails) || len(a.writes) != writes {
			t.Errorf("%s: %v after %q\n%s", v, err, a.writes, a.log.String())
		}
		a.says(says...)
	}

	// Under another name: it is the one, for both verbs.
	add(client.FederatedCredential{Name: "by-hand", Issuer: issuer, Subject: subject, Audiences: []string{credential.DefaultAudience}})
	check(azwi.Create, o, "", 0, "has been previously created", "name=by-hand")
	check(azwi.Delete, with(o, func(o *azwi.Options) { o.Issuer = strings.TrimSuffix(issuer, "/") }), "", 0, "federated identity credential not found", `nearest="by-hand with the issuer `+issuer+`"`)
	check(azwi.Delete, with(o, func(o *azwi.Options) { o.ServiceAccount = "Cat" }), `--service-account-name: "Cat" cannot be the name`, 0)
	check(azwi.Delete, o, "", 1, "deleted federated identity credential")
	check(azwi.Delete, o, "", 0, "federated identity credential not found")

	// For another audience, and with our name for somebody else.
	other := add(client.FederatedCredential{Name: "other", Issuer: issuer, Subject: subject, Audiences: []string{"api://other"}})
	check(azwi.Create, o, `"other" is for the same issuer and subject, with the audience ["api://other"]`, 0)
	if err := a.client.DeleteApplicationCredential(t.Context(), app.ID, other.ID); err != nil {
		t.Fatal(err)
	}
	add(client.FederatedCredential{Name: credential.AzwiName("pets", "cat", issuer), Issuer: "https://other.example/", Subject: subject, Audiences: []string{credential.DefaultAudience}})
	check(azwi.Create, o, `has the name of the one to add, for the issuer "https://other.example/"`, 0)
	check(azwi.Delete, o, "", 0, "federated identity credential not found")

	// Somebody adds it in the moment before us.
	o.ServiceAccount = "dog"
	a.answer = func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost {
			a.answer = nil
			add(client.FederatedCredential{Name: credential.AzwiName("pets", "dog", issuer), Issuer: issuer, Subject: credential.ServiceAccountSubject("pets", "dog"), Audiences: []string{credential.DefaultAudience}})
		}
		return nil
	}
	check(azwi.Create, o, "", 2, "has been previously created")

	// What is valid and probably a mistake is said.
	o.Issuer = "https://oidc.prod-aks.azure.com/x"
	check(azwi.Create, o, "", 1, "the issuer does not end with")
}

// A service account that is there keeps what else it has.
func TestServiceAccount(t *testing.T) {
	a := start(t)
	o := with(account, func(o *azwi.Options) {
		o.ApplicationClientID, o.TokenExpiration = "c", 90*time.Minute+400*time.Millisecond
	})
	only := func(r *azwi.Run) { r.Phases = []azwi.Phase{azwi.ServiceAccountPhase} }
	run := func(v azwi.Verb, writes int, says string, want map[string]string) {
		t.Helper()
		if err := a.run(v, o, only); err != nil || len(a.writes) != writes {
			t.Fatalf("%v after %q", err, a.writes)
		}
		a.says(says)
		if want == nil {
			return
		}
		if diff := cmp.Diff(want, a.annotations()); diff != "" {
			t.Error(diff)
		}
	}
	client, tenant, expiration := "azure.workload.identity/client-id", "azure.workload.identity/tenant-id", "azure.workload.identity/service-account-token-expiration"
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "pets", Name: "cat", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}, Secrets: []corev1.ObjectReference{{Name: "s"}}}
	if _, err := a.cluster.CoreV1().ServiceAccounts("pets").Create(t.Context(), sa, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	run(azwi.Create, 1, "updated Kubernetes service account", map[string]string{"c": "d", client: "c", tenant: a.TenantID, expiration: "5400"})
	run(azwi.Create, 0, "has been previously created", map[string]string{"c": "d", client: "c", tenant: a.TenantID, expiration: "5400"})
	o.TokenExpiration = time.Hour
	run(azwi.Create, 1, "updated Kubernetes service account", map[string]string{"c": "d", client: "c", tenant: a.TenantID})
	got, err := a.cluster.CoreV1().ServiceAccounts("pets").Get(t.Context(), "cat", metav1.GetOptions{})
	if err != nil || got.Labels["a"] != "b" || len(got.Secrets) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	// Somebody makes it in the moment before us.
	raced := false
	a.cluster.PrependReactor("get", "serviceaccounts", func(kubetesting.Action) (bool, runtime.Object, error) {
		if raced {
			return false, nil, nil
		}
		raced = true
		return true, nil, apierrors.NewNotFound(corev1.Resource("serviceaccounts"), "cat")
	})
	run(azwi.Create, 1, "has been previously created", nil)
	run(azwi.Delete, 1, "deleted service account", nil)
	run(azwi.Delete, 1, "service account not found", nil)
	o.ApplicationClientID, o.IdentityClientID = "", "m"
	run(azwi.Create, 1, "created Kubernetes service account", map[string]string{client: "m", tenant: a.TenantID})
	if err := a.run(azwi.Create, o, only, func(r *azwi.Run) { r.Kubernetes = nil }); err == nil {
		t.Error("it works without a cluster")
	}
}

// What fails in the middle says how far it came; the rest is done by the next run.
func TestResume(t *testing.T) {
	a := start(t)
	o := with(account, func(o *azwi.Options) {
		o.ApplicationName, o.Scope, o.Role = "pets", "/subscriptions/"+a.SubscriptionID, "Reader"
	})
	a.answer = func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/federatedIdentityCredentials") {
			return refusal(r, 403, "Authorization_RequestDenied")
		}
		return nil
	}
	err := a.run(azwi.Create, o)
	incomplete, ok := errors.AsType[*azwi.IncompleteError](err)
	if !ok || incomplete.Phase != azwi.CredentialPhase || !slices.Equal(incomplete.Done, []azwi.Phase{azwi.ApplicationPhase, azwi.ServiceAccountPhase}) || !strings.Contains(err.Error(), "403 Authorization_RequestDenied") {
		t.Errorf("%v", err)
	}
	a.answer = nil
	a.does(azwi.Create, o, 2, "AAD application has been previously created", "added federated credential", "created role assignment")
}

// Azure takes a while to know a new object everywhere.
func TestSettling(t *testing.T) {
	a := start(t)
	o := with(account, func(o *azwi.Options) {
		o.ApplicationName, o.Scope, o.Role = "pets", "/subscriptions/"+a.SubscriptionID, "Reader"
	})
	failures := map[string]int{} // of each kind, so far
	a.answer = func(r *http.Request) *http.Response {
		fail := func(what string, status int, code string) *http.Response {
			if failures[what]++; failures[what] <= 2 {
				return refusal(r, status, code)
			}
			return nil
		}
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/v1.0/servicePrincipals":
			return fail("principal", 400, "Request_BadRequest")
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/federatedIdentityCredentials"):
			return fail("list", 404, "Request_ResourceNotFound")
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/federatedIdentityCredentials"):
			return fail("add", 404, "Request_ResourceNotFound")
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/roleAssignments/"):
			return fail("role", 400, "PrincipalNotFound")
		}
		return nil
	}
	if err := a.run(azwi.Create, o); err != nil || a.waited != 8 {
		t.Errorf("%v after waiting %d times", err, a.waited)
	}
	// A principal that never comes, and one identity that is written to by others.
	a.waited = 0
	a.answer = func(r *http.Request) *http.Response {
		if r.Method == http.MethodPut {
			return refusal(r, 400, "PrincipalNotFound")
		}
		return nil
	}
	o.Role = "Contributor"
	if err := a.run(azwi.Create, o); err == nil || a.waited != 6 {
		t.Errorf("%v after waiting %d times", err, a.waited)
	}
	a.waited, a.answer = 0, nil
	twin := with(account, func(o *azwi.Options) { o.IdentityName, o.ResourceGroup, o.Location = "cat", "pets", "north" })
	twin.Scope, twin.Role = o.Scope, "Reader"
	busy := 0
	a.answer = func(r *http.Request) *http.Response {
		if busy++; r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/federatedIdentityCredentials/") && a.waited < 3 {
			return refusal(r, 409, "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity")
		}
		return nil
	}
	if err := a.run(azwi.Create, twin); err != nil || a.waited != 3 {
		t.Errorf("%v after waiting %d times", err, a.waited)
	}
	// What was there before is not waited for.
	a.waited = 0
	a.answer = func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/federatedIdentityCredentials") {
			return refusal(r, 404, "Request_ResourceNotFound")
		}
		return nil
	}
	if err := a.run(azwi.Create, o); err == nil || a.waited != 0 {
		t.Errorf("%v after waiting %d times", err, a.waited)
	}
	// A person who gives up does not wait.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&azwi.Run{Verb: azwi.Create, Options: o, Client: a.client, Kubernetes: a.cluster}).Do(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// A dry run says the same and writes nothing.
func TestDryRun(t *testing.T) {
	a := start(t)
	dry := func(r *azwi.Run) { r.DryRun = true }
	o := with(account, func(o *azwi.Options) { o.Scope, o.Role = "/subscriptions/"+a.SubscriptionID, "Reader" })
	twin := with(o, func(o *azwi.Options) { o.IdentityName, o.ResourceGroup, o.Location = "cat", "pets", "north" })
	for range 2 { // nothing is there; everything is there
		for _, o := range []azwi.Options{o, twin} {
			if err := a.run(azwi.Create, o, dry); err != nil || len(a.writes) > 0 {
				t.Errorf("%v after %q\n%s", err, a.writes, a.log.String())
			}
			o.RoleAssignmentID = o.Scope + "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001"
			if err := a.run(azwi.Delete, o, dry); err != nil || len(a.writes) > 0 {
				t.Errorf("%v after %q\n%s", err, a.writes, a.log.String())
			}
			if err := a.run(azwi.Create, o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.run(azwi.Delete, twin, dry, func(r *azwi.Run) { r.Phases = azwi.Delete.Phases()[1:] }); err != nil {
		t.Error(err)
	}
	a.says("dry run: would delete the federated identity credential", "dry run: would delete the service account", "dry run: would delete the managed identity")
}
