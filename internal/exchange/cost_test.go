//go:build unix

package exchange

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/keys"
)

// BenchmarkSignatures is how many bare signatures one exchange in process costs,
// in processor time of the whole process, garbage collection included. The two
// take turns, so that whatever else the machine does meets both alike.
func BenchmarkSignatures(b *testing.B) {
	w := newWorld(b, options{algorithm: keys.RS256})
	r := w.request()
	w.mustDo(r)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	w.check(err)
	digest := sha256.Sum256([]byte("an exchange"))
	var exchanges, signatures time.Duration
	const turn = 20
	for b.Loop() {
		before := processorTime(b)
		for range turn {
			if _, err := w.Do(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
		between := processorTime(b)
		for range turn {
			if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
		exchanges, signatures = exchanges+between-before, signatures+processorTime(b)-between
	}
	b.ReportMetric(0, "ns/op") // a turn's length says nothing
	b.ReportMetric(float64(exchanges)/float64(signatures), "signatures/exchange")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
