package doctor_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/localissuer"
)

// unlabel takes the label from the pod and its template.
func (s *scene) unlabel() {
	delete(s.deployment.Spec.Template.Labels, doctor.UseLabel)
	delete(s.set.Spec.Template.Labels, doctor.UseLabel)
	delete(s.pod.Labels, doctor.UseLabel)
	s.strip()
}

// bare makes the pod one that nothing has made.
func (s *scene) bare() {
	s.pod.OwnerReferences, s.deployment, s.set = nil, nil, nil
}

// The other causes. Each is the only class of faults that is found.
func TestCauses(t *testing.T) {
	type shape struct {
		config  func(*localissuer.Config)
		seed    func(*scene)
		after   func(*scene)
		want    doctor.Cause // "": none
		verdict doctor.Verdict
		has     string // in the report
		hasNot  string
	}
	for name, c := range map[string]shape{
		"no label":                     {seed: (*scene).unlabel, want: doctor.LabelMissing, has: "patch deployment cat"},
		"no label on a pod of its own": {seed: func(s *scene) { s.unlabel(); s.bare() }, want: doctor.LabelMissing, has: "kubectl label pod cat-1-x --namespace pets azure.workload.identity/use=true --overwrite --dry-run=client --output yaml | kubectl replace --force --filename -"},
		"label with another value": {seed: func(s *scene) {
			s.strip()
			s.deployment.Spec.Template.Labels[doctor.UseLabel], s.pod.Labels[doctor.UseLabel] = "True", "True"
		}, want: doctor.LabelValue, has: "True"},
		"label on the service account": {seed: func(s *scene) {
			s.unlabel()
			s.account.Labels = map[string]string{doctor.UseLabel: "true"}
		}, want: doctor.LabelOnAccount},
		"pod before its label": {seed: func(s *scene) {
			s.strip()
			delete(s.pod.Labels, doctor.UseLabel)
		}, want: doctor.LabelNewerThanPod, has: "kubectl rollout restart deployment/cat --namespace pets"},
		"no label on the template of a cron job": {seed: func(s *scene) {
			s.unlabel()
			is := true
			template := s.deployment.Spec.Template
			s.deployment, s.set = nil, nil
			s.others = append(s.others,
				&batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "nightly", Namespace: "pets", Labels: map[string]string{doctor.UseLabel: "true"}}, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}},
				&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "nightly-1", Namespace: "pets", OwnerReferences: []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly", Controller: &is}}}, Spec: batchv1.JobSpec{Template: template}})
			s.pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "nightly-1", Controller: &is}}
		}, want: doctor.LabelNotOnTemplate, has: `{"spec":{"jobTemplate":{"spec":{"template"`},
		"a workload that may not be read": {seed: func(s *scene) {
			s.unlabel()
			s.forbid = []string{"get/replicasets"}
		}, want: doctor.LabelMissing, has: "cannot be told: you may not read it"},

		"namespace left out": {seed: func(s *scene) {
			s.strip()
			s.webhook.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "yes"}}
		}, want: doctor.WebhookExcludes, has: "kubectl label namespace pets inject=yes --overwrite"},
		"namespace left out by an expression": {seed: func(s *scene) {
			s.strip()
			s.namespace.Labels = map[string]string{"control-plane": "true"}
			s.webhook.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "control-plane", Operator: metav1.LabelSelectorOpDoesNotExist}}}
		}, want: doctor.WebhookExcludes, has: "on purpose", hasNot: "kubectl label namespace"},
		"namespace taken in": {seed: func(s *scene) {
			s.webhook.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "yes"}}
			s.namespace.Labels = map[string]string{"inject": "yes"}
		}},
		"pod before the webhook": {seed: func(s *scene) {
			s.strip()
			s.webhook.CreationTimestamp = metav1.NewTime(s.pod.CreationTimestamp.Add(time.Minute))
		}, want: doctor.NotInjected, has: "is older than the webhook"},
		"a webhook that fails open": {seed: func(s *scene) {
			s.strip()
			ignore := admissionv1.Ignore
			s.webhook.Webhooks[0].FailurePolicy = &ignore
		}, want: doctor.NotInjected, has: "failurePolicy is Ignore"},
		"webhooks that may not be read": {seed: func(s *scene) {
			s.strip()
			s.forbid = []string{"list/mutatingwebhookconfigurations"}
		}, want: doctor.NotInjected, has: "kubectl get mutatingwebhookconfigurations"},
		"no webhook on AKS": {seed: func(s *scene) {
			s.strip()
			s.webhook = nil
			s.doctor.Target.Kind = doctor.Azure
			s.host = "https://pets-dns-1.hcp.westeurope.azmk8s.io:443"
		}, want: doctor.WebhookAbsent, has: "--enable-workload-identity"},
		"no webhook elsewhere, for Azure": {seed: func(s *scene) {
			s.strip()
			s.webhook = nil
			s.doctor.Target.Kind = doctor.Azure
		}, want: doctor.WebhookAbsent, has: "--set azureTenantID="},
		"container left out": {seed: func(s *scene) {
			s.strip()
			s.pod.Annotations = map[string]string{"azure.workload.identity/skip-containers": "other;main"}
		}, want: doctor.ContainerSkipped},
		"another container left out": {seed: func(s *scene) {
			s.pod.Annotations = map[string]string{"azure.workload.identity/skip-containers": "first"}
			s.pod.Spec.Containers = append([]corev1.Container{{Name: "first"}}, s.pod.Spec.Containers...)
		}},
		"file without a volume":     {seed: func(s *scene) { s.setEnv("AZURE_FEDERATED_TOKEN_FILE", "/tmp/token") }, want: doctor.TokenFileNotMounted, has: "/tmp/token"},
		"volume without a variable": {seed: func(s *scene) { s.unsetEnv("AZURE_FEDERATED_TOKEN_FILE") }, want: doctor.NotInjected},
		"variables from elsewhere": {seed: func(s *scene) {
			s.strip()
			s.pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{}}
		}, verdict: doctor.Undetermined, has: "ConfigMap or a Secret"},
		"an endpoint in the pod": {seed: func(s *scene) {
			s.strip()
			s.setEnv("IDENTITY_ENDPOINT", "http://127.0.0.1:8080/")
			s.setEnv("IDENTITY_HEADER", "x")
		}},
		"a secret beside it": {seed: func(s *scene) { s.setEnv("AZURE_CLIENT_SECRET", "x") }, has: "before the service account's token"},

		"no service account":                   {seed: func(s *scene) { s.account = nil }, want: doctor.AccountMissing, has: "kubectl create serviceaccount cat --namespace pets"},
		"service account that may not be read": {seed: func(s *scene) { s.forbid = []string{"get/serviceaccounts"} }, verdict: doctor.Undetermined, has: "what the service account says cannot be told"},
		"client id in quotes": {seed: func(s *scene) {
			s.account.Annotations["azure.workload.identity/client-id"] = `"` + s.app.AppID + `"`
		}, want: doctor.ClientIDMalformed, has: "annotate serviceaccount cat --namespace pets --overwrite azure.workload.identity/client-id="},
		"client id of before": {seed: func(s *scene) {
			s.account.Annotations["azure.workload.identity/client-id"] = s.application("next").AppID
		}, want: doctor.ClientIDOutdated, has: "kubectl rollout restart deployment/cat"},
		"client id of the template": {seed: func(s *scene) {
			s.account.Annotations["azure.workload.identity/client-id"] = s.application("next").AppID
			s.deployment.Spec.Template.Spec.Containers[0].Env = s.pod.Spec.Containers[0].Env
		}, has: "goes before the annotation"},
		"client id of a pod of its own": {seed: func(s *scene) {
			s.account.Annotations["azure.workload.identity/client-id"] = s.application("next").AppID
			s.bare()
		}, verdict: doctor.Undetermined, has: "which of them cannot be told"},
		"tenant without a dot": {seed: func(s *scene) { s.account.Annotations["azure.workload.identity/tenant-id"] = "contoso" }, want: doctor.TenantMalformed},
		"client id that nobody trusts yet": {seed: func(s *scene) {
			s.account.Annotations = nil
			s.unsetEnv("AZURE_CLIENT_ID")
			s.none = true
		}, want: doctor.ClientIDMissing, has: "no client trusts it yet"},
		"client id that two could be": {seed: func(s *scene) {
			s.account.Annotations = nil
			s.unsetEnv("AZURE_CLIENT_ID")
			s.add(s.application("dog"), s.credential)
		}, want: doctor.ClientIDMissing, has: "several clients trust it"},

		"another token altogether": {seed: func(s *scene) { s.giveText(`{"kind":"TokenRequest"}`) }, want: doctor.TokenMalformed, has: ".status.token"},
		"a token with its scheme":  {seed: func(s *scene) { s.giveText("Bearer x.y.z") }, want: doctor.TokenMalformed, has: "the token alone"},
		"no token":                 {seed: func(s *scene) { s.giveText("") }, want: doctor.TokenMissing},
		"an access token": {seed: func(s *scene) {
			token, err := client.ClientSecret(s.w.Authority, s.w.TenantID, s.w.ClientID, s.w.ClientSecret, s.w.http).Token(s.Context(), client.Scope(s.w.Authority))
			if err != nil {
				s.Fatal(err)
			}
			s.giveText(token.AccessToken)
		}, want: doctor.TokenOfAuthority},
		"a token without an end": {after: func(s *scene) {
			s.token = func(t *localissuer.Token) { t.Extra = map[string]any{"exp": nil} }
			s.giveToken()
		}, want: doctor.TokenMalformed, has: `no \"exp\"`},
		"a token of before the issuer changed": {after: func(s *scene) {
			old := "https://old.example/"
			s.token = func(t *localissuer.Token) { t.Issuer = &old }
			s.giveToken()
		}, want: doctor.TokenOfOtherCluster, has: "create token cat"},

		"document of another issuer": {after: func(s *scene) {
			s.issuer.SetFaults(localissuer.Faults{DiscoveryIssuer: strings.TrimSuffix(s.issuer.URL(), "/")})
		}, want: doctor.DocumentDiffers, has: "the slash at its end is missing"},
		"no document":              {after: func(s *scene) { s.issuer.SetFaults(localissuer.Faults{On: localissuer.Discovery, Status: 404}) }, want: doctor.DiscoveryStatus, has: "404 Not Found"},
		"redirect":                 {after: func(s *scene) { s.issuer.SetFaults(localissuer.Faults{Redirect: "https://x.example/"}) }, want: doctor.DiscoveryRedirect},
		"algorithm":                {config: func(c *localissuer.Config) { c.Algorithm, c.Key = "ES256", nil }, want: doctor.AlgorithmNotAllowed, has: "ES256"},
		"algorithm that was added": {config: func(c *localissuer.Config) { c.Algorithm, c.Key = "ES256", nil }, seed: func(s *scene) { s.spec.Algorithms = []string{"ES256"} }},
		"signature": {after: func(s *scene) {
			s.token = func(t *localissuer.Token) { t.BadSignature = true }
		}, want: doctor.SignatureWrong},
		"key for something else": {after: func(s *scene) {
			s.issuer.SetFaults(localissuer.Faults{On: localissuer.Keys, Body: []byte(strings.Replace(string(s.issuer.JWKS()), `"use":"sig"`, `"use":"enc"`, 1))})
		}, want: doctor.KeySetInvalid},
		"a private key beside": {after: func(s *scene) {
			s.issuer.SetFaults(localissuer.Faults{ExtraKeys: []json.RawMessage{[]byte(`{"kty":"RSA","kid":"x","n":"AQAB","e":"AQAB","d":"AQAB"}`)}})
		}, want: doctor.KeyPrivate},
		"keys at an address": {seed: func(s *scene) {
			s.spec.KeySource, s.spec.JWKSURI = client.JWKSURIKeys, s.issuer.URL()+"openid/v1/jwks"
		}, after: func(s *scene) { s.issuer.SetFaults(localissuer.Faults{On: localissuer.Discovery, Status: 404}) }},
		"old keys, and an old token": {seed: func(s *scene) {
			s.rotate()
		}, after: func(s *scene) {
			// A token of a key that is neither published nor the cluster's any more.
			other := s.start(localissuer.Config{URL: s.issuer.URL(), Key: s.w.keys[2]})
			text, err := other.Mint(localissuer.Token{Namespace: "pets", ServiceAccount: "cat"})
			if err != nil {
				s.Fatal(err)
			}
			s.giveText(text)
			s.question.ClientID = s.app.AppID
		}, want: doctor.KeyUnpublished, has: "neither does the cluster"},

		"object id":      {seed: func(s *scene) { s.actAs(s.app.ID) }, want: doctor.ClientIsObjectID, has: "where its client id should stand"},
		"nobody":         {seed: func(s *scene) { s.actAs("00000000-0000-4000-8000-00000000dead") }, want: doctor.ClientNotFound, has: "cannot be told"},
		"another tenant": {seed: func(s *scene) { s.setEnv("AZURE_TENANT_ID", "00000000-0000-4000-8000-00000000dead") }, want: doctor.TenantNotFound},

		"no credential": {seed: func(s *scene) { s.none = true }, want: doctor.NoCredential, has: "federated-credential create pets-cat"},
		"credentials for others only": {seed: func(s *scene) {
			s.credential.Issuer, s.credential.Subject = "https://token.actions.githubusercontent.com", "repo:contoso/shop:ref:refs/heads/main"
		}, want: doctor.NoneMatches},
		"issuer in another case":  {seed: func(s *scene) { s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/") + "/X/" }, want: doctor.IssuerOther},
		"wildcard":                {seed: func(s *scene) { s.credential.Subject = "system:serviceaccount:pets:*" }, want: doctor.SubjectWildcard, has: "no wildcard"},
		"look-alike":              {seed: func(s *scene) { s.credential.Subject = "system:serviceaccount:pets:c\u0430t" }, want: doctor.SubjectLookAlike, has: "U+0430"},
		"invisible":               {seed: func(s *scene) { s.credential.Subject = subject + "\u200b" }, want: doctor.SubjectLookAlike, has: "U+200B"},
		"another service account": {seed: func(s *scene) { s.credential.Subject = "system:serviceaccount:pets:dog" }, want: doctor.SubjectAccount},
		"the default service account": {seed: func(s *scene) {
			s.others = append(s.others, s.account.DeepCopy())
			s.account.Name = "default"
			s.pod.Spec.ServiceAccountName, s.deployment.Spec.Template.Spec.ServiceAccountName = "default", ""
		}, want: doctor.SubjectAccount, has: `{"spec":{"template":{"spec":{"serviceAccountName":"cat"}}}}`},
		"several audiences": {after: func(s *scene) {
			s.token = func(t *localissuer.Token) { t.Audiences = []string{audience, "other"} }
		}, want: doctor.SeveralAudiences},
		"several audiences that are allowed": {seed: func(s *scene) { s.spec.AllowMultipleAudiences = true }, after: func(s *scene) {
			s.token = func(t *localissuer.Token) { t.Audiences = []string{audience, "other"} }
		}},
		"audience of a volume by hand": {seed: func(s *scene) {
			volume := tokenVolume("mine", "token/azure-identity-token", "vault")
			s.pod.Spec.Volumes[0] = volume
			s.pod.Spec.Containers[0].VolumeMounts[0].Name = "mine"
			s.deployment.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "x"}, volume}
		}, want: doctor.AudienceOfToken, has: `/spec/template/spec/volumes/1/projected/sources/0/serviceAccountToken/audience`},
		"two audiences of one's own": {seed: func(s *scene) {
			s.pod.Spec.Volumes[0] = tokenVolume("mine", "token/azure-identity-token", "one")
			s.pod.Spec.Containers[0].VolumeMounts[0].Name = "mine"
			s.credential.Audiences = []string{"two"}
		}, want: doctor.AudienceOther, has: "which is right cannot be told"},
		"two slashes where the token has one": {seed: func(s *scene) {
			s.credential.Issuer = s.issuer.URL() + "/"
		}, want: doctor.IssuerSlashExtra, has: "correct the issuer of the credential", hasNot: "federated-credential create"},
		"two slashes where the token has none": {config: func(c *localissuer.Config) { c.Bare = true }, seed: func(s *scene) {
			s.credential.Issuer = s.issuer.URL() + "//"
		}, want: doctor.IssuerSlashExtra, has: "correct the issuer of the credential", hasNot: "federated-credential create"},
		"slash of the audience": {seed: func(s *scene) { s.credential.Audiences = []string{audience + "/"} }, want: doctor.AudienceOther, has: "--audience api://AzureADTokenExchange"},
		"two faults at once": {seed: func(s *scene) {
			s.credential.Issuer, s.credential.Subject = strings.TrimSuffix(s.issuer.URL(), "/"), "system:serviceaccount:pets:Cat"
		}, want: doctor.IssuerSlashMissing, has: "correct the credential"},

		"unknown resource":         {seed: func(s *scene) { s.doctor.Target.Scope = "api://nothing-like-it/.default" }, want: doctor.ResourceNotFound},
		"scope":                    {seed: func(s *scene) { s.doctor.Target.Scope = "https://vault.azure.net" }, want: doctor.ScopeInvalid},
		"pod of another authority": {seed: func(s *scene) { s.setEnv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/") }, verdict: doctor.Undetermined, has: "whether these are one service cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*localissuer.Config)
			if c.config != nil {
				change = append(change, c.config)
			}
			s := newScene(t, change...)
			if c.seed != nil {
				c.seed(s)
			}
			s.register()
			if c.after != nil {
				c.after(s)
			}
			r := s.examine()
			verdict := c.verdict
			if verdict == "" {
				verdict = doctor.Healthy
			}
			if c.want != "" {
				verdict = doctor.Faulty
			}
			if r.Verdict != verdict || r.Cause != c.want || r.Class != c.want.Class() {
				t.Fatalf("got %s %q, want %s %q: %s", r.Verdict, r.Cause, verdict, c.want, show(r))
			}
			for _, f := range r.Faults() {
				if f.Class != c.want.Class() {
					t.Errorf("something else is blamed as well: %q: %s", f.Cause, show(r))
				}
				if strings.HasSuffix(f.Text, ".") || f.Text == "" {
					t.Errorf("%q is no sentence without a full stop", f.Text)
				}
			}
			text := unescape(show(r))
			if !strings.Contains(text, strings.ReplaceAll(c.has, `\"`, `"`)) || c.hasNot != "" && strings.Contains(text, c.hasNot) {
				t.Errorf("%q, not %q: %s", c.has, c.hasNot, show(r))
			}
		})
	}
}

func (s *scene) giveText(token string) {
	s.question = doctor.Question{Kind: doctor.TokenKind, Token: token, TokenFrom: "token", ClientID: s.app.AppID}
}

// actAs has the workload be a client.
func (s *scene) actAs(clientID string) {
	s.account.Annotations["azure.workload.identity/client-id"] = clientID
	s.setEnv("AZURE_CLIENT_ID", clientID)
}

// What somebody may not see is said to be so, and nothing is made up.
func TestWithoutRights(t *testing.T) {
	for name, c := range map[string]struct {
		seed    func(*scene)
		after   func(*scene)
		verdict doctor.Verdict
		want    doctor.Cause
		has     string
		hasNot  string
	}{
		"healthy, and credentials that nobody may read": {seed: func(s *scene) { s.doctor.Target.Client = nil }, verdict: doctor.Healthy, has: "nobody is known who could read them"},
		"a wrong issuer, by the authority's word alone": {seed: func(s *scene) {
			s.doctor.Target.Client = nil
			s.doctor.Roots = s.trusted()
			s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/")
		}, verdict: doctor.Faulty, want: doctor.NoneMatches, has: "entente federated-credential list --application", hasNot: "federated-credential update"},
		"a wrong subject, by the authority's word alone": {seed: func(s *scene) {
			s.doctor.Target.Client = nil
			s.credential.Subject += "s"
		}, verdict: doctor.Faulty, want: doctor.SubjectOther},
		"an issuer that cannot be read from here, while something else is wrong": {seed: func(s *scene) {
			s.doctor.Target.Client = nil
			s.credential.Subject += "s"
		}, after: func(s *scene) { s.issuer.Close() }, verdict: doctor.Faulty, want: doctor.SubjectOther, has: "whether the authority has keys of this issuer"},
		"a caller without rights": {seed: func(s *scene) {
			app := s.application("nobody")
			secret, err := s.w.admin.AddPassword(s.Context(), app.ID, client.PasswordSpec{})
			if err != nil {
				s.Fatal(err)
			}
			s.doctor.Target.Client = s.as(app.AppID, secret.SecretText)
			s.credential.Audiences = []string{"https://vault.azure.net"}
		}, verdict: doctor.Faulty, want: doctor.AudienceOther, has: "may not read them"},
		"no token may be asked for": {seed: func(s *scene) { s.forbid = []string{"create/serviceaccounts/token"} }, verdict: doctor.Undetermined, has: "create serviceaccounts/token"},
		"no token may be asked for, and the slash is seen all the same": {seed: func(s *scene) {
			s.forbid = []string{"create/serviceaccounts/token"}
			s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/")
		}, verdict: doctor.Faulty, want: doctor.IssuerSlashMissing},
		"no token is wanted": {seed: func(s *scene) { s.question.NoToken = true }, verdict: doctor.Healthy},
		"no token is wanted, and keys are not published": {seed: func(s *scene) { s.question.NoToken = true }, after: func(s *scene) {
			s.keySet = s.start(localissuer.Config{Key: s.w.keys[1]}).JWKS
		}, verdict: doctor.Faulty, want: doctor.KeyUnpublished},
		"no token is wanted, and one key is not published": {seed: func(s *scene) { s.question.NoToken = true }, after: func(s *scene) {
			before := s.issuer.JWKS()
			s.rotate()
			s.issuer.SetFaults(localissuer.Faults{On: localissuer.Keys, Body: before})
		}, verdict: doctor.Undetermined, has: "whether it signs with one of them cannot be told"},
		"no exchange is wanted":                         {seed: func(s *scene) { s.question.NoExchange = true }, verdict: doctor.Healthy},
		"no exchange is wanted, and the issuer is down": {seed: func(s *scene) { s.question.NoExchange = true }, after: func(s *scene) { s.issuer.Close() }, verdict: doctor.Faulty, want: doctor.DiscoveryRefused, has: ", seen from here"},
		"no authority is known":                         {seed: func(s *scene) { s.doctor.Target = doctor.Target{Kind: doctor.Azure}; s.doctor.Roots = s.trusted() }, verdict: doctor.Undetermined},
		"an authority that does not answer": {seed: func(s *scene) {
			s.doctor.Target.Authority, s.doctor.Target.Client = "https://127.0.0.1:1", nil
			s.setEnv("AZURE_AUTHORITY_HOST", "https://127.0.0.1:1/")
			s.doctor.Roots = s.trusted()
			s.doctor.Patience = 100 * time.Millisecond
		}, verdict: doctor.Faulty, want: doctor.AuthorityUnreachable},
		"a service that is down": {seed: func(s *scene) {
			s.question = doctor.Question{Kind: doctor.TokenKind, Token: s.mint("pets", "cat", []string{audience}), TokenFrom: "token", ClientID: s.app.AppID}
			s.doctor.Target.Authority, s.doctor.Target.Client = "https://127.0.0.1:1", s.at("https://127.0.0.1:1")
			s.doctor.Roots = s.trusted()
			s.doctor.Patience = 100 * time.Millisecond
		}, verdict: doctor.Faulty, want: doctor.AuthorityUnreachable, has: "start the service, or open the way", hasNot: "have somebody"},
		"a name for a client id": {seed: func(s *scene) {
			s.question = doctor.Question{Kind: doctor.TokenKind, Token: s.mint("pets", "cat", []string{audience}), TokenFrom: "token", ClientID: "myapp"}
			s.application("myapp")
		}, verdict: doctor.Faulty, want: doctor.ClientNotFound, has: `it is to be the application "myapp"`, hasNot: "have somebody"},
		"a name for a client id, and nobody who could look": {seed: func(s *scene) {
			s.question = doctor.Question{Kind: doctor.TokenKind, Token: s.mint("pets", "cat", []string{audience}), TokenFrom: "token", ClientID: "myapp"}
			s.doctor.Target.Client = nil
			s.doctor.Roots = s.trusted()
		}, verdict: doctor.Faulty, want: doctor.ClientNotFound, has: "is no client id", hasNot: "have somebody"},
		"an authority that is not trusted": {seed: func(s *scene) {
			s.doctor.Target.HTTP = &http.Client{Transport: &http.Transport{}}
		}, verdict: doctor.Faulty, want: doctor.AuthorityUntrusted, has: "--ca FILE"},
		"an issuer that is down, with keys that the authority still has": {after: func(s *scene) {
			if r := s.examine(); r.Verdict != doctor.Healthy {
				s.Fatal(show(r))
			}
			s.issuer.Close()
		}, verdict: doctor.Healthy, has: "the exchange works all the same"},
		"a service account by itself": {seed: func(s *scene) {
			s.question = doctor.Question{Kind: doctor.ServiceAccountKind, Namespace: "pets", Name: "cat"}
		}, verdict: doctor.Healthy, has: "AZURE_FEDERATED_TOKEN_FILE"},
		"a service account whose workload lacks the label": {seed: func(s *scene) {
			s.unlabel()
			s.deployment.Labels = map[string]string{doctor.UseLabel: "true"}
			s.question = doctor.Question{Kind: doctor.ServiceAccountKind, Namespace: "pets", Name: "cat"}
		}, verdict: doctor.Faulty, want: doctor.LabelNotOnTemplate},
		"a service account that nothing uses": {seed: func(s *scene) {
			s.deployment, s.pod = nil, nil
			s.question = doctor.Question{Kind: doctor.ServiceAccountKind, Namespace: "pets", Name: "cat"}
		}, verdict: doctor.Healthy, has: "no workload of the namespace runs as it"},
		"a service account with another workload": {seed: func(s *scene) {
			other := s.deployment.DeepCopy()
			other.Name = "dog"
			delete(other.Spec.Template.Labels, doctor.UseLabel)
			s.others = append(s.others, other)
			s.question = doctor.Question{Kind: doctor.ServiceAccountKind, Namespace: "pets", Name: "cat"}
		}, verdict: doctor.Healthy, has: "deployment/dog runs as it as well"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if c.seed != nil {
				c.seed(s)
			}
			s.register()
			if c.after != nil {
				c.after(s)
			}
			r := s.examine()
			if r.Verdict != c.verdict || r.Cause != c.want {
				t.Fatalf("got %s %q, want %s %q: %s", r.Verdict, r.Cause, c.verdict, c.want, show(r))
			}
			if text := unescape(show(r)); !strings.Contains(text, c.has) || c.hasNot != "" && strings.Contains(text, c.hasNot) {
				t.Errorf("%q, not %q: %s", c.has, c.hasNot, show(r))
			}
		})
	}
}

// Clocks: the cluster's is what a new token says, the authority's what its answers say.
func TestClocks(t *testing.T) {
	for name, c := range map[string]struct {
		cluster, authority, here time.Duration
		want                     doctor.Cause
		has                      string
	}{
		"all agree":              {0, 0, 0, "", "valid until"},
		"the cluster's":          {10 * time.Minute, 0, 0, doctor.ClockOfCluster, "10m0s ahead"},
		"the authority's":        {0, 10 * time.Minute, 0, doctor.ClockOfAuthority, "ahead: the cluster's agrees"},
		"this machine's":         {0, 0, 10 * time.Minute, "", "the clock of this machine is"},
		"each another":           {10 * time.Minute, -10 * time.Minute, 0, doctor.ClocksDiffer, "which one is wrong cannot be told"},
		"within what is allowed": {4 * time.Minute, 0, 0, "", "valid until"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.clock = c.cluster
			s.doctor.Clock = func() time.Time { return time.Now().Add(c.here) }
			base := s.w.http.Transport
			s.doctor.Target.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				answer, err := base.RoundTrip(r)
				if err == nil {
					answer.Header.Set("Date", time.Now().Add(c.authority).UTC().Format(http.TimeFormat))
				}
				return answer, err
			})}
			s.register()
			r := s.examine()
			check := r.Checks[4]
			got := doctor.Cause("")
			if i := slices.IndexFunc(check.Findings, func(f doctor.Finding) bool { return f.State == doctor.Failed }); i >= 0 {
				got = check.Findings[i].Cause
			}
			if text, _ := json.Marshal(check); got != c.want || !strings.Contains(string(text), c.has) {
				t.Errorf("got %q, want %q and %q: %s", got, c.want, c.has, text)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A process examines what it was given, as in a pod.
func TestProcess(t *testing.T) {
	for name, c := range map[string]struct {
		change func(env map[string]string)
		file   func(*scene) (string, error)
		want   doctor.Cause
		has    string
	}{
		"healthy":          {},
		"nothing injected": {change: func(env map[string]string) { delete(env, "AZURE_FEDERATED_TOKEN_FILE") }, want: doctor.NotInjected, has: "entente doctor pod cat-1 --namespace pets"},
		"no client":        {change: func(env map[string]string) { delete(env, "AZURE_CLIENT_ID") }, want: doctor.NotInjected},
		"no file":          {file: func(*scene) (string, error) { return "", fmt.Errorf("no such file") }, want: doctor.TokenMissing},
		"an empty file":    {file: func(*scene) (string, error) { return "\n", nil }, want: doctor.TokenMissing},
		"an old token": {file: func(s *scene) (string, error) {
			s.token = func(t *localissuer.Token) { past(t, 2*time.Hour) }
			return s.mint("pets", "cat", nil), nil
		}, want: doctor.TokenExpired, has: "kubectl delete pod cat-1 --namespace pets"},
		"an endpoint instead": {change: func(env map[string]string) {
			clear(env)
			env["IDENTITY_ENDPOINT"], env["IDENTITY_HEADER"] = "http://127.0.0.1/", "x"
		}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.register()
			env := map[string]string{
				"AZURE_CLIENT_ID": s.app.AppID, "AZURE_TENANT_ID": "adfs", "AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_AUTHORITY_HOST": s.w.Authority,
				"HOSTNAME": "cat-1", "KUBERNETES_SERVICE_HOST": "10.0.0.1",
			}
			if c.change != nil {
				c.change(env)
			}
			s.question = doctor.Question{
				Kind: doctor.ProcessKind, Namespace: "pets", Environment: func(name string) string { return env[name] },
				ReadFile: func(name string) ([]byte, error) {
					if name != file {
						t.Errorf("%s was read", name)
					}
					if c.file != nil {
						text, err := c.file(s)
						return []byte(text), err
					}
					return []byte(s.mint("pets", "cat", nil) + "\n"), nil
				},
			}
			r, err := s.doctor.Examine(t.Context(), s.question)
			if err != nil {
				t.Fatal(err)
			}
			if r.Cause != c.want || !strings.Contains(unescape(show(r)), c.has) {
				t.Errorf("got %q, want %q and %q: %s", r.Cause, c.want, c.has, show(r))
			}
		})
	}
}

func TestNothingToExamine(t *testing.T) {
	s := newScene(t)
	for _, q := range []doctor.Question{
		{},
		{Kind: doctor.PodKind, Namespace: "pets", Name: "nobody"},
		{Kind: doctor.ServiceAccountKind, Namespace: "pets", Name: "nobody"},
		{Kind: doctor.PodKind, Namespace: "pets", Name: "cat-1-x", Container: "nobody"},
	} {
		s.doctor.Cluster.API = s.cluster()
		if r, err := s.doctor.Examine(t.Context(), q); err == nil {
			t.Errorf("%+v: %s", q, show(r))
		}
	}
}
