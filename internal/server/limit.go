package server

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter bounds how often one client asks. It remembers a bounded number of
// addresses, and forgetting one only ever lets more through.
type limiter struct {
	perSecond int
	now       func() time.Time

	mu   sync.Mutex
	byIP map[string]*rate.Limiter
}

const (
	defaultRate  = 1000
	peopleRate   = 5 // people of one organisation may share an address
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
	address = network(address)
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

// network is the addresses that are one client's: an IPv4 address, and of IPv6,
// where a single host has as many as it likes, the 64 bits that lead to its link
// (RFC 4291 section 2.5.4).
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
