package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// Kind is what an authority is.
type Kind string

// The kinds.
const (
	Entente Kind = "entente"
	Azure   Kind = "azure"
)

// quote makes a word for a POSIX shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// line is a command line of words.
func line(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// kubectl is a command for the cluster that was examined.
func (x *exam) kubectl(words ...string) string {
	return line(append(append([]string{"kubectl"}, x.Cluster.flags("--context")...), words...)...)
}

// flags name the cluster on command lines; the flag of the context has two names.
func (c Cluster) flags(context string) []string {
	var words []string
	if c.Kubeconfig != "" {
		words = append(words, "--kubeconfig", c.Kubeconfig)
	}
	if c.Context != "" {
		words = append(words, context, c.Context)
	}
	return words
}

// entente is a command of ours for the target.
func (x *exam) entente(words ...string) string {
	return line(append(append([]string{"entente"}, words...), x.Target.Flags...)...)
}

func compactJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(text)
}

// change is the command that changes one field of a credential, whose name may
// begin with a dash, as some do that azwi makes.
func (x *exam) change(p *parent, f client.FederatedCredential, field credential.Field, value string) []string {
	to := f
	flag, member := "--issuer", any(map[string]string{"issuer": value})
	switch field {
	case credential.Issuer:
		to.Issuer = value
	case credential.Subject:
		to.Subject = value
		flag, member = "--subject", map[string]string{"subject": value}
	case credential.Audiences:
		to.Audiences = []string{value}
		flag, member = "--audience", map[string][]string{"audiences": {value}}
	}
	switch {
	case x.Target.Kind == Entente:
		words := append(append(p.flags(), flag, value), x.checkFlags()...)
		if strings.HasPrefix(f.Name, "-") {
			return []string{x.entente(append([]string{"federated-credential", "update"}, words...)...) + " " + line("--", f.Name)}
		}
		return []string{x.entente(append([]string{"federated-credential", "update", f.Name}, words...)...)}
	case p.identity.Name != "":
		return []string{line(append([]string{"az", "identity", "federated-credential", "update", "--name=" + f.Name}, p.azFlags(to)...)...)}
	}
	return []string{line("az", "ad", "app", "federated-credential", "update", "--id", p.ClientID, "--federated-credential-id="+f.Name, "--parameters", compactJSON(member))}
}

// add is the command that makes a credential for what was examined.
func (x *exam) add(p *parent) []string {
	f := client.FederatedCredential{Name: x.credentialName(p), Issuer: x.issuer, Subject: x.subject, Audiences: []string{x.exchangeAudience()}}
	switch {
	case x.Target.Kind == Entente:
		words := append([]string{"federated-credential", "create", f.Name}, p.flags()...)
		words = append(words, "--issuer", f.Issuer)
		if namespace, name, ok := credential.ParseServiceAccountSubject(f.Subject); ok {
			words = append(words, "--service-account", namespace+"/"+name)
		} else {
			words = append(words, "--subject", f.Subject)
		}
		if f.Audiences[0] != credential.DefaultAudience {
			words = append(words, "--audience", f.Audiences[0])
		}
		return []string{x.entente(append(words, x.checkFlags()...)...)}
	case p.identity.Name != "":
		return []string{line(append([]string{"az", "identity", "federated-credential", "create", "--name", f.Name}, p.azFlags(f)...)...)}
	}
	return []string{line("az", "ad", "app", "federated-credential", "create", "--id", p.ClientID, "--parameters", compactJSON(f))}
}

// checkFlags have our verbs read the issuer as it was read here before they write
// it, or leave that out where it cannot be read from here: the issuer is the
// token's own, so there is no doubt about its spelling.
func (x *exam) checkFlags() []string {
	switch {
	case x.uploaded():
		return nil
	case x.inspection == nil || slices.ContainsFunc(x.inspection.Findings, func(f Finding) bool { return f.State == Failed || f.State == Unknown }):
		return []string{"--no-check"}
	case x.IssuerCA != "":
		return []string{"--issuer-ca", x.IssuerCA}
	}
	return nil
}

// credentialName is a name that none of the parent's credentials has.
func (x *exam) credentialName(p *parent) string {
	name := "workload"
	if namespace, account, ok := credential.ParseServiceAccountSubject(x.subject); ok {
		name = namespace + "-" + account
	}
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, name[:min(len(name), 100)])
	taken := map[string]bool{}
	for _, f := range p.credentials {
		taken[strings.ToLower(f.Name)] = true
	}
	for n, base := 2, name; taken[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// list is the command that shows the credentials of a client which the caller
// of the doctor may not see.
func (x *exam) list(clientID string) []string {
	if x.Target.Kind == Entente {
		return []string{x.entente("federated-credential", "list", "--application", clientID)}
	}
	return []string{line("az", "ad", "app", "federated-credential", "list", "--id", clientID)}
}

// flags name the parent to our own verbs.
func (p *parent) flags() []string {
	if p.identity.Name != "" {
		return []string{"--managed-identity", p.identity.Name, "--resource-group", p.identity.ResourceGroup, "--subscription", p.identity.SubscriptionID}
	}
	return []string{"--application", p.ClientID}
}

// azFlags name the parent to az, and what the credential should be as a whole:
// az identity replaces it.
func (p *parent) azFlags(f client.FederatedCredential) []string {
	words := []string{
		"--identity-name", p.identity.Name, "--resource-group", p.identity.ResourceGroup, "--subscription", p.identity.SubscriptionID,
		"--issuer", f.Issuer, "--subject", f.Subject, "--audiences",
	}
	return append(words, f.Audiences...)
}

// uploadMend is the way out for an issuer that nobody needs to reach: the service
// takes its keys from the cluster.
func (x *exam) uploadMend(when string) (Mend, bool) {
	if x.Target.Kind != Entente || !x.cluster() {
		return Mend{}, false
	}
	return Mend{
		When: when, Text: "upload the cluster's keys, so that the issuer need not be asked; again whenever they change",
		Commands: []string{
			x.kubectl("get", "--raw", "/openid/v1/jwks") + " | " + x.registration(),
		},
	}, true
}

// registration is the command that registers the cluster with the keys that it
// is given. Its name is of the issuer's, so that no other cluster has it.
func (x *exam) registration() string {
	sum := sha256.Sum256([]byte(x.issuer))
	return x.entente("cluster", "register", "cluster-"+hex.EncodeToString(sum[:4]), "--resource-group", "clusters", "--issuer", x.issuer, "--keys", "-")
}

// labelPatch sets the label on a pod template.
func labelPatch(kind string) string {
	labels := map[string]any{"metadata": map[string]any{"labels": map[string]string{UseLabel: "true"}}}
	return templatePatch(kind, labels)
}

// templatePatch is a merge patch of a workload that changes its pod template.
func templatePatch(kind string, template any) string {
	patch := map[string]any{"spec": map[string]any{"template": template}}
	if kind == "cronjob" {
		patch = map[string]any{"spec": map[string]any{"jobTemplate": patch}}
	}
	return compactJSON(patch)
}

// relabel has the workload's pods carry the label, and makes them anew.
func (x *exam) relabel(w *workload) Mend {
	switch w.kind {
	case "deployment", "statefulset", "daemonset":
		return Mend{Text: "set the label on the pod template; the pods are made anew", Commands: []string{
			x.kubectl("patch", w.kind, w.name, "--namespace", x.Namespace, "--type", "merge", "--patch", labelPatch(w.kind)),
		}}
	case "cronjob":
		return Mend{Text: "set the label on the pod template; it counts from the next run on", Commands: []string{
			x.kubectl("patch", w.kind, w.name, "--namespace", x.Namespace, "--type", "merge", "--patch", labelPatch(w.kind)),
		}}
	case "replicaset", "replicationcontroller":
		return Mend{Text: "set the label on the pod template, then have the pod made anew", Commands: []string{
			x.kubectl("patch", w.kind, w.name, "--namespace", x.Namespace, "--type", "merge", "--patch", labelPatch(w.kind)),
			x.kubectl("delete", "pod", x.Name, "--namespace", x.Namespace),
		}}
	case "pod":
		return Mend{Text: "make the pod anew with the label: it is acted on only when a pod is made", Commands: []string{
			x.kubectl("label", "pod", w.name, "--namespace", x.Namespace, UseLabel+"=true", "--overwrite", "--dry-run=client", "--output", "yaml") + " | " + x.kubectl("replace", "--force", "--filename", "-"),
		}}
	case "job":
		return Mend{Text: "the template of a job cannot be changed: make the job anew with the label on its pod template"}
	}
	return Mend{Text: fmt.Sprintf("set the label on the pod template of %s", w)}
}

// restart has the workload's pods made anew.
func (x *exam) restart(w *workload) Mend {
	if w == nil {
		return Mend{Text: "then make its pods anew"}
	}
	switch w.kind {
	case "deployment", "statefulset", "daemonset":
		return Mend{Text: "have the pods made anew", Commands: []string{x.kubectl("rollout", "restart", w.kind+"/"+w.name, "--namespace", x.Namespace)}}
	case "pod":
		return Mend{Text: "make the pod anew", Commands: []string{
			x.kubectl("get", "pod", w.name, "--namespace", x.Namespace, "--output", "yaml") + " | " + x.kubectl("replace", "--force", "--filename", "-"),
		}}
	case "job", "cronjob":
		return Mend{Text: "the next run of it will do; a job that runs has to be made anew"}
	}
	if x.Kind == PodKind {
		return Mend{Text: "have the pod made anew", Commands: []string{x.kubectl("delete", "pod", x.Name, "--namespace", x.Namespace)}}
	}
	return Mend{Text: fmt.Sprintf("have the pods of %s made anew", w)}
}

// withRestart is a mend of what pods are given when they are made.
func (x *exam) withRestart(m Mend) Mend {
	again := x.restart(x.workload)
	m.Commands = append(m.Commands, again.Commands...)
	if len(again.Commands) == 0 {
		m.Text += "; " + again.Text
	}
	return m
}
