package exchange

import (
	"fmt"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
)

// BenchmarkDo is an exchange in process, with keys and database warm.
func BenchmarkDo(b *testing.B) {
	for _, algorithm := range []string{keys.RS256, keys.ES256} {
		b.Run(algorithm, func(b *testing.B) {
			w := newWorld(b, options{algorithm: algorithm})
			benchmark(b, w, w.request(), "")
		})
	}
}

// BenchmarkDoParallel is the same from as many clients as there are processors.
func BenchmarkDoParallel(b *testing.B) {
	w := newWorld(b, options{algorithm: keys.RS256})
	r := w.request()
	w.mustDo(r)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Do(b.Context(), r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkCredentials shows that the number of a client's credentials costs nothing.
func BenchmarkCredentials(b *testing.B) {
	for _, n := range []int{20, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, options{})
			_, err := w.dir.SetPolicy(b.Context(), w.caller, directory.PolicyEdit{MaxCredentials: &n})
			w.check(err)
			for i := range n - 1 {
				s := w.spec()
				s.Name, s.Subject = fmt.Sprintf("c-%d", i), fmt.Sprintf("system:serviceaccount:default:sa-%d", i)
				w.trust(w.app, s)
			}
			benchmark(b, w, w.request(), "")
		})
	}
}

// BenchmarkRefuse is what strangers can make the service do, with a client that
// has as many credentials as are looked at to tell what is wrong.
func BenchmarkRefuse(b *testing.B) {
	w := newWorld(b, options{})
	limit := 100
	_, err := w.dir.SetPolicy(b.Context(), w.caller, directory.PolicyEdit{MaxCredentials: &limit})
	w.check(err)
	for i := range 99 {
		s := w.spec()
		s.Name, s.Subject = fmt.Sprintf("c-%d", i), fmt.Sprintf("system:serviceaccount:default:sa-%d", i)
		w.trust(w.app, s)
	}
	w.mustDo(w.request())
	elsewhere := "https://elsewhere.example.test"
	for _, c := range []struct {
		reason    Reason
		assertion string
	}{
		{AssertionMalformed, "nonsense"},
		{IssuerMiss, w.mint(localissuer.Token{Issuer: &elsewhere})},
		{SubjectMiss, w.mint(localissuer.Token{ServiceAccount: "other"})},
		{AssertionExpired, w.mint(localissuer.Token{Lifetime: -time.Hour})},
		{BadSignature, w.mint(localissuer.Token{BadSignature: true})},
	} {
		b.Run(string(c.reason), func(b *testing.B) {
			benchmark(b, w, w.request(func(r *Request) { r.Assertion = c.assertion }), c.reason)
		})
	}
}

func benchmark(b *testing.B, w *world, r Request, reason Reason) {
	if reason == "" {
		w.mustDo(r)
	} else {
		w.refused(r, reason)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Do(b.Context(), r); (err != nil) != (reason != "") {
			b.Fatal(err)
		}
	}
}
