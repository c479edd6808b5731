package webhook

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// A balancer is what a Service is with kube-proxy: each connection goes to one
// of the replicas that are ready, and to none if there is none. Connections
// that are there stay, even when a replica is not ready any more.
type balancer struct {
	net.Listener
	mu       sync.Mutex
	replicas []*replica
	turn     int

	nobody atomic.Int64 // connections that came while no replica was ready
}

func newBalancer(t testing.TB) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *balancer) port() int32 { return int32(b.Addr().(*net.TCPAddr).Port) }

func (b *balancer) add(r *replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(b.replicas, r)
}

// next is a replica that is ready, or nil.
func (b *balancer) next() *replica {
	b.mu.Lock()
	defer b.mu.Unlock()
	ready := slices.DeleteFunc(slices.Clone(b.replicas), func(r *replica) bool { return !r.ready.Load() })
	if len(ready) == 0 {
		return nil
	}
	b.turn++
	return ready[b.turn%len(ready)]
}

func (b *balancer) serve(c net.Conn) {
	defer c.Close()
	r := b.next()
	if r == nil {
		b.nobody.Add(1)
		return
	}
	to, err := net.Dial("tcp", r.admission)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, c)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, to)
}
