package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The variables that the webhook sets, and SDKs read.
const (
	clientVariable    = "AZURE_CLIENT_ID"
	tenantVariable    = "AZURE_TENANT_ID"
	fileVariable      = "AZURE_FEDERATED_TOKEN_FILE"
	authorityVariable = "AZURE_AUTHORITY_HOST"
	endpointVariable  = "IDENTITY_ENDPOINT"
	headerVariable    = "IDENTITY_HEADER"
)

// fallsBack is what an SDK does that finds nothing.
const fallsBack = "an SDK that finds nothing falls back to the managed identity of the machine (IMDS, 169.254.169.254), and fails there or is somebody else"

// open finds what is examined.
func (x *exam) open(ctx context.Context) error {
	get := metav1.GetOptions{}
	x.env = map[string]variable{}
	switch x.Kind {
	case PodKind:
		x.say("reading the pod %s/%s", x.Namespace, x.Name)
		pod, err := x.Cluster.API.CoreV1().Pods(x.Namespace).Get(ctx, x.Name, get)
		if err != nil {
			return fmt.Errorf("read the pod %s/%s: %w", x.Namespace, x.Name, err)
		}
		x.report.Of = fmt.Sprintf("pod %s/%s", x.Namespace, x.Name)
		return x.take(pod)
	case ServiceAccountKind:
		x.say("reading the service account %s/%s", x.Namespace, x.Name)
		account, err := x.Cluster.API.CoreV1().ServiceAccounts(x.Namespace).Get(ctx, x.Name, get)
		if err != nil {
			return fmt.Errorf("read the service account %s/%s: %w", x.Namespace, x.Name, err)
		}
		x.account = account
		x.report.Of = fmt.Sprintf("service account %s/%s", x.Namespace, x.Name)
	case TokenKind:
		x.report.Of = "token " + cmp.Or(x.TokenFrom, "of this machine")
	case ProcessKind:
		x.report.Of = "environment of this process"
		for _, name := range []string{clientVariable, tenantVariable, fileVariable, authorityVariable, endpointVariable, headerVariable, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"} {
			if value := x.Environment(name); value != "" {
				x.env[name] = variable{value, true}
			}
		}
	default:
		return errNothing
	}
	return nil
}

// take makes a pod the one that is examined.
func (x *exam) take(pod *corev1.Pod) error {
	x.pod, x.spec = pod, &pod.Spec
	exempt := skipped(pod)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if x.Container != "" && c.Name == x.Container || x.Container == "" && !slices.Contains(exempt, c.Name) {
			x.container = c
			break
		}
	}
	if x.container == nil && x.Container != "" {
		return fmt.Errorf("the pod %s/%s has no container %q", pod.Namespace, pod.Name, x.Container)
	}
	if x.container == nil && len(pod.Spec.Containers) > 0 {
		x.container = &pod.Spec.Containers[0]
	}
	if x.container == nil {
		x.container = &corev1.Container{}
	}
	x.env = environment(*x.container)
	all := tokens(pod.Spec, *x.container)
	file := x.env[fileVariable]
	for i := range all {
		if file.known && all[i].file == file.value || file.value == "" && !all[i].isAPI() {
			x.volume = &all[i]
			break
		}
	}
	x.bare = file == (variable{}) && x.volume == nil && x.env[endpointVariable] == (variable{})
	return nil
}

// isAPI says that a token is the one for the API server, which every pod has.
func (p *projected) isAPI() bool { return p.audience == "" }

func skipped(pod *corev1.Pod) []string {
	return strings.FieldsFunc(pod.Annotations[skipAnnotation], func(r rune) bool { return r == ';' || r == ' ' })
}

// 1. The label on the pod template.
func (x *exam) checkLabel(ctx context.Context) {
	c := x.check(labelCheck)
	switch x.Kind {
	case PodKind:
		var err error
		if x.workload, err = x.owner(ctx, x.pod); err != nil {
			by := metav1.GetControllerOf(x.pod)
			c.find(unknown(fmt.Sprintf("whether the label is on the pod template of %s %s cannot be told: %s", strings.ToLower(by.Kind), by.Name, mayNot("it", err))))
		}
		x.labelOfPod(ctx, c)
	case ServiceAccountKind:
		x.labelOfUsers(ctx, c)
	default:
		c.skip("no pod was named")
	}
}

const wantLabel = UseLabel + `="true" on the pod template`

func (x *exam) labelOfPod(ctx context.Context, c *Check) {
	value, has := x.pod.Labels[UseLabel]
	switch {
	case has && value == "true":
		c.pass(UseLabel+`="true"`, wantLabel)
		return
	case !x.bare:
		c.find(note("the pod does not carry the label, and needs none: its environment and volume are there without the webhook").saw(labelText(value, has), wantLabel))
		return
	}
	w := x.workload
	if w == nil {
		w = &workload{kind: "workload", name: "that made it"}
	}
	c.find(x.judgeLabel(ctx, w, value, has))
}

// judgeLabel says which of the ways of not having the label it is.
func (x *exam) judgeLabel(ctx context.Context, w *workload, value string, has bool) Finding {
	onTemplate, there := w.template.Labels[UseLabel]
	above, onWorkload := w.labels[UseLabel]
	switch {
	case x.Kind == PodKind && w.kind != "pod" && there && onTemplate == "true":
		return fault(LabelNewerThanPod, fmt.Sprintf("the pod template of %s carries the label and the pod does not: it was made before", w)).
			saw(labelText(value, has), wantLabel).mend(x.restart(w))
	case has || there:
		return fault(LabelValue, fmt.Sprintf(`the label must say "true": the webhook looks for no other value (pod template of %s)`, w)).
			saw(labelText(cmp.Or(onTemplate, value), true), wantLabel).mend(x.relabel(w))
	case onWorkload && w.kind != "pod":
		return fault(LabelNotOnTemplate, fmt.Sprintf("the label is on %s itself and not on its pod template, where it would reach the pods", w)).
			saw(fmt.Sprintf("%s=%q in metadata.labels of %s", UseLabel, above, w), wantLabel+": spec.template.metadata.labels").mend(x.relabel(w))
	}
	if account := x.accountLabel(ctx); account {
		return fault(LabelOnAccount, fmt.Sprintf("the label is on the service account and not on the pod template of %s: since version 1.0 the webhook looks at pods alone", w)).
			saw(UseLabel+" on the service account", wantLabel).mend(x.relabel(w))
	}
	return fault(LabelMissing, fmt.Sprintf("nothing asks for injection: the pod template of %s does not carry the label", w)).
		saw("no label", wantLabel).mend(x.relabel(w))
}

func (x *exam) accountLabel(ctx context.Context) bool {
	account := x.account
	if account == nil && x.pod != nil {
		account, _ = x.Cluster.API.CoreV1().ServiceAccounts(x.Namespace).Get(ctx, accountOf(*x.spec), metav1.GetOptions{})
	}
	if account == nil {
		return false
	}
	_, has := account.Labels[UseLabel]
	return has
}

func labelText(value string, has bool) string {
	if !has {
		return "no label"
	}
	return fmt.Sprintf("%s=%q", UseLabel, value)
}

// labelOfUsers looks at all workloads of a service account.
func (x *exam) labelOfUsers(ctx context.Context, c *Check) {
	users, err := x.users(ctx, x.Name)
	if err != nil {
		c.find(unknown("whether its pods carry the label cannot be told: " + mayNot("the workloads of the namespace", err)))
		return
	}
	if len(users) == 0 {
		c.skip("no workload of the namespace runs as it")
		return
	}
	var without []*workload
	for _, w := range users {
		switch value, has := w.template.Labels[UseLabel]; {
		case has && value == "true":
			if x.workload == nil {
				x.workload = w
			}
		case w.setsItself():
			c.find(note(fmt.Sprintf("%s does not carry the label, and needs none: it sets the environment itself", w)))
		default:
			without = append(without, w)
		}
	}
	ready := x.workload != nil || len(c.Findings) > 0
	for _, w := range without {
		_, onWorkload := w.labels[UseLabel]
		_, onTemplate := w.template.Labels[UseLabel]
		switch {
		case onWorkload && w.kind != "pod" || onTemplate:
			c.find(x.judgeLabel(ctx, w, w.template.Labels[UseLabel], onTemplate))
		case ready:
			c.find(note(fmt.Sprintf("%s runs as it as well, without the label: it is given nothing", w)))
		default:
			if x.workload == nil {
				x.workload = w
			}
			c.find(x.judgeLabel(ctx, w, "", false))
			ready = true
		}
	}
	if c.failed() == nil && x.workload != nil {
		c.pass(fmt.Sprintf("%s: %s=\"true\"", x.workload, UseLabel), wantLabel)
	}
	x.sample(ctx)
}

// setsItself says that a pod template has been written without the webhook in mind.
func (w *workload) setsItself() bool {
	return slices.ContainsFunc(w.template.Spec.Containers, func(c corev1.Container) bool {
		env := environment(c)
		return env[fileVariable] != (variable{}) || env[endpointVariable] != (variable{})
	})
}

// sample finds a pod that stands for those of a service account: the newest that carries the label.
func (x *exam) sample(ctx context.Context) {
	pods, err := x.Cluster.API.CoreV1().Pods(x.Namespace).List(ctx, metav1.ListOptions{LabelSelector: UseLabel + "=true", Limit: int64(lastPodsLooked)})
	if err != nil {
		return // the check of the environment says so
	}
	var newest *corev1.Pod
	for i := range pods.Items {
		p := &pods.Items[i]
		if accountOf(p.Spec) == x.Name && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	if newest != nil && x.Container == "" {
		x.take(newest) // fails only for a container that was named
		if w, err := x.owner(ctx, newest); err == nil {
			x.workload = w
		}
	}
}

// 2. The service account and its annotations.
func (x *exam) checkAccount(ctx context.Context) {
	c := x.check(accountCheck)
	if x.Kind == TokenKind || x.Kind == ProcessKind {
		x.clientID, x.clientFrom = x.ClientID, "--client-id"
		x.tenant = x.TenantID
		if env := x.env[clientVariable]; x.clientID == "" {
			x.clientID, x.clientFrom = env.value, clientVariable
		}
		x.tenant = cmp.Or(x.tenant, x.env[tenantVariable].value, x.Target.TenantID)
		x.authority = x.env[authorityVariable].value
		c.skip("no service account was named")
		return
	}
	name := x.Name
	if x.Kind == PodKind {
		name = accountOf(*x.spec)
	}
	if x.account == nil {
		account, err := x.Cluster.API.CoreV1().ServiceAccounts(x.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			c.find(fault(AccountMissing, fmt.Sprintf("the pod runs as the service account %q, which is not there", name)).
				saw("none", x.Namespace+"/"+name).
				mend(Mend{Text: "make it; and annotate it with the client id", Commands: []string{x.kubectl("create", "serviceaccount", name, "--namespace", x.Namespace)}}))
		case err != nil:
			c.find(unknown("what the service account says cannot be told: " + mayNot("it", err)))
		default:
			x.account = account
		}
	}
	annotations := map[string]string{}
	if x.account != nil {
		annotations = x.account.Annotations
	}
	annotated, env := annotations[clientAnnotation], x.env[clientVariable]
	switch {
	case x.ClientID != "":
		x.clientID, x.clientFrom = x.ClientID, "--client-id"
	case env.known && env.value != "":
		x.clientID, x.clientFrom = env.value, clientVariable+" of the container"
	default:
		x.clientID, x.clientFrom = annotated, "annotation of the service account"
	}
	x.tenant = cmp.Or(x.TenantID, x.env[tenantVariable].value, annotations[tenantAnnotation], x.Target.TenantID)
	x.authority = x.env[authorityVariable].value
	if x.account == nil {
		return
	}
	x.judgeClientID(c, name, annotated, env)
	if tenant := annotations[tenantAnnotation]; tenant != "" && uuid.Validate(tenant) != nil && !strings.Contains(tenant, ".") && tenant != "adfs" {
		c.find(fault(TenantMalformed, fmt.Sprintf("the annotation %s is neither an id nor a domain", tenantAnnotation)).saw(fmt.Sprintf("%q", tenant), "a GUID or a domain").
			mend(x.withRestart(Mend{Text: "name the tenant by its id", Commands: []string{x.annotate(name, tenantAnnotation, cmp.Or(x.Target.TenantID, "TENANT_ID"))}})))
	}
	if c.failed() == nil {
		c.pass(fmt.Sprintf("%s/%s: %s", x.Namespace, name, cmp.Or(annotated, "no client id")), clientAnnotation+" with a client id")
	}
}

func (x *exam) annotate(account, name, value string) string {
	return x.kubectl("annotate", "serviceaccount", account, "--namespace", x.Namespace, "--overwrite", name+"="+value)
}

func (x *exam) judgeClientID(c *Check, account, annotated string, env variable) {
	byHand := x.workload != nil && x.setByHand(clientVariable)
	switch {
	case annotated == "" && x.clientID != "":
		c.find(note(fmt.Sprintf("the service account names no client: the one that counts is that of %s", x.clientFrom)))
	case annotated == "" && env != (variable{}):
		c.find(unknown(fmt.Sprintf("the service account names no client, and the container takes %s from elsewhere: which client it is cannot be told; --client-id says it", clientVariable)))
	case annotated == "":
		c.find(fault(ClientIDMissing, fmt.Sprintf("the service account has no annotation %s, so that nothing tells an SDK which client it is", clientAnnotation)).
			saw("no annotation", clientAnnotation+"=CLIENT_ID")) // its mend is known when the token is: see checkClient
	case !isClientID(annotated):
		f := fault(ClientIDMalformed, fmt.Sprintf("the annotation %s is no client id", clientAnnotation)).saw(fmt.Sprintf("%q", annotated), "a GUID")
		if id, err := uuid.Parse(strings.Trim(annotated, " \t\r\n\"'{}")); err == nil {
			f = f.mend(x.withRestart(Mend{Text: "write the id and nothing else", Commands: []string{x.annotate(account, clientAnnotation, id.String())}}))
		}
		c.find(f)
	case env.known && env.value != "" && !strings.EqualFold(env.value, annotated) && x.ClientID == "":
		seen := fmt.Sprintf("%s in the pod, %s in the annotation", env.value, annotated)
		switch {
		case byHand && x.workload.kind != "pod":
			c.find(note(fmt.Sprintf("the pod template sets %s itself, which goes before the annotation", clientVariable)).saw(seen, "one client id"))
		case byHand:
			c.find(unknown(fmt.Sprintf("the pod has another client id than its service account: either it sets %s itself, or it is older than the annotation; which of them cannot be told", clientVariable)).saw(seen, "one client id"))
		default:
			c.find(fault(ClientIDOutdated, "the pod has another client id than its service account: it was made before the annotation changed").
				saw(seen, "one client id").mend(x.restart(x.workload)))
		}
	}
}

// setByHand says that a variable is in the pod template, and not only in the pod.
func (x *exam) setByHand(name string) bool {
	return slices.ContainsFunc(x.workload.template.Spec.Containers, func(c corev1.Container) bool {
		return environment(c)[name] != (variable{}) && (x.container == nil || c.Name == x.container.Name)
	})
}

// 3. The environment and the volume that the webhook injects.
func (x *exam) checkEnvironment(ctx context.Context) {
	c := x.check(environmentCheck)
	switch {
	case x.Kind == TokenKind:
		c.skip("no pod was named")
		return
	case x.Kind == ProcessKind:
		x.processEnvironment(c)
		return
	case x.pod == nil:
		c.skip("no pod with the label was found")
		return
	}
	file := x.env[fileVariable]
	switch {
	case x.env[endpointVariable] != (variable{}) && x.env[headerVariable] != (variable{}):
		c.pass(fmt.Sprintf("%s: the program asks an endpoint in its pod", endpointVariable), "")
	case x.bare && len(x.container.EnvFrom) > 0:
		c.find(unknown(fmt.Sprintf("container %s takes variables from a ConfigMap or a Secret: whether %s is among them cannot be told", x.container.Name, fileVariable)))
	case x.bare:
		c.find(x.whyBare(ctx))
	case file == (variable{}):
		f := fault(NotInjected, fmt.Sprintf("container %s has the volume with the token and not the variable %s; %s", x.container.Name, fileVariable, fallsBack)).
			saw("no "+fileVariable, fileVariable+"="+x.volume.file)
		c.find(f.mend(x.restart(x.workload)))
	case x.volume == nil && !file.known:
		c.find(unknown(fmt.Sprintf("container %s takes %s from elsewhere: whether a volume brings the file cannot be told", x.container.Name, fileVariable)))
	case x.volume == nil:
		c.find(fault(TokenFileNotMounted, fmt.Sprintf("%s names a file that no volume of service-account tokens brings to container %s", fileVariable, x.container.Name)).
			saw(file.value, cmp.Or(x.otherFiles(), "a projected volume with a service-account token")))
	default:
		c.pass(fmt.Sprintf("container %s: %s=%s", x.container.Name, fileVariable, file.value), "")
	}
	x.noteEnvironment(c)
}

func (x *exam) otherFiles() string {
	var files []string
	for _, p := range tokens(*x.spec, *x.container) {
		if !p.isAPI() {
			files = append(files, p.file)
		}
	}
	return strings.Join(files, ", ")
}

// noteEnvironment tells of variables that lead an SDK elsewhere.
func (x *exam) noteEnvironment(c *Check) {
	for _, name := range []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"} {
		if x.env[name] != (variable{}) {
			c.find(note(fmt.Sprintf("%s is set as well: DefaultAzureCredential takes it before the service account's token", name)))
		}
	}
	asks, err := url.Parse(x.authority)
	target, err2 := url.Parse(x.Target.Authority)
	if x.authority != "" && x.Target.Authority != "" && err == nil && err2 == nil && !strings.EqualFold(asks.Host, target.Host) {
		c.find(unknown(fmt.Sprintf("%s says %s, and %s was asked: whether these are one service cannot be told", authorityVariable, x.authority, x.Target.Authority)))
	}
}

func (x *exam) processEnvironment(c *Check) {
	if x.env[endpointVariable] != (variable{}) && x.env[headerVariable] != (variable{}) {
		c.pass(fmt.Sprintf("%s: an SDK asks this endpoint", endpointVariable), "")
		return
	}
	var absent []string
	for _, name := range []string{clientVariable, tenantVariable, fileVariable} {
		if x.env[name] == (variable{}) {
			absent = append(absent, name)
		}
	}
	if slices.Contains(absent, clientVariable) && x.ClientID != "" {
		absent = slices.DeleteFunc(absent, func(s string) bool { return s == clientVariable })
	}
	if len(absent) == 0 {
		c.pass(fmt.Sprintf("%s=%s", fileVariable, x.env[fileVariable].value), "")
	} else {
		f := fault(NotInjected, fmt.Sprintf("the environment lacks %s; %s", strings.Join(absent, ", "), fallsBack)).
			saw("not set: "+strings.Join(absent, ", "), "what the webhook sets in a pod that carries the label")
		if pod := x.Environment("HOSTNAME"); pod != "" && x.Environment("KUBERNETES_SERVICE_HOST") != "" {
			f = f.mend(Mend{Text: "why cannot be told from inside; this tells it, from where the pod can be read", Commands: []string{x.entente("doctor", "pod", pod, "--namespace", cmp.Or(x.Namespace, defaultAccount))}})
		}
		c.find(f)
	}
	x.noteEnvironment(c)
}

// whyBare says why nothing was injected.
func (x *exam) whyBare(ctx context.Context) Finding {
	if f := x.check(labelCheck).failed(); f != nil {
		return fault(f.Cause, "nothing was injected, as check 1 explains; "+fallsBack).saw("neither "+fileVariable+" nor a volume", "both")
	}
	blame := func(cause Cause, text string) Finding {
		return fault(cause, text+"; "+fallsBack).saw("neither "+fileVariable+" nor a volume", "both")
	}
	if slices.Contains(skipped(x.pod), x.container.Name) {
		return blame(ContainerSkipped, fmt.Sprintf("the pod's annotation %s exempts container %s", skipAnnotation, x.container.Name)).
			mend(Mend{Text: fmt.Sprintf("take the container out of the annotation %s of the pod template, or --container names the one that you mean", skipAnnotation)})
	}
	hooks, err := x.Cluster.API.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return blame(NotInjected, "the pod carries the label and nothing was injected").
			mend(Mend{When: "the webhook works now", Text: x.restart(x.workload).Text, Commands: x.restart(x.workload).Commands}, Mend{
				When: "that changes nothing", Text: "whether the cluster has the webhook cannot be told: " + mayNot("its webhooks", err), Commands: []string{x.kubectl("get", "mutatingwebhookconfigurations")},
			})
	}
	configuration, hook := injector(hooks.Items)
	if hook == nil {
		return blame(WebhookAbsent, "the cluster has no webhook that injects into pods with the label").mend(x.installMends()...)
	}
	if f := x.excluded(ctx, hook); f != nil {
		return blame(f.Cause, f.Text).mend(f.Mends...)
	}
	if x.pod.CreationTimestamp.Before(&configuration.CreationTimestamp) {
		return blame(NotInjected, fmt.Sprintf("the pod is older than the webhook %q", configuration.Name)).mend(x.restart(x.workload))
	}
	text := fmt.Sprintf("the webhook %q did not act when the pod was made", configuration.Name)
	if hook.FailurePolicy != nil && *hook.FailurePolicy == admissionv1.Ignore {
		text += ": its failurePolicy is Ignore, so pods go without it while it is down"
	}
	f := blame(NotInjected, text).mend(x.restart(x.workload))
	if s := hook.ClientConfig.Service; s != nil {
		f = f.mend(Mend{When: "that changes nothing", Text: "see whether the webhook runs, and what it logs", Commands: []string{x.kubectl("get", "pods", "--namespace", s.Namespace)}})
	}
	return f
}

// injector finds the webhook that acts on the label.
func injector(all []admissionv1.MutatingWebhookConfiguration) (*admissionv1.MutatingWebhookConfiguration, *admissionv1.MutatingWebhook) {
	for i := range all {
		for j := range all[i].Webhooks {
			hook := &all[i].Webhooks[j]
			selects := func(s *metav1.LabelSelector) bool {
				if s == nil {
					return false
				}
				_, has := s.MatchLabels[UseLabel]
				return has || slices.ContainsFunc(s.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return e.Key == UseLabel })
			}
			if hook.Name == webhookName || selects(hook.ObjectSelector) {
				return &all[i], hook
			}
		}
	}
	return nil, nil
}

// excluded says whether the webhook does not look at the namespace; nil: it does, or that cannot be told.
func (x *exam) excluded(ctx context.Context, hook *admissionv1.MutatingWebhook) *Finding {
	if hook.NamespaceSelector == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(hook.NamespaceSelector)
	if err != nil || selector.Empty() {
		return nil
	}
	namespace, err := x.Cluster.API.CoreV1().Namespaces().Get(ctx, x.Namespace, metav1.GetOptions{})
	if err != nil || selector.Matches(labels.Set(namespace.Labels)) {
		return nil
	}
	f := fault(WebhookExcludes, fmt.Sprintf("the webhook looks only at namespaces with %s, which %q is not", selector, x.Namespace))
	if len(hook.NamespaceSelector.MatchExpressions) == 0 {
		words := []string{"label", "namespace", x.Namespace}
		for _, name := range sortedKeys(hook.NamespaceSelector.MatchLabels) {
			words = append(words, name+"="+hook.NamespaceSelector.MatchLabels[name])
		}
		return new(f.mend(x.withRestart(Mend{When: "whoever runs the cluster agrees", Text: "label the namespace", Commands: []string{x.kubectl(append(words, "--overwrite")...)}})))
	}
	return new(f.mend(Mend{Text: "run the workload in another namespace; this one is left out on purpose"}))
}

// installMends bring what the webhook would
// (azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html).
func (x *exam) installMends() []Mend {
	if x.Target.Kind == Entente {
		return x.byHandMends()
	}
	if onAKS(x.Cluster.Host) {
		return []Mend{x.withRestart(Mend{Text: "have Azure run it in the cluster", Commands: []string{"az aks update --resource-group GROUP --name CLUSTER --enable-workload-identity"}})}
	}
	tenant := cmp.Or(x.tenant, x.Target.TenantID, "TENANT_ID")
	return []Mend{x.withRestart(Mend{
		Text: "install it", Commands: []string{
			"helm repo add azure-workload-identity https://azure.github.io/azure-workload-identity/charts",
			line("helm", "install", "workload-identity-webhook", "azure-workload-identity/workload-identity-webhook",
				"--namespace", "azure-workload-identity-system", "--create-namespace", "--set", "azureTenantID="+tenant),
		},
	})}
}

// byHandMends write into the pod template what a webhook would inject that knows
// the service. The tenant is adfs, because that is how unmodified SDKs reach an
// authority of one's own.
func (x *exam) byHandMends() []Mend {
	m := Mend{Text: "install a webhook that knows the service, or do without: write into the pod template what it would inject (the program must trust the service's CA as well)"}
	if w := x.workload; w != nil && slices.Contains([]string{"deployment", "statefulset", "daemonset"}, w.kind) {
		type object = map[string]any
		env := []object{
			{"name": clientVariable, "value": cmp.Or(x.clientID, "CLIENT_ID")},
			{"name": tenantVariable, "value": "adfs"},
			{"name": fileVariable, "value": "/var/run/secrets/azure/wi/token/azure-identity-token"},
			{"name": authorityVariable, "value": strings.TrimRight(x.Target.Authority, "/") + "/"},
		}
		template := object{"spec": object{
			"containers": []object{{"name": x.container.Name, "env": env, "volumeMounts": []object{{"name": ownVolume, "mountPath": "/var/run/secrets/azure/wi", "readOnly": true}}}},
			"volumes": []object{{"name": ownVolume, "projected": object{"sources": []object{{"serviceAccountToken": object{
				"path": "token/azure-identity-token", "audience": x.exchangeAudience(), "expirationSeconds": 3600,
			}}}}}},
		}}
		m.Commands = []string{x.kubectl("patch", w.kind, w.name, "--namespace", x.Namespace, "--patch", templatePatch(w.kind, template))}
	}
	return []Mend{m}
}

// onAKS tells the address of an API server that Azure runs.
func onAKS(host string) bool {
	u, err := url.Parse(host)
	if err != nil {
		return false
	}
	name := strings.ToLower(cmp.Or(u.Hostname(), host))
	return strings.HasSuffix(name, ".azmk8s.io") || strings.HasSuffix(name, ".azmk8s.us") || strings.HasSuffix(name, ".azmk8s.cn")
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
