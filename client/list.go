package client

import (
	"context"
	"fmt"
	"net/http"
)

// maxPages bounds a list that never ends. Graph gives 100 objects a page unasked.
const maxPages = 10_000

// page is a part of a list in both APIs' words.
type page[T any] struct {
	Value         *[]T   `json:"value"`
	NextLink      string `json:"nextLink"`        // ARM
	ODataNextLink string `json:"@odata.nextLink"` // Graph
}

// list reads a list to its end.
func list[T any](ctx context.Context, c *Client, s surface, p path) ([]T, error) {
	return listUpTo[T](ctx, c, s, p, 0)
}

// listUpTo reads a list to its end, or until it holds limit objects if limit is
// not 0. An answer without "value" is an error and not an empty list, because
// what is thought to be absent gets created.
func listUpTo[T any](ctx context.Context, c *Client, s surface, p path, limit int) ([]T, error) {
	u, err := s.url(p)
	if err != nil {
		return nil, err
	}
	all := []T{}
	for range maxPages {
		var part page[T]
		if _, err := c.exchange(ctx, s, u, call{method: http.MethodGet, out: &part}); err != nil {
			return nil, err
		}
		if part.Value == nil {
			return nil, fmt.Errorf("%s: the answer of GET %s is not a list", s.name, u.EscapedPath())
		}
		all = append(all, *part.Value...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		link := first(part.NextLink, part.ODataNextLink)
		if link == "" {
			return all, nil
		}
		next, err := u.Parse(link)
		if err != nil {
			return nil, fmt.Errorf("%s: the list of GET %s continues at %q: %w", s.name, u.EscapedPath(), link, err)
		}
		if next.String() == u.String() {
			return nil, fmt.Errorf("%s: the list of GET %s continues at itself", s.name, u.EscapedPath())
		}
		u = next
	}
	return nil, fmt.Errorf("%s: the list of GET %s has more than %d pages", s.name, u.EscapedPath(), maxPages)
}

// named picks the one object that has exactly this name: none is ErrNotFound,
// several are an AmbiguousError. Graph compares names without case, so its answer
// is looked through again.
func named[T any](kind, name string, all []T, key func(T) (id, name string)) (T, error) {
	var found T
	var ids []string
	for _, o := range all {
		if id, n := key(o); n == name {
			found = o
			ids = append(ids, id)
		}
	}
	switch len(ids) {
	case 1:
		return found, nil
	case 0:
		var none T
		return none, fmt.Errorf("%s named %q: %w", kind, name, ErrNotFound)
	}
	var none T
	return none, &AmbiguousError{Kind: kind, Name: name, IDs: ids}
}
