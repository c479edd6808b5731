package durability

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// The disk is full: writes are told so on each wire, exchanges go on, records
// of sign-ins that find no room are counted, and when there is room again the
// same process writes again. No acknowledged write is lost, none that was
// refused stands.
func TestDiskFull(t *testing.T) {
	const writers = 2
	at := smallDisk(t)
	trusted, flags := clusters(t, 2)
	s := testkit.Serve(t, filepath.Join(at, "data"), append(flags, "--request-rate", "-1")...)
	l := newLoad(t, s, trusted[0], writers)
	late := &load{issuer: trusted[1], clientID: workload(t, s.AsAdmin(t), "late", trusted[1])} // whose keys nobody has fetched when the disk is full
	l.begin(t, s)

	// Exchanges go on from here to the end.
	done := make(chan struct{})
	var exchanged atomic.Int64
	var exchanges sync.WaitGroup
	exchanges.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if err := l.tryExchange(t.Context(), s); err != nil {
				t.Errorf("exchange %d: %v", exchanged.Load(), err)
				return
			}
			exchanged.Add(1)
		}
	})
	stop := sync.OnceFunc(func() { close(done); exchanges.Wait() })
	defer stop()

	c := s.AsAdmin(t)
	l.until(t, c, func() bool { return l.acked() >= 50 })
	ballast, earlier := fill(t, filepath.Join(at, "ballast")), exchanged.Load()
	l.until(t, c, func() bool {
		return l.sum(func(w *writer) int { return w.full[graph] }) >= 50 && l.sum(func(w *writer) int { return w.full[arm] }) >= 50
	})
	if err := late.tryExchange(t.Context(), s); err != nil {
		t.Errorf("an exchange whose issuer's keys cannot be kept: %v", err)
	}
	if resp, err := http.Get(s.Health + "/readyz"); err != nil {
		t.Error(err)
	} else if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", resp.Status)
	}

	// More sign-ins than find room in memory. Refused ones cost no signature.
	l.refusedExchanges(t, s, 5000)
	if n := metric(t, s, "entente_sign_ins_dropped_total"); n == 0 {
		t.Error("no record of a sign-in was dropped, or it was not counted")
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	refused, before, during := l.full(), l.acked(), exchanged.Load()-earlier
	l.until(t, c, func() bool { return l.acked() >= before+50 })
	if n := l.full() - refused; n != 0 {
		t.Errorf("%d writes were refused when there was room again", n)
	}
	stop()
	found := l.compare(t, s, l.bounds())

	kept, dropped := recorded(t, s)
	t.Logf("%d token requests: %d records kept, %d dropped", kept+dropped, kept, dropped)
	t.Logf("%d writes were acknowledged and stand, %d were refused and do not; %d exchanges while the disk was full, %d in all, 0 failed", found.writes, refused, during, exchanged.Load())
}

// A start needs no room either, be it after a kill or in good order.
func TestStartOnFullDisk(t *testing.T) {
	at := smallDisk(t)
	trusted, flags := clusters(t, 1)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	flags = append(flags, "--listen", free.Addr().String()) // as in life: the address stays
	data := filepath.Join(at, "data")
	s := testkit.Serve(t, data, flags...)
	l := newLoad(t, s, trusted[0], 2)
	l.until(t, s.AsAdmin(t), func() bool { return l.acked() >= 50 })
	ballast := fill(t, filepath.Join(at, "ballast"))
	l.until(t, s.AsAdmin(t), func() bool { return l.full() >= 10 })
	for _, end := range []func(){s.Kill, func() { s.Stop() }} {
		end()
		s = testkit.Serve(t, data, flags...)
		l.exchange(t, s)
		l.compare(t, s, l.bounds())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	l.until(t, s.AsAdmin(t), func() bool { return l.acked() >= 10 })
	l.compare(t, s, l.bounds())
}

// smallDisk is a file system of 16 MB.
func smallDisk(t *testing.T) (at string) {
	t.Helper()
	needVolumes(t, "mkfs.ext4")
	dir := t.TempDir()
	image, at := filepath.Join(dir, "small.img"), filepath.Join(dir, "small")
	newImage(t, image, 16<<20, "mkfs.ext4", "-q", "-m", "0")
	mount(t, image, at)
	return at
}

// recorded waits until each token request has its record, or is counted as one
// whose record was dropped.
func recorded(t testing.TB, s *testkit.Service) (kept, dropped int64) {
	t.Helper()
	d := openDatabase(t, s)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		asked := metric(t, s, "entente_exchanges_total")
		kept, dropped = d.number(t, `SELECT count(*) FROM sign_ins`), metric(t, s, "entente_sign_ins_dropped_total")
		if asked == kept+dropped {
			return kept, dropped
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d token requests %d are recorded and %d counted as dropped", asked, kept, dropped)
		}
	}
}

// fill takes what room a file system has, and says with which file.
func fill(t testing.TB, file string) string {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; { // by smaller and smaller pieces
		switch _, err := f.Write(make([]byte, size)); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return file
}

// metric is the sum of a metric of the service.
func metric(t testing.TB, s *testkit.Service, name string) (sum int64) {
	t.Helper()
	resp, err := http.Get(s.Health + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		what, value, _ := strings.Cut(lines.Text(), " ")
		if of, _, _ := strings.Cut(what, "{"); of != name {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += int64(n)
	}
	return sum
}

// refusedExchanges asks for tokens with a secret that the workload does not have.
func (l *load) refusedExchanges(t testing.TB, s *testkit.Service, n int) {
	t.Helper()
	form := fmt.Sprintf("grant_type=client_credentials&client_id=%s&client_secret=none&scope=https%%3A%%2F%%2Fvault.azure.net%%2F.default", l.clientID)
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range 4 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				resp, err := s.HTTP.Post(s.Authority+"/"+s.TenantID+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", strings.NewReader(form))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("a wrong secret is answered with %d", resp.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
}
