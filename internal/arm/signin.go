package arm

import (
	"net/http"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/signin"
)

type signIn struct {
	At            string `json:"at"`
	ClientID      string `json:"clientId"`
	PrincipalID   string `json:"principalId,omitempty"`
	ClientName    string `json:"clientName,omitempty"`
	ClientKind    string `json:"clientKind,omitempty"`
	CredentialID  string `json:"credentialId,omitempty"`
	Issuer        string `json:"issuer,omitempty"`
	Subject       string `json:"subject,omitempty"`
	Audience      string `json:"audience,omitempty"`
	Resource      string `json:"resource,omitempty"`
	Method        string `json:"method,omitempty"` // assertion or secret
	Code          int    `json:"code"`             // 0, or the AADSTS number
	Reason        string `json:"reason,omitempty"`
	ClientAddress string `json:"clientAddress,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
	TokenID       string `json:"tokenId,omitempty"`
}

func wireSignIn(r signin.Record) record[signIn] {
	return recordOf("signIns", r.ID, signIn{
		At: stamp(r.At), ClientID: r.ClientID, PrincipalID: r.PrincipalID, ClientName: r.ClientName, ClientKind: r.ClientKind, CredentialID: r.CredentialID,
		Issuer: r.Issuer, Subject: r.Subject, Audience: r.Audience, Resource: r.Resource, Method: r.Method, Code: r.Code, Reason: r.Reason,
		ClientAddress: r.Address, RequestID: r.RequestID, TokenID: r.TokenID,
	})
}

// signInQuery reads the $filter: clientId eq 'GUID', result eq 'failure', and
// at ge or lt 'TIME' (RFC 3339).
func (c *call) signInQuery() (signin.Query, error) {
	q := signin.Query{TenantID: c.caller.TenantID}
	filter, err := c.parseFilter()
	if err != nil {
		return q, err
	}
	q.ClientID = filter["clientId eq"]
	if result, given := filter["result eq"]; given && result != "failure" {
		return q, refuse(http.StatusBadRequest, "InvalidFilter", "The one result that the $filter may name is 'failure'.")
	}
	_, q.OnlyFailures = filter["result eq"]
	for term, to := range map[string]*time.Time{"at ge": &q.From, "at lt": &q.To} {
		text, given := filter[term]
		if !given {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, text); err != nil {
			return q, refuse(http.StatusBadRequest, "InvalidFilter", "'%s' in the $filter is not a time of the form '2006-01-02T15:04:05Z'.", clip(text))
		}
	}
	return q, nil
}

func (s *Surface) listSignIns(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, "/"); err != nil {
		return nil, err
	}
	q, err := c.signInQuery()
	if err != nil {
		return nil, err
	}
	return list(s, c, func(p directory.Page) (directory.Paged[signin.Record], error) {
		q.After, q.Limit = p.After, p.Limit
		records, next, err := s.config.SignIns.List(c, q)
		return directory.Paged[signin.Record]{Items: records, Next: next}, err
	}, wireSignIn)
}
