//go:build unix

// Package browser gives tests a person in front of a real browser: a headless
// Chromium whose hands know pages by what they show. A button, a field and a
// tab are found in the accessibility tree by role and name, so what a test can
// click is what somebody with a screen reader can.
//
// What a page must never do fails the test without being asked for: an error
// on the console, a violation of the content security policy, a dialog that
// nobody expects (a script that was injected says hello with one), and a
// request to any host but this machine. Such requests are not only recorded:
// no name and no address but those of this machine resolves.
package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const patience = 10 * time.Second

// A Site is a service over TLS, and the file with the certificates that vouch
// for it. Chromium trusts the key that the service then shows, and nothing more.
type Site struct{ URL, CAFile string }

// A Browser is one person's window: cookies, cache and history are its own.
// Its methods end the test when a step cannot be done, and say what the page
// shows instead.
type Browser struct {
	Patience time.Duration // how long a step looks for what it needs; 0: 10 s

	t       testing.TB
	base    *url.URL
	session *session
	within  *scope // nil: the whole page
}

// session is what all scopes of a window share.
type session struct {
	ctx   context.Context // of the tab
	frame cdp.FrameID

	mu       sync.Mutex
	loading  bool // the page that stands there is not the one that comes
	asked    bool // a navigation was asked for and has not begun
	status   int64
	requests []*Request
	byID     map[network.RequestID]*Request
	problems []Problem
	expected []*expectation
	media    []*emulation.MediaFeature
}

// Open opens a window on a site. More sites may be visited, too; every other
// host is refused. Where there is no Chromium the test is skipped, or fails
// when CI=true.
func Open(t testing.TB, site Site, more ...Site) *Browser {
	t.Helper()
	base, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	pins := make([]string, 0, 1+len(more))
	for _, s := range append([]Site{site}, more...) {
		pin, err := s.pin(t.Context())
		if err != nil {
			t.Fatalf("trust %q: %v", s.URL, err)
		}
		pins = append(pins, pin)
	}
	if err := absent(); err != nil {
		Missing(t, err)
	}
	chromium, err := start(pins)
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}

	s := &session{byID: map[network.RequestID]*Request{}}
	b := &Browser{t: t, base: base, session: s}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(s.listen))
	t.Cleanup(cancel)
	s.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	s.frame = cdp.FrameID(chromedp.FromContext(ctx).Target.TargetID)
	b.must("begin",
		command(audits.Enable, cdp.Empty{}),
		command(accessibility.Enable, cdp.Empty{}),
		command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
	)
	b.Size(1280, 900)
	b.Scheme("light")
	t.Cleanup(b.judge)
	return b
}

// Missing skips a test that needs something this machine has not, or fails it
// when CI=true.
func Missing(t testing.TB, why error) {
	t.Helper()
	if isCI() {
		t.Fatal(why)
	}
	t.Skip(why)
}

func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, c, params)
		return chromedp.Void{}, err
	}
}

// limited is the tab's context for one step.
func (b *Browser) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.session.ctx, cmp.Or(b.Patience, patience))
}

func (b *Browser) must(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fatal("%s: %v", what, err)
	}
}

// fatal ends the test, and says what was there to be seen.
func (b *Browser) fatal(format string, args ...any) {
	b.t.Helper()
	shown := "nothing that could be read"
	ctx, cancel := context.WithTimeout(b.session.ctx, 3*time.Second)
	defer cancel()
	if text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(document.querySelector("main") ?? document.body)?.innerText ?? ""`)); err == nil {
		shown = text
	}
	b.keepPicture(ctx)
	b.t.Fatalf("%s\nat %s, which shows:\n%s", fmt.Sprintf(format, args...), b.url(ctx), clip(shown, 6000))
}

// keepPicture leaves a picture of the page among the test's artifacts, which
// go test -artifacts keeps.
func (b *Browser) keepPicture(ctx context.Context) {
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		_ = writeFile(filepath.Join(b.t.ArtifactDir(), "page.png"), picture)
	}
}

func clip(text string, length int) string {
	text = strings.TrimSpace(text)
	if len(text) > length {
		text = text[:length] + " …"
	}
	return "\t" + strings.ReplaceAll(text, "\n", "\n\t")
}

// poll asks until the answer is yes or patience ends; done also returns what
// is in the way so far.
func (b *Browser) poll(done func(context.Context) (bool, string)) (why string, ok bool) {
	ctx, cancel := b.limited()
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		yes, reason := done(ctx)
		if yes {
			return "", true
		}
		if ctx.Err() == nil || why == "" {
			why = reason
		}
		select {
		case <-ctx.Done():
			return why, false
		case <-time.After(wait):
		}
	}
}

// Go opens an address; one without a host is the site's.
func (b *Browser) Go(address string) {
	b.t.Helper()
	target, err := b.base.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := b.limited()
	defer cancel()
	b.session.expectNavigation()
	res, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: target.String()})
	if err != nil {
		b.fatal("go to %q: %v", target, err)
	}
	if res.ErrorText != "" {
		b.fatal("go to %q: %s", target, res.ErrorText)
	}
	b.settle()
}

// Back goes back in the history, as the browser's own button does.
func (b *Browser) Back() {
	b.t.Helper()
	b.session.expectNavigation()
	b.must("go back", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		history, err := cdp.Call(ctx, t, page.GetNavigationHistory, cdp.Empty{})
		if err == nil && history.CurrentIndex == 0 {
			err = errors.New("this is the first page")
		}
		if err != nil {
			return chromedp.Void{}, err
		}
		entry := history.Entries[history.CurrentIndex-1].ID
		return command(page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry})(ctx, t)
	})
	b.settle()
}

// Reload loads the page anew.
func (b *Browser) Reload() {
	b.t.Helper()
	b.session.expectNavigation()
	b.must("reload", chromedp.Reload())
	b.settle()
}

// settle waits until no page is on its way.
func (b *Browser) settle() {
	b.t.Helper()
	// A form's submission and a script's navigation are queued behind the event
	// that caused them: two turns of the page's own loop are behind them.
	ctx, cancel := b.limited()
	for range 2 {
		_, _ = chromedp.Run(ctx, chromedp.Evaluate[bool](`true`))
	}
	cancel()
	since := time.Now()
	if _, ok := b.poll(func(context.Context) (bool, string) { return b.session.settled(time.Since(since)), "" }); !ok {
		b.fatal("the page does not finish to load")
	}
}

// URL is the address of the page, without the site's own scheme and host.
func (b *Browser) URL() string {
	ctx, cancel := b.limited()
	defer cancel()
	address := b.url(ctx)
	if rest, ours := strings.CutPrefix(address, b.base.Scheme+"://"+b.base.Host); ours {
		return rest
	}
	return address
}

func (b *Browser) url(ctx context.Context) string {
	address, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return address
}

// AtURL waits for an address whose path and query begin with prefix.
func (b *Browser) AtURL(prefix string) {
	b.t.Helper()
	if _, ok := b.poll(func(context.Context) (bool, string) { return strings.HasPrefix(b.URL(), prefix), "" }); !ok {
		b.fatal("the address is %q, want %q", b.URL(), prefix)
	}
}

// Status is that of the answer that the page came with.
func (b *Browser) Status() int {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	return int(b.session.status)
}

// Eval is the JSON of what an expression, or a promise, comes to. The page's
// content security policy does not bind it.
func (b *Browser) Eval(expression string, into any) {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		b.fatal("evaluate %.200q: %v", expression, err)
	}
}
