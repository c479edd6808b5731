package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// gitHubIssuer is the issuer of the tokens of GitHub Actions
// (https://docs.github.com/actions/concepts/security/openid-connect).
const gitHubIssuer = "https://token.actions.githubusercontent.com"

// trustOptions are the flags that say whom a credential trusts about what.
type trustOptions struct {
	issuer, cluster, clusterGroup, subject, serviceAccount string
	github, branch, tag, environment                       string
	pullRequest                                            bool
}

func (o *trustOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer, exactly as in its tokens")
	f.StringVar(&o.cluster, "cluster", "", "`NAME` of a registered cluster, whose issuer is meant")
	f.StringVar(&o.clusterGroup, "cluster-resource-group", "", "`GROUP` of the cluster, where several have its name")
	f.StringVar(&o.subject, "subject", "", "`SUBJECT` exactly as in the tokens")
	f.StringVar(&o.serviceAccount, "service-account", "", "Kubernetes service account `NAMESPACE/NAME`, whose tokens are meant")
	f.StringVar(&o.github, "github", "", "`ORG/REPO` whose jobs of GitHub Actions are meant")
	f.StringVar(&o.branch, "branch", "", "with --github: jobs on this `BRANCH`")
	f.StringVar(&o.tag, "tag", "", "with --github: jobs on this `TAG`")
	f.StringVar(&o.environment, "environment", "", "with --github: jobs in this `ENVIRONMENT`")
	f.BoolVar(&o.pullRequest, "pull-request", false, "with --github: jobs of pull requests")
}

func (o *trustOptions) given() bool { return *o != trustOptions{} }

var gitHubRepository = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// gitHubSubject is the subject of a job
// (https://docs.github.com/actions/reference/security/oidc#example-subject-claims).
func (o *trustOptions) gitHubSubject() (string, error) {
	if !gitHubRepository.MatchString(o.github) {
		return "", usage(fmt.Errorf("--github: %q is not ORG/REPO", o.github))
	}
	all := []string{}
	if o.branch != "" {
		all = append(all, "ref:refs/heads/"+strings.TrimPrefix(o.branch, "refs/heads/"))
	}
	if o.tag != "" {
		all = append(all, "ref:refs/tags/"+strings.TrimPrefix(o.tag, "refs/tags/"))
	}
	if o.environment != "" {
		// Colons would end the name, so they are encoded there.
		all = append(all, "environment:"+strings.ReplaceAll(o.environment, ":", "%3A"))
	}
	if o.pullRequest {
		all = append(all, "pull_request")
	}
	if len(all) != 1 {
		return "", usage(errors.New("--github goes with one of --branch, --tag, --environment and --pull-request: each has another subject, and one credential trusts one"))
	}
	return "repo:" + o.github + ":" + all[0], nil
}

// subjectOf is the subject that the flags say, or "".
func (o *trustOptions) subjectOf() (string, error) {
	said := 0
	for _, flag := range []string{o.subject, o.serviceAccount, o.github} {
		if flag != "" {
			said++
		}
	}
	switch {
	case said > 1:
		return "", usage(errors.New("give one of --service-account, --github and --subject"))
	case o.github != "":
		return o.gitHubSubject()
	case o.branch != "" || o.tag != "" || o.environment != "" || o.pullRequest:
		return "", usage(errors.New("--branch, --tag, --environment and --pull-request go with --github"))
	case o.serviceAccount != "":
		namespace, name, _ := strings.Cut(o.serviceAccount, "/")
		subject := credential.ServiceAccountSubject(namespace, name)
		if _, _, ok := credential.ParseServiceAccountSubject(subject); !ok {
			for _, c := range (credential.Spec{Subject: o.serviceAccount}).Cautions() {
				if c.Plain != "" {
					return "", usage(hint(fmt.Errorf("--service-account %s %s", quote(o.serviceAccount), c.Detail), "it looks like --service-account %s", quote(c.Plain)))
				}
			}
			return "", usage(hint(fmt.Errorf("--service-account: %q is not NAMESPACE/NAME as Kubernetes has them", o.serviceAccount), "kubectl get serviceaccounts --all-namespaces lists them; both are in lower case"))
		}
		return subject, nil
	}
	return o.subject, nil
}

// issuerOf is the issuer that the flags say, or "".
func (o *trustOptions) issuerOf(ctx context.Context, s *session, subscription string) (string, error) {
	said := 0
	for _, yes := range []bool{o.issuer != "", o.cluster != "", o.github != ""} {
		if yes {
			said++
		}
	}
	switch {
	case said > 1 && !(o.github != "" && o.cluster == ""): // GitHub Enterprise has other issuers
		return "", usage(errors.New("give one of --issuer and --cluster"))
	case o.issuer != "":
		return o.issuer, nil
	case o.github != "":
		return gitHubIssuer, nil
	case o.cluster == "":
		return "", nil
	}
	subscription, err := s.subscriptionID(ctx, subscription)
	if err != nil {
		return "", err
	}
	all, err := s.client.Clusters(ctx, client.ResourceGroupID{SubscriptionID: subscription, Name: o.clusterGroup})
	if err != nil {
		return "", err
	}
	var found []client.Cluster
	var groups []string
	for _, c := range all {
		if strings.EqualFold(c.Name, o.cluster) {
			found = append(found, c)
			groups = append(groups, printable(c).ResourceGroup)
		}
	}
	switch {
	case len(found) == 0:
		return "", hint(notThere("there is no cluster %q", o.cluster), "entente cluster list shows those that there are")
	case len(found) > 1:
		return "", hint(fmt.Errorf("%d clusters are named %q, in %s", len(found), o.cluster, strings.Join(groups, ", ")), "--cluster-resource-group %s chooses one", quote(groups[0]))
	case found[0].Issuer == nil || found[0].Issuer.URL == "":
		return "", hint(fmt.Errorf("cluster %q has no issuer", o.cluster), "entente cluster register --help says how it gets one; of Azure Kubernetes Service: az aks update --enable-oidc-issuer")
	}
	return found[0].Issuer.URL, nil
}

// find is the credential with a name, or the one that trusts what the flags say.
func (o *trustOptions) find(cmd *cobra.Command, s *session, p ficParent, args []string) (client.FederatedCredential, error) {
	none := client.FederatedCredential{}
	if len(args) > 0 {
		if o.given() {
			return none, usage(errors.New("give either a name or what the credential trusts"))
		}
		c, err := p.get(cmd.Context(), s, args[0])
		if errors.Is(err, client.ErrNotFound) {
			err = hint(notThere("%s has no credential %q", p, args[0]), "entente federated-credential list %s shows those that there are", p.flag())
		}
		return c, err
	}
	subject, err := o.subjectOf()
	if err != nil {
		return none, err
	}
	issuer, err := o.issuerOf(cmd.Context(), s, "")
	if err != nil {
		return none, err
	}
	if issuer == "" || subject == "" {
		return none, usage(hint(errors.New("give the credential's name, or its issuer and its subject"), "%s --help has examples", cmd.CommandPath()))
	}
	all, err := p.list(cmd.Context(), s)
	if err != nil {
		return none, err
	}
	for _, c := range all {
		if c.Issuer == issuer && c.Subject == subject {
			return c, nil
		}
	}
	err = notThere("%s has no credential that trusts %s about %s", p, issuer, subject)
	if near, differences := nearestOf(all, issuer, subject); credential.Slips(differences) {
		return none, hint(err, "%q comes close: %s", near.Name, differences[0].HintFor("that one", "the one that was asked for"))
	}
	return none, hint(err, "entente federated-credential list %s shows those that there are", p.flag())
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// defaultName is a name that people recognise, and that nothing else gets: what the
// subject says, and eight digits of the hash of issuer and subject. It fits
// applications and managed identities.
func defaultName(issuer, subject string) string {
	said := subject
	if namespace, name, ok := credential.ParseServiceAccountSubject(subject); ok {
		said = namespace + "-" + name
	} else if rest, ok := strings.CutPrefix(subject, "repo:"); ok {
		said = strings.Replace(strings.Replace("github-"+rest, ":ref:refs/heads/", "-branch-", 1), ":ref:refs/tags/", "-tag-", 1)
	}
	said = strings.Trim(notInNames.ReplaceAllString(said, "-"), "-")
	said = strings.TrimRight(said[:min(len(said), 100)], "-")
	hash := sha256.Sum256([]byte(issuer + "\n" + subject))
	return strings.TrimLeft(said+"-"+hex.EncodeToString(hash[:4]), "-")
}
