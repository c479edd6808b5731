package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// 10. The credential that fits, or the one that comes nearest.
func (x *exam) checkCredential(ctx context.Context) {
	c := x.check(credentialCheck)
	switch {
	case x.parent == nil:
		c.skip("the credentials of the client are not known")
		return
	case x.issuer == "" || x.subject == "":
		c.skip("what the token says is not known")
		return
	}
	p, a := x.parent, x.assertion()
	i, miss := credential.Match(p.trusts(), a, x.manyAudiences())
	if miss == credential.Hit {
		x.hit = true
		c.pass(fmt.Sprintf("%q of the %s", p.credentials[i].Name, p), "")
		return
	}
	var differences []credential.Difference
	var f client.FederatedCredential
	if miss != credential.NoCredential {
		var nearest credential.Trust
		nearest, differences = credential.Nearest(p.trusts(), a)
		f = p.credentials[slices.IndexFunc(p.credentials, func(f client.FederatedCredential) bool { return f.Name == nearest.ID })]
		differences = slices.DeleteFunc(differences, func(d credential.Difference) bool {
			return x.manyAudiences() && slices.Equal(d.Reasons, []credential.Reason{credential.SeveralAudiences})
		})
		if g := x.wrongIssuer(differences); g != nil {
			c.find(*g)
			return
		}
		// With the same issuer and subject there can be no other credential.
		if len(differences) > 0 && (sameToTheEye(differences[0]) || differences[0].Field == credential.Audiences) {
			c.find(x.nearMiss(ctx, f, differences))
			return
		}
	}
	others, all := x.elsewhere(ctx)
	switch {
	case len(others) > 0 && ofAnotherCluster(differences):
		g := x.nearMiss(ctx, f, differences)
		g.Mends[0].When = fmt.Sprintf("it is to be the %s", x.parent)
		c.find(g.mend(x.move(others)...))
	case len(others) > 0:
		c.find(x.misplaced(others))
	case miss == credential.NoCredential:
		g := fault(NoCredential, fmt.Sprintf("the %s has no federated credential", p)).saw("none", x.wanted())
		c.find(x.rest(g.mend(Mend{Text: "add one for this workload", Commands: x.add(p)}), all))
	default:
		c.find(x.rest(x.nearMiss(ctx, f, differences), all))
	}
}

// wrongIssuer is the finding that the token's issuer is what is wrong, and not
// the credential's; nil: it is not so.
func (x *exam) wrongIssuer(differences []credential.Difference) *Finding {
	if len(differences) == 0 || differences[0].Field != credential.Issuer {
		return nil
	}
	if f := x.check(discoveryCheck).failed(); f != nil && f.Cause == IssuerNotEnabled {
		return new(unknown("no credential names the cluster's issuer; which one it should name can be told when the cluster has one that others can ask"))
	}
	a := x.assertion()
	a.Issuer = x.own
	if _, miss := credential.Match(x.parent.trusts(), a, x.manyAudiences()); x.own == "" || x.own == x.issuer || miss != credential.Hit {
		return nil
	}
	f := fault(TokenOfOtherCluster, "the credential fits the tokens that the cluster makes today, and not this one: it is of another cluster, or older than a change of the issuer").
		saw(x.issuer, x.own).mend(x.renew()...)
	f.Difference = differ(x.issuer, x.own, hintOn(x.issuer, x.own))
	return &f
}

// rest says that not every other client was looked at.
func (x *exam) rest(f Finding, all bool) Finding {
	if !all {
		f.Text += "; whether another client has one that fits could not be told of all clients"
	}
	return f
}

func (x *exam) wanted() string {
	return fmt.Sprintf("issuer %s, subject %s, audience %s", x.issuer, x.subject, strings.Join(x.audiences, ", "))
}

// misplaced is the finding that other clients have the credential.
func (x *exam) misplaced(others []*parent) Finding {
	f := fault(CredentialElsewhere, fmt.Sprintf("the %s has no credential for this workload, and the %s has; which of the two the workload is meant to be cannot be told", x.parent, others[0])).
		saw("client id "+x.clientID, "client id "+others[0].ClientID)
	return f.mend(x.move(others)...).mend(Mend{When: fmt.Sprintf("it is to be the %s", x.parent), Text: "add a credential", Commands: x.add(x.parent)})
}

// move gives the workload the client id of another client.
func (x *exam) move(others []*parent) (all []Mend) {
	for _, p := range others {
		m := Mend{When: fmt.Sprintf("it is to be the %s", p), Text: "give the workload that client id"}
		if x.account != nil {
			m.Commands = []string{x.annotate(x.account.Name, clientAnnotation, p.ClientID)}
			m = x.withRestart(m)
		}
		all = append(all, m)
	}
	return all
}

// ofAnotherCluster says that a credential is for the same subject of another issuer.
func ofAnotherCluster(differences []credential.Difference) bool {
	return len(differences) > 0 && differences[0].Field == credential.Issuer &&
		!slices.ContainsFunc(differences, func(d credential.Difference) bool { return d.Field == credential.Subject })
}

// sameToTheEye says that two values differ in nothing that a person would see as
// another name: such a credential can serve nobody else.
func sameToTheEye(d credential.Difference) bool {
	for _, r := range d.Reasons {
		switch r {
		case credential.Invisible, credential.LookAlike, credential.WhiteSpace, credential.Case, credential.TrailingSlash:
		case credential.Scheme:
			if d.Field != credential.Issuer {
				return false
			}
		case credential.Port:
			// ":443" may be said or not; another port is another server.
			if strings.Contains(d.Want, ":443/") || strings.HasSuffix(d.Want, ":443") || strings.Contains(d.Got, ":443/") || strings.HasSuffix(d.Got, ":443") {
				continue
			}
			return false
		default:
			return false
		}
	}
	return len(d.Reasons) > 0
}

// nearMiss is the finding of the nearest credential and where it differs first.
func (x *exam) nearMiss(ctx context.Context, f client.FederatedCredential, differences []credential.Difference) Finding {
	if len(differences) == 0 {
		return unknown("why the credential does not fit cannot be told")
	}
	d := differences[0]
	var g Finding
	switch d.Field {
	case credential.Issuer:
		g = x.issuerMiss(f, d, differences[1:])
	case credential.Subject:
		g = x.subjectMiss(ctx, f, d)
	default:
		g = x.audienceMiss(f, d)
	}
	g.Seen, g.Expected = d.Want, d.Got
	g.Difference = apart(d)
	for _, more := range differences[1:] {
		g.Text += "; and " + more.Hint
	}
	return g
}

func nearest(f client.FederatedCredential) string {
	return fmt.Sprintf("the nearest credential is %q: ", f.Name)
}

func (x *exam) issuerMiss(f client.FederatedCredential, d credential.Difference, more []credential.Difference) Finding {
	correct := Mend{Text: "correct the issuer of the credential", Commands: x.change(x.parent, f, credential.Issuer, d.Got)}
	if !sameToTheEye(d) {
		if !ofAnotherCluster(append([]credential.Difference{d}, more...)) {
			return fault(NoneMatches, fmt.Sprintf("the %s has %s, and none for this workload", x.parent, counted(len(x.parent.credentials), "credential"))).
				mend(Mend{Text: "add one", Commands: x.add(x.parent)})
		}
		return fault(IssuerOther, nearest(f)+"it is for the same subject of another issuer, such as that of the cluster before it was rebuilt: "+d.Hint).
			mend(Mend{Text: "add one for this cluster; delete the other when its cluster is gone", Commands: x.add(x.parent)})
	}
	cause := IssuerLookAlike
	switch {
	case slices.Contains(d.Reasons, credential.TrailingSlash) && d.SlashMissing():
		cause = IssuerSlashMissing
	case slices.Contains(d.Reasons, credential.TrailingSlash):
		cause = IssuerSlashExtra
	case slices.Equal(d.Reasons, []credential.Reason{credential.Case}):
		cause = IssuerCase
	}
	g := fault(cause, nearest(f)+d.Hint)
	if i := slices.IndexFunc(more, func(d credential.Difference) bool { return !sameToTheEye(d) }); i >= 0 {
		// To correct the issuer alone would not do, and the rest is for somebody else.
		if more[i].Field == credential.Audiences {
			return g.mend(correct, Mend{Text: "and then look again, for the audience"})
		}
		return g.mend(Mend{Text: "add one for this workload, with the right issuer", Commands: x.add(x.parent)})
	}
	g = g.mend(correct)
	for _, d := range more {
		g.Mends[0].Commands = append(g.Mends[0].Commands, x.change(x.parent, f, d.Field, d.Got)...)
		g.Mends[0].Text = "correct the credential"
	}
	return g
}

func (x *exam) subjectMiss(ctx context.Context, f client.FederatedCredential, d credential.Difference) Finding {
	if sameToTheEye(d) {
		cause := SubjectLookAlike
		if slices.Equal(d.Reasons, []credential.Reason{credential.Case}) {
			cause = SubjectCase
		}
		return fault(cause, nearest(f)+d.Hint).
			mend(Mend{Text: "correct the subject of the credential", Commands: x.change(x.parent, f, credential.Subject, d.Got)})
	}
	add := Mend{When: "the workload is where it should be", Text: "add a credential for it; the other may serve another workload", Commands: x.add(x.parent)}
	switch {
	case slices.Contains(d.Reasons, credential.Wildcard):
		add.When = ""
		add.Text = "name each service account in a credential of its own"
		return fault(SubjectWildcard, nearest(f)+d.Hint).mend(add)
	case slices.Contains(d.Reasons, credential.Namespace):
		g := fault(SubjectNamespace, nearest(f)+d.Hint).mend(add)
		if namespace, _, ok := credential.ParseServiceAccountSubject(d.Want); ok {
			g = g.mend(Mend{When: fmt.Sprintf("the workload belongs into the namespace %q", namespace), Text: "run it there"})
		}
		return g
	case slices.Contains(d.Reasons, credential.ServiceAccount):
		g := fault(SubjectAccount, nearest(f)+d.Hint)
		other := x.otherAccount(ctx, d.Want)
		if _, name, _ := credential.ParseServiceAccountSubject(d.Got); name == defaultAccount {
			g.Text += "; a pod runs as \"default\" when nothing else is said"
			return g.mend(append(other, add)...)
		}
		return g.mend(append([]Mend{add}, other...)...)
	}
	add.When = ""
	return fault(SubjectOther, nearest(f)+d.Hint).mend(add)
}

// otherAccount has the workload run as the service account that a credential
// names, if there is one.
func (x *exam) otherAccount(ctx context.Context, subject string) []Mend {
	namespace, name, ok := credential.ParseServiceAccountSubject(subject)
	if !ok || x.Kind != PodKind || namespace != x.Namespace {
		return nil
	}
	_, err := x.Cluster.API.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	m := Mend{When: fmt.Sprintf("the workload should run as %q", name), Text: "say so in its pod template"}
	if w := x.workload; w != nil && slices.Contains([]string{"deployment", "statefulset", "daemonset", "cronjob"}, w.kind) {
		m.Commands = []string{x.kubectl("patch", w.kind, w.name, "--namespace", namespace, "--type", "merge",
			"--patch", templatePatch(w.kind, map[string]any{"spec": map[string]string{"serviceAccountName": name}}))}
	}
	return []Mend{m}
}

func (x *exam) audienceMiss(f client.FederatedCredential, d credential.Difference) Finding {
	correct := Mend{Text: "correct the audience of the credential", Commands: x.change(x.parent, f, credential.Audiences, d.Got)}
	switch usual := x.exchangeAudience(); {
	case slices.Contains(d.Reasons, credential.SeveralAudiences):
		return fault(SeveralAudiences, nearest(f)+d.Hint).mend(x.audienceMends(usual)...)
	case sameToTheEye(d) && d.Want == usual:
		return fault(AudienceOfToken, nearest(f)+d.Hint).mend(x.audienceMends(usual)...)
	case sameToTheEye(d):
		return fault(AudienceOther, nearest(f)+d.Hint).mend(correct)
	case d.Got == usual && resourceLike(d.Want):
		return fault(AudienceIsResource, nearest(f)+"its audience is the resource that should be reached, and must be that of the service account's token: the resource is named when the access token is asked for").mend(correct)
	case d.Got == usual:
		return fault(AudienceOther, nearest(f)+d.Hint).mend(correct)
	case d.Want == usual:
		return fault(AudienceOfToken, nearest(f)+"the token is for another audience: "+d.Hint).mend(x.audienceMends(usual)...)
	}
	correct.When = "the token's audience is the one that was agreed on"
	others := x.audienceMends(d.Want)
	for i := range others {
		others[i].When = cmp.Or(others[i].When, "the credential's is")
	}
	return fault(AudienceOther, nearest(f)+d.Hint+"; neither is the usual one, and which is right cannot be told").mend(append([]Mend{correct}, others...)...)
}

// resourceLike tells the address or id of a resource, which people write where
// the audience of the assertion belongs.
func resourceLike(audience string) bool {
	if uuid.Validate(audience) == nil {
		return true
	}
	u, err := url.Parse(audience)
	if err != nil || u.Scheme == "" {
		return strings.Contains(audience, ".") && !strings.Contains(audience, "/")
	}
	return u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "api" && !strings.EqualFold(u.Host, "AzureADTokenExchange")
}

// audienceMends have the token carry one audience.
func (x *exam) audienceMends(audience string) []Mend {
	namespace, name, ok := credential.ParseServiceAccountSubject(x.subject)
	switch {
	case (x.Kind == PodKind || x.Kind == ServiceAccountKind) && x.volume != nil && x.volume.byHand():
		m := Mend{Text: fmt.Sprintf("write it into the volume %q of the pod template", x.volume.volume)}
		if w := x.workload; w != nil && slices.Contains([]string{"deployment", "statefulset", "daemonset"}, w.kind) {
			if path, ok := w.audiencePath(x.volume); ok {
				m.Commands = []string{x.kubectl("patch", w.kind, w.name, "--namespace", x.Namespace, "--type", "json", "--patch",
					compactJSON([]any{struct {
						Op    string `json:"op"`
						Path  string `json:"path"`
						Value string `json:"value"`
					}{"add", path, audience}}))}
			}
		}
		return []Mend{m}
	case (x.Kind == PodKind || x.Kind == ServiceAccountKind) && x.volume != nil:
		return []Mend{{Text: fmt.Sprintf("the webhook injects this audience: start it with --audience %s, which is its default, then have the pods made anew", audience), Commands: x.restart(x.workload).Commands}}
	case x.Audience != "":
		return []Mend{{Text: "--audience, which this verb was given, says so"}}
	case ok && x.Kind == TokenKind:
		command := x.kubectl("create", "token", name, "--namespace", namespace, "--audience", audience)
		if x.TokenFrom != "" && x.TokenFrom != "-" {
			command += " > " + quote(x.TokenFrom)
		}
		return []Mend{{Text: "get a token for the right audience", Commands: []string{command}}}
	}
	return []Mend{{Text: fmt.Sprintf("get a token for the audience %s", audience)}}
}

// audiencePath is where a pod template says the audience of a volume.
func (w *workload) audiencePath(p *projected) (string, bool) {
	for i, v := range w.template.Spec.Volumes {
		if v.Name != p.volume || v.Projected == nil || p.source >= len(v.Projected.Sources) || v.Projected.Sources[p.source].ServiceAccountToken == nil {
			continue
		}
		return fmt.Sprintf("/spec/template/spec/volumes/%d/projected/sources/%d/serviceAccountToken/audience", i, p.source), true
	}
	return "", false
}
