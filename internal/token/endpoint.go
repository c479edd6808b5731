package token

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/entente-id/entente/internal/exchange"
)

// grant is the answer of the newer endpoint: these four members and never
// client_info, scope or id_token, which clients would take for a reason not to
// use their caches.
type grant struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	ExtExpiresIn int    `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// grantV1 is the answer of the older endpoint, all of it strings.
type grantV1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	AccessToken  string `json:"access_token"`
}

// token is the token endpoint. It records every request once.
func (s *Surface) token(w http.ResponseWriter, r *http.Request, t target) error {
	outcome, older, err := s.exchange(w, r, t)
	if err != nil {
		s.config.Record(r.Context(), outcome, s.refuse(w, r, err), err)
		return nil
	}
	s.config.Record(r.Context(), outcome, 0, nil)
	noStore(w)
	if !older {
		s.write(w, r, http.StatusOK, grant{"Bearer", outcome.ExpiresIn, outcome.ExpiresIn, outcome.Token})
		return nil
	}
	expiresIn := strconv.Itoa(outcome.ExpiresIn)
	s.write(w, r, http.StatusOK, grantV1{
		TokenType: "Bearer", ExpiresIn: expiresIn, ExtExpiresIn: expiresIn, Resource: outcome.Resource, AccessToken: outcome.Token,
		ExpiresOn: strconv.FormatInt(outcome.ExpiresOn.Unix(), 10), NotBefore: strconv.FormatInt(outcome.NotBefore.Unix(), 10),
	})
	return nil
}

// exchange reads a request and has it exchanged. older says that it is one of
// the older dialect.
func (s *Surface) exchange(w http.ResponseWriter, r *http.Request, t target) (o exchange.Outcome, older bool, err error) {
	f, err := readForm(w, r)
	if err != nil {
		return o, false, err
	}
	tenant, err := s.tenantOf(r, t)
	if err != nil {
		return o, false, err
	}
	older = t.dialect == v1 || t.dialect == either && f["resource"] != ""
	capabilities, err := f.check(older)
	if err != nil {
		// An unknown tenant is told first.
		if _, unknown := s.config.Exchange.Tenant(r.Context(), tenant); unknown != nil {
			err = unknown
		}
		return o, older, err
	}
	o, err = s.config.Exchange.Do(r.Context(), exchange.Request{
		Tenant: tenant, ClientID: f["client_id"],
		Assertion: strings.TrimSpace(f["client_assertion"]), // the file of a token may end in a line break
		Secret:    f["client_secret"],
		Scope:     f["scope"], V1: older, Resource: f["resource"], Capabilities: capabilities,
	})
	return o, older, err
}
