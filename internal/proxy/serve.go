package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

const drain = 5 * time.Second

// Listen opens a port of this machine, and of this machine only: 0 is a free one.
// Where there is IPv6 it has the same port there.
func Listen(port int) ([]net.Listener, error) {
	four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	listeners := []net.Listener{four}
	if six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(portOf(four)))); err == nil {
		listeners = append(listeners, six)
	}
	return listeners, nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// Serve answers on the listeners until ctx ends, then finishes what it has begun.
func (p *Proxy) Serve(ctx context.Context, listeners []net.Listener) error {
	server := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      exchangeTimeout + 10*time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.Run(ctx)
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- server.Serve(l) }()
	}
	select {
	case err := <-ended:
		server.Close()
		return err
	case <-ctx.Done():
	}
	last, stop := context.WithTimeout(context.Background(), drain)
	defer stop()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
