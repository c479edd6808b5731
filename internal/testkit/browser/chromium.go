//go:build unix

package browser

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// pin is what Chromium compares a server's key with: the SHA-256 of its
// SubjectPublicKeyInfo. The key is asked of the service, and the CA file has
// to vouch for it.
func (s Site) pin(ctx context.Context) (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return "", fmt.Errorf("%s holds no certificate", s.CAFile)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: u.Hostname()}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

func isCI() bool { return os.Getenv("CI") == "true" }

// program is Chromium as Debian and others name it.
var program = sync.OnceValues(func() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium: Debian's package chromium has one")
})

func absent() error { _, err := program(); return err }

// running are the processes of this test program, one for each set of keys
// that one of them trusts: it is told them when it starts.
var running = struct {
	sync.Mutex
	browsers map[string]context.Context
	ends     []func()
}{browsers: map[string]context.Context{}}

// start is the context of a Chromium that trusts the keys.
func start(pins []string) (context.Context, error) {
	slices.Sort(pins)
	trusted := strings.Join(slices.Compact(pins), ",")
	running.Lock()
	defer running.Unlock()
	if ctx, ok := running.browsers[trusted]; ok && ctx.Err() == nil {
		return ctx, nil
	}
	path, err := program()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "entente-browser-")
	if err != nil {
		return nil, err
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.NoInheritEnv, // no proxy and no secret of ours
		chromedp.Env("HOME="+home, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"),
		chromedp.Flag("ignore-certificate-errors-spki-list", trusted),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("hide-scrollbars", true),
	)
	allocator, freed := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	end := func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		freed()
		os.RemoveAll(home)
	}
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, err
	}
	running.browsers[trusted] = ctx
	running.ends = append(running.ends, end)
	return ctx, nil
}

// Close ends every Chromium of this test program: for TestMain, after m.Run.
// Without it they end with the program, and their folders stay.
func Close() {
	running.Lock()
	defer running.Unlock()
	for _, end := range running.ends {
		end()
	}
	running.ends, running.browsers = nil, map[string]context.Context{}
}
