package portal

import (
	"context"
	"errors"
	"net/http"

	"github.com/entente-id/entente/internal/directory"
)

// problem is an error that a person is told as a page.
type problem struct {
	status      int
	title, text string
	command     string // that mends it; empty: none
}

func (p *problem) Error() string { return p.title }

var (
	errNoPage      = &problem{status: http.StatusNotFound, title: "There is no such page", text: "The address may be mistyped, or what it showed was deleted."}
	errNoMethod    = &problem{status: http.StatusMethodNotAllowed, title: "This page takes no such request", text: "Open it, or send the form that is on it."}
	errCrossOrigin = &problem{status: http.StatusForbidden, title: "This did not come from the portal", text: "Another site tried to send this form in your name. Nothing was changed."}
)

// problem answers with an error's page. What is nobody's fault outside is
// logged and not told.
func (c *call) problem(err error) {
	if errors.Is(err, context.Canceled) && c.Err() != nil {
		return // nobody is there to read it
	}
	p := c.explain(err)
	if p.status == http.StatusUnauthorized {
		c.showSignIn(p)
		return
	}
	if err := c.show(page{template: "problem", title: p.title, status: p.status}, p.view(c.RequestID(c))); err != nil {
		c.Log.ErrorContext(c, "show a problem", "error", err, "request", c.RequestID(c))
		http.Error(c.w, p.title, p.status)
	}
}

type problemView struct{ Title, Text, Command, RequestID string }

func (p *problem) view(request string) problemView {
	return problemView{p.title, p.text, p.command, request}
}

// explain puts an error into words for a person.
func (c *call) explain(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*signInError](err); ok {
		c.Log.WarnContext(c, "a sign-in at the provider failed", "error", e, "request", c.RequestID(c))
		return &problem{status: e.Status, title: "You were not signed in", text: e.Text + " " + e.Advice}
	}
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		c.Log.ErrorContext(c, "a page failed", "error", err, "request", c.RequestID(c))
		return &problem{status: http.StatusInternalServerError, title: "Something went wrong here", text: "It was logged under the request id below. Try again; if it stays, ask whoever runs this service."}
	}
	return explainDomain(e)
}

// explainDomain puts an error of the directory into words.
func explainDomain(e *directory.Error) *problem {
	p := &problem{title: "That was refused", text: sentence(e.Error())}
	switch e.Kind {
	case directory.NotFound:
		p.status, p.title = http.StatusNotFound, "It is not there"
	case directory.Forbidden:
		p.status, p.title = http.StatusForbidden, "You may not do this"
		p.text = "It takes the right " + e.Action + "."
		if e.Scope != "" {
			p.text = "It takes the right " + e.Action + " on " + e.Scope + "."
		}
		if e.Detail != "" {
			p.text += " " + sentence(e.Detail)
		}
	case directory.Unauthenticated:
		p.status, p.title, p.text = http.StatusUnauthorized, "Your session has ended", ""
	case directory.Exists, directory.InUse, directory.LimitReached, directory.Immutable:
		p.status = http.StatusConflict
	case directory.Full:
		p.status, p.title = http.StatusInsufficientStorage, "The database is full"
	default:
		p.status = http.StatusBadRequest
	}
	return p
}

// need refuses a page of what the caller may not do: its address can be typed.
func (c *call) need(action, scope string) error {
	if c.rights.Can(action, scope) {
		return nil
	}
	return &directory.Error{Kind: directory.Forbidden, Action: action, Scope: scope}
}

func isNotFound(err error) bool { return isKind(err, directory.NotFound) }

func isForbidden(err error) bool { return isKind(err, directory.Forbidden) }

func isKind(err error, kind directory.Kind) bool {
	e, ok := errors.AsType[*directory.Error](err)
	return ok && e.Kind == kind
}
