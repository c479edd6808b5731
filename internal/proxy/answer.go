package proxy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// refusal is an answer that is no token. It is rendered once, here.
type refusal struct {
	status      int
	code        string // "error"
	description string // "error_description"
	retryAfter  time.Duration
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", r.status, r.code, r.description)
}

// passing tells whether the refusal may pass by itself.
func (r *refusal) passing() bool {
	return r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests
}

func badRequest(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", description: fmt.Sprintf(format, args...)}
}

func (r *refusal) write(w http.ResponseWriter) {
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retryAfter.Seconds()))))
	}
	writeJSON(w, r.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{r.code, r.description})
}

// grant is a token with what answers tell about it.
type grant struct {
	token              string
	notBefore, expires time.Time
	clientID, resource string
}

// protocol is one of the ways to ask for a token and to answer.
type protocol int

const (
	imds       protocol = iota // of virtual machines, 2018-02-01
	site                       // of App Service, 2019-08-01
	site2017                   // of App Service, 2017-09-01
	dateOf2017 = "01/02/2006 15:04:05 -07:00"
)

// write answers with the members that the protocol's documentation has, all of
// them strings:
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token,
// https://learn.microsoft.com/azure/app-service/overview-managed-identity.
func (g grant) write(w http.ResponseWriter, p protocol, now time.Time) {
	left := strconv.FormatInt(int64(g.expires.Sub(now)/time.Second), 10)
	answer := struct {
		AccessToken  string  `json:"access_token"`
		ClientID     string  `json:"client_id"`
		RefreshToken *string `json:"refresh_token,omitempty"`
		ExpiresIn    string  `json:"expires_in"`
		ExtExpiresIn string  `json:"ext_expires_in,omitempty"`
		ExpiresOn    string  `json:"expires_on"`
		NotBefore    string  `json:"not_before"`
		Resource     string  `json:"resource"`
		TokenType    string  `json:"token_type"`
	}{
		AccessToken: g.token,
		ClientID:    g.clientID,
		ExpiresIn:   left,
		ExpiresOn:   strconv.FormatInt(g.expires.Unix(), 10),
		NotBefore:   strconv.FormatInt(g.notBefore.Unix(), 10),
		Resource:    g.resource,
		TokenType:   "Bearer",
	}
	switch p {
	case imds:
		answer.RefreshToken, answer.ExtExpiresIn = new(string), left
	case site2017:
		answer.ExpiresOn = g.expires.UTC().Format(dateOf2017)
		answer.NotBefore = g.notBefore.UTC().Format(dateOf2017)
	}
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // strings only
		status, text = http.StatusInternalServerError, nil
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(text)
}
