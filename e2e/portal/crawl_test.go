package portal

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit/browser"
)

// words are the parts of addresses that are not names of things.
var words = regexp.MustCompile(`^(portal|applications|groups|identities|clusters|issuers|credentials|settings|new|delete|text|check|edit|accounts|trust|keys|sign-ins|sign-in|audit|roles|remove|test|signing-keys|rotate|secrets|certificates|new-identity|-|principal|)$`)

// sortOf is a sort of page: its address without names, and with the names of what is asked.
func sortOf(address string) string {
	path, query, _ := strings.Cut(address, "?")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if !words.MatchString(p) {
			parts[i] = "{}"
		}
	}
	var names []string
	for q := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(q, "=")
		if name == "tab" || name == "with" {
			name += "=" + value
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(parts, "/") + "?" + strings.Join(names, "&")
}

// testCrawl follows one link of each sort, from the first page on: none leads to
// a page that is not there, and each page is one for everybody.
func testCrawl(t *testing.T, w *town) {
	b := w.open(t)
	type step struct{ from, to string }
	queue, seen := []step{{"", "/portal"}}, map[string]bool{}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if sort := sortOf(next.to); seen[sort] {
			continue
		} else {
			seen[sort] = true
		}
		b.Size(360, 740)
		b.Scheme("dark")
		b.Go(next.to)
		if status := b.Status(); status != 200 {
			t.Errorf("%s leads to %s: %d", next.from, next.to, status)
			b.Expect(browser.Console, next.to)
			continue
		}
		b.Axe()
		if n := b.Overflow(); n > 0 {
			t.Errorf("%s is %d pixels too wide: %q", next.to, n, b.Widest())
		}
		harmless(t, b)
		var links []string
		b.Eval(`[...document.links].map(a => a.getAttribute("href"))`, &links)
		for _, l := range links {
			l, _, _ = strings.Cut(l, "#")
			switch {
			case l == "":
			case strings.HasPrefix(l, "/portal/assets/"):
			case strings.HasPrefix(l, "/portal"):
				queue = append(queue, step{next.to, l})
			case strings.HasPrefix(l, "?"):
				path, _, _ := strings.Cut(next.to, "?")
				queue = append(queue, step{next.to, path + l})
			default:
				t.Errorf("%s leads to %q", next.to, l)
			}
		}
	}
	t.Logf("%d sorts of pages", len(seen))
	if len(seen) < 30 {
		t.Errorf("only %d sorts of pages", len(seen))
	}
}
