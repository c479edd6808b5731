package portal

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// The blade is the form of one credential, for a new one and for one that is
// there. What a press of its buttons does is in the button: "save" writes,
// "check" looks without writing, and a fix changes a field and looks.

// checkedFields are the fields that have room for findings.
var checkedFields = []string{
	"form", "cluster-issuer", "namespace", "account", "github-issuer", "organization", "repository", "organization-id", "repository-id", "entity",
	"environment", "branch", "tag", "gitlab", "project", "ref", "issuer", "other-subject", "subject", "name", "description", "audience",
}

// checked is a field with what was found of it.
type checked struct {
	Field field
	Found []finding
}

type bladeView struct {
	Action, Back, Live string
	Holder             string
	Parts              []part // that name the holder for the script
	Editing            string // id of the credential
	Identity           bool
	Errors             []string
	Found              []finding // of the whole form
	Fields             map[string]checked

	Scenario, Cluster, Entity, RefType choice
	Clusters                           bool // there are some to choose from
	GitHubFound, EntityFound           []finding
	EditSubject, EditAudience          bool

	Full  bool
	Quota quota

	Credential *trustedCredential // that is there
	Created    time.Time
	Updated    time.Time
	Text       string
	SignIns    string
}

// newCredential is the empty form, or one that a link has filled in.
func (c *call) newCredential() error {
	h, err := c.writableHolder()
	if err != nil {
		return err
	}
	f := readTyped(c.query)
	if subject := c.query("subject"); subject != "" && c.query("scenario") == "" {
		// From a token that was refused: its issuer, subject and audience, and no scenario.
		f = recognise(credential.Spec{Issuer: c.query("issuer"), Subject: subject, Audiences: []string{cmp.Or(c.query("audience"), credential.DefaultAudience)}})
	}
	x, err := c.examine(h, f, "", false)
	if err != nil {
		return err
	}
	return c.showBlade(x, nil, 0)
}

// writableHolder is the holder of the page's path, for those who may write its credentials.
func (c *call) writableHolder() (holder, error) {
	h, err := c.holder(c.value)
	if err != nil {
		return h, err
	}
	if may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent()); err != nil || !may {
		return h, errorOr(err, h.refusal())
	}
	return h, nil
}

func (c *call) addCredential() error {
	h, err := c.writableHolder()
	if err != nil {
		return err
	}
	f := readTyped(c.form.Get)
	if again, err := c.pressed(h, f, ""); again {
		return err
	}
	x, err := c.examine(h, f, "", false)
	if err != nil {
		return err
	}
	if missing := x.missing(); len(missing) > 0 {
		return c.showBlade(x, x.broken(missing), http.StatusUnprocessableEntity)
	}
	added, err := c.Directory.AddCredential(c, c.caller, h.parent(), x.spec(h.Kind))
	if err != nil {
		return c.showRefused(x, err)
	}
	return c.redirect(done(h.path(added.ID, "text"), "added"))
}

// credential is one that is there: its form, or for those who may not change it
// what it says.
func (c *call) credential() error {
	h, t, err := c.findCredential()
	if err != nil {
		return err
	}
	may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent())
	if err != nil {
		return err
	}
	if !may {
		return c.showCredential(h, t)
	}
	f := recognise(t.spec())
	if f.Scenario == kubernetesScenario && t.Cluster != "" {
		f.Cluster = clusterValue(t.cluster)
	}
	x, err := c.examine(h, f, t.ID, false)
	if err != nil {
		return err
	}
	return c.showBlade(x, nil, 0)
}

func (c *call) updateCredential() error {
	h, err := c.writableHolder()
	if err != nil {
		return err
	}
	_, t, err := c.findCredential()
	if err != nil {
		return err
	}
	f := readTyped(c.form.Get)
	f.Name = t.Name
	if again, err := c.pressed(h, f, t.ID); again {
		return err
	}
	x, err := c.examine(h, f, t.ID, false)
	if err != nil {
		return err
	}
	if missing := x.missing(); len(missing) > 0 {
		return c.showBlade(x, x.broken(missing), http.StatusUnprocessableEntity)
	}
	s := x.spec(h.Kind)
	e := directory.CredentialEdit{Issuer: &s.Issuer, Subject: &s.Subject, Audiences: &s.Audiences}
	if !h.isIdentity() {
		e.Description = &s.Description
	}
	if _, _, err := c.Directory.UpdateCredential(c, c.caller, h.parent(), t.ID, e, false); err != nil {
		return c.showRefused(x, err)
	}
	return c.redirect(done(h.path(t.ID), "updated"))
}

// pressed answers the buttons that write nothing.
func (c *call) pressed(h holder, f typed, editing string) (was bool, err error) {
	fix := c.form.Get("fix")
	if fix == "" && c.form.Get("do") != "check" {
		return false, nil
	}
	if fix != "" {
		f.apply(fix)
	}
	x, err := c.examine(h, f, editing, true)
	if err != nil {
		return true, err
	}
	return true, c.showBlade(x, nil, 0)
}

// missing are the fields that are empty and must not be, with what to do.
func (x *exam) missing() map[string]string {
	need := map[string]string{}
	want := func(field, value, text string) {
		if value == "" {
			need[field] = text
		}
	}
	switch x.Scenario {
	case kubernetesScenario:
		want("cluster-issuer", x.ClusterIssuer, "Give the cluster's issuer URL.")
		if !x.EditSubject {
			want("namespace", x.Namespace, "Give the namespace.")
			want("account", x.Account, "Give the service account's name.")
		}
	case gitHubScenario:
		if !x.EditSubject {
			want("organization", x.Organization, "Give the organization, or the user who owns the repository.")
			want("repository", x.Repository, "Give the repository's name.")
			switch x.Entity {
			case environmentEntity:
				want("environment", x.Environment, "Give the environment's name.")
			case branchEntity:
				want("branch", x.Branch, "Give the branch's name.")
			case tagEntity:
				want("tag", x.Tag, "Give the tag's name.")
			}
		}
	case gitLabScenario:
		want("gitlab", x.GitLab, "Give the URL of the GitLab instance.")
		if !x.EditSubject {
			want("project", x.Project, "Give the project's path.")
			want("ref", x.Ref, "Give the name of the branch or tag.")
		}
	default:
		want("issuer", x.OtherIssuer, "Give the issuer's URL.")
		want("other-subject", x.OtherSubject, "Give the subject identifier.")
	}
	if x.EditSubject {
		want("subject", x.Subject, "Give the subject identifier, or untick its box.")
	}
	want("name", x.Name, "Give the credential a name.")
	if x.EditAudience {
		want("audience", x.Audience, "Give the audience, or untick its box.")
	}
	return need
}

// showRefused shows the form again, with what the directory had against it at the
// field that it is about.
func (c *call) showRefused(x *exam, err error) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return err
	}
	status, field, text := http.StatusConflict, "", ""
	switch {
	case e.Kind == directory.Invalid:
		status = http.StatusUnprocessableEntity
		field, text = x.fieldOf(e.Field), sentence(e.Error())
		if v := violation(e.Err); v != nil {
			text = "The " + strings.TrimSuffix(string(v.Field), "s") + " " + v.Detail + "."
		}
	case e.Kind == directory.Exists && e.Field == "name":
		field, text = "name", "There is a credential of this name already."
	case e.Kind == directory.Exists:
		field, text = x.subjectField(), "Another credential of this "+x.noun()+" trusts this issuer and subject already."
	case e.Kind == directory.LimitReached:
		text = fmt.Sprintf("All %d credentials are used. Delete one first, or give the workload an identity of its own.", e.Limit)
	default:
		return err
	}
	if field == "" {
		field = "form"
	}
	wrong := map[string]string{field: text}
	if e.Kind == directory.Invalid { // the directory says one thing; here are the others
		wrong = x.broken(wrong)
	}
	return c.showBlade(x, wrong, status)
}

// broken adds the rules that fields break to what is wrong with others.
func (x *exam) broken(wrong map[string]string) map[string]string {
	for name, found := range x.found {
		if i := slices.IndexFunc(found, func(f finding) bool { return f.rule }); i >= 0 && wrong[name] == "" {
			wrong[name] = found[i].Text
		}
	}
	return wrong
}

// fieldOf is the form's field of a property of a credential.
func (x *exam) fieldOf(property string) string {
	switch credential.Field(property) {
	case credential.Issuer:
		return x.issuerField()
	case credential.Subject:
		return x.subjectField()
	case credential.Audiences:
		return "audience"
	}
	return property
}

// showBlade shows the form with what was found; wrong are texts for fields that
// are why it was refused.
func (c *call) showBlade(x *exam, wrong map[string]string, status int) error {
	h := x.holder
	v := bladeView{
		Action: h.path("new"), Back: h.path(), Live: liveCheckPath, Holder: h.DisplayName, Parts: h.parts(), Editing: x.editing, Identity: h.isIdentity(),
		Quota: x.quota, EditSubject: x.EditSubject, EditAudience: x.EditAudience, Clusters: len(x.clusters) > 0,
		Full:     x.editing == "" && x.quota.Used >= x.quota.Limit && status == 0,
		Scenario: choice{Name: "scenario", Label: "Federated credential scenario", Value: x.Scenario, Options: scenarios, Required: true},
		Entity:   choice{Name: "entity", Label: "Entity type", Value: x.Entity, Options: entities, Required: true},
		RefType:  choice{Name: "ref-type", Label: "Ref type", Value: x.RefType, Options: gitLabRefs, Required: true},
		Cluster:  x.clusterChoice(),
		Fields:   map[string]checked{},
		Errors:   errorsOf(wrong),
	}
	v.Found, v.GitHubFound, v.EntityFound = x.found["form"], x.found["github-issuer"], x.found["entity"]
	if wrong["form"] != "" {
		v.Found = nil
	}
	for _, f := range x.fields() {
		f.Error = wrong[f.Name]
		v.Fields[f.Name] = checked{f, remaining(x.found[f.Name], f.Error)}
	}
	p := page{template: "blade", title: "Add a credential", trail: h.trail(), status: status}
	if x.editing != "" {
		_, t, err := c.findCredential()
		if err != nil {
			return err
		}
		f, err := c.Directory.Credential(c, c.caller, h.parent(), t.ID)
		if err != nil {
			return err
		}
		v.Credential, v.Created, v.Updated, v.Action, v.Text = &t, f.CreatedAt, f.UpdatedAt, t.Open, h.path(t.ID, "text")
		if v.SignIns = c.signInsPath(h.ClientID); v.SignIns != "" {
			v.SignIns += "&credential=" + t.ID
		}
		p.title, p.above = t.Name, "Federated credential"
		p.done = map[string]string{"updated": "The credential was changed. It counts as it is now from the next request on."}[c.query("done")]
	}
	return c.show(p, v)
}

// remaining are the findings of a field that an error above them does not say already.
func remaining(found []finding, wrong string) []finding {
	if wrong == "" {
		return found
	}
	var out []finding
	for _, f := range found {
		if f.Level == good || f.rule && f.Fix == nil && f.To == nil {
			continue
		}
		if f.rule {
			f.Level, f.Text = hint, "This would do:"
			if f.Fix == nil {
				f.Text = "It is here:"
			}
		}
		out = append(out, f)
	}
	return out
}

// errorsOf lists what is wrong in the order of the form.
func errorsOf(wrong map[string]string) (all []string) {
	for _, name := range checkedFields {
		if wrong[name] != "" {
			all = append(all, wrong[name])
		}
	}
	return all
}

// clusterChoice is the drop-down of the clusters that can be chosen, with the
// chosen one.
func (x *exam) clusterChoice() choice {
	options := []option{{"", "Not registered here"}}
	add := func(k directory.Cluster) {
		o := option{clusterValue(k.ClusterRef), k.Name + " (" + k.Group + ")"}
		if !slices.Contains(options, o) {
			options = append(options, o)
		}
	}
	for _, k := range x.clusters {
		add(k)
	}
	k := choice{Name: "cluster", Label: "Cluster", Hint: "A registered cluster, whose issuer is filled in. Or leave it and give the issuer below."}
	if x.chosen != nil {
		add(*x.chosen)
		k.Value = clusterValue(x.chosen.ClusterRef)
	}
	k.Options = options
	return k
}

// fields are the form's, with what is typed.
func (x *exam) fields() []field {
	subjectHint := "This value is generated from the details above. Tick the box to write it yourself."
	all := []field{
		{Name: "cluster-issuer", Label: "Cluster issuer URL", Value: x.ClusterIssuer, Placeholder: "Service account issuer URL", Max: credential.MaxIssuer, Required: true, Hint: "Exactly as in the cluster's tokens: kubectl get --raw " + discoveryPath},
		{Name: "namespace", Label: "Namespace", Value: x.Namespace, Placeholder: "Namespace", Required: true, Options: x.namespaces},
		{Name: "account", Label: "Service account name", Value: x.Account, Placeholder: "Service account name", Required: true, Options: x.accounts},
		{Name: "organization", Label: "Organization", Value: x.Organization, Placeholder: "Organization or user", Required: true},
		{Name: "organization-id", Label: "Organization id", Value: x.OrganizationID, Placeholder: "A number"},
		{Name: "repository", Label: "Repository", Value: x.Repository, Placeholder: "Repository", Required: true},
		{Name: "repository-id", Label: "Repository id", Value: x.RepositoryID, Placeholder: "A number"},
		{Name: "environment", Label: "GitHub environment name", Value: x.Environment, Required: true},
		{Name: "branch", Label: "GitHub branch name", Value: x.Branch, Placeholder: "main", Required: true},
		{Name: "tag", Label: "GitHub tag name", Value: x.Tag, Placeholder: "v1.0.0", Required: true},
		{Name: "gitlab", Label: "GitLab URL", Value: x.GitLab, Max: credential.MaxIssuer, Required: true},
		{Name: "project", Label: "Project", Value: x.Project, Placeholder: "group/project", Required: true},
		{Name: "ref", Label: "Branch or tag name", Value: x.Ref, Placeholder: "main", Required: true},
		{Name: "issuer", Label: "Issuer", Value: x.OtherIssuer, Placeholder: "https://", Max: credential.MaxIssuer, Required: true, Hint: "Exactly the iss of its tokens."},
		{Name: "other-subject", Label: "Subject identifier", Value: x.OtherSubject, Max: credential.MaxSubject, Required: true, Hint: "Exactly the sub of its tokens."},
		{Name: "subject", Label: "Subject identifier", Value: x.Subject, Placeholder: x.subjectForm(), Max: credential.MaxSubject, ReadOnly: !x.EditSubject, Hint: subjectHint},
		{Name: "name", Label: "Name", Value: x.Name, Max: credential.MaxName, Required: true, Hint: "It cannot be changed later."},
		{Name: "description", Label: "Description", Value: x.Description, Lines: 2, Max: credential.MaxDescription},
		{Name: "audience", Label: "Audience", Value: x.Audience, Max: credential.MaxAudience, ReadOnly: !x.EditAudience},
	}
	if x.editing != "" {
		i := slices.IndexFunc(all, func(f field) bool { return f.Name == "name" })
		all[i].ReadOnly, all[i].Required, all[i].Hint = true, false, "It cannot be changed."
	}
	return all
}

// subjectForm shows what a subject of the scenario looks like.
func (x *exam) subjectForm() string {
	switch x.Scenario {
	case gitHubScenario:
		return "repo:<organization>/<repository>:<entity>"
	case gitLabScenario:
		return "project_path:<group>/<project>:ref_type:<type>:ref:<name>"
	}
	return "system:serviceaccount:<namespace>:<serviceaccount>"
}
