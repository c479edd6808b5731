package webhook

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
)

// leases is an API server that has room for one Lease.
type leases struct {
	mu    sync.Mutex
	lease []byte
}

func (l *leases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet {
		l.lease, _ = io.ReadAll(r.Body)
	} else if l.lease == nil {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	}
	w.Write(l.lease)
}

func (l *leases) holder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := new(coordinationv1.Lease)
	json.Unmarshal(l.lease, lease)
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// Who is told to end gives up the Lease then, and not after it has drained.
func TestWhoDrainsDoesNotLead(t *testing.T) {
	api := new(leases)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	leading, tell := context.WithCancel(t.Context())
	s := &Service{
		Settings: Settings{REST: &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, Namespace: "n", Log: slog.New(slog.DiscardHandler)},
		metrics:  newMetrics("", func() time.Time { return time.Time{} }), identity: "me", leading: leading,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.lead(t.Context()) }()
	for end := time.Now().Add(10 * time.Second); api.holder() != "me"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not lead")
		}
	}
	tell()
	select {
	case err := <-ended:
		if err != nil || api.holder() != "" {
			t.Errorf("%v; the Lease is %q's", err, api.holder())
		}
	case <-time.After(10 * time.Second):
		t.Error("it leads while it drains")
	}
}
