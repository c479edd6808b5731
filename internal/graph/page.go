package graph

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// Sealer seals page tokens. It is authenticated encryption of the shape that
// tink.AEAD has; associated data must be the same on both sides.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// list is what a page token belongs to: one tenant's answer to one path, filter and search.
func (c *call) list() []byte {
	parts := []string{"graph page", c.caller.TenantID, c.route.Pattern, c.options.filter, c.options.search}
	for parameter, s := range c.keys {
		if parameter != version {
			parts = append(parts, parameter+s.key+"="+s.text)
		}
	}
	slices.Sort(parts[5:])
	return []byte(strings.Join(parts, "\x00"))
}

// page is which part of a list was asked for.
func (c *call) page() (directory.Page, error) {
	p := directory.Page{Limit: c.options.top}
	if c.options.skiptoken == "" {
		return p, nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(c.options.skiptoken)
	if err == nil {
		var after []byte
		after, err = c.Seal.Decrypt(sealed, c.list())
		p.After = string(after)
	}
	if err != nil {
		return p, badRequest("Invalid value for $skiptoken query option found. Start the list again without it.")
	}
	return p, nil
}

// nextLink is where the list goes on behind an item.
func (c *call) nextLink(after string) (string, error) {
	sealed, err := c.Seal.Encrypt([]byte(after), c.list())
	if err != nil {
		return "", err
	}
	query := url.Values{}
	for name, values := range c.options.given {
		query[name] = values
	}
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString(sealed))
	var b strings.Builder
	b.WriteString(c.base + c.r.URL.EscapedPath())
	separator := "?"
	for _, name := range slices.Sorted(keysOf(query)) {
		for _, value := range query[name] {
			b.WriteString(separator + escape(name) + "=" + escape(value))
			separator = "&"
		}
	}
	return b.String(), nil
}

// escape escapes for a query so that every client reads it alike: %20 and not +, $ as it is.
func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%24", "$").Replace(url.QueryEscape(s))
}

// fetch reads one page of a list.
type fetch[T any] func(directory.Page) (directory.Paged[T], error)

// listOf answers with one page of a set, whose objects have these names.
func listOf[T any](c *call, context string, names []string, show func(T) object, f fetch[T], err error) (answer, error) {
	if err == nil {
		err = c.checkSelect(names)
	}
	if err != nil {
		return answer{}, err
	}
	p, err := c.page()
	if err != nil {
		return answer{}, err
	}
	p.Count = c.options.count
	found, err := f(p)
	if err != nil {
		return answer{}, err
	}
	if len(c.options.selected) > 0 {
		context += c.projection()
	}
	body := object{{"@odata.context", c.context(context)}}
	if c.options.count {
		body = append(body, member{"@odata.count", found.Total})
	}
	if found.Next != "" {
		link, err := c.nextLink(found.Next)
		if err != nil {
			return answer{}, err
		}
		body = append(body, member{"@odata.nextLink", link})
	}
	value := make([]object, 0, len(found.Items))
	for _, item := range found.Items {
		o := show(item)
		if len(c.options.selected) > 0 {
			o = o.only(c.options.selected)
		}
		value = append(value, o)
	}
	return answer{body: append(body, member{"value", value})}, nil
}

// cut cuts a list that was read whole to a page. position is where an item
// stands; the list is sorted by it.
func cut[T any](all []T, p directory.Page, position func(int, T) string) directory.Paged[T] {
	limit := p.Limit
	if limit == 0 {
		limit = directory.DefaultPage
	}
	kept := directory.Paged[T]{Total: len(all)}
	for i, item := range all {
		switch at := position(i, item); {
		case at <= p.After:
		case len(kept.Items) == limit:
			return kept
		default:
			kept.Items, kept.Next = append(kept.Items, item), at
		}
	}
	kept.Next = ""
	return kept
}

// readAll reads what is wanted of a list.
func readAll[T any](f fetch[T], wanted func(T) bool) ([]T, error) {
	var all []T
	for p := (directory.Page{Limit: directory.MaxPage}); ; {
		found, err := f(p)
		if err != nil {
			return nil, err
		}
		for _, item := range found.Items {
			if wanted(item) {
				all = append(all, item)
			}
		}
		if p.After = found.Next; p.After == "" {
			return all, nil
		}
	}
}

// countOf answers with the length of a list.
func countOf[T any](f fetch[T], err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	found, err := f(directory.Page{Limit: 1, Count: true})
	return answer{body: strconv.Itoa(found.Total)}, err
}
