package plan_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/plan"
)

// fifty is five parents with ten credentials each.
func fifty() string {
	text := "resourceGroups: [{name: pets, location: here}]\napplications:\n"
	for i := range 2 {
		text += fmt.Sprintf("  - {displayName: app%d, federatedCredentials: [%s]}\n", i, many("c", 10))
	}
	text += "managedIdentities:\n"
	for i := range 3 {
		text += fmt.Sprintf("  - {name: mid%d, resourceGroup: pets, federatedCredentials: [%s]}\n", i, many("c", 10))
	}
	return text
}

// Many parents are written to at one time, and each by one write at a time.
func TestOneWriteAtATimePerParent(t *testing.T) {
	w := newAzure(t)
	p := w.settle(fifty())
	if p.Summary.Create != 1+2*2+3+50 {
		t.Errorf("%+v", p.Summary)
	}
	if w.front.overlaps != 0 || len(w.waits) != 0 {
		t.Errorf("%d writes to one identity came at one time; waits: %v", w.front.overlaps, w.waits)
	}
	if w.front.most > 4 {
		t.Errorf("%d writes at one time", w.front.most)
	}
	one := newAzure(t)
	one.settle(fifty(), func(o *plan.Options) { o.Parallel = 1 })
	if one.front.most != 1 {
		t.Errorf("%d writes at one time", one.front.most)
	}
}

var credentialWrite = regexp.MustCompile(`^(PUT|POST|PATCH|DELETE) .*/federatedIdentityCredentials`)

// What Azure says when it is busy is waited for, as long as it asks.
func TestWaiting(t *testing.T) {
	const text = `
resourceGroups: [{name: pets, location: here}]
applications: [{displayName: worker, federatedCredentials: [{name: aaa, issuer: https://i.example/, subject: a}, {name: bbb, issuer: https://i.example/, subject: b}]}]
managedIdentities: [{name: cat, resourceGroup: pets, federatedCredentials: [{name: aaa, issuer: https://i.example/, subject: a}, {name: bbb, issuer: https://i.example/, subject: b}]}]
`
	always := func(nth int) bool { return true }
	for _, c := range []struct {
		name  string
		when  func(line string) bool
		no    refusal
		fails func(nth int) bool // of one request
		waits []time.Duration    // nil: growing ones
		count int
		error string
	}{
		{name: "two writers", when: credentialWrite.MatchString, no: refusal{status: 409, code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"}, fails: func(nth int) bool { return nth <= 2 }, count: 6}, // on each of three URLs
		{name: "throttled for long", when: credentialWrite.MatchString, no: refusal{status: 429, code: "TooManyRequests", retryAfter: "45"}, fails: func(nth int) bool { return nth == 1 }, waits: []time.Duration{45 * time.Second, 45 * time.Second, 45 * time.Second}},
		{name: "busy for longer than the client waits", when: func(line string) bool { return strings.HasPrefix(line, "PUT ") && strings.HasSuffix(line, "/cat") }, no: refusal{status: 503, retryAfter: "100"}, fails: func(nth int) bool { return nth <= 3 }, waits: []time.Duration{100 * time.Second, 100 * time.Second, 100 * time.Second}},
		{name: "throttled for too long", when: credentialWrite.MatchString, no: refusal{status: 429, retryAfter: "3600"}, fails: always, waits: []time.Duration{}, error: "429"},
		{name: "busy for ever", when: func(line string) bool { return strings.Contains(line, "/cat/") && credentialWrite.MatchString(line) }, no: refusal{status: 409, code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"}, fails: always, count: 7, error: "409 Concurrent"},
		{name: "another conflict is none to wait for", when: func(line string) bool { return strings.Contains(line, "/cat/") && credentialWrite.MatchString(line) }, no: refusal{status: 409, code: "ScopeLocked"}, fails: always, waits: []time.Duration{}, error: "409 ScopeLocked"},
		{name: "not everywhere yet: the service principal", when: func(line string) bool { return line == "POST /v1.0/servicePrincipals" }, no: refusal{status: 400, code: "Request_BadRequest"}, fails: func(nth int) bool { return nth <= 3 }, count: 3},
		{name: "not everywhere yet: the application", when: func(line string) bool {
			return strings.HasPrefix(line, "POST /v1.0/applications/") && credentialWrite.MatchString(line)
		}, no: refusal{status: 404, code: "Request_ResourceNotFound"}, fails: func(nth int) bool { return nth <= 2 }, count: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newAzure(t)
			w.front.fail = func(r *http.Request, nth int) *refusal {
				line := r.Method + " " + r.URL.Path
				if c.when(line) && c.fails(nth) {
					no := c.no
					return &no
				}
				return nil
			}
			err := w.apply(w.plans(text))
			if c.error == "" && err != nil || c.error != "" && (err == nil || !strings.Contains(err.Error(), c.error)) {
				t.Errorf("got %v, want %q", err, c.error)
			}
			if c.waits != nil {
				if diff := cmp.Diff(c.waits, append([]time.Duration{}, w.waits...)); diff != "" {
					t.Error(diff)
				}
			} else if len(w.waits) != c.count || slices.Max(w.waits) > 45*time.Second || slices.Min(w.waits) < time.Second {
				t.Errorf("%d waits: %v", len(w.waits), w.waits)
			}
			w.front.fail = nil
			w.settle(text) // goes on from there
			for _, parent := range parents {
				if got := w.trusts(parent.name); len(got) != 2 {
					t.Errorf("%s: %q", parent.name, got)
				}
			}
		})
	}
}

// An answer that was lost does not make a second object, and is no failure.
func TestLostAnswers(t *testing.T) {
	w := newAzure(t)
	const text = `
resourceGroups: [{name: pets, location: here}]
applications:
  - displayName: worker
    uniqueName: worker
    federatedCredentials: [{name: aaa, issuer: https://i.example/, subject: a, description: d}]
    appRoleAssignments: [{resource: Microsoft Graph, role: Application.Read.All}]
    roleAssignments: [{role: Reader, scope: subscription}]
managedIdentities: [{name: cat, resourceGroup: pets, federatedCredentials: [{name: aaa, issuer: https://i.example/, subject: a}]}]
`
	w.front.fail = func(r *http.Request, nth int) *refusal {
		if r.Method == http.MethodGet || nth > 1 {
			return nil
		}
		return &refusal{status: 503, retryAfter: "0", afterCarryingItOn: true}
	}
	p := w.plans(text)
	w.ok(w.apply(p))
	w.front.fail = nil
	if again := w.plans(text); again.Summary.Changes() != 0 {
		t.Errorf("%s", show(t, again))
	}
	all, err := w.admin.Applications(t.Context(), client.Equal("displayName", "worker"))
	if err != nil || len(all) != 1 {
		t.Errorf("%d applications, %v", len(all), err)
	}
	// An application without a unique name has no name that a second try could
	// find; who gives none takes that on.
}

// A step that fails stops its parent and what needs it. The others go on, and the
// error says what is done and what is not.
func TestFailures(t *testing.T) {
	w := newAzure(t)
	const text = `
resourceGroups: [{name: pets, location: here}]
applications:
  - {displayName: api, appRoles: [{value: Read}], federatedCredentials: [{name: aaa, issuer: https://i.example/, subject: a}, {name: bbb, issuer: https://i.example/, subject: b}]}
  - {displayName: worker, federatedCredentials: [{name: ccc, issuer: https://i.example/, subject: c}], appRoleAssignments: [{resource: api, role: Read}, {resource: broken}]}
  - {displayName: broken, federatedCredentials: [{name: ddd, issuer: https://i.example/, subject: d}]}
`
	w.front.fail = func(r *http.Request, nth int) *refusal {
		line := r.Method + " " + r.URL.Path
		switch {
		case credentialWrite.MatchString(line) && strings.Contains(line, w.application("api").ID):
			return &refusal{status: 403, code: "Authorization_RequestDenied"}
		case line == "POST /v1.0/servicePrincipals" && w.seenApplication("broken") && nth == 3:
			return &refusal{status: 400, code: "Request_BadRequest"}
		}
		return nil
	}
	p := w.plans(text, func(o *plan.Options) { o.Parallel = 1 })
	err := w.applyWithoutPatience(p)
	incomplete, ok := errors.AsType[*plan.Incomplete](err)
	if !ok {
		t.Fatal(err)
	}
	compare(t, "testdata/failures.txt", ids.ReplaceAllString(err.Error(), "ID"))
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Status != 403 || len(incomplete.Failures) != 2 {
		t.Errorf("%+v", refusal)
	}
	results := map[plan.Result]int{}
	for _, s := range p.Steps {
		results[s.Result]++
		if (s.Error != "") != (s.Result == plan.Failed) {
			t.Errorf("%+v", s)
		}
	}
	if want := map[plan.Result]int{plan.Done: 8, plan.Failed: 2, plan.Left: 3}; !cmp.Equal(results, want) {
		t.Errorf("%v", results)
	}
	w.front.fail = nil
	if p := w.settle(text); p.Summary.Create != 5 {
		t.Errorf("%+v", p.Summary)
	}
}

var ids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func (w *world) seenApplication(name string) bool {
	all, err := w.admin.Applications(w.Context(), client.Equal("displayName", name))
	return err == nil && len(all) > 0
}

// applyWithoutPatience gives up instead of waiting.
func (w *world) applyWithoutPatience(p *plan.Plan) error {
	return p.Apply(w.Context(), plan.ApplyOptions{Wait: func(context.Context, time.Duration) error { return errors.New("no time") }})
}

// What comes before all parents stops everything when it fails.
func TestGroupsFirst(t *testing.T) {
	w := newAzure(t)
	w.front.fail = func(r *http.Request, nth int) *refusal {
		if strings.HasSuffix(r.URL.Path, "/resourceGroups/pets") && r.Method == http.MethodPut {
			return &refusal{status: 403, code: "AuthorizationFailed"}
		}
		return nil
	}
	p := w.plans(fifty())
	err := w.apply(p)
	if err == nil || !strings.HasPrefix(err.Error(), "0 of 58 steps are done\nfailed: create resource group \"pets\": ") || !strings.Contains(err.Error(), "\nnot begun: and 37 more") {
		t.Errorf("%v", err)
	}
	if got := w.front.writes(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// Whoever stops a run is told what is done, and the next run goes on.
func TestStopped(t *testing.T) {
	w := newAzure(t)
	ctx, stop := context.WithCancel(t.Context())
	p := w.plans(fifty())
	n := 0
	err := p.Apply(ctx, plan.ApplyOptions{Progress: func(e plan.Progress) {
		if e.Event == plan.Ended {
			if n++; n == 20 {
				stop()
			}
		}
	}})
	incomplete, ok := errors.AsType[*plan.Incomplete](err)
	if !ok || !errors.Is(err, context.Canceled) || len(incomplete.Done) < 19 || len(incomplete.Left) < 20 || !strings.Contains(err.Error(), "(context canceled)") {
		t.Fatalf("%v", err)
	}
	if again := w.settle(fifty()); again.Summary.Create == 0 || again.Summary.Create > 40 {
		t.Errorf("%+v", again.Summary)
	}
}
