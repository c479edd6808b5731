//go:build unix

package browser

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A Request is one that a page made.
type Request struct {
	Method, URL string
	Type        string // "Document", "Stylesheet", "Script", "Image", "Fetch" …
	Status      int    // 0: there was no answer
	Bytes       int    // of the answer as it came over the wire, with its head
	Error       string // why there was no answer, such as "net::ERR_NAME_NOT_RESOLVED"
}

// Foreign says that the request went, or would have gone, to another machine.
func (r Request) Foreign() bool {
	u, err := url.Parse(r.URL)
	if err != nil {
		return true
	}
	switch u.Scheme {
	case "data", "blob", "about", "chrome-error":
		return false
	}
	return u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1"
}

// Requests are those that the window has made so far, refused ones included.
func (b *Browser) Requests() []Request {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	out := make([]Request, len(b.session.requests))
	for i, r := range b.session.requests {
		out[i] = *r
	}
	return out
}

// Kind is what a page did that it must not.
type Kind string

const (
	Console    Kind = "console"     // an error on the console, or an exception
	Policy     Kind = "csp"         // a violation of the content security policy
	Dialog     Kind = "dialog"      // an alert, a question
	ThirdParty Kind = "third party" // a request to another machine; it was refused
)

// A Problem is something that a page must not do.
type Problem struct {
	Kind Kind
	Text string
}

func (p Problem) String() string { return string(p.Kind) + ": " + p.Text }

// Problems are those so far, expected ones included.
func (b *Browser) Problems() []Problem {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	return slices.Clone(b.session.problems)
}

type expectation struct {
	kind Kind
	part string
	met  bool
}

// Expect announces a problem whose text contains part: it is then no failure,
// and its absence at the end of the test is one.
func (b *Browser) Expect(kind Kind, part string) {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	b.session.expected = append(b.session.expected, &expectation{kind: kind, part: part})
}

// judge fails the test for what nobody expected.
func (b *Browser) judge() {
	b.t.Helper()
	ctx, cancel := b.limited()
	_, _ = chromedp.Run(ctx, chromedp.Evaluate[bool](`true`)) // what came before it has been heard
	cancel()
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	for _, p := range b.session.problems {
		expected := false
		for _, e := range b.session.expected {
			if e.kind == p.Kind && strings.Contains(p.Text, e.part) {
				e.met, expected = true, true
			}
		}
		if !expected {
			b.t.Errorf("the page did what it must not: %s", p)
		}
	}
	for _, e := range b.session.expected {
		if !e.met {
			b.t.Errorf("expected and not seen: %s: %q", e.kind, e.part)
		}
	}
}

// listen hears the tab. It must not ask it anything.
func (s *session) listen(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.requested(e)
	case *network.EventResponseReceived:
		if r := s.byID[e.RequestID]; r != nil {
			r.Status = int(e.Response.Status)
		}
		if e.Type == network.ResourceTypeDocument && e.FrameID == s.frame {
			s.status = e.Response.Status
		}
	case *network.EventLoadingFinished:
		if r := s.byID[e.RequestID]; r != nil {
			r.Bytes = int(e.EncodedDataLength)
		}
	case *network.EventLoadingFailed:
		if r := s.byID[e.RequestID]; r != nil {
			r.Error = e.ErrorText
		}
	case *page.EventFrameRequestedNavigation:
		if e.FrameID == s.frame {
			s.asked = true
		}
	case *page.EventFrameStartedLoading:
		if e.FrameID == s.frame {
			s.loading, s.asked = true, false
		}
	case *page.EventFrameNavigated:
		if e.Frame.ID == s.frame && e.Type == page.NavigationTypeBackForwardCacheRestore {
			s.loading, s.asked = false, false // as it was left: nothing is loaded
		}
	case *page.EventFrameStoppedLoading:
		if e.FrameID == s.frame {
			s.loading, s.asked = false, false
		}
	case *page.EventJavascriptDialogOpening:
		s.problem(Dialog, "%s %q at %s", e.Type, e.Message, e.URL)
		go s.dismiss()
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			s.problem(Console, "%s", arguments(e.Args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		s.problem(Console, "%s", text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			kind := Console
			if strings.Contains(e.Entry.Text, "Content Security Policy") {
				kind = Policy // the frame that was refused has no other voice
			}
			s.problem(kind, "%s %s", e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			where := ""
			if l := d.SourceCodeLocation; l != nil {
				where = fmt.Sprintf(" at %s:%d", l.URL, l.LineNumber+1)
			}
			s.problem(Policy, "%s refuses %q (%s)%s", d.ViolatedDirective, d.BlockedURL, d.ContentSecurityPolicyViolationType, where)
		}
	}
}

func (s *session) problem(kind Kind, format string, args ...any) {
	s.problems = append(s.problems, Problem{kind, fmt.Sprintf(format, args...)})
}

func (s *session) requested(e *network.EventRequestWillBeSent) {
	if before := s.byID[e.RequestID]; before != nil && e.RedirectResponse != nil {
		before.Status, before.Bytes = int(e.RedirectResponse.Status), int(e.RedirectResponse.EncodedDataLength)
	}
	r := &Request{Method: e.Request.Method, URL: e.Request.URL, Type: string(e.Type)}
	s.byID[e.RequestID] = r
	s.requests = append(s.requests, r)
	if r.Foreign() {
		s.problem(ThirdParty, "%s %s", r.Method, r.URL)
	}
}

// dismiss answers a dialog: nothing goes on in the page before that.
func (s *session) dismiss() {
	_, _ = chromedp.Call(s.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
}

func arguments(args []*runtime.RemoteObject) string {
	var parts []string
	for _, a := range args {
		if a.Description != "" {
			parts = append(parts, a.Description)
		} else {
			parts = append(parts, strings.Trim(string(a.Value), `"`))
		}
	}
	return strings.Join(parts, " ")
}

// expectNavigation makes settle wait for a page that the test asked for.
func (s *session) expectNavigation() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
}

// settled says that no page is on its way. One that was asked for and has not
// begun after a moment will not: the address was of the same page, or the
// answer is a file.
func (s *session) settled(waited time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked && waited > time.Second {
		s.asked = false
	}
	return !s.loading && !s.asked
}
