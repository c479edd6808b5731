package doctor_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/server"
)

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:cat"
	file     = "/var/run/secrets/azure/wi/token/azure-identity-token"
)

// world is a service of this process, and its administrator.
type world struct {
	server.Admin
	http  *http.Client
	admin *client.Client
	keys  []crypto.Signer // for issuers, since new ones take their time
}

// theWorld is one for all tests: each has its own issuer and applications in it.
func theWorld(t *testing.T) *world {
	t.Helper()
	if shared.w == nil {
		t.Fatal("TestMain has not made the world")
	}
	return shared.w
}

var shared struct{ w *world }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "doctor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.Open(ctx, server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, SigningAlgorithm: keys.ES256, IssuerAllow: []string{"127.0.0.1"},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	w := &world{}
	defer func() {
		cancel()
		<-done
	}()
	text, err := os.ReadFile(filepath.Join(dir, server.AdminFile))
	if err == nil {
		err = json.Unmarshal(text, &w.Admin)
	}
	if err != nil {
		panic(err)
	}
	ca, err := os.ReadFile(w.CAFile)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer w.http.CloseIdleConnections()
	w.admin, err = client.New(client.Config{
		Endpoints: client.Entente(w.Authority), TenantID: w.TenantID, HTTP: w.http,
		Credential: client.ClientSecret(w.Authority, w.TenantID, w.ClientID, w.ClientSecret, w.http),
	})
	if err != nil {
		panic(err)
	}
	var group sync.WaitGroup
	for range 3 {
		w.keys = append(w.keys, nil)
	}
	for i := range w.keys {
		group.Go(func() { w.keys[i], _ = rsa.GenerateKey(rand.Reader, 2048) })
	}
	group.Wait()
	shared.w = w
	return m.Run()
}

// scene is a workload in a cluster and its client at the service, all in good
// health until a test changes something of it.
type scene struct {
	*testing.T
	w      *world
	issuer *localissuer.Issuer
	clock  time.Duration // how far the cluster's is ahead
	spec   client.IssuerSpec

	app        client.Application
	credential client.FederatedCredential
	none       bool // the application has no credential

	namespace  *corev1.Namespace
	account    *corev1.ServiceAccount
	deployment *appsv1.Deployment
	set        *appsv1.ReplicaSet
	pod        *corev1.Pod
	webhook    *admissionv1.MutatingWebhookConfiguration
	others     []runtime.Object

	token    func(*localissuer.Token) // what is other about the cluster's tokens
	forbid   []string                 // verb/resource[/subresource] that the caller may not
	keySet   func() []byte            // that the cluster publishes itself
	host     string                   // of the API server
	doctor   doctor.Doctor
	question doctor.Question
}

func newScene(t *testing.T, change ...func(*localissuer.Config)) *scene {
	t.Helper()
	s := &scene{T: t, w: theWorld(t)}
	config := localissuer.Config{Key: s.w.keys[0], Clock: func() time.Time { return time.Now().Add(s.clock) }}
	for _, c := range change {
		c(&config)
	}
	s.issuer = s.start(config)
	s.spec = client.IssuerSpec{Issuer: s.issuer.URL(), CACertificate: string(s.issuer.CAPEM())}
	s.app = s.application("cat")
	s.credential = client.FederatedCredential{Name: "cat", Issuer: s.issuer.URL(), Subject: subject, Audiences: []string{audience}}

	s.namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pets"}}
	s.account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "cat", Namespace: "pets", Annotations: map[string]string{"azure.workload.identity/client-id": s.app.AppID}}}
	labels := map[string]string{"app": "cat", doctor.UseLabel: "true"}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{ServiceAccountName: "cat", Containers: []corev1.Container{{Name: "main", Image: "cat"}}},
	}
	is := true
	s.deployment = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "cat", Namespace: "pets", UID: "d"}, Spec: appsv1.DeploymentSpec{Template: template}}
	s.set = &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "cat-1", Namespace: "pets", UID: "r", OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: "cat", UID: "d", Controller: &is}}}, Spec: appsv1.ReplicaSetSpec{Template: *template.DeepCopy()}}
	now := metav1.Now()
	s.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "cat-1-x", Namespace: "pets", UID: types.UID(uuid.NewString()), Labels: map[string]string{"app": "cat", doctor.UseLabel: "true"}, CreationTimestamp: now,
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "cat-1", UID: "r", Controller: &is}},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	s.inject()
	s.webhook = &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "azure-wi-webhook-mutating-webhook-configuration", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:         "mutation.azure-workload-identity.io",
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "azure-workload-identity-system", Name: "azure-wi-webhook-webhook-service"}},
		}},
	}
	s.question = doctor.Question{Kind: doctor.PodKind, Namespace: "pets", Name: "cat-1-x"}
	s.doctor.Target = doctor.Target{Kind: doctor.Entente, Authority: s.w.Authority, TenantID: s.w.TenantID, Scope: client.Scope(s.w.Authority), HTTP: s.w.http, Client: s.w.admin}
	s.doctor.Proxy = func(*http.Request) (*urlOf, error) { return nil, nil }
	s.keySet = s.issuer.JWKS
	return s
}

func (s *scene) start(config localissuer.Config) *localissuer.Issuer {
	s.Helper()
	issuer, err := localissuer.New(config)
	if err != nil {
		s.Fatal(err)
	}
	if err := issuer.Start(context.WithoutCancel(s.Context()), "127.0.0.1:0"); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(issuer.Close)
	return issuer
}

// inject does to the pod what the webhook does.
func (s *scene) inject() {
	c := &s.pod.Spec.Containers[0]
	c.Env = []corev1.EnvVar{
		{Name: "AZURE_CLIENT_ID", Value: s.app.AppID}, {Name: "AZURE_TENANT_ID", Value: s.w.TenantID},
		{Name: "AZURE_FEDERATED_TOKEN_FILE", Value: file}, {Name: "AZURE_AUTHORITY_HOST", Value: s.w.Authority + "/"},
	}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "azure-workload-identity-reserved-1", MountPath: "/var/run/secrets/azure/wi", ReadOnly: true}}
	s.pod.Spec.Volumes = []corev1.Volume{tokenVolume("azure-workload-identity-reserved-1", "token/azure-identity-token", audience)}
}

func tokenVolume(name, path, audience string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: path}},
	}}}}
}

// strip takes away again what the webhook injects.
func (s *scene) strip() {
	c := &s.pod.Spec.Containers[0]
	c.Env, c.VolumeMounts, s.pod.Spec.Volumes = nil, nil, nil
}

func (s *scene) unsetEnv(name string) {
	c := &s.pod.Spec.Containers[0]
	for i, v := range c.Env {
		if v.Name == name {
			c.Env = append(c.Env[:i], c.Env[i+1:]...)
			return
		}
	}
}

func (s *scene) setEnv(name, value string) {
	s.unsetEnv(name)
	c := &s.pod.Spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
}

func (s *scene) application(name string) client.Application {
	s.Helper()
	app, err := s.w.admin.CreateApplication(s.Context(), client.ApplicationSpec{DisplayName: name})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.w.admin.DeleteApplication(context.WithoutCancel(s.Context()), app.ID) }) // one that a test has deleted is not there
	if _, err := s.w.admin.CreateServicePrincipal(s.Context(), client.ServicePrincipalSpec{AppID: app.AppID}); err != nil {
		s.Fatal(err)
	}
	return app
}

// as is a client that has a secret.
func (s *scene) as(clientID, secret string) *client.Client {
	s.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(s.w.Authority), TenantID: s.w.TenantID, HTTP: s.w.http,
		Credential: client.ClientSecret(s.w.Authority, s.w.TenantID, clientID, secret, s.w.http),
	})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// at is a client of a service at another address.
func (s *scene) at(base string) *client.Client {
	s.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(base), TenantID: s.w.TenantID, HTTP: s.w.http,
		Credential: client.ClientSecret(base, s.w.TenantID, s.w.ClientID, s.w.ClientSecret, s.w.http),
	})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// trusted are the issuer's own CA, for who cannot see how it is registered.
func (s *scene) trusted() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.issuer.CAPEM())
	return roots
}

func (s *scene) add(app client.Application, f client.FederatedCredential) {
	s.Helper()
	if _, err := s.w.admin.CreateApplicationCredential(s.Context(), app.ID, f); err != nil {
		s.Fatal(err)
	}
}

// mint makes a token as the cluster does now.
func (s *scene) mint(namespace, account string, audiences []string) string {
	s.Helper()
	t := localissuer.Token{Namespace: namespace, ServiceAccount: account, Audiences: audiences}
	if s.token != nil {
		s.token(&t)
	}
	text, err := s.issuer.Mint(t)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// cluster is the API server.
func (s *scene) cluster() *fake.Clientset {
	objects := []runtime.Object{s.namespace}
	if s.account != nil {
		objects = append(objects, s.account)
	}
	if s.deployment != nil {
		objects = append(objects, s.deployment, s.set)
	}
	if s.pod != nil {
		objects = append(objects, s.pod)
	}
	if s.webhook != nil {
		objects = append(objects, s.webhook)
	}
	api := fake.NewClientset(append(objects, s.others...)...)
	api.PrependReactor("create", "serviceaccounts", func(action k8stesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "token" {
			return false, nil, nil
		}
		create := action.(k8stesting.CreateActionImpl)
		request := create.GetObject().(*authenticationv1.TokenRequest).DeepCopy()
		request.Status.Token = s.mint(create.Namespace, create.Name, request.Spec.Audiences)
		return true, request, nil
	})
	for _, what := range s.forbid {
		verb, resource, _ := strings.Cut(what, "/")
		resource, sub, _ := strings.Cut(resource, "/")
		api.PrependReactor(verb, resource, func(action k8stesting.Action) (bool, runtime.Object, error) {
			if action.GetSubresource() != sub {
				return false, nil, nil
			}
			return true, nil, forbidden(resource)
		})
	}
	return api
}

// register makes what the scene says of the service so.
func (s *scene) register() {
	s.Helper()
	if s.spec.Issuer != "" {
		s.forgetIssuer() // an earlier test may have had the same port
		name := "i-" + uuid.NewString()[:8]
		if _, _, err := s.w.admin.PutIssuer(s.Context(), name, s.spec); err != nil {
			s.Fatal(err)
		}
	}
	if !s.none {
		s.add(s.app, s.credential)
	}
}

// examine asks the doctor.
func (s *scene) examine() *doctor.Report {
	s.Helper()
	s.doctor.Cluster = doctor.Cluster{API: s.cluster(), Host: s.host, Document: func(_ context.Context, path string) ([]byte, error) {
		switch path {
		case "/.well-known/openid-configuration":
			return s.issuer.Discovery(), nil
		case "/openid/v1/jwks":
			return s.keySet(), nil
		}
		return nil, fmt.Errorf("no document %s", path)
	}}
	r, err := s.doctor.Examine(s.Context(), s.question)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

// show writes a report for a person who reads a failed test.
func show(r *doctor.Report) string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// otherRoots are those of somebody else.
func (s *scene) otherRoots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.start(localissuer.Config{Key: s.w.keys[1]}).CAPEM())
	return roots
}
