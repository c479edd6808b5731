package arm

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// collection is a list, or one page of it.
type collection[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
	Count    *count `json:"count,omitempty"`
}

// count is how many subscriptions or tenants there are in all.
type count struct {
	Type  string `json:"type"` // Total
	Value int    `json:"value"`
}

// whole answers with a list that is never long.
func whole[T any](items []T) *answer { return found(collection[T]{Value: items}) }

// list answers with the page that a call asks for: read gets it, wire writes its items.
func list[T, W any](s *Surface, c *call, read func(directory.Page) (directory.Paged[T], error), wire func(T) W) (*answer, error) {
	page, err := s.page(c)
	if err != nil {
		return nil, err
	}
	p, err := read(page)
	if err != nil {
		return nil, err
	}
	out := collection[W]{Value: make([]W, len(p.Items))}
	for i, item := range p.Items {
		out.Value[i] = wire(item)
	}
	if p.Next != "" {
		if out.NextLink, err = s.nextLink(c, p.Next); err != nil {
			return nil, err
		}
	}
	return found(out), nil
}

// cut makes a page of a list that the directory gives as a whole. key must be
// unique and is the order.
func cut[T any](items []T, p directory.Page, key func(T) string) directory.Paged[T] {
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	first := slices.IndexFunc(items, func(t T) bool { return key(t) > p.After })
	if first < 0 {
		return directory.Paged[T]{}
	}
	items = items[first:]
	if p.Limit <= 0 {
		p.Limit = directory.DefaultPage
	}
	limit := min(p.Limit, directory.MaxPage)
	if len(items) <= limit {
		return directory.Paged[T]{Items: items}
	}
	return directory.Paged[T]{Items: items[:limit], Next: key(items[limit-1])}
}

// byAge is a key for cut: the oldest first.
func byAge(t time.Time, id string) string {
	return fmt.Sprintf("%016x.%s", t.UnixMilli(), strings.ToLower(id))
}

// page reads $top and $skiptoken.
func (s *Surface) page(c *call) (directory.Page, error) {
	var p directory.Page
	if top := c.query["$top"]; top != "" {
		n, err := strconv.ParseInt(top, 10, 32)
		if err != nil || n < 1 {
			return p, badRequest("The value '%s' of $top is not valid: it must be a positive integer.", clip(top))
		}
		p.Limit = int(n)
	}
	if token := c.query["$skiptoken"]; token != "" {
		after, err := s.openPage(c, token)
		if err != nil {
			return p, badRequest("The value of $skiptoken is not valid for this list.")
		}
		p.After = after
	}
	return p, nil
}

// nextLink is the absolute address of the page after the item that after stands for.
func (s *Surface) nextLink(c *call, after string) (string, error) {
	sealed, err := s.config.Seal.Encrypt([]byte(after), c.binding())
	if err != nil {
		return "", err
	}
	query := url.Values{"api-version": {c.version}, "$skiptoken": {base64.RawURLEncoding.EncodeToString(sealed)}}
	for _, name := range []string{"$top", "$filter"} {
		if value := c.query[name]; value != "" {
			query.Set(name, value)
		}
	}
	return c.base + "/" + strings.Trim(c.r.URL.EscapedPath(), "/") + "?" + query.Encode(), nil
}

// Sealer seals page tokens: authenticated encryption of the shape that
// tink.AEAD has. They are sealed, and not only signed, because the item before
// a page may be one that its reader must not see.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// binding is the one list of the one tenant in which a page token counts.
func (c *call) binding() []byte {
	return []byte(strings.Join([]string{"resource manager page", c.caller.TenantID, strings.ToLower(strings.Trim(c.r.URL.EscapedPath(), "/")), c.query["$filter"]}, "\n"))
}

func (s *Surface) openPage(c *call, token string) (after string, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", err
	}
	text, err := s.config.Seal.Decrypt(data, c.binding())
	return string(text), err
}
