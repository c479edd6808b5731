package server

import (
	"strings"
	"testing"
)

// openRows are the routes that ask for no caller, and why, with what a request
// without anything gets.
var openRows = map[string]struct {
	why    string
	status int
}{
	"token POST /adfs/oauth2/token":                                          {"who asks for a token says who it is in the request", 400},
	"token POST /adfs/{tenant}/adfs/oauth2/token":                            {"who asks for a token says who it is in the request", 400},
	"token POST /{tenant}/oauth2/v2.0/token":                                 {"who asks for a token says who it is in the request", 400},
	"token POST /{tenant}/oauth2/token":                                      {"who asks for a token says who it is in the request", 400},
	"token GET /adfs/.well-known/openid-configuration":                       {"clients read it before they have a token", 200},
	"token GET /adfs/{tenant}/adfs/.well-known/openid-configuration":         {"clients read it before they have a token", 200},
	"token GET /{tenant}/v2.0/.well-known/openid-configuration":              {"clients read it before they have a token", 200},
	"token GET /{tenant}/.well-known/openid-configuration":                   {"clients read it before they have a token", 200},
	"token GET /{tenant}/discovery/v2.0/keys":                                {"whoever takes a token needs the keys", 200},
	"token GET /{tenant}/discovery/keys":                                     {"whoever takes a token needs the keys", 200},
	"token GET /common/discovery/instance":                                   {"clients ask whether they may trust an authority before they have a token", 400},
	"token GET /.well-known/webfinger":                                       {"clients ask whether they may trust an authority before they have a token", 200},
	"hosted GET /oic/{tenant}/{clusterID}/.well-known/openid-configuration":  {"whoever trusts the cluster reads it", 200},
	"hosted HEAD /oic/{tenant}/{clusterID}/.well-known/openid-configuration": {"whoever trusts the cluster reads it", 200},
	"hosted GET /oic/{tenant}/{clusterID}/openid/v1/jwks":                    {"whoever trusts the cluster needs its keys", 200},
	"hosted HEAD /oic/{tenant}/{clusterID}/openid/v1/jwks":                   {"whoever trusts the cluster needs its keys", 200},
	"arm GET /metadata/endpoints":                                            {"it says where tokens are to be had", 200},
}

// runOpen sees that what is open to everybody is so on purpose, and tells
// nobody more than others: nothing in there depends on who asks.
func (m *matrix) runOpen(t *testing.T) {
	type open struct{ surface, method, pattern string }
	var routes []open
	for _, r := range m.Service.token.Routes() {
		routes = append(routes, open{"token", r.Method, r.Pattern})
	}
	for _, r := range m.hosted.Routes() {
		routes = append(routes, open{"hosted", r.Method, strings.Replace(r.Pattern, "{cluster}", "{clusterID}", 1)})
	}
	for _, r := range m.arm.Routes() {
		if r.Action == "" {
			routes = append(routes, open{"arm", r.Method, r.Pattern})
		}
	}
	left := map[string]bool{}
	for key := range openRows {
		left[key] = true
	}
	before := m.state(t, nil)
	for _, of := range routes {
		key := of.surface + " " + of.method + " " + of.pattern
		row, decided := openRows[key]
		if !decided || row.why == "" {
			t.Errorf("%s asks for no caller, and nobody has said why", key)
			continue
		}
		delete(left, key)
		r := request{method: of.method, path: of.pattern}
		if of.surface == "arm" {
			r.path += "?api-version=2022-09-01"
		}
		var first string
		for i, a := range m.askers {
			w := m.send(r, a, m.vars)
			if w.Code != row.status {
				t.Errorf("%s as %s: %d, want %d: %.300s", key, a.name, w.Code, row.status, w.Body)
			}
			answer := plain(w, m.vars)
			for _, canary := range m.canaries {
				if strings.Contains(answer, canary) {
					t.Errorf("%s tells of %s: %s", key, canary, answer)
				}
			}
			if i == 0 {
				first = answer
			} else if answer != first {
				t.Errorf("%s tells %s something else than others:\n%s\n%s", key, a.name, answer, first)
			}
		}
	}
	if d := before.diff(m.state(t, nil)); d != "" {
		t.Errorf("something changed:\n%s", d)
	}
	for key := range left {
		t.Errorf("there is no open route %s", key)
	}
}
