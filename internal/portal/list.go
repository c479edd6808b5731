package portal

import (
	"net/url"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// pageSize is how many rows a list shows.
const pageSize = 50

// maxBack is how many pages back a list's URL remembers.
const maxBack = 10

// listing is the state of a list, all of which is in its URL: what is searched
// and filtered, how it is sorted, and the pages that led here.
type listing struct {
	Path  string
	query url.Values
	keys  []string // what to keep of the query, besides the page
	Next  string   // where the next page begins; empty on the last one
	Total int      // how long the list is; 0: not counted
	Shown int      // how many rows this page has
}

// list reads the state of a list; keys are its search, its order and its filters.
func (c *call) list(keys ...string) *listing {
	return &listing{Path: c.r.URL.Path, query: c.r.URL.Query(), keys: keys}
}

// Get is a search, an order or a filter.
func (l *listing) Get(key string) string { return l.query.Get(key) }

// page is what to ask for.
func (l *listing) page() directory.Page {
	after := l.query["after"]
	p := directory.Page{Limit: pageSize, Search: strings.TrimSpace(l.Get("q"))}
	if len(after) > 0 {
		p.After = after[len(after)-1]
	}
	return p
}

// byName is what to ask for of a list that is by name, up or down; not ok when
// it is asked for in another order, of which there is none.
func (l *listing) byName() (p directory.Page, ok bool) {
	p, by := l.page(), l.Get("sort")
	p.Down = by == nameDown
	return p, p.Down || by == ""
}

// url is the list with its search and filters, some of them changed.
func (l *listing) url(after []string, change ...string) string {
	q := url.Values{}
	for _, k := range l.keys {
		if v := l.query.Get(k); v != "" {
			q.Set(k, v)
		}
	}
	for i := 0; i+1 < len(change); i += 2 {
		if q.Del(change[i]); change[i+1] != "" {
			q.Set(change[i], change[i+1])
		}
	}
	if len(after) > 0 {
		q["after"] = after
	}
	if len(q) == 0 {
		return l.Path
	}
	return l.Path + "?" + q.Encode()
}

// With is the first page of the list with a filter or order changed.
func (l *listing) With(key, value string) string { return l.url(nil, key, value) }

// Plain is the list without search and filters.
func (l *listing) Plain() string { return l.Path }

// Narrowed says whether a search or filter is on.
func (l *listing) Narrowed() bool {
	return slices.ContainsFunc(l.keys, func(k string) bool { return k != "sort" && l.query.Get(k) != "" })
}

// First is the first page; empty on it.
func (l *listing) First() string {
	if len(l.query["after"]) == 0 {
		return ""
	}
	return l.url(nil)
}

// Previous is the page before; empty on the first one.
func (l *listing) Previous() string {
	after := l.query["after"]
	if len(after) == 0 {
		return ""
	}
	return l.url(after[:len(after)-1])
}

// Following is the page behind; empty on the last one.
func (l *listing) Following() string {
	if l.Next == "" {
		return ""
	}
	after := append(slices.Clone(l.query["after"]), l.Next)
	return l.url(after[max(0, len(after)-maxBack):])
}

// fill notes what came of asking for a page.
func fill[T any](l *listing, p directory.Paged[T]) []T {
	l.Next, l.Total, l.Shown = p.Next, p.Total, len(p.Items)
	return p.Items
}

// column is the head of a column by which a list can be sorted.
type column struct {
	Text, To string
	Sort     string // ascending, descending or empty
}

// nameDown is the order by name that begins with the last one.
const nameDown = "name-down"

// Name is the head of the column by which a list is sorted that is by name.
func (l *listing) Name(text string) column { return l.Column(text, "", nameDown) }

// Column is a head that sorts up by one order and down by another. The order
// whose name is empty is the list's own.
func (l *listing) Column(text, up, down string) column {
	switch by := l.Get("sort"); by {
	case up:
		return column{text, l.With("sort", down), "ascending"}
	case down:
		return column{text, l.With("sort", up), "descending"}
	}
	return column{text, l.With("sort", up), ""}
}
