package portal

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

const liveCheckPath = Path + "/live/check"

// finding is something about a field of a credential that is not written yet.
// It refuses nothing by itself.
type finding struct {
	Level level
	Text  string
	Code  string // a value that the text is about, shown as it is
	To    *link  // where more is known
	Fix   *fix
	rule  bool // the directory will refuse it
}

// level is how good or bad a finding is; hint is neither.
type level string

const (
	good level = "good"
	warn level = "warn"
	bad  level = "bad"
	hint level = "hint"
)

// Says is the level in words.
func (l level) Says() string {
	return map[level]string{good: "Good", warn: "Look again", bad: "Wrong", hint: "Suggestion"}[l]
}

// Mark is the level as one character.
func (l level) Mark() string {
	return map[level]string{good: "✓", warn: "!", bad: "✕", hint: "→"}[l]
}

// fix mends a field: a button whose value is "field=value".
type fix struct{ Text, Value string }

// mend is the fix that puts a value into a field.
func mend(text, field, value string) *fix { return &fix{text, field + "=" + value} }

// exam looks at what somebody typed into the form of a credential, and says of
// each field what a person should know before it counts.
type exam struct {
	*call
	holder
	typed
	editing string // id of the credential that the form changes; empty: a new one
	ask     bool   // also ask the issuer

	siblings []directory.Credential // the holder's others
	quota    quota
	// registeredOnly says that the tenant takes registered issuers only.
	registeredOnly bool
	clusters       []directory.Cluster // that can be chosen
	likely         []directory.Cluster // whose issuer has the same host
	issuers        []directory.Issuer  // that have the same host, as far as the caller may see them

	chosen     *directory.Cluster // the one of the form
	reporter   *directory.Cluster // the chosen one, or the only one that has the issuer
	namespaces []string           // that it reported, to choose from
	accounts   []string

	found   map[string][]finding
	pending bool // the issuer can be asked, and was not
}

// mostChoices is how many clusters, namespaces and service accounts are offered
// to choose from at a time.
const mostChoices = 50

// examine reads what the form is compared with, fills in what the choice of a
// cluster says, and looks at every field.
func (c *call) examine(h holder, f typed, editing string, ask bool) (*exam, error) {
	x := &exam{call: c, holder: h, typed: f, editing: editing, ask: ask, found: map[string][]finding{}}
	for _, step := range []func() error{x.readSiblings, x.readClusters, x.readIssuers} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	x.checkLimit()
	x.checkName()
	if err := x.checkIssuer(); err != nil {
		return nil, err
	}
	switch x.Scenario {
	case kubernetesScenario:
		if err := x.checkServiceAccount(); err != nil {
			return nil, err
		}
	case gitHubScenario:
		x.checkGitHub()
	case gitLabScenario:
		x.checkGitLab()
	}
	x.checkSubject()
	x.checkPair()
	x.checkAudience()
	x.checkDescription()
	return x, nil
}

func (x *exam) note(field string, f finding) { x.found[field] = append(x.found[field], f) }

func (x *exam) readSiblings() error {
	all, err := x.Directory.Credentials(x, x.caller, x.parent(), directory.Page{Limit: directory.MaxPage, Count: true})
	if err != nil {
		return err
	}
	x.siblings = slices.DeleteFunc(all.Items, func(s directory.Credential) bool { return s.ID == x.editing })
	t, err := x.Directory.LookupTenant(x, x.caller.TenantID)
	x.quota, x.registeredOnly = quota{all.Total, t.MaxCredentials}, t.RegisteredIssuersOnly
	return err
}

// readClusters reads those to choose from, and the one that was chosen.
func (x *exam) readClusters() (err error) {
	if x.clusters, err = x.clustersLike("", mostChoices); err != nil || x.Scenario != kubernetesScenario {
		return err
	}
	if parts := strings.Split(x.Cluster, "/"); len(parts) == 3 {
		switch k, err := x.Directory.Cluster(x, x.caller, directory.ClusterRef{SubscriptionID: parts[0], Group: parts[1], Name: parts[2]}); {
		case isNotFound(err) || isForbidden(err):
		case err != nil:
			return err
		case k.Issuer != nil:
			x.chosen = &k
		}
	}
	if x.chosen == nil {
		x.Cluster = ""
		return nil
	}
	// Another cluster's issuer was filled in before this one was chosen.
	if url := x.chosen.Issuer.URL; x.ClusterIssuer == "" || x.ClusterIssuer != url && slices.ContainsFunc(x.clusters, func(k directory.Cluster) bool { return k.Issuer.URL == x.ClusterIssuer }) {
		x.ClusterIssuer = url
	}
	return nil
}

// clusterValue names a cluster in the form.
func clusterValue(ref directory.ClusterRef) string {
	return ref.SubscriptionID + "/" + ref.Group + "/" + ref.Name
}

// readIssuers reads the registered issuers and clusters that have the issuer's
// host: first the issuer itself, since a host can have more of them than are read.
func (x *exam) readIssuers() error {
	host := hostOf(x.issuer())
	if host == "" {
		return nil
	}
	for _, search := range []string{x.issuer(), host} {
		clusters, err := x.clustersLike(search, mostChoices)
		if err != nil {
			return err
		}
		x.likely = append(x.likely, clusters...)
		if !x.rights.Can(issuerAction+"read", "/") {
			continue
		}
		found, err := x.Directory.Issuers(x, x.caller, directory.Page{Limit: mostChoices, Search: search})
		if err != nil {
			return err
		}
		x.issuers = append(x.issuers, found.Items...)
	}
	return nil
}

// hostOf is the host of a URL that may be wrong in other ways.
func hostOf(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Hostname()
	}
	return ""
}

func (x *exam) checkLimit() {
	if x.editing == "" && x.quota.Used >= x.quota.Limit {
		x.note("form", finding{Level: bad, rule: true, Text: fmt.Sprintf("All %d credentials are used. Delete one first, or give the workload an identity of its own.", x.quota.Limit), To: &link{Text: "Show the credentials", To: x.path()}})
	}
}

// taken says whether another credential of the holder has a name.
func (x *exam) taken(name string) bool { return x.named(name) != nil }

func (x *exam) named(name string) *directory.Credential {
	for i, s := range x.siblings {
		if s.Name == name || x.isIdentity() && strings.EqualFold(s.Name, name) {
			return &x.siblings[i]
		}
	}
	return nil
}

func (x *exam) checkName() {
	if x.editing != "" {
		return // it stays
	}
	var offer *fix
	suggested := x.suggestName(x.taken)
	if suggested != "" && suggested != x.Name && credential.ValidateName(suggested, x.Kind) == nil {
		offer = mend("Use "+suggested, "name", suggested)
	}
	switch v, other := violation(credential.ValidateName(x.Name, x.Kind)), x.named(x.Name); {
	case x.Name == "":
		if offer != nil {
			x.note("name", finding{Level: hint, Text: "A name that says what it trusts:", Fix: offer})
		}
	case v != nil:
		if clean := cleanName(x.Name); clean != "" && credential.ValidateName(clean, x.Kind) == nil && !x.taken(clean) {
			offer = mend("Use "+clean, "name", clean)
		}
		x.note("name", finding{Level: bad, rule: true, Text: "The name " + v.Detail + ".", Fix: offer})
	case other != nil:
		x.note("name", finding{Level: bad, rule: true, Text: "There is a credential of this name already.", To: &link{Text: "Open " + other.Name, To: x.path(other.ID)}, Fix: offer})
	default:
		x.note("name", finding{Level: good, Text: "The name is free."})
	}
}

// cleanName is a name without what names cannot have.
func cleanName(name string) string {
	clean := strings.Trim(notInNames.ReplaceAllString(credential.Plain(name), "-"), "-")
	return strings.Trim(clean[:min(len(clean), credential.MaxName)], "-")
}

// violation is err as a broken rule; nil: it is none.
func violation(err error) *credential.Violation {
	v, _ := errors.AsType[*credential.Violation](err)
	return v
}

// checkPair looks for a credential that trusts the same, or nearly.
func (x *exam) checkPair() {
	issuer, subject := x.issuer(), x.subject()
	if issuer == "" || subject == "" {
		return
	}
	if i := slices.IndexFunc(x.siblings, func(s directory.Credential) bool { return s.Issuer == issuer && s.Subject == subject }); i >= 0 {
		s := x.siblings[i]
		x.note(x.subjectField(), finding{Level: bad, rule: true, Text: "The credential " + s.Name + " trusts this issuer and subject already.", To: &link{Text: "Open " + s.Name, To: x.path(s.ID)}})
		return
	}
	near, differences := nearest(x.siblings, issuer, subject)
	if !credential.Slips(differences) {
		return
	}
	for _, d := range differences {
		field := x.issuerField()
		if d.Field == credential.Subject {
			field = x.subjectField()
		}
		x.note(field, finding{Level: warn, Text: "The credential " + near.ID + " trusts nearly the same: " + d.HintFor("its "+string(d.Field), "this one") + ".", Fix: x.offerIssuer(d.Field, d.Want)})
	}
}

// offerIssuer puts another issuer into the form, or nothing if it is about
// another field or the issuer cannot be typed.
func (x *exam) offerIssuer(field credential.Field, value string) *fix {
	if field != credential.Issuer || x.Scenario == gitHubScenario || credential.ValidateIssuer(value) != nil {
		return nil
	}
	return mend("Use "+value, x.issuerField(), value)
}

// nearest is the credential that comes closest to an issuer and a subject. Its
// trust's id is its name.
func nearest(all []directory.Credential, issuer, subject string) (credential.Trust, []credential.Difference) {
	trusts := make([]credential.Trust, len(all))
	for i, s := range all {
		trusts[i] = credential.Trust{ID: s.Name, Issuer: s.Issuer, Subject: s.Subject, Audience: "-"}
	}
	return credential.Nearest(trusts, credential.Assertion{Issuer: issuer, Subject: subject, Audiences: []string{"-"}})
}

// compare says how an issuer differs from another one.
func compare(other, issuer string) []credential.Difference {
	_, d := nearest([]directory.Credential{{Spec: credential.Spec{Issuer: other, Subject: "-"}}}, issuer, "-")
	return d
}

func (x *exam) checkAudience() {
	if !x.EditAudience {
		return
	}
	usual := mend("Use "+credential.DefaultAudience, "audience", credential.DefaultAudience)
	s := credential.Spec{Name: "name", Issuer: "https://issuer.example/", Subject: "subject", Audiences: []string{x.Audience}}
	if v := violation(s.Validate(credential.Application)); v != nil {
		x.note("audience", finding{Level: bad, rule: true, Text: "The audience " + v.Detail + ".", Fix: usual})
		return
	}
	if x.Audience == credential.DefaultAudience {
		return
	}
	for _, k := range s.Cautions() {
		if k.Field == credential.Audiences {
			f := finding{Level: warn, Text: "The audience " + k.Detail + "."}
			if k.Plain != "" {
				f.Fix = mend("Use "+k.Plain, "audience", k.Plain)
			}
			x.note("audience", f)
		}
	}
	x.note("audience", finding{Level: warn, Text: "This is not the usual audience. Tokens must be asked for with exactly this one; SDKs and the webhook ask for " + credential.DefaultAudience + ".", Fix: usual})
}

func (x *exam) checkDescription() {
	s := credential.Spec{Name: "name", Issuer: "https://issuer.example/", Subject: "subject", Audiences: []string{"-"}, Description: x.spec(x.Kind).Description}
	if v := violation(s.Validate(credential.Application)); v != nil {
		x.note("description", finding{Level: bad, rule: true, Text: "The description " + v.Detail + "."})
	}
}

// liveView is the answer to the script: what was found, and what the fields say now.
type liveView struct {
	Fields     []liveField
	Made       []part // fields that others fill in
	Namespaces []string
	Accounts   []string
	Cluster    bool
	Pending    bool // ask once more, for what the issuer says
	Status     string
}

type liveField struct {
	Name  string
	Found []finding
}

// liveCheck looks at a form while it is filled in.
func (c *call) liveCheck() error {
	h, err := c.holder(func(name string) string { return c.form.Get("of-" + name) })
	if err != nil {
		return err
	}
	if may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent()); err != nil || !may {
		return errorOr(err, h.refusal())
	}
	x, err := c.examine(h, readTyped(c.form.Get), c.field("of-credential"), c.field("ask") != "")
	if err != nil {
		return err
	}
	v := liveView{Namespaces: x.namespaces, Accounts: x.accounts, Cluster: x.reporter != nil, Pending: x.pending, Status: x.status()}
	for _, name := range checkedFields {
		v.Fields = append(v.Fields, liveField{name, x.found[name]})
	}
	if !x.EditSubject && x.Scenario != otherScenario {
		v.Made = append(v.Made, part{"subject", x.Subject})
	}
	if x.chosen != nil {
		v.Made = append(v.Made, part{"cluster-issuer", x.ClusterIssuer})
	}
	return c.fragment("blade", "live", v)
}

// status sums up what was found, for those who do not see it.
func (x *exam) status() string {
	count := map[level]int{}
	for _, all := range x.found {
		for _, f := range all {
			count[f.Level]++
		}
	}
	var parts []string
	for _, l := range []struct {
		level     level
		one, many string
	}{{bad, "1 thing is wrong", "%d things are wrong"}, {warn, "1 thing to look at again", "%d things to look at again"}} {
		switch n := count[l.level]; {
		case n == 1:
			parts = append(parts, l.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf(l.many, n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + "."
}
