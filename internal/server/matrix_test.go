package server

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit"
)

// The matrix of rights: every route of every surface, asked by everybody over
// the whole service. What is expected is never what the server was seen to do:
// it follows from a table per surface (matrixarm_test.go, matrixgraph_test.go,
// matrixopen_test.go), which says what each route needs in Azure's terms, and
// from what each caller holds (matrixcallers_test.go). A route without a row fails.

// verdict is what a caller is told.
type verdict int

const (
	allowed         verdict = iota
	unauthenticated         // 401: nobody knows who asks
	forbidden               // 403
	absent                  // 404: for this caller there is no such thing
)

// request is one way to call a route, with what each caller must get for it.
type request struct {
	method, pattern, note string
	path, body            string // with names of vars
	header                http.Header
	ok                    int                          // the status for whoever may
	decide                func(*asker) verdict         // for the callers of the tenant
	foreign               int                          // the status for another tenant's administrator; 0: 404
	mayKnow               func(*asker) bool            // who may tell what is there from what is not; nil: nobody who is refused
	shows                 map[string]func(*asker) bool // what an answer holds, and for whom
	reads                 bool                         // changes nothing, although it is no GET
}

func (r request) String() string {
	return strings.TrimSpace(r.method + " " + r.pattern + " " + r.note)
}

func (r request) isGet() bool { return r.method == http.MethodGet || r.method == http.MethodHead }

// TestMatrix asks every route as everybody.
func TestMatrix(t *testing.T) {
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		t.Parallel()
		m := newMatrix(t, dsn)
		t.Run("arm", func(t *testing.T) { m.run(t, m.armRequests(t)) })
		t.Run("graph", func(t *testing.T) { m.run(t, m.graphRequests(t)) })
		t.Run("open", m.runOpen)
		t.Run("portal", m.runPortal)
	})
}

// TestEverySurfaceIsInTheMatrix finds the surfaces by their route tables.
func TestEverySurfaceIsInTheMatrix(t *testing.T) {
	known := []string{"arm", "graph", "hosted", "portal", "token"}
	service := reflect.TypeFor[Service]()
	for i := range service.NumField() {
		field := service.Field(i)
		if _, has := field.Type.MethodByName("Routes"); has && !slices.Contains(known, field.Name) {
			t.Errorf("the surface %q has routes, and the matrix does not ask them", field.Name)
		}
	}
}

func (m *matrix) run(t *testing.T, requests []request) {
	before := m.state(t, nil)
	for _, r := range requests {
		t.Run(r.String(), func(t *testing.T) {
			for _, a := range m.askers {
				m.try(t, r, a, before)
			}
		})
	}
}

// try asks once, and brings the database back to what it was.
func (m *matrix) try(t *testing.T, r request, a *asker, before state) {
	t.Helper()
	want, status := r.expect(a)
	got := m.send(r, a, m.vars)
	if got.Code != status {
		t.Errorf("%s: %d, want %d: %.300s", a.name, got.Code, status, got.Body)
	}
	if want == unauthenticated && got.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("%s: a 401 without WWW-Authenticate", a.name)
	}
	m.checkShown(t, r, a, want, got)
	if !r.isGet() {
		now := m.state(t, before)
		m.checkState(t, r, a, want, before, now)
		m.restore(t, before, now)
	}
	if m.compareWithNothing(t, r, a, want, got) && !r.isGet() {
		m.restore(t, before, m.state(t, nil))
	}
}

// expect says what a caller must get.
func (r request) expect(a *asker) (verdict, int) {
	switch {
	case a.unknown:
		return unauthenticated, http.StatusUnauthorized
	case a.foreign:
		return absent, cmp.Or(r.foreign, http.StatusNotFound)
	}
	v := r.decide(a)
	return v, map[verdict]int{allowed: r.ok, forbidden: http.StatusForbidden, absent: http.StatusNotFound}[v]
}

// checkShown sees that a refusal holds nothing of what is there, besides what
// the request itself says, and an answer what it should and no more.
func (m *matrix) checkShown(t *testing.T, r request, a *asker, want verdict, got *httptest.ResponseRecorder) {
	t.Helper()
	text := got.Body.String() + fmt.Sprint(got.Header())
	if want != allowed {
		for _, canary := range m.canaries {
			if strings.Contains(text, canary) && !strings.Contains(m.vars.in(r.path+r.body), canary) {
				t.Errorf("%s is told of %s: %.600s", a.name, canary, text)
			}
		}
	}
	for canary, sees := range r.shows {
		if a.foreign {
			break // of its own tenant; what it must not see is a canary
		}
		if canary, should := m.vars.in(canary), want == allowed && sees(a); strings.Contains(text, canary) != should {
			t.Errorf("%s: that %s is shown should be %v: %.600s", a.name, canary, should, text)
		}
	}
}

// checkState sees that a refusal changes nothing, that who is another tenant's
// changes nothing in this one, and that the others did do something.
func (m *matrix) checkState(t *testing.T, r request, a *asker, want verdict, before, now state) {
	t.Helper()
	switch {
	case a.foreign:
		if d := before.diff(now, m.foreignIDs...); d != "" {
			t.Errorf("%s changed what is not its tenant's:\n%.900s", a.name, d)
		}
	case want != allowed || r.reads:
		if d := before.diff(now); d != "" {
			t.Errorf("%s changed something:\n%.900s", a.name, d)
		}
	case len(now["audit_events"]) <= len(before["audit_events"]):
		t.Errorf("%s: nothing is recorded, so it was no change that was permitted", a.name)
	}
}

// compareWithNothing sees that a refusal says the same of what is there and of
// what never was: to another tenant, whatever the request names; in the
// caller's own, what lies below the subscription or in the directory. It says
// whether the second request did something.
func (m *matrix) compareWithNothing(t *testing.T, r request, a *asker, want verdict, got *httptest.ResponseRecorder) bool {
	t.Helper()
	if want == allowed || want == unauthenticated || !a.foreign && r.mayKnow != nil && r.mayKnow(a) {
		return false
	}
	nothing := m.nothing
	switch {
	case a.foreign:
		nothing = nothing.with(vars{"{foreignTenant}": m.vars["{foreignTenant}"]})
	case want == forbidden:
		nothing = nothing.with(vars{"{subscription}": m.vars["{subscription}"], "{tenant}": m.vars["{tenant}"]})
	}
	if nothing.in(r.path+r.body) == m.vars.in(r.path+r.body) {
		return false
	}
	twin := m.send(r, a, nothing)
	if of, ofNothing := plain(got, m.vars), plain(twin, nothing); of != ofNothing {
		t.Errorf("%s can tell what is there from what is not: %s", a.name, firstDifference(of, ofNothing))
	}
	return twin.Code < http.StatusMultipleChoices
}

// firstDifference shows the first line in which two texts differ, from there on.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			n := 0
			for n < min(len(as[i]), len(bs[i])) && as[i][n] == bs[i][n] {
				n++
			}
			n = max(0, n-60)
			return fmt.Sprintf("\n%.400s\n%.400s", as[i][n:], bs[i][n:])
		}
	}
	return fmt.Sprintf("%d lines and %d", len(as), len(bs))
}

var (
	anyGUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyID   = regexp.MustCompile(`"id":"([0-9a-f-]{36})"`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|"revision":\d+`)
)

// plain is an answer with the names of v instead of their values, and without
// what differs between any two answers.
func plain(w *httptest.ResponseRecorder, v vars) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, w.Header()[name])
	}
	text := v.named(b.String() + "\n" + w.Body.String())
	return anyTime.ReplaceAllString(anyGUID.ReplaceAllString(text, "GUID"), "TIME")
}

func (m *matrix) send(r request, a *asker, v vars) *httptest.ResponseRecorder {
	header := http.Header{}
	maps.Copy(header, r.header)
	if a.token != "" {
		header.Set("Authorization", "Bearer "+a.token)
	}
	path := strings.ReplaceAll(v.in(r.path), "{self}", cmp.Or(a.id, m.vars["{nowhere}"]))
	if r.body == "" {
		return m.ask(r.method, path, nil, header)
	}
	header.Set("Content-Type", "application/json")
	return m.ask(r.method, path, strings.NewReader(v.in(r.body)), header)
}
