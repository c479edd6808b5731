package portal

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// checkServiceAccount looks at a namespace and a service account, and whether
// the cluster has reported them.
func (x *exam) checkServiceAccount() error {
	x.reporter = x.chosen
	if x.reporter == nil {
		x.reporter = x.onlyCluster(x.ClusterIssuer)
	}
	if x.EditSubject {
		return x.readInventory()
	}
	sound := x.checkKubernetesName("namespace", "namespace", x.Namespace, func(s string) bool {
		_, _, ok := credential.ParseServiceAccountSubject(credential.ServiceAccountSubject(s, "a"))
		return ok
	}) && x.checkKubernetesName("account", "service account", x.Account, func(s string) bool {
		_, _, ok := credential.ParseServiceAccountSubject(credential.ServiceAccountSubject("a", s))
		return ok
	})
	if x.Account == "default" {
		x.note("account", finding{Level: warn, Text: "Every pod of the namespace that names no service account has this one, and could sign in too. A service account of its own is safer."})
	}
	if err := x.readInventory(); err != nil || !sound || x.reporter == nil || x.Namespace == "" || x.Account == "" {
		return err
	}
	return x.checkReported()
}

// checkKubernetesName looks at a name that Kubernetes must be able to have, and
// says whether it is one or empty.
func (x *exam) checkKubernetesName(field, noun, value string, valid func(string) bool) bool {
	if value == "" || valid(value) {
		return true
	}
	f := finding{Level: warn, Text: "Kubernetes has no " + noun + " of this name: small letters, digits and - are what it has."}
	for _, better := range []string{credential.Plain(value), strings.ToLower(credential.Plain(value)), strings.ToLower(strings.Trim(notInNames.ReplaceAllString(credential.Plain(value), "-"), "-"))} {
		if better = strings.TrimSpace(better); better != value && valid(better) {
			f.Fix = mend("Use "+better, field, better)
			break
		}
	}
	if _, account, ok := strings.Cut(value, "/"); ok && field == "account" && valid(account) {
		f.Text, f.Fix = "The service account is named without its namespace.", mend("Use "+account, field, account)
	}
	x.note(field, f)
	return false
}

// onlyCluster is the registered cluster that has an issuer, if there is one and
// no other: whoever pastes the issuer has named it.
func (x *exam) onlyCluster(url string) (found *directory.Cluster) {
	for i := range x.likely {
		k := &x.likely[i]
		switch {
		case k.Issuer == nil || k.Issuer.URL != url:
		case found != nil && found.ClusterRef != k.ClusterRef:
			return nil
		default:
			found = k
		}
	}
	return found
}

// readInventory reads what there is to choose from in the cluster.
func (x *exam) readInventory() error {
	if x.reporter == nil {
		return nil
	}
	namespaces, _, err := x.Directory.Namespaces(x, x.caller, x.reporter.ClusterRef, directory.Page{Limit: mostChoices, Search: x.Namespace})
	if err != nil {
		return err
	}
	for _, n := range namespaces.Items {
		x.namespaces = append(x.namespaces, n.Name)
	}
	accounts, _, err := x.Directory.ServiceAccounts(x, x.caller, x.reporter.ClusterRef, x.Namespace, directory.Page{Limit: mostChoices, Search: x.Account})
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range accounts.Items {
		if !seen[a.Name] {
			seen[a.Name], x.accounts = true, append(x.accounts, a.Name)
		}
	}
	return nil
}

// checkReported says whether the cluster has the service account.
func (x *exam) checkReported() error {
	found, at, err := x.Directory.ServiceAccounts(x, x.caller, x.reporter.ClusterRef, x.Namespace, directory.Page{Limit: mostChoices, Search: x.Namespace + "/" + x.Account})
	if err != nil || at.IsZero() {
		return err
	}
	when := ago(x.Clock(), at)
	for _, a := range found.Items {
		if a.Name != x.Account {
			continue
		}
		switch {
		case a.ClientID == "":
			x.note("account", finding{Level: good, Text: "The cluster reported it " + when + ". It is not annotated with a client id yet."})
		case strings.EqualFold(a.ClientID, x.ClientID):
			x.note("account", finding{Level: good, Text: "The cluster reported it " + when + ", annotated with this " + x.noun() + "'s client id."})
		default:
			x.note("account", finding{Level: warn, Text: "The cluster reported it " + when + ", but annotated with another client id:", Code: a.ClientID})
		}
		return nil
	}
	f := finding{Level: warn, Text: fmt.Sprintf("The cluster reported its service accounts %s, and there was no %s/%s.", when, x.Namespace, x.Account)}
	// Somebody may have mixed up case or a letter: the one whose name begins alike.
	if len(x.accounts) == 1 {
		f.Fix = mend("Use "+x.accounts[0], "account", x.accounts[0])
	}
	x.note("account", f)
	return nil
}

var (
	gitHubOwner      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)
	gitHubRepository = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	digits           = regexp.MustCompile(`^[0-9]*$`)
)

// checkGitHub looks at the parts of a subject of GitHub Actions
// (https://docs.github.com/actions/reference/security/oidc).
func (x *exam) checkGitHub() {
	if x.EditSubject {
		return
	}
	if s := x.Organization; s != "" && !gitHubOwner.MatchString(s) {
		f := finding{Level: warn, Text: "GitHub has no organization of this name."}
		rest := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "github.com/"), "@")
		if owner, _, _ := strings.Cut(rest, "/"); gitHubOwner.MatchString(owner) {
			f.Fix = mend("Use "+owner, "organization", owner)
		}
		x.note("organization", f)
	}
	if s := x.Repository; s != "" && !gitHubRepository.MatchString(s) {
		f := finding{Level: warn, Text: "The repository is named without its owner, and without an address."}
		if name := strings.TrimSuffix(s[strings.LastIndexByte(s, '/')+1:], ".git"); gitHubRepository.MatchString(name) {
			f.Fix = mend("Use "+name, "repository", name)
		}
		x.note("repository", f)
	}
	for _, id := range []struct{ field, value, of string }{{"organization-id", x.OrganizationID, "organization"}, {"repository-id", x.RepositoryID, "repository"}} {
		if !digits.MatchString(id.value) {
			x.note(id.field, finding{Level: warn, Text: "The id of an " + id.of + " is a number."})
		}
	}
	if (x.OrganizationID == "") != (x.RepositoryID == "") {
		x.note("repository-id", finding{Level: warn, Text: "A subject has both ids or neither."})
	}
	switch x.Entity {
	case environmentEntity:
		if x.Environment != "" {
			x.note("environment", finding{Level: hint, Text: "Only jobs that say environment: " + x.Environment + " have this subject, whatever their branch."})
		}
	case branchEntity:
		x.checkRef("branch", x.Branch, "refs/heads/", "A job that names an environment has the environment in its subject, and not the branch.")
	case tagEntity:
		x.checkRef("tag", x.Tag, "refs/tags/", "")
	case pullRequestEntity:
		x.note("entity", finding{Level: warn, Text: "Every pull request of the repository has this one subject, whoever opened it and whatever it changes."})
	}
}

// checkRef looks at a branch or tag, which stands in the subject without refs/….
func (x *exam) checkRef(field, value, prefix, more string) {
	switch name, long := strings.CutPrefix(value, prefix); {
	case value == "":
	case long:
		x.note(field, finding{Level: warn, Text: prefix + " is put before it anyway.", Fix: mend("Use "+name, field, name)})
	case strings.Contains(value, "*"):
		x.note(field, finding{Level: warn, Text: "* stands for itself and is no wildcard: one credential trusts one " + field + "."})
	case more != "":
		x.note(field, finding{Level: hint, Text: more})
	}
}

// checkGitLab looks at the parts of a subject of GitLab CI/CD
// (https://docs.gitlab.com/ci/secrets/id_token_authentication/).
func (x *exam) checkGitLab() {
	if s := x.Project; !x.EditSubject && s != "" {
		path := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(s, strings.TrimRight(x.GitLab, "/")), ".git"), "/")
		switch {
		case !strings.Contains(path, "/"):
			x.note("project", finding{Level: warn, Text: "The path of a project begins with its group: group/project."})
		case path != s:
			x.note("project", finding{Level: warn, Text: "The path of a project stands here without an address and slashes around it.", Fix: mend("Use "+path, "project", path)})
		}
	}
	if !x.EditSubject {
		prefix := "refs/heads/"
		if x.RefType == tagEntity {
			prefix = "refs/tags/"
		}
		if name, long := strings.CutPrefix(x.Ref, prefix); long {
			x.note("ref", finding{Level: warn, Text: "GitLab's subjects have it without " + prefix + ".", Fix: mend("Use "+name, "ref", name)})
		} else if strings.Contains(x.Ref, "*") {
			x.note("ref", finding{Level: warn, Text: "* stands for itself and is no wildcard: one credential trusts one " + x.RefType + "."})
		}
	}
	if !x.EditAudience {
		x.note("audience", finding{Level: hint, Text: "The job has to ask for this audience: id_tokens: … aud: " + credential.DefaultAudience})
	}
}

// checkSubject looks at the whole subject.
func (x *exam) checkSubject() {
	field, subject := x.subjectField(), x.subject()
	if subject == "" {
		return
	}
	s := credential.Spec{Name: "name", Issuer: "https://issuer.example/", Subject: subject, Audiences: []string{"-"}}
	if v := violation(s.Validate(credential.Application)); v != nil {
		x.note(field, finding{Level: bad, rule: true, Text: "The subject " + v.Detail + "."})
		return
	}
	written := x.Scenario == otherScenario || x.EditSubject
	for _, k := range s.Cautions() {
		if k.Field != credential.Subject || !written && k.Plain == "" {
			continue // of what is made of other fields, those say it
		}
		f := finding{Level: warn, Text: "The subject " + k.Detail + "."}
		if k.Plain != "" && written {
			f.Fix = mend("Use "+k.Plain, field, k.Plain)
		}
		x.note(field, f)
	}
	if !written {
		return
	}
	for _, slip := range []struct{ wrong, right, text string }{
		{":pull-request", ":pull_request", "GitHub writes pull_request with an underscore."},
		{":environment/", ":environment:", "GitHub writes a colon between environment and its name."},
	} {
		if strings.HasPrefix(subject, "repo:") && strings.Contains(subject, slip.wrong) {
			better := strings.Replace(subject, slip.wrong, slip.right, 1)
			x.note(field, finding{Level: warn, Text: slip.text, Fix: mend("Use "+better, field, better)})
		}
	}
	// A service account in another case is what people paste.
	if lower := strings.ToLower(subject); lower != subject {
		if _, _, ok := credential.ParseServiceAccountSubject(lower); ok {
			x.note(field, finding{Level: warn, Text: "Service accounts are in small letters.", Fix: mend("Use "+lower, field, lower)})
		}
	}
}
