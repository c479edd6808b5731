package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/server"
)

// serving is a service of this process, and its administrator's session.
func serving(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	s, err := server.Open(ctx, server.Config{DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, Drain: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	found, err := connection{dataDir: dir}.find(ctx, func(flag string) bool { return flag == "data-dir" }, func(string) string { return "" })
	t.Cleanup(func() {
		if found != nil {
			found.http.CloseIdleConnections()
		}
		cancel()
		<-done
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// api is an issuer that stands for an API server, with a kubeconfig for it.
func api(t *testing.T) (issuer *localissuer.Issuer, kubeconfig string) {
	t.Helper()
	issuer, err := localissuer.New(localissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.Start(context.WithoutCancel(t.Context()), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	kubeconfig = filepath.Join(t.TempDir(), "config")
	write(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: me, user: {token: t}}]
contexts: [{name: lab, context: {cluster: lab, user: me}}, {name: elsewhere, context: {cluster: nothing, user: me}}]
current-context: lab
`, issuer.URL(), base64.StdEncoding.EncodeToString(issuer.CAPEM())))
	return issuer, kubeconfig
}

// hosted registers a cluster with a hosted issuer.
func hosted(t *testing.T, s *session, name string) (client.ClusterID, client.Cluster) {
	t.Helper()
	spec := client.ResourceSpec{Location: "local"}
	group := client.ResourceGroupID{SubscriptionID: s.subscription, Name: "pets"}
	if _, _, err := s.client.PutResourceGroup(t.Context(), group, spec); err != nil {
		t.Fatal(err)
	}
	id := client.ClusterID{SubscriptionID: s.subscription, ResourceGroup: "pets", Name: name}
	c, _, err := s.client.PutCluster(t.Context(), id, client.ClusterSpec{Location: "local", Issuer: &client.ClusterIssuerSpec{KeySource: client.HostedKeys}})
	if err != nil {
		t.Fatal(err)
	}
	return id, c
}

func kids(t *testing.T, set []byte) []string {
	t.Helper()
	checked, err := checkKeySet(set)
	if err != nil {
		t.Fatal(err)
	}
	return checked.ids
}

// unavailable is a service that is down while on is set.
type unavailable struct {
	http.RoundTripper
	on bool
}

func (u *unavailable) RoundTrip(r *http.Request) (*http.Response, error) {
	if u.on {
		return nil, errors.New("no route to host")
	}
	return u.RoundTripper.RoundTrip(r)
}

// A watch goes through what happens in the life of a cluster, round by round. The
// time between two rounds is the test's.
func TestWatch(t *testing.T) {
	s := serving(t)
	down := &unavailable{RoundTripper: s.http.Transport}
	s.http.Transport = down
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	id, registered := hosted(t, s, "lab")
	issuer, kubeconfig := api(t)
	a, err := openAPIServer(kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	first := kids(t, issuer.JWKS())[0]
	rotate := func() string {
		if err := issuer.Rotate(); err != nil {
			t.Fatal(err)
		}
		for _, id := range kids(t, issuer.JWKS()) {
			if id != first {
				return id
			}
		}
		t.Fatal("no other key")
		return ""
	}
	var second string
	stranger, err := localissuer.New(localissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	p := &keyPusher{session: s, id: id, read: a.keySet, issuer: a.issuer}
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "error" || a.Key == "hint" {
			return slog.Attr{}
		}
		return a
	}}))
	p.warn = func(format string, args ...any) { logger.Warn(fmt.Sprintf(format, args...)) }
	mismatch := fmt.Sprintf("level=WARN msg=%q\n", fmt.Sprintf("tokens of this cluster will be refused: they name the issuer %s, until its API server is started with --service-account-issuer=%s, as it is registered", issuer.URL(), registered.Issuer.URL))
	updated := func(what string, keys int) string {
		return fmt.Sprintf("level=INFO msg=%q issuer=%s keys=%d\n", "keys "+what, registered.Issuer.URL, keys)
	}
	const failed = "level=ERROR msg=\"keys were not updated\" again_in=X\n"

	type round struct {
		name string
		do   func() // before the round
		want func() string
	}
	rounds := []round{
		{"the first", func() {}, func() string { return mismatch + updated("added "+first, 1) }},
		{"nothing new", func() { issuer.SetFaults(localissuer.Faults{DiscoveryIssuer: registered.Issuer.URL}) }, func() string { return "" }},
		{"a new key", func() { second = rotate() }, func() string { return updated("added "+second, 2) }},
		{"the old one goes", issuer.Withdraw, func() string { return updated("removed "+first, 1) }},
		{"the API server fails", func() { issuer.SetFaults(localissuer.Faults{Status: 500}) }, func() string { return failed }},
		{"it still fails", func() {}, func() string { return failed }},
		{"it forbids", func() { issuer.SetFaults(localissuer.Faults{Status: 403}) }, func() string { return failed }},
		{"it is back", func() { issuer.SetFaults(localissuer.Faults{DiscoveryIssuer: registered.Issuer.URL}) }, func() string { return "level=INFO msg=\"keys are read again\"\n" }},
		{"the service is down", func() { down.on = true }, func() string { return failed }},
		{"and up", func() { down.on = false }, func() string { return "level=INFO msg=\"keys are read again\"\n" }},
		{"somebody else uploads other keys", func() {
			if _, err := s.client.UpdateClusterKeys(t.Context(), id, stranger.JWKS()); err != nil {
				t.Fatal(err)
			}
		}, func() string { return updated("added "+second+"; removed "+kids(t, stranger.JWKS())[0], 1) }},
		{"the cluster publishes a secret", func() {
			issuer.SetFaults(localissuer.Faults{ExtraKeys: []json.RawMessage{json.RawMessage(`{"kty":"oct","kid":"shared","k":"c2VjcmV0"}`)}})
		}, func() string { return failed }},
		{"an empty set", func() { issuer.SetFaults(localissuer.Faults{On: localissuer.Keys, Body: []byte(`{"keys":[]}`)}) }, func() string { return failed }},
		{"the cluster is not registered any more", func() {
			issuer.SetFaults(localissuer.Faults{})
			if err := s.client.DeleteCluster(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}, func() string { return failed }},
	}
	n := 0
	next := func(ctx context.Context, d time.Duration) error {
		got := log.String()
		log.Reset()
		lines := strings.SplitAfter(got, "\n")
		for i, line := range lines {
			if before, _, ok := strings.Cut(line, "again_in="); ok {
				lines[i] = before + "again_in=X\n"
			}
		}
		if diff := cmp.Diff(rounds[n].want(), strings.Join(lines, "")); diff != "" {
			t.Errorf("%s: -want +got\n%s", rounds[n].name, diff)
		}
		if d > time.Minute || d < time.Second/2 || !strings.Contains(got, "ERROR") && d != time.Minute {
			t.Errorf("%s: the next round is in %s", rounds[n].name, d)
		}
		if n++; n == len(rounds) {
			return context.Canceled
		}
		rounds[n].do()
		return ctx.Err()
	}
	if err := p.watch(t.Context(), logger, time.Minute, next); err != nil || n != len(rounds) {
		t.Errorf("it ended in round %d with %v", n, err)
	}
}

// What a person has to mend ends a watch that has had no success yet; what may
// mend itself does not.
func TestWatchOfWhatCannotWork(t *testing.T) {
	s := serving(t)
	id, _ := hosted(t, s, "lab")
	bare := client.ClusterID{SubscriptionID: id.SubscriptionID, ResourceGroup: id.ResourceGroup, Name: "bare"}
	if _, _, err := s.client.PutCluster(t.Context(), bare, client.ClusterSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	nobody := *s
	nobody.caller.secret = "wrong"
	if err := nobody.connect(); err != nil {
		t.Fatal(err)
	}
	set := keySet{document: json.RawMessage(`{"keys":[{"kty":"RSA"}]}`)}
	reading := func(set keySet, err error) func(context.Context) (keySet, error) {
		return func(context.Context) (keySet, error) { return set, err }
	}
	absent := id
	absent.Name = "absent"
	for _, tt := range []struct {
		name string
		p    keyPusher
		want string // of the error; empty: it goes on
	}{
		{"a cluster that is not there", keyPusher{session: s, id: absent, read: reading(set, nil)}, "404 ResourceNotFound"},
		{"a cluster without an issuer", keyPusher{session: s, id: bare, read: reading(set, nil)}, `cluster "bare": its keys are not uploaded ones`},
		{"a wrong secret", keyPusher{session: &nobody, id: id, read: reading(set, nil)}, "AADSTS7000215"},
		{"a private key", keyPusher{session: s, id: id, read: reading(keySet{}, hint(errPrivate, "x"))}, "private key"},
		{"keys that the service refuses", keyPusher{session: s, id: id, read: reading(set, nil)}, "400 BadRequest"},
		{"an API server that is starting", keyPusher{session: s, id: id, read: reading(keySet{}, errors.New("connection refused"))}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.p.warn = t.Logf
			tries := 0
			err := tt.p.watch(t.Context(), slog.New(slog.DiscardHandler), time.Minute, func(context.Context, time.Duration) error {
				if tries++; tries == 3 {
					return io.EOF
				}
				return nil
			})
			if tt.want == "" && (err != nil || tries != 3) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || tries != 0) {
				t.Errorf("%v after %d tries, want %q", err, tries, tt.want)
			}
		})
	}
}

func TestBackOff(t *testing.T) {
	for n := range 100 {
		d, longest := backOff(n, time.Minute, errors.New("x")), min(time.Second<<min(n, 10), time.Minute)
		if d > longest || d < longest*3/4 {
			t.Errorf("after %d failures: %s", n, d)
		}
		if d := backOff(n, 24*time.Hour, errors.New("x")); d > maxBackOff {
			t.Errorf("after %d failures: %s", n, d)
		}
	}
	if d := backOff(0, time.Minute, &client.Error{Status: 429, RetryAfter: 5 * time.Minute}); d != 5*time.Minute {
		t.Errorf("asked for 5m, it is %s", d)
	}
	if d := backOff(0, time.Minute, fmt.Errorf("x: %w", &client.TokenError{Status: 503, RetryAfter: 5 * time.Hour})); d != maxBackOff {
		t.Errorf("asked for 5h, it is %s", d)
	}
}

func TestMistakes(t *testing.T) {
	jwks := schema.GroupResource{Resource: "jwks"}
	for err, want := range map[error]bool{
		&client.Error{Status: 400}: true, &client.Error{Status: 403}: true, &client.Error{Status: 404}: true, &client.Error{Status: 409}: true,
		&client.Error{Status: 429}: false, &client.Error{Status: 408}: false, &client.Error{Status: 500}: false, &client.Error{Status: 503}: false,
		&client.TokenError{Status: 401}: true, &client.TokenError{Status: 429}: false, &client.TokenError{Status: 503}: false,
		hint(errNotUploaded, "x"): true, hint(errPrivate, "x"): true, errors.New("x"): false, context.DeadlineExceeded: false,
		&tls.CertificateVerificationError{Err: errors.New("x")}: true,
		apierrors.NewForbidden(jwks, "", nil):                   true, apierrors.NewUnauthorized("x"): true, apierrors.NewInternalError(errors.New("x")): false,
	} {
		if got := isMistake(fmt.Errorf("reading: %w", err)); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestAPIServer(t *testing.T) {
	issuer, kubeconfig := api(t)
	t.Setenv("KUBECONFIG", kubeconfig)
	for _, file := range []string{"", kubeconfig} {
		a, err := openAPIServer(file, "")
		if err != nil {
			t.Fatal(err)
		}
		set, err := a.keySet(t.Context())
		if err != nil || string(set.document) != string(issuer.JWKS()) {
			t.Errorf("%s, %v", set.document, err)
		}
		if url, err := a.issuer(t.Context()); err != nil || url != issuer.URL() {
			t.Errorf("%s, %v", url, err)
		}
	}
	for context, want := range map[string]string{"nothing": `context "nothing" does not exist`, "elsewhere": `the context "elsewhere" names no cluster`} {
		if _, err := openAPIServer("", context); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", context, err)
		}
	}
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	undecided := filepath.Join(t.TempDir(), "config")
	write(t, undecided, bytes.Replace(text, []byte("current-context: lab\n"), nil, 1))
	if _, err := openAPIServer(undecided, ""); err == nil || !strings.Contains(err.Error(), "no current context") {
		t.Errorf("no current context: %v", err)
	}
	if _, err := openAPIServer(undecided, "lab"); err != nil {
		t.Error(err)
	}
	if _, err := openAPIServer(filepath.Join(t.TempDir(), "absent"), ""); err == nil || !strings.Contains(err.Error(), "read the kubeconfig: ") {
		t.Errorf("an absent file: %v", err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
	if _, err := openAPIServer("", ""); err == nil || !strings.HasPrefix(err.Error(), "no cluster is known") {
		t.Errorf("no kubeconfig: %v", err)
	}

	a, err := openAPIServer(kubeconfig, "lab")
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]localissuer.Faults{
		"holds more than 1 MiB": {Endless: true},
		"hint":                  {Status: 403},
		"key set: ":             {Body: []byte(`<html>`)},
	} {
		issuer.SetFaults(f)
		_, err := a.keySet(t.Context())
		if h, ok := errors.AsType[*hinted](err); ok {
			err = fmt.Errorf("%w\nhint: %s", err, h.hint)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
