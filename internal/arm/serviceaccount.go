package arm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// serviceAccount is one of a cluster. Azure knows none of them.
type serviceAccount struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	ClientID  string `json:"clientId,omitempty"` // of the annotation
}

// inventory is a page of the service accounts of a cluster.
type inventory struct {
	collection[serviceAccount]
	ReportedAt string `json:"reportedAt,omitempty"` // absent: never
}

// listServiceAccounts lists those of a cluster, or with a $filter of a namespace.
func (s *Surface) listServiceAccounts(c *call) (*answer, error) {
	filter, err := c.parseFilter()
	if err != nil {
		return nil, err
	}
	var at time.Time
	a, err := list(s, c, func(p directory.Page) (page directory.Paged[directory.ServiceAccount], err error) {
		page, at, err = s.dir.ServiceAccounts(c, c.caller, c.clusterRef(), filter["namespace eq"], p)
		return page, err
	}, func(a directory.ServiceAccount) serviceAccount { return serviceAccount(a) })
	if err != nil {
		return nil, err
	}
	a.body = inventory{a.body.(collection[serviceAccount]), stamp(at)}
	return a, nil
}

// report is what a report came to.
type report struct {
	ReportedAt      string `json:"reportedAt"`
	ServiceAccounts int    `json:"serviceAccounts"`
	Namespaces      int    `json:"namespaces"`
	Added           int    `json:"added"`
	Removed         int    `json:"removed"`
	AnnotatedAnew   int    `json:"annotatedAnew"`
}

// maxReport is the largest body of a report, in bytes: with names of usual
// length it has room for [directory.MaxServiceAccounts].
const maxReport = 16 << 20

// putServiceAccounts replaces all of a cluster. It asks for the right before it
// reads a body of that size.
func (s *Surface) putServiceAccounts(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, c.clusterRef().ResourceID()); err != nil {
		return nil, err
	}
	data, err := c.readBody(maxReport)
	if err != nil {
		return nil, err
	}
	accounts, err := readServiceAccounts(data)
	if err != nil {
		return nil, unreadable(err)
	}
	r, err := s.dir.ReportServiceAccounts(c, c.caller, c.clusterRef(), accounts)
	return found(report{stamp(r.At), r.Accounts, r.Namespaces, r.Added, r.Removed, r.AnnotatedAnew}), err
}

// readServiceAccounts reads {"serviceAccounts": […]}. The strict rule holds for
// each element by itself, since it lets no text have as many of them. One more
// than there may be is enough to be refused.
func readServiceAccounts(data []byte) ([]directory.ServiceAccount, error) {
	body, err := members(data)
	if err != nil {
		return nil, err
	}
	raw := body["serviceAccounts"]
	if len(raw) == 0 || raw[0] != '[' {
		return nil, fmt.Errorf("%q must be an array", "serviceAccounts")
	}
	elements := json.NewDecoder(bytes.NewReader(raw))
	if _, err := elements.Token(); err != nil {
		return nil, err
	}
	var all []directory.ServiceAccount
	for elements.More() && len(all) <= directory.MaxServiceAccounts {
		var element json.RawMessage
		if err := elements.Decode(&element); err != nil {
			return nil, err
		}
		object, err := members(element)
		if err != nil {
			return nil, fmt.Errorf("element %d of %q: %w", len(all), "serviceAccounts", err)
		}
		var a directory.ServiceAccount
		for name, to := range map[string]*string{"namespace": &a.Namespace, "name": &a.Name, "clientId": &a.ClientID} {
			if *to, _, err = object.Text(name); err != nil {
				return nil, fmt.Errorf("element %d of %q: %w", len(all), "serviceAccounts", err)
			}
		}
		all = append(all, a)
	}
	return all, nil
}
