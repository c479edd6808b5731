package portal

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

// Each list that is by name can be turned round at the head of its column, and
// stays so when it is searched and from page to page.
func TestListsAreSortedByName(t *testing.T) {
	w := newWorld(t)
	const rows = pageSize + 10
	_, err := w.dir.SetPolicy(t.Context(), w.admin, directory.PolicyEdit{MaxCredentials: new(rows)})
	w.must(err)
	holders := w.holders()
	for i := range rows {
		name := fmt.Sprintf("item-%02d", (i*7)%rows)
		w.identity(name)
		w.registerWith(name, nil)
		_, _, err := w.dir.PutGroup(t.Context(), w.admin, directory.Group{SubscriptionID: testSubscription, Name: name, Location: "local"})
		w.must(err)
		_, _, err = w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: name, URL: "https://" + name + ".example"})
		w.must(err)
		for _, h := range holders {
			w.addCredential(h, name, "https://ci.example", name)
		}
	}
	p := w.signIn(w.admin)
	row := regexp.MustCompile(`<th scope="row"><a href="[^"]*">item-(\d\d)</a>`)
	following := regexp.MustCompile(`href="([^"]*)" rel="next"`)
	for name, path := range map[string]string{
		"identities": "/portal/identities", "groups": "/portal/groups", "a group": rgPath, "clusters": "/portal/clusters", "issuers": "/portal/issuers",
		"an application's credentials": holders[0].path, "an identity's credentials": holders[1].path,
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				sort, is, to string // to: the other order
				down         bool
			}{
				{"", "ascending", "&amp;sort=name-down", false},
				{"&sort=name-down", "descending", "", true},
			} {
				var got, want []string
				for i := range rows {
					want = append(want, fmt.Sprintf("%02d", i))
				}
				if c.down {
					slices.Reverse(want)
				}
				at := path + "?q=ITEM" + c.sort
				for range 2 {
					a := p.get(at)
					p.shows(a, http.StatusOK)
					if !strings.Contains(a.body, `<th scope="col" aria-sort="`+c.is+`"><a href="`+path+`?q=ITEM`+c.to+`">`) {
						t.Errorf("%s: the head is not %s, or does not lead to the other order", at, c.is)
					}
					if c.down != strings.Contains(a.body, `<input type="hidden" name="sort" value="name-down">`) {
						t.Errorf("%s: a search does not keep the order", at)
					}
					for _, m := range row.FindAllStringSubmatch(a.body, -1) {
						got = append(got, m[1])
					}
					if next := following.FindStringSubmatch(a.body); next != nil {
						at = html.UnescapeString(next[1])
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %q", c.is, got)
				}
			}
			p.sentTo(p.get(path+"?q=item&sort=nonsense"), path+"?q=item")
		})
	}
}
