package portal

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// maxForm is the most bytes of a form. A pasted token has at most 16 KiB, a
// pasted key set less than this.
const maxForm = 256 << 10

// call is one request under way.
type call struct {
	context.Context
	*Surface
	w http.ResponseWriter
	r *http.Request

	session directory.PortalSession // of those who signed in
	caller  directory.Caller
	rights  directory.Rights
	form    url.Values // of a POST, each name once
}

// serve is every request, phase by phase. A panic is an error like others.
func (s *Surface) serve(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{Context: r.Context(), Surface: s, w: w, r: r}
		s.Note(c, slog.String("route", route.pattern))
		if err := c.do(route); err != nil {
			c.problem(err)
		}
	}
}

func (c *call) do(route route) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.Log.ErrorContext(c, "panic in a request", "request", c.RequestID(c), "panic", v, "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()

	// 1. From a page of ours, if it changes anything.
	if err := c.guard.Check(c.r); err != nil {
		return errCrossOrigin
	}

	// 2. For a page: a name of dots, which a link or redirect would leave out,
	// leads to another one.
	if p := c.r.URL.Path; path.Clean(p) != strings.TrimSuffix(p, "/") {
		return errNoPage
	}

	// 3. By whom.
	if !route.open {
		if err := c.authenticate(); err != nil {
			return err
		}
	}

	// 4. What is asked for.
	if c.r.Method == http.MethodPost {
		if err := c.readForm(); err != nil {
			return err
		}
	}
	return route.handle(c)
}

// authenticate finds the session, and what its caller may do at this moment.
func (c *call) authenticate() (err error) {
	if c.session, err = c.findSession(); err != nil {
		return err
	}
	c.caller = c.session.Caller
	c.caller.Address, c.caller.RequestID = c.Address(c), c.RequestID(c)
	c.Note(c, slog.String("tenant", c.caller.TenantID), slog.String("caller", c.caller.PrincipalID), slog.String("session", c.session.ID))
	c.rights, err = c.Directory.Rights(c, c.caller)
	return err
}

// readForm reads a form, in which every name comes once.
func (c *call) readForm() error {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return &problem{status: http.StatusUnsupportedMediaType, title: "This is not a form", text: "Send it from the page that it belongs to."}
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxForm)
	if err := c.r.ParseForm(); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return &problem{status: http.StatusRequestEntityTooLarge, title: "That is too much", text: "A form may have 256 KiB."}
		}
		return &problem{status: http.StatusBadRequest, title: "This form cannot be read", text: "Go back and send it once more."}
	}
	c.form = c.r.PostForm
	for name, values := range c.form {
		if len(values) > 1 {
			return &problem{status: http.StatusBadRequest, title: "This form cannot be read", text: "The field " + clip(name, 40) + " is there more than once."}
		}
	}
	return nil
}

// field is a line of the form without the blanks around it, which people paste
// and never mean.
func (c *call) field(name string) string { return strings.TrimSpace(c.form.Get(name)) }

// query is a parameter of the page's URL.
func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// value is a part of the page's path.
func (c *call) value(name string) string { return c.r.PathValue(name) }

// redirect sends the browser to another page, after a form has done its work.
func (c *call) redirect(to string) error {
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
	return nil
}

// done is to with the name of what was done, which the page there says in words.
func done(to, what string) string {
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return to + separator + "done=" + url.QueryEscape(what)
}

// pathTo joins the parts of a page's path below Path, each escaped.
func pathTo(parts ...string) string {
	parts = slices.Clone(parts)
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.TrimSuffix(Path+"/"+strings.Join(parts, "/"), "/")
}

// clip shortens what strangers choose to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
