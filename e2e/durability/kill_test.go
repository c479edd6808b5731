package durability

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// The process is killed at any moment of a write, again and again. Each time
// it is ready again by itself, what was answered stands with its audit event,
// and what was not answered stands with its event or not at all.
func TestKill(t *testing.T) {
	const writers = 4
	kills := times(t, killsVariable, 25)
	trusted, flags := clusters(t, 1)
	dir := t.TempDir()
	var l *load
	var found compared
	var ready []time.Duration
	underWay := 0
	for i := range kills + 1 {
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			began := time.Now()
			s := testkit.Serve(t, dir, flags...)
			if l == nil {
				l = newLoad(t, s, trusted[0], writers)
			} else {
				l.exchange(t, s)
				ready = append(ready, time.Since(began))
				was := l.bounds()
				f := l.compare(t, s, was)
				found.writes, found.unanswered = found.writes+f.writes, found.unanswered+f.unanswered
				for _, w := range l.writers { // what was under way and does not stand never will
					underWay += was[w].most - was[w].least
					w.sent, w.acked = nil, 0
				}
			}
			if i == kills {
				return
			}
			wait := l.start(t, s.AsAdmin(t), nil)
			ended := make(chan struct{})
			go func() { wait(); close(ended) }()
			for enough := l.count.Load() + rand.Int64N(60); l.count.Load() < enough; time.Sleep(100 * time.Microsecond) {
				select {
				case <-ended:
					t.Fatal("the writers have ended before the service has")
				default:
				}
			}
			time.Sleep(rand.N(4 * time.Millisecond))
			s.Kill()
			<-ended
		})
		if !ok {
			t.FailNow()
		}
	}
	if len(ready) == 0 {
		return // -run asked for less
	}
	slices.Sort(ready)
	t.Logf("%s: %d writes stand, 0 acknowledged ones lost; of %d that were under way %d stand, each with its audit event", plural(kills, "kill"), found.writes, underWay, found.unanswered)
	t.Logf("from a start after a kill to the first token: median %v, 99 of 100 within %v, slowest %v", ready[len(ready)/2].Round(time.Millisecond), ready[len(ready)*99/100].Round(time.Millisecond), ready[len(ready)-1].Round(time.Millisecond))
}

// A first start that is killed at any moment is made up for by the next one.
func TestKillFirstStart(t *testing.T) {
	kills := max(times(t, killsVariable, 25)/5, 1)
	longest := firstStart(t)
	untouched := 0
	for i := range kills {
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			first := begin(t, dir)
			time.Sleep(rand.N(longest))
			first.Process.Kill()
			first.Wait()
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) == 0 {
				untouched++
			}
			administrable(t, testkit.Serve(t, dir))
		})
		if !ok {
			t.FailNow()
		}
	}
	t.Logf("%s during a first start, %d of them before it had written anything", plural(kills, "kill"), untouched)
}

// firstStart is how long a first start takes.
func firstStart(t *testing.T) time.Duration {
	began := time.Now()
	testkit.Serve(t, t.TempDir()).Kill()
	return time.Since(began)
}

// begin starts the program in a data directory and does not wait.
func begin(t testing.TB, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(testkit.Program, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--health-listen", "none")
	testkit.EndWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// administrable fails the test unless the service has one tenant, whose one administrator can work.
func administrable(t testing.TB, s *testkit.Service) {
	t.Helper()
	if subscriptions, err := s.AsAdmin(t).Subscriptions(t.Context()); err != nil || len(subscriptions) != 1 {
		t.Errorf("the administrator sees the subscriptions %v (%v)", subscriptions, err)
	}
	d := openDatabase(t, s)
	d.sound(t)
	for _, table := range []string{"tenants", "signing_keys"} {
		if n := d.number(t, `SELECT count(*) FROM `+table); n != 1 {
			t.Errorf("%d %s, want 1", n, table)
		}
	}
}
