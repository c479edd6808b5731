package intercept

import (
	"net"
	"sync"
)

// tunnel is a connection through which somebody wants to talk to one of
// Azure's hosts.
type tunnel struct {
	net.Conn
	asked
}

// tunnels is a listener whose connections come from another one's CONNECT.
type tunnels struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newTunnels(addr net.Addr) *tunnels {
	return &tunnels{addr: addr, conns: make(chan net.Conn), ended: make(chan struct{})}
}

func (t *tunnels) take(c net.Conn) {
	select {
	case t.conns <- c:
	case <-t.ended:
		c.Close()
	}
}

func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.ended:
		return nil, net.ErrClosed
	}
}

func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.ended) })
	return nil
}

func (t *tunnels) Addr() net.Addr { return t.addr }
