package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter bounds how often one address asks. It remembers a bounded number of
// addresses, and forgetting one only ever lets more through.
type limiter struct {
	perSecond int
	now       func() time.Time

	mu   sync.Mutex
	byIP map[string]*rate.Limiter
}

const (
	defaultRate  = 1000
	maxAddresses = 50_000
)

func newLimiter(perSecond int, now func() time.Time) *limiter {
	if perSecond == 0 {
		perSecond = defaultRate
	}
	return &limiter{perSecond: perSecond, now: now, byIP: map[string]*rate.Limiter{}}
}

func (l *limiter) allow(address string) bool {
	if l.perSecond < 0 {
		return true
	}
	l.mu.Lock()
	one, ok := l.byIP[address]
	if !ok {
		if len(l.byIP) >= maxAddresses {
			clear(l.byIP)
		}
		one = rate.NewLimiter(rate.Limit(l.perSecond), 2*l.perSecond)
		l.byIP[address] = one
	}
	l.mu.Unlock()
	return one.AllowN(l.now(), 1)
}
