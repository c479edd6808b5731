package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnswers(t *testing.T) {
	p := newPod(t)
	now := p.clock.Now()
	on := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	text := "token 1 of " + me + " for " + vault + "/.default"
	want := map[string]any{
		"access_token": text, "client_id": me, "refresh_token": "", "expires_in": "3600", "ext_expires_in": "3600", "expires_on": on,
		"not_before": strconv.FormatInt(now.Unix(), 10), "resource": vault, "token_type": "Bearer",
	}
	// The clock stands, and the token was asked for a moment after the moment from which its life counts.
	near := cmp.Comparer(func(a, b string) bool {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		return a == b || errX == nil && errY == nil && x-y <= 1 && y-x <= 1
	})
	got := p.imds("resource=" + vault)
	if diff := cmp.Diff(want, got.body, near); diff != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("of a virtual machine (-want +got):\n%s%v", diff, got.header)
	}
	delete(want, "refresh_token")
	delete(want, "ext_expires_in")
	if diff := cmp.Diff(want, p.site("resource="+vault).body, near); diff != "" {
		t.Errorf("of App Service (-want +got):\n%s", diff)
	}
	old := p.get("/msi/token/?resource="+vault+"&api-version=2017-09-01&clientid="+me, "Secret", secret)
	at, err := time.Parse("01/02/2006 15:04:05 -07:00", old.field("expires_on"))
	if err != nil || at.Unix() < now.Unix()+3599 || old.field("access_token") != text {
		t.Errorf("of the first App Service: %v %s", err, old.text)
	}
	form := p.authority.last()
	if n := p.authority.count(); n != 1 || form.Get("grant_type") != "client_credentials" || form.Get("scope") != vault+"/.default" || !strings.HasSuffix(form.Get("client_assertion"), ".assertion-secret") || p.authority.paths[0] != "/tenant/oauth2/v2.0/token" {
		t.Errorf("%d requests, the last %v to %v", n, form, p.authority.paths)
	}
	p.said()
}

func TestOneExchangeForAll(t *testing.T) {
	p := newPod(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	p.authority.set(func(http.ResponseWriter, url.Values) bool { close(arrived); <-release; return false })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := p.imds("resource=" + vault); got.status != 200 {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
	<-arrived
	close(release)
	all.Wait()
	if n := p.authority.count(); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

// An identity whose exchanges hang holds up nobody else.
func TestAHangingIdentity(t *testing.T) {
	p := newPod(t)
	release := make(chan struct{})
	p.authority.set(func(_ http.ResponseWriter, form url.Values) bool {
		if form.Get("client_id") == "bad" {
			<-release
		}
		return false
	})
	var hanging sync.WaitGroup
	answers := make(chan int, maxPending+10)
	for i := range maxPending + 10 {
		hanging.Go(func() { answers <- p.imds(fmt.Sprintf("client_id=bad&resource=r%d", i)).status })
	}
	for range 10 { // those for whom there is no room are told so at once
		if status := <-answers; status != http.StatusTooManyRequests {
			t.Errorf("got %d, want 429", status)
		}
	}
	for i := range 20 {
		if got := p.imds(fmt.Sprintf("resource=r%d", i)); got.status != 200 {
			t.Errorf("beside a hanging identity: %d %s", got.status, got.text)
		}
	}
	close(release)
	hanging.Wait()
	p.tokens.mu.Lock()
	defer p.tokens.mu.Unlock()
	if len(p.tokens.lanes) != 0 || p.tokens.pending != 0 {
		t.Errorf("%d lanes and %d exchanges are left", len(p.tokens.lanes), p.tokens.pending)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := newPod(t)
	big := strings.Repeat("x", 40<<10)
	p.authority.set(func(w http.ResponseWriter, form url.Values) bool {
		if !strings.HasPrefix(form.Get("scope"), "big") {
			return false
		}
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":%q}`, big)
		return true
	})
	for i := range 1000 {
		p.imds(fmt.Sprintf("resource=r%d", i))
	}
	p.imds("resource=r999")
	if n := p.authority.count(); n != 1000 {
		t.Errorf("%d exchanges for 1,000 resources and one again", n)
	}
	if n := len(p.tokens.entries); n != maxTokens {
		t.Errorf("%d tokens are kept, want %d", n, maxTokens)
	}
	for i := range 100 {
		p.imds(fmt.Sprintf("resource=big%d", i))
	}
	sum := 0
	for _, place := range p.tokens.entries {
		sum += place.Value.(*entry).size()
	}
	if sum > maxBytes || sum != p.tokens.bytes {
		t.Errorf("%d bytes are kept and %d counted, want at most %d", sum, p.tokens.bytes, maxBytes)
	}
}

// settle waits until nothing is on its way.
func (p *pod) settle() {
	for {
		p.tokens.mu.Lock()
		n := p.tokens.pending
		p.tokens.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRenewal(t *testing.T) {
	p := newPod(t)
	p.imds("resource=" + vault)
	steps := []struct {
		name string
		ask  bool
		at   time.Duration
		want int // exchanges until then
	}{
		{"not before half of the life", false, 29 * time.Minute, 1},
		{"after seven tenths", false, 43 * time.Minute, 2},
		{"an SDK asks shortly before the end of what it holds", true, 55 * time.Minute, 2},
		{"in use, so renewed", false, 86 * time.Minute, 3},
		{"not in use since", false, 130 * time.Minute, 3},
	}
	start := p.clock.Now()
	for _, k := range steps {
		p.clock.Set(start.Add(k.at))
		p.rotate(time.Hour)
		p.tokens.renew()
		p.settle()
		if k.ask {
			p.imds("resource=" + vault)
		}
		if n := p.authority.count(); n != k.want {
			t.Errorf("%s: %d exchanges, want %d", k.name, n, k.want)
		}
	}
	p.clock.Set(start.Add(5 * time.Hour))
	p.tokens.renew()
	if len(p.tokens.entries) != 0 || p.tokens.bytes != 0 {
		t.Errorf("%d tokens that have ended are kept", len(p.tokens.entries))
	}

	// A request that finds the moment passed is answered at once, and renews.
	p.rotate(time.Hour)
	first := p.imds("resource=" + vault).field("access_token")
	p.clock.Advance(45 * time.Minute)
	if again := p.imds("resource=" + vault).field("access_token"); again != first {
		t.Error("it waited for the new token")
	}
	p.settle()
	if next := p.imds("resource=" + vault).field("access_token"); next == first {
		t.Error("it has not been renewed")
	}
}

func TestWhenTheAuthorityRefuses(t *testing.T) {
	for _, k := range []struct {
		name   string
		answer func(http.ResponseWriter, url.Values) bool
		status int
		code   string
		retry  string
	}{
		{"the assertion", refuse(401, "invalid_client", "AADSTS700213: no match"), 401, "invalid_client", ""},
		{"the client", refuse(400, "unauthorized_client", "AADSTS700016: unknown"), 400, "unauthorized_client", ""},
		{"a refusal with Retry-After", refuse(400, "invalid_request", "AADSTS700016: unknown", "Retry-After", "5"), 400, "invalid_request", ""},
		{"forbidden by something", refuse(403, "", ""), 400, "invalid_request", ""},
		{"too many", refuse(429, "too_many", "slow down", "Retry-After", "7"), 429, "too_many", "7"},
		{"far too many", refuse(429, "too_many", "slow down", "Retry-After", "3000"), 429, "too_many", "30"},
		{"fault", refuse(500, "server_error", "AADSTS90033: transient"), 503, "server_error", "1"},
		{"overload", refuse(503, "temporarily_unavailable", "AADSTS90033: transient", "Retry-After", "2"), 503, "temporarily_unavailable", "2"},
		{"a gateway", func(w http.ResponseWriter, _ url.Values) bool {
			w.WriteHeader(502)
			w.Write([]byte("<html>"))
			return true
		}, 503, "temporarily_unavailable", "1"},
		{"no JSON", func(w http.ResponseWriter, _ url.Values) bool { w.Write([]byte("<html>")); return true }, 503, "temporarily_unavailable", "1"},
		{"no token", func(w http.ResponseWriter, _ url.Values) bool { w.Write([]byte(`{"expires_in":5}`)); return true }, 503, "temporarily_unavailable", "1"},
		{"too long", func(w http.ResponseWriter, _ url.Values) bool {
			w.Write([]byte(`{"expires_in":5,"access_token":"` + strings.Repeat("x", 300<<10) + `"}`))
			return true
		}, 503, "temporarily_unavailable", "1"},
		{"the assertion, which it quotes", func(w http.ResponseWriter, form url.Values) bool {
			return refuse(401, "invalid_client", "cannot read "+form.Get("client_assertion"))(w, form)
		}, 401, "invalid_client", ""},
		{"away, and it quotes", func(w http.ResponseWriter, form url.Values) bool {
			return refuse(503, "temporarily_unavailable", form.Encode(), "Retry-After", "1")(w, form)
		}, 503, "temporarily_unavailable", "1"},
		{"elsewhere, with what it was sent", func(w http.ResponseWriter, form url.Values) bool {
			w.Header().Set("Location", "https://example.org/?"+form.Encode())
			w.WriteHeader(307)
			return true
		}, 503, "temporarily_unavailable", "1"},
		{"elsewhere", func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Location", "https://example.org/")
			w.WriteHeader(307)
			return true
		}, 503, "temporarily_unavailable", "1"},
	} {
		t.Run(k.name, func(t *testing.T) {
			p := newPod(t)
			p.authority.set(k.answer)
			got := p.imds("resource=" + vault)
			if got.status != k.status || got.field("error") != k.code || got.header.Get("Retry-After") != k.retry || got.field("error_description") == "" {
				t.Errorf("got %d %q %s, want %d %q %s", got.status, got.header.Get("Retry-After"), got.text, k.status, k.retry, k.code)
			}
			again := p.imds("resource=" + vault)
			want := 2 // a refusal is not remembered
			if k.retry != "" {
				want = 1 // and an authority that is away is left alone
			}
			if n := p.authority.count(); n != want || again.status != k.status {
				t.Errorf("the next answer is %d after %d requests, want %d after %d", again.status, n, k.status, want)
			}
			p.authority.set(nil)
			p.clock.Advance(maxPause)
			if got := p.imds("resource=" + vault); got.status != 200 {
				t.Errorf("when all is well again: %d %s", got.status, got.text)
			}
			p.said(got.text)
		})
	}
}

// A machine that slept for an hour has tokens that have ended, whatever its
// monotonic clock says.
func TestLivesAreOfTheWallClock(t *testing.T) {
	p := newPod(t, func(_ *Config, o *Options) { o.Clock = nil })
	got, bad := p.source.Exchange(t.Context(), me, vault)
	if bad != nil {
		t.Fatal(bad)
	}
	for _, at := range []time.Time{got.at, got.expires} {
		if at != at.Round(0) {
			t.Errorf("%v has a monotonic reading", at)
		}
	}
}

func TestAnAuthorityThatIsAway(t *testing.T) {
	p := newPod(t)
	first := p.imds("resource=" + vault).field("access_token")
	p.authority.set(refuse(503, "temporarily_unavailable", "away"))
	for _, d := range []time.Duration{43 * time.Minute, 12 * time.Minute, 4 * time.Minute} { // 59 minutes in all
		p.clock.Advance(d)
		p.rotate(time.Hour)
		p.tokens.renew()
		p.settle()
		if got := p.imds("resource=" + vault); got.field("access_token") != first {
			t.Errorf("what is still valid is not given out: %d %s", got.status, got.text)
		}
	}
	p.clock.Advance(time.Minute)
	var waits []string
	for range 5 {
		got := p.imds("resource=" + vault)
		waits = append(waits, fmt.Sprint(got.status, " ", got.header.Get("Retry-After")))
		p.clock.Advance(maxPause)
	}
	if want := []string{"503 8", "503 8", "503 8", "503 8", "503 8"}; !cmp.Equal(waits, want) {
		t.Errorf("answers %q, want %q", waits, want)
	}
	p.authority.Close()
	if got := p.imds("resource=other"); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("nobody listens: %d %s", got.status, got.text)
	}
}

func TestTheServiceAccountToken(t *testing.T) {
	p := newPod(t)
	ready := func(status int, text string) {
		t.Helper()
		if got := p.get("/readyz"); got.status != status || !strings.Contains(got.text, text) {
			t.Errorf("/readyz: %d %s, want %d %s", got.status, got.text, status, text)
		}
	}
	told := func(resource, text string) {
		t.Helper()
		got := p.imds("resource=" + resource)
		if got.status != 401 || got.field("error") != "unauthorized_client" || !strings.Contains(got.field("error_description"), text) {
			t.Errorf("got %d %s, want 401 and %s", got.status, got.text, text)
		}
		p.said(got.text)
	}
	ready(200, "ok")
	p.clock.Advance(64 * time.Minute)
	if got := p.imds("resource=a"); got.status != 200 {
		t.Errorf("a token that ended four minutes ago is the authority's to judge: %d %s", got.status, got.text)
	}
	p.clock.Advance(2 * time.Minute)
	told("b", "6m")
	told("b", "the kubelet has not renewed it")
	ready(503, "expired at")
	if n := p.authority.count(); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
	token := p.rotate(time.Hour)
	if got := p.imds("resource=b"); got.status != 200 || p.authority.last().Get("client_assertion") != token {
		t.Errorf("the renewed token is not used: %d %s", got.status, got.text)
	}
	ready(200, "ok")
	for text, want := range map[string]string{"": "is empty", strings.Repeat("x", 65<<10): "64 KiB"} {
		if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		told("c", want)
		ready(503, want)
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	told("d", "AZURE_FEDERATED_TOKEN_FILE")
	ready(503, "no such file")
	if err := os.WriteFile(p.file, []byte("opaque"), 0o600); err != nil { // of an issuer that is not Kubernetes
		t.Fatal(err)
	}
	if got := p.imds("resource=d"); got.status != 200 {
		t.Errorf("a token that is no JWT is the authority's to judge: %d %s", got.status, got.text)
	}
}

// A renewal that failed is tried again as soon as the kubelet has written a new token.
func TestTheTokenFileChanges(t *testing.T) {
	p := newPod(t)
	p.tokens.renew()
	p.imds("resource=" + vault)
	p.clock.Advance(70 * time.Minute)
	p.rotate(-10 * time.Minute)
	p.authority.life = 2 * time.Hour
	p.imds("resource=" + vault) // refused, and forgotten
	p.rotate(30 * time.Minute)
	p.imds("resource=" + vault)
	p.clock.Advance(90 * time.Minute)
	p.tokens.renew()
	p.settle()
	if n := p.authority.count(); n != 2 {
		t.Fatalf("%d exchanges with a token that has expired, want 2", n)
	}
	p.rotate(time.Hour)
	p.tokens.renew()
	p.settle()
	if n := p.authority.count(); n != 3 {
		t.Errorf("%d exchanges after the token file changed, want 3", n)
	}
}
