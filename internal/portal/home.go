package portal

import (
	"cmp"
	"fmt"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/signin"
)

var homePages = []route{{"GET " + Path + "/{$}", (*call).home, false}, {"GET " + Path, (*call).home, false}}

type homeView struct {
	Figures []figure
	// Refused are the last exchanges that were; SeesSignIns says whether the
	// caller may know.
	SeesSignIns bool
	Refused     []refusedExchange
	Begun       bool // there is a credential already
}

// figure is a number with the list that it counts.
type figure struct{ Text, Number, To string }

type refusedExchange struct {
	At                  time.Time
	Client, Subject, To string
	Code                int
}

// fewRefused is how many refused exchanges the first page shows.
const fewRefused = 5

func (c *call) home() error {
	n, err := c.Directory.Counts(c, c.caller)
	if err != nil {
		return err
	}
	v := homeView{
		Figures: []figure{
			{"App registrations", tally(n.Applications), applicationsPath},
			{"Managed identities", tally(n.Identities), identitiesPath},
			{"Clusters", tally(n.Clusters), clustersPath},
			{"Federated credentials", tally(n.Credentials), ""},
		},
		Begun:       n.Credentials.N > 0,
		SeesSignIns: c.rights.Can(readSignIns, "/"),
	}
	if v.SeesSignIns {
		records, _, err := c.SignIns.List(c, signin.Query{TenantID: c.caller.TenantID, OnlyFailures: true, Limit: fewRefused})
		if err != nil {
			return err
		}
		for _, r := range records {
			v.Refused = append(v.Refused, refusedExchange{
				At: r.At, Client: cmp.Or(r.ClientName, r.ClientID, "an unknown client"), To: pathTo("sign-ins", r.ID), Code: r.Code, Subject: r.Subject,
			})
		}
	}
	tenant, err := c.Directory.LookupTenant(c, c.caller.TenantID)
	if err != nil {
		return err
	}
	return c.show(page{template: "home", title: "Home", above: tenant.DisplayName, wide: true}, v)
}

// tally is a number that was counted to a bound.
func tally(t directory.Tally) string {
	if t.More {
		return fmt.Sprintf("%d+", t.N)
	}
	return fmt.Sprint(t.N)
}
