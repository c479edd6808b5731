package durability

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// disk is a file system in an image on another file system that can copy the
// image at one moment, blocks shared. Such a copy has what a disk has after a
// power cut: what was synced, whatever the kernel had written back by chance,
// and nothing of what was still in memory.
//
// It does not show a disk that loses what it has been told to sync.
type disk struct {
	at      string // where it is mounted
	image   string
	copies  string // where copies of the image are made
	counter int
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	needVolumes(t, "mkfs.xfs", "mkfs.ext4", "cp")
	dir := t.TempDir()
	outer := filepath.Join(dir, "outer.img")
	newImage(t, outer, 4<<30, "mkfs.xfs", "-q", "-m", "reflink=1")
	d := &disk{at: filepath.Join(dir, "disk"), copies: filepath.Join(dir, "outer")}
	mount(t, outer, d.copies)
	d.image = filepath.Join(d.copies, "disk.img")
	newImage(t, d.image, 1<<30, "mkfs.ext4", "-q", "-F")
	mount(t, d.image, d.at)
	return d
}

// cut is the moment of a power cut. It returns the copied image, which recovered mounts.
func (d *disk) cut(t testing.TB) (image string) {
	t.Helper()
	d.counter++
	image = filepath.Join(d.copies, fmt.Sprintf("cut%d.img", d.counter))
	command(t, "cp", "--reflink=always", d.image, image)
	return image
}

// recovered mounts what a cut has left, as a machine does that starts again,
// until the test ends; the copy is gone then, too.
func (d *disk) recovered(t testing.TB, image string) (at string) {
	t.Helper()
	at = filepath.Join(t.TempDir(), "recovered")
	t.Cleanup(func() { os.Remove(image) })
	mount(t, image, at)
	return at
}

// The power fails at any moment of a write, again and again. What was answered
// before stands after, with its audit event, and the file is sound.
func TestPowerCut(t *testing.T) {
	const writers = 4
	d := newDisk(t)
	cuts := times(t, cutsVariable, 5)
	trusted, flags := clusters(t, 1)
	s := testkit.Serve(t, filepath.Join(d.at, "data"), flags...)
	l := newLoad(t, s, trusted[0], writers)
	c := s.AsAdmin(t)
	found, open := compared{}, 0
	for i := range cuts {
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			done := make(chan struct{})
			wait := l.start(t, c, done)
			time.Sleep(rand.N(300 * time.Millisecond))
			between := l.bounds() // what was answered before the cut has to stand
			image := d.cut(t)
			for w, after := range l.bounds() { // what was sent after it cannot
				between[w] = bounds{between[w].least, after.most}
			}
			close(done)
			wait()
			again := testkit.Serve(t, filepath.Join(d.recovered(t, image), "data"), flags...)
			l.exchange(t, again)
			f := l.compare(t, again, between)
			found.writes, found.unanswered = found.writes+f.writes, found.unanswered+f.unanswered
			for _, b := range between {
				open += b.most - b.least
			}
			again.Kill()
		})
		if !ok {
			t.FailNow()
		}
	}
	t.Logf("%s: %d writes stand, 0 of those acknowledged before the cut lost; of %d that were sent and not acknowledged by then %d stand", plural(cuts, "power cut"), found.writes, open, found.unanswered)
}

// A first start that a power cut ends is made up for by the next one: no file
// that another needs is missing, and none is cut short.
func TestPowerCutFirstStart(t *testing.T) {
	d := newDisk(t)
	cuts := max(times(t, cutsVariable, 5)/2, 1)
	longest := firstStart(t)
	for i := range cuts {
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			name := fmt.Sprint("data", i)
			first := begin(t, filepath.Join(d.at, name))
			time.Sleep(rand.N(longest))
			image := d.cut(t)
			first.Process.Kill()
			first.Wait()
			s := testkit.Serve(t, filepath.Join(d.recovered(t, image), name))
			administrable(t, s)
			s.Kill()
		})
		if !ok {
			t.FailNow()
		}
	}
	t.Logf("%s during a first start", plural(cuts, "power cut"))
}

// What the tests above take for lost is lost: a file that was synced survives
// a cut, one that was not does not.
func TestPowerCutLosesWhatIsNotSynced(t *testing.T) {
	d := newDisk(t)
	const text = "written"
	write := func(name string, sync bool) {
		f, err := os.Create(filepath.Join(d.at, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("synced", true)
	write("not synced", false)
	at := d.recovered(t, d.cut(t))
	if got, err := os.ReadFile(filepath.Join(at, "synced")); err != nil || string(got) != text {
		t.Errorf("what was synced is %q (%v)", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(at, "not synced")); err == nil && string(got) == text {
		t.Error("what was not synced is there: this is no power cut")
	}
}
