package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/plan"
)

// parents are one of each kind, and how a file states them with credentials.
var parents = []struct{ name, stated string }{
	{"worker", "applications: [{displayName: worker, federatedCredentials: [%s]}]\n"},
	{"pets/cat", "resourceGroups: [{name: pets, location: here}]\nmanagedIdentities: [{name: cat, resourceGroup: pets, federatedCredentials: [%s]}]\n"},
}

// entries are credentials given as "NAME SUBJECT".
func entries(all []string) string {
	var b strings.Builder
	for i, text := range all {
		name, subject, _ := strings.Cut(text, " ")
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "{name: %s, issuer: https://prod.example/, subject: %s}", name, subject)
	}
	return b.String()
}

func TestMatching(t *testing.T) {
	worlds := []*world{newWorld(t), newAzure(t)}
	for _, c := range []struct {
		name               string
		have, stated, want []string
		steps              string // of credentials
	}{
		{name: "renamed in the file", have: []string{"old one"}, stated: []string{"new one"}, want: []string{"old one"}, steps: "adopt old for new"},
		{name: "renamed, among others", have: []string{"aaa one", "bbb two"}, stated: []string{"bbb two", "ccc one", "ddd three"}, want: []string{"aaa one", "bbb two", "ddd three"}, steps: "unchanged bbb, adopt aaa for ccc, create ddd"},
		{name: "another subject", have: []string{"aaa one"}, stated: []string{"aaa two"}, want: []string{"aaa two"}, steps: "update aaa"},
		{name: "another subject beside an old one", have: []string{"aaa one", "bbb two"}, stated: []string{"aaa three", "bbb two"}, want: []string{"aaa three", "bbb two"}, steps: "unchanged bbb, update aaa"},
		{name: "exchanged names: both are trusted all the time", have: []string{"aaa one", "bbb two"}, stated: []string{"aaa two", "bbb one"}, want: []string{"aaa one", "bbb two"}, steps: "adopt bbb for aaa, adopt aaa for bbb"},
		{name: "a name goes round in three", have: []string{"aaa one", "bbb two", "ccc three"}, stated: []string{"aaa two", "bbb three", "ccc one"}, want: []string{"aaa one", "bbb two", "ccc three"}, steps: "adopt bbb for aaa, adopt ccc for bbb, adopt aaa for ccc"},
		{name: "a chain", have: []string{"aaa one", "bbb two"}, stated: []string{"aaa two", "bbb three"}, want: []string{"aaa two", "bbb three"}, steps: "update bbb, update aaa"},
		{name: "a longer chain", have: []string{"aaa one", "bbb two", "ccc three"}, stated: []string{"aaa two", "bbb three", "ccc four"}, want: []string{"aaa two", "bbb three", "ccc four"}, steps: "update ccc, update bbb, update aaa"},
		{name: "a new one takes what another leaves", have: []string{"aaa one"}, stated: []string{"bbb one", "aaa two"}, want: []string{"aaa two", "bbb one"}, steps: "update aaa, create bbb"},
		{name: "held by one that the file does not name", have: []string{"aaa one", "bbb two"}, stated: []string{"aaa two"}, want: []string{"aaa one", "bbb two"}, steps: "adopt bbb for aaa"},
		{name: "in another order", have: []string{"aaa one", "bbb two"}, stated: []string{"bbb two", "aaa one"}, want: []string{"aaa one", "bbb two"}, steps: "unchanged bbb, unchanged aaa"},
		{name: "left alone", have: []string{"aaa one"}, stated: []string{}, want: []string{"aaa one"}},
	} {
		for _, w := range worlds {
			for n, parent := range parents {
				t.Run(c.name+"/"+parent.name, func(t *testing.T) {
					w := *w
					w.T = t
					w.settle(fmt.Sprintf(parent.stated, entries(c.have)))
					text := fmt.Sprintf(parent.stated, entries(c.stated))
					var steps []string
					p := w.settle(text)
					for _, s := range p.Steps {
						if s.Kind == plan.CredObject {
							text := string(s.Action) + " " + s.Name
							if s.Declared != "" {
								text += " for " + s.Declared
							}
							steps = append(steps, text)
						}
					}
					if got := strings.Join(steps, ", "); got != c.steps {
						t.Errorf("got %s\nwant %s", got, c.steps)
					}
					if got := w.trusts(parent.name); !slices.Equal(got, c.want) {
						t.Errorf("got %q, want %q", got, c.want)
					}
					w.clear(parent.name, n)
				})
			}
		}
	}
	for _, w := range worlds {
		if w.front != nil && w.front.overlaps > 0 {
			t.Errorf("%d writes to one identity came at one time", w.front.overlaps)
		}
	}
}

// clear removes the credentials of a parent.
func (w *world) clear(parent string, kind int) {
	w.Helper()
	for _, text := range w.trusts(parent) {
		name, _, _ := strings.Cut(text, " ")
		if kind == 0 {
			w.ok(w.admin.DeleteApplicationCredential(w.Context(), w.application(parent).ID, name))
		} else {
			group, id, _ := strings.Cut(parent, "/")
			w.ok(w.admin.DeleteIdentityCredential(w.Context(), w.identity(group, id), name))
		}
	}
}

// Case counts in names of applications' credentials, and not in those of identities'.
func TestNamesInAnotherCase(t *testing.T) {
	w := newWorld(t)
	for i, want := range [][]string{{"aaa one", "AAA two"}, {"aaa two"}} {
		w.settle(fmt.Sprintf(parents[i].stated, entries([]string{"aaa one"})))
		w.settle(fmt.Sprintf(parents[i].stated, entries([]string{"AAA two"})))
		slices.Sort(want)
		if got := w.trusts(parents[i].name); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What azwi made is found by issuer and subject and not made twice.
func TestAdoptsWhatAzwiMade(t *testing.T) {
	w := newWorld(t)
	const name = "7Vx1FQd2-_mbNJm--lEKnB2ZFCq1uPhEGEXZ9T0TfVQ="
	w.settle("applications: [{displayName: worker}]")
	w.trust("worker", name, "https://prod.example/", "system:serviceaccount:pets:worker")
	p := w.settle("owner: pets\napplications: [{displayName: worker, federatedCredentials: [{name: pets--worker, issuer: https://prod.example/, serviceAccount: pets/worker}]}]", prune)
	if got := w.trusts("worker"); len(got) != 1 || !strings.HasPrefix(got[0], name) {
		t.Errorf("%q", got)
	}
	if text := show(t, p); !strings.Contains(text, `= federated credential "`+name+`" of application "worker", for "pets--worker" of the file`) || !strings.Contains(text, "so --prune will not remove it") {
		t.Errorf("%s", text)
	}
	// When it is taken out of the file, it stays: another owner made it.
	w.settle("owner: pets\napplications: [{displayName: worker, federatedCredentials: []}]", prune)
	if got := w.trusts("worker"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// Pruning removes what the owner made and the file has no more, and nothing else.
func TestPrune(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *world{"entente": newWorld, "azure": newAzure} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			for _, parent := range parents {
				of := func(owner string, credentials ...string) string {
					text := fmt.Sprintf(parent.stated, entries(credentials))
					if owner != "" {
						text = "owner: " + owner + "\n" + text
					}
					return text
				}
				w.settle(of("pets", "pets--one one", "pets--two two", "pets--three three"))
				w.settle(of("pets-x", "pets-x--one x-one"), prune)
				w.settle(of("shop", "shop--one s-one", "shop--two s-two"), prune)
				w.settle(of("", "hand-made four", "pet--s five"))
				w.trust(parent.name, "Pets--six", "https://prod.example/", "six")
				all := w.trusts(parent.name)
				if len(all) != 9 {
					t.Fatalf("%q", all)
				}

				// Without the flag a plan says what it would remove.
				p := w.plans(of("pets", "pets--one one"))
				if p.Summary.Changes() != 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "--prune removes them") || !strings.Contains(p.Notes[0], `"pets--three"`) || !strings.Contains(p.Notes[0], `"pets--two"`) {
					t.Errorf("%+v %q", p.Summary, p.Notes)
				}
				// A parent without a list is left alone.
				w.settle(strings.Replace(of("pets"), ", federatedCredentials: []", "", 1), prune)
				if got := w.trusts(parent.name); !slices.Equal(got, all) {
					t.Errorf("%q", got)
				}
				p = w.settle(of("pets", "pets--one one", "pets--new new"), prune)
				if p.Summary.Delete != 2 || p.Summary.Create != 1 {
					t.Errorf("%+v", p.Summary)
				}
				want := []string{"Pets--six six", "hand-made four", "pet--s five", "pets--new new", "pets--one one", "pets-x--one x-one", "shop--one s-one", "shop--two s-two"}
				if got := w.trusts(parent.name); !slices.Equal(got, want) {
					t.Error(cmp.Diff(want, got))
				}
				// An empty list says that there are none.
				w.settle(of("pets"), prune)
				if got := w.trusts(parent.name); len(got) != 6 || slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "pets--") }) {
					t.Errorf("%q", got)
				}
				// What another owner has, with the same content, is told; with another, it is refused.
				p = w.plans(of("pets", "pets--mine s-one"), prune)
				if text := show(t, p); p.Summary.Adopt != 1 || !strings.Contains(text, `by its name the owner "shop" made it, and may remove it`) {
					t.Error(text)
				}
				differs := strings.Replace(of("pets", "pets--mine s-one"), "subject: s-one", "subject: s-one, audiences: [api://x]", 1)
				if got := w.problems(differs, prune); !strings.Contains(got, `is the credential "shop--one" of `) || !strings.Contains(got, `which the owner "shop" has made, with another value of audiences`) {
					t.Error(got)
				}
			}
		})
	}
}

// The limit is foreseen, for both kinds of parents, and pruning makes room in time.
func TestLimit(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *world{"entente": newWorld, "azure": newAzure} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			for _, parent := range parents {
				text := "owner: a\n" + fmt.Sprintf(parent.stated, many("a--x", 20))
				if p := w.settle(text, prune); p.Summary.Create < 20 {
					t.Errorf("%+v", p.Summary)
				}
				got := w.problems("owner: a\n" + fmt.Sprintf(parent.stated, many("a--x", 20)+", "+many("a--y", 3)))
				if !strings.Contains(got, "federatedCredentials[20]: is one more than the 20 that ") || !strings.Contains(got, "it would have 23") {
					t.Error(got)
				}
				if strings.Contains(got, "policy.maxFederatedIdentityCredentials") != (name == "entente") {
					t.Error(got)
				}
				got = w.problems("owner: a\n" + fmt.Sprintf(parent.stated, many("a--y", 20)))
				if !strings.Contains(got, "; --prune removes 20 that the file has no more") {
					t.Error(got)
				}
				// Twenty others take their places, one by one.
				p := w.settle("owner: a\n"+fmt.Sprintf(parent.stated, many("a--y", 20)), prune)
				if p.Summary.Create != 20 || p.Summary.Delete != 20 {
					t.Errorf("%+v", p.Summary)
				}
				// With room, what is new comes before what goes.
				w.settle("owner: a\n"+fmt.Sprintf(parent.stated, many("a--y", 19)), prune)
				w.settle("owner: a\n"+fmt.Sprintf(parent.stated, many("a--y", 18)+", "+many("a--z", 1)), prune)
				if len(w.events) != 2 || !strings.Contains(w.events[0], "create") || !strings.Contains(w.events[1], "delete") {
					t.Errorf("%q", w.events)
				}
			}
		})
	}
	// A service's own limit counts, whichever way it differs, and one that the file raises.
	w := newWorld(t)
	_, err := w.admin.PutPolicy(t.Context(), client.Policy{MaxFederatedIdentityCredentials: 2})
	w.ok(err)
	text := fmt.Sprintf(parents[0].stated, many("a", 3))
	if got := w.problems(text); !strings.Contains(got, "federatedCredentials[2]: is one more than the 2 that ") {
		t.Error(got)
	}
	w.settle("policy: {maxFederatedIdentityCredentials: 60}\n" + fmt.Sprintf(parents[0].stated, many("a", 60)))
	if got := w.trusts("worker"); len(got) != 60 {
		t.Errorf("%d credentials", len(got))
	}
	if got := w.problems(fmt.Sprintf(parents[0].stated, many("b", 1))); !strings.Contains(got, "is one more than the 60") {
		t.Error(got)
	}
}
