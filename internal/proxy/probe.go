package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	probeEvery  = 25 * time.Millisecond
	probeWithin = 5 * time.Second
)

// Probe asks the proxy of this pod whether it is ready. Where nobody listens yet it
// asks again for a few seconds, because a postStart hook, unlike a startup probe,
// is called once.
func Probe(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + readyPath
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		a, err := hc.Do(r)
		if err == nil {
			text, _ := io.ReadAll(io.LimitReader(a.Body, 4<<10))
			a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return nil
			}
			return fmt.Errorf("not ready: %s", strings.TrimSpace(string(text)))
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(probeEvery):
		}
	}
}
