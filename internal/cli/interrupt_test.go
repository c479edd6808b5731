//go:build unix

package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
)

// A verb that a signal ends has the exit code that shells give it.
func TestInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		signal os.Signal
		code   int
	}{
		"SIGINT": {os.Interrupt, 130}, "SIGTERM": {syscall.SIGTERM, 143},
	} {
		service := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			me, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = me.Signal(c.signal)
			}
			if err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		}))
		service.StartTLS()
		code, out, errs := run(t, "issuer", "check", service.URL, "--allow-private")
		service.Close()
		if code != c.code || out != "" || errs != "error: interrupted\n" {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, code, c.code, out, errs)
		}
	}
}
