package portal

import (
	"regexp"
	"strings"

	"github.com/entente-id/entente/internal/credential"
)

// The scenarios of a federated credential: where its tokens come from.
const (
	kubernetesScenario = "kubernetes"
	gitHubScenario     = "github"
	gitLabScenario     = "gitlab"
	otherScenario      = "other"
)

var scenarios = []option{
	{kubernetesScenario, "Kubernetes accessing Azure resources"},
	{gitHubScenario, "GitHub Actions deploying Azure resources"},
	{gitLabScenario, "GitLab CI/CD deploying Azure resources"},
	{otherScenario, "Other issuer"},
}

// The issuers of tokens of GitHub Actions and of gitlab.com
// (https://docs.github.com/actions/concepts/security/openid-connect,
// https://docs.gitlab.com/ci/secrets/id_token_authentication/).
const (
	gitHubIssuer = "https://token.actions.githubusercontent.com"
	gitLabIssuer = "https://gitlab.com"
)

// What a job of GitHub Actions can run for.
const (
	environmentEntity = "environment"
	branchEntity      = "branch"
	pullRequestEntity = "pull_request"
	tagEntity         = "tag"
)

var entities = []option{
	{environmentEntity, "Environment"},
	{branchEntity, "Branch"},
	{pullRequestEntity, "Pull request"},
	{tagEntity, "Tag"},
}

var gitLabRefs = []option{{branchEntity, "Branch"}, {tagEntity, "Tag"}}

// typed is the form of a credential as somebody filled it in. The fields of
// scenarios that are not chosen mean nothing.
type typed struct {
	Scenario string

	Cluster, ClusterIssuer, Namespace, Account string

	Organization, OrganizationID, Repository, RepositoryID string
	Entity, Environment, Branch, Tag                       string

	GitLab, Project, RefType, Ref string

	OtherIssuer, OtherSubject string

	EditSubject bool // else Subject is made of the fields of the scenario
	Subject     string

	Name, Description string
	EditAudience      bool // else Audience is the usual one
	Audience          string
}

// lines are the fields of one line or more by their names in the form.
func (f *typed) lines() map[string]*string {
	return map[string]*string{
		"scenario": &f.Scenario,
		"cluster":  &f.Cluster, "cluster-issuer": &f.ClusterIssuer, "namespace": &f.Namespace, "account": &f.Account,
		"organization": &f.Organization, "organization-id": &f.OrganizationID, "repository": &f.Repository, "repository-id": &f.RepositoryID,
		"entity": &f.Entity, "environment": &f.Environment, "branch": &f.Branch, "tag": &f.Tag,
		"gitlab": &f.GitLab, "project": &f.Project, "ref-type": &f.RefType, "ref": &f.Ref,
		"issuer": &f.OtherIssuer, "other-subject": &f.OtherSubject,
		"subject": &f.Subject, "name": &f.Name, "description": &f.Description, "audience": &f.Audience,
	}
}

// readTyped reads the form from whatever knows a field by its name.
func readTyped(get func(string) string) typed {
	var f typed
	for name, line := range f.lines() {
		*line = strings.TrimSpace(get(name))
	}
	f.EditSubject, f.EditAudience = get("edit-subject") != "", get("edit-audience") != ""
	f.Description = strings.ReplaceAll(f.Description, "\r\n", "\n")
	f.settle()
	return f
}

// settle puts what a form starts with where nothing possible was chosen.
func (f *typed) settle() {
	choose := func(line *string, from []option) {
		for _, o := range from {
			if o.Value == *line {
				return
			}
		}
		*line = from[0].Value
	}
	choose(&f.Scenario, scenarios)
	choose(&f.Entity, entities)
	choose(&f.RefType, gitLabRefs)
	if f.Scenario != gitLabScenario && f.GitLab == "" {
		f.GitLab = gitLabIssuer
	}
	if !f.EditAudience {
		f.Audience = credential.DefaultAudience
	}
	if f.Scenario == otherScenario {
		f.EditSubject = false
	}
	if !f.EditSubject {
		f.Subject = f.made()
	}
}

// apply is the press of a button that mends a field; what is "field=value".
func (f *typed) apply(what string) {
	name, value, _ := strings.Cut(what, "=")
	if line, ok := f.lines()[name]; ok {
		*line = value
		f.settle()
	}
}

// issuerField is the field that holds the issuer.
func (f typed) issuerField() string {
	switch f.Scenario {
	case kubernetesScenario:
		return "cluster-issuer"
	case gitHubScenario:
		return "github-issuer" // no field: it is always the same
	case gitLabScenario:
		return "gitlab"
	}
	return "issuer"
}

// subjectField is the field that shows the subject.
func (f typed) subjectField() string {
	if f.Scenario == otherScenario {
		return "other-subject"
	}
	return "subject"
}

func (f typed) issuer() string {
	switch f.Scenario {
	case kubernetesScenario:
		return f.ClusterIssuer
	case gitHubScenario:
		return gitHubIssuer
	case gitLabScenario:
		return f.GitLab
	}
	return f.OtherIssuer
}

func (f typed) subject() string {
	if f.Scenario == otherScenario {
		return f.OtherSubject
	}
	return f.Subject
}

// made is the subject that the fields of the scenario make, or "" while one is empty.
func (f typed) made() string {
	switch f.Scenario {
	case kubernetesScenario:
		if f.Namespace != "" && f.Account != "" {
			return credential.ServiceAccountSubject(f.Namespace, f.Account)
		}
	case gitHubScenario:
		if of := f.gitHubEntity(); of != "" && f.Organization != "" && f.Repository != "" {
			return "repo:" + withID(f.Organization, f.OrganizationID) + "/" + withID(f.Repository, f.RepositoryID) + ":" + of
		}
	case gitLabScenario:
		if f.Project != "" && f.Ref != "" {
			return "project_path:" + f.Project + ":ref_type:" + f.RefType + ":ref:" + f.Ref
		}
	}
	return ""
}

// withID is a name as GitHub writes it in subjects that stay with one owner or
// repository even if another gets its name
// (https://docs.github.com/actions/reference/security/oidc).
func withID(name, id string) string {
	if id == "" {
		return name
	}
	return name + "@" + id
}

// gitHubEntity is the end of a subject of GitHub Actions.
func (f typed) gitHubEntity() string {
	switch f.Entity {
	case environmentEntity:
		if f.Environment != "" {
			return "environment:" + strings.ReplaceAll(f.Environment, ":", "%3A") // a colon would end the name
		}
	case branchEntity:
		if f.Branch != "" {
			return "ref:refs/heads/" + f.Branch
		}
	case tagEntity:
		if f.Tag != "" {
			return "ref:refs/tags/" + f.Tag
		}
	case pullRequestEntity:
		return "pull_request"
	}
	return ""
}

// spec is the credential that the form describes.
func (f typed) spec(kind credential.ParentKind) credential.Spec {
	s := credential.Spec{Name: f.Name, Issuer: f.issuer(), Subject: f.subject(), Description: f.Description, Audiences: []string{f.Audience}}
	if kind == credential.ManagedIdentity {
		s.Description = "" // Resource Manager has none
	}
	return s
}

var (
	gitHubSubject = regexp.MustCompile(`^repo:([^/:@]+)(?:@(\d+))?/([^/:@]+)(?:@(\d+))?:(.+)$`)
	gitLabSubject = regexp.MustCompile(`^project_path:([^:]+/[^:]+):ref_type:(branch|tag):ref:(.+)$`)
)

// recognise is the form that makes a credential. Its scenario is the one whose
// fields make the very subject, or else the one without such fields.
func recognise(s credential.Spec) typed {
	f := typed{Name: s.Name, Description: s.Description}
	if len(s.Audiences) > 0 {
		f.Audience = s.Audiences[0]
		f.EditAudience = f.Audience != credential.DefaultAudience
	}
	as := f
	if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
		as.Scenario, as.ClusterIssuer, as.Namespace, as.Account = kubernetesScenario, s.Issuer, namespace, name
	} else if m := gitHubSubject.FindStringSubmatch(s.Subject); m != nil && s.Issuer == gitHubIssuer {
		as.Scenario, as.Organization, as.OrganizationID, as.Repository, as.RepositoryID = gitHubScenario, m[1], m[2], m[3], m[4]
		as.recogniseEntity(m[5])
	} else if m := gitLabSubject.FindStringSubmatch(s.Subject); m != nil {
		as.Scenario, as.GitLab, as.Project, as.RefType, as.Ref = gitLabScenario, s.Issuer, m[1], m[2], m[3]
	}
	if as.settle(); as.issuer() == s.Issuer && as.subject() == s.Subject {
		return as
	}
	f.Scenario, f.OtherIssuer, f.OtherSubject = otherScenario, s.Issuer, s.Subject
	f.settle()
	return f
}

func (f *typed) recogniseEntity(of string) {
	if name, ok := strings.CutPrefix(of, "environment:"); ok {
		f.Entity, f.Environment = environmentEntity, strings.ReplaceAll(name, "%3A", ":")
	} else if name, ok := strings.CutPrefix(of, "ref:refs/heads/"); ok {
		f.Entity, f.Branch = branchEntity, name
	} else if name, ok := strings.CutPrefix(of, "ref:refs/tags/"); ok {
		f.Entity, f.Tag = tagEntity, name
	} else if of == "pull_request" {
		f.Entity = pullRequestEntity
	}
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// suggestName is a name that says what is trusted and that is not taken; "" while
// too little is known.
func (f typed) suggestName(taken func(string) bool) string {
	var said string
	switch f.Scenario {
	case kubernetesScenario:
		if f.Namespace != "" && f.Account != "" {
			said = f.Namespace + "-" + f.Account
		}
	case gitHubScenario:
		if f.made() != "" {
			said = f.Repository + "-" + map[string]string{environmentEntity: f.Environment, branchEntity: f.Branch, tagEntity: f.Tag, pullRequestEntity: "pull-requests"}[f.Entity]
		}
	case gitLabScenario:
		if f.made() != "" {
			said = f.Project[strings.LastIndexByte(f.Project, '/')+1:] + "-" + f.Ref
		}
	default:
		said = credential.Plain(f.OtherSubject)
		if namespace, name, ok := credential.ParseServiceAccountSubject(said); ok {
			said = namespace + "-" + name
		}
	}
	said = strings.Trim(notInNames.ReplaceAllString(said, "-"), "-")
	if said == "" {
		return ""
	}
	said = strings.TrimRight(said[:min(len(said), 100)], "-")
	if len(said) < 3 {
		said += "-workload"
	}
	name := said
	for n := 2; taken(name); n++ {
		name = said + "-" + string(rune('0'+n))
		if n == 9 {
			break
		}
	}
	return name
}
