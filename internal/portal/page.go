package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates holds, for each page, its template with the layout and the parts
// that all pages share.
type templates struct{ byName map[string]*template.Template }

// The files that every page has.
var sharedTemplates = []string{"templates/layout.html", "templates/parts.html"}

func loadTemplates(functions template.FuncMap) *templates {
	shared := template.Must(template.New("shared").Funcs(functions).ParseFS(templateFiles, sharedTemplates...))
	t := &templates{byName: map[string]*template.Template{}}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		t.byName[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, file))
	}
	return t
}

// page is what a page says of itself to the layout.
type page struct {
	template string
	title    string // the heading, and the browser's
	above    string // what sort of thing the heading names; may be empty
	status   int    // 0: 200
	trail    []crumb
	side     []link // the pages of the object that is open
	wide     bool   // a table, not a text
	done     string // what the form before this page has done, in words
}

// crumb is a step of the way to a page.
type crumb struct{ Text, To string }

// link is an entry of a menu.
type link struct {
	Text, To string
	Current  bool
	Under    bool // belongs to the entry before it
}

// frame is what the layout is filled with.
type frame struct {
	Title, Above string
	Trail        []crumb
	Menu         []menuGroup
	Side         []link
	SideTitle    string
	Wide         bool
	Done         string
	SignedIn     bool
	Who          string
	TenantID     string
	Theme        string // light, dark, or empty: what the browser prefers
	Version      string
	Page         any
}

// show answers with a page. Nothing is sent before the whole page was made.
func (c *call) show(p page, data any) error {
	t, ok := c.templates.byName[p.template]
	if !ok {
		return fmt.Errorf("no template %q", p.template)
	}
	f := frame{Title: p.title, Above: p.above, Trail: p.trail, Side: p.side, Wide: p.wide, Done: p.done, Version: c.Version, Theme: c.theme(), Page: data}
	if len(p.side) > 0 {
		f.SideTitle = p.title // on an object's first page, which is named after it
		if !p.side[0].Current {
			f.SideTitle = p.trail[len(p.trail)-1].Text
		}
	}
	if c.session.ID != "" {
		f.SignedIn, f.Who, f.TenantID, f.Menu = true, c.caller.Name, c.caller.TenantID, c.menu()
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", f); err != nil {
		return err
	}
	return c.send(p.status, b.Bytes())
}

// fragment answers with a part of a page, for the script.
func (c *call) fragment(page, part string, data any) error {
	var b bytes.Buffer
	if err := c.templates.byName[page].ExecuteTemplate(&b, part, data); err != nil {
		return err
	}
	return c.send(http.StatusOK, b.Bytes())
}

func (c *call) send(status int, body []byte) error {
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status != 0 {
		c.w.WriteHeader(status)
	}
	_, _ = c.w.Write(body) // who has gone away is told nothing
	return nil
}

// themeCookie remembers a choice of light or dark.
const themeCookie = "entente-theme"

func (c *call) theme() string {
	if k, err := c.r.Cookie(themeCookie); err == nil && (k.Value == "light" || k.Value == "dark") {
		return k.Value
	}
	return ""
}
