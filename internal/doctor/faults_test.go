package doctor_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/localissuer"
)

type urlOf = url.URL

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", nil)
}

// imds is what an SDK prints that found nothing injected.
const imds = `DefaultAzureCredential: failed to acquire a token.
Attempted credentials:
	EnvironmentCredential: missing environment variable AZURE_TENANT_ID
	WorkloadIdentityCredential: no client ID specified. Check pod configuration or set ClientID in the options
	ManagedIdentityCredential: failed to authenticate a system assigned identity. The endpoint responded with {"error":"invalid_request","error_description":"Identity not found"}`

// oldSDK is what one prints that does not know what is injected.
const oldSDK = `DefaultAzureCredential failed to retrieve a token from the included credentials.
- EnvironmentCredential authentication unavailable. Environment variables are not fully configured.
- ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint.`

// The seeded faults, each with a twin that is as like it as can be and healthy.
func TestFaults(t *testing.T) {
	type fault struct {
		config func(*localissuer.Config)
		seed   func(*scene) // before the service knows of anything
		after  func(*scene) // and after
		want   doctor.Cause
		check  int
		mend   string // in one of the commands
		twin   func(*scene)
		later  func(*scene)
	}
	slashless := func(c *localissuer.Config) { c.Bare = true }
	for name, f := range map[string]fault{
		"missing slash": {
			seed: func(s *scene) { s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/") },
			want: doctor.IssuerSlashMissing, check: 10, mend: "federated-credential update cat",
			twin: func(*scene) {},
		},
		"extra slash": {
			config: slashless,
			seed:   func(s *scene) { s.credential.Issuer = s.issuer.URL() + "/" },
			want:   doctor.IssuerSlashExtra, check: 10, mend: "federated-credential update cat",
			twin: func(*scene) {},
		},
		"case in subject": {
			seed: func(s *scene) { s.credential.Subject = "system:serviceaccount:Pets:cat" },
			want: doctor.SubjectCase, check: 10, mend: "--subject system:serviceaccount:pets:cat",
			twin: func(s *scene) { s.credential.Name = "CAT" },
		},
		"wrong namespace": {
			seed: func(s *scene) { s.credential.Subject = "system:serviceaccount:zoo:cat" },
			want: doctor.SubjectNamespace, check: 10, mend: "federated-credential create pets-cat",
			twin: func(s *scene) {
				s.add(s.app, client.FederatedCredential{Name: "zoo", Issuer: s.issuer.URL(), Subject: "system:serviceaccount:zoo:cat", Audiences: []string{audience}})
			},
		},
		"wrong audience": {
			seed: func(s *scene) {
				s.pod.Spec.Volumes[0] = tokenVolume("azure-workload-identity-reserved-1", "token/azure-identity-token", "sts.amazonaws.com")
			},
			want: doctor.AudienceOfToken, check: 10, mend: "rollout restart deployment/cat",
			// Whatever two have agreed on is right.
			twin: func(s *scene) {
				s.pod.Spec.Volumes[0] = tokenVolume("azure-workload-identity-reserved-1", "token/azure-identity-token", "sts.amazonaws.com")
				s.credential.Audiences = []string{"sts.amazonaws.com"}
			},
		},
		"old cluster's issuer": {
			seed: func(s *scene) {
				old := s.start(localissuer.Config{Key: s.w.keys[1]})
				s.credential.Issuer = old.URL()
			},
			want: doctor.IssuerOther, check: 10, mend: "federated-credential create pets-cat",
			twin: func(s *scene) {
				old := s.start(localissuer.Config{Key: s.w.keys[1]})
				s.add(s.app, client.FederatedCredential{Name: "old", Issuer: old.URL(), Subject: subject, Audiences: []string{audience}})
			},
		},
		"label on the Deployment but not the template": {
			seed: func(s *scene) {
				s.deployment.Labels = map[string]string{doctor.UseLabel: "true"}
				delete(s.deployment.Spec.Template.Labels, doctor.UseLabel)
				delete(s.set.Spec.Template.Labels, doctor.UseLabel)
				delete(s.pod.Labels, doctor.UseLabel)
				s.strip()
			},
			want: doctor.LabelNotOnTemplate, check: 1, mend: `patch deployment cat --namespace pets`,
			// A pod that was written without the webhook needs no label.
			twin: func(s *scene) {
				s.deployment.Labels = map[string]string{doctor.UseLabel: "true"}
				delete(s.deployment.Spec.Template.Labels, doctor.UseLabel)
				delete(s.set.Spec.Template.Labels, doctor.UseLabel)
				delete(s.pod.Labels, doctor.UseLabel)
				s.deployment.Spec.Template.Spec = s.pod.Spec
			},
		},
		"missing client-id annotation": {
			seed: func(s *scene) {
				s.account.Annotations = nil
				s.unsetEnv("AZURE_CLIENT_ID")
			},
			want: doctor.ClientIDMissing, check: 2, mend: "annotate serviceaccount cat",
			// A container may name the client itself.
			twin: func(s *scene) {
				s.account.Annotations = nil
				s.deployment.Spec.Template.Spec.Containers[0].Env = s.pod.Spec.Containers[0].Env
			},
		},
		"unknown kid after rotation": {
			after: func(s *scene) {
				published := s.issuer.JWKS()
				s.rotate()
				s.issuer.SetFaults(localissuer.Faults{On: localissuer.Keys, Body: published})
			},
			want: doctor.KeyUnpublished, check: 8, mend: "get --raw /openid/v1/jwks",
			twin: func(*scene) {}, later: (*scene).rotate,
		},
		"unknown kid after rotation, with uploaded keys": {
			seed: func(s *scene) {
				s.spec.KeySource, s.spec.KeySet, s.spec.CACertificate = client.UploadedKeys, s.issuer.JWKS(), ""
			},
			after: (*scene).rotate,
			want:  doctor.KeysOutdated, check: 8, mend: "--keys -",
			twin: func(s *scene) {
				s.spec.KeySource, s.spec.KeySet, s.spec.CACertificate = client.UploadedKeys, s.issuer.JWKS(), ""
			},
		},
		"expired token": {
			after: func(s *scene) {
				s.token = func(t *localissuer.Token) { past(t, 2*time.Hour) }
				s.giveToken()
			},
			want: doctor.TokenExpired, check: 5, mend: "create token cat --namespace pets --audience api://AzureADTokenExchange > token",
			twin: func(*scene) {}, later: func(s *scene) {
				s.token = func(t *localissuer.Token) { past(t, 59*time.Minute) } // good for another minute
				s.giveToken()
			},
		},
		"unreachable discovery": {
			after: func(s *scene) { s.issuer.Close() },
			want:  doctor.DiscoveryRefused, check: 6, mend: "entente cluster register",
			// One that nobody needs to reach.
			twin: func(s *scene) {
				s.spec.KeySource, s.spec.KeySet, s.spec.CACertificate = client.UploadedKeys, s.issuer.JWKS(), ""
			},
			later: func(s *scene) { s.issuer.Close() },
		},
		"wrong CA": {
			seed: func(s *scene) {
				other := s.start(localissuer.Config{Key: s.w.keys[1]})
				s.spec.CACertificate = string(other.CAPEM())
			},
			want: doctor.TLSUntrusted, check: 6, mend: "--issuer-ca",
			twin: func(*scene) {},
		},
		"clock 10 minutes off": {
			seed: func(s *scene) { s.clock = 10 * time.Minute },
			want: doctor.ClockOfCluster, check: 5, mend: "timedatectl set-ntp true",
			twin: func(s *scene) { s.clock = 3 * time.Minute },
		},
		"clock 10 minutes off, the other way": {
			seed: func(s *scene) { s.clock = -10 * time.Minute },
			want: doctor.ClockOfCluster, check: 5, mend: "timedatectl set-ntp true",
			twin: func(s *scene) { s.clock = -3 * time.Minute },
		},
		"credential on another application": {
			seed: func(s *scene) {
				other := s.application("dog")
				s.add(other, s.credential)
				s.none = true
			},
			want: doctor.CredentialElsewhere, check: 10, mend: "federated-credential create pets-cat",
			// Several clients may trust one service account.
			twin: func(s *scene) { s.add(s.application("dog"), s.credential) },
		},
		"application deleted": {
			after: func(s *scene) {
				if err := s.w.admin.DeleteApplication(s.Context(), s.app.ID); err != nil {
					s.Fatal(err)
				}
			},
			want: doctor.ClientDeleted, check: 9, mend: "/restore",
			twin: func(*scene) {}, later: func(s *scene) {
				gone := s.application("cat")
				if err := s.w.admin.DeleteApplication(s.Context(), gone.ID); err != nil {
					s.Fatal(err)
				}
			},
		},
		"credential's audience set to the resource's URL": {
			seed: func(s *scene) { s.credential.Audiences = []string{"https://cats.vault.azure.net"} },
			want: doctor.AudienceIsResource, check: 10, mend: "--audience api://AzureADTokenExchange",
			twin: func(s *scene) {
				s.doctor.Target.Scope = client.Scope("https://vault.azure.net")
			},
		},
		"issuer not enabled": {
			config: func(c *localissuer.Config) { c.URL = "https://kubernetes.default.svc.cluster.local" },
			seed: func(s *scene) {
				s.spec = client.IssuerSpec{} // as a credential that names it makes it
				s.forgetIssuer()
			},
			want: doctor.IssuerNotEnabled, check: 6, mend: "entente cluster register",
			twin: func(s *scene) {
				s.forgetIssuer()
				s.spec.KeySource, s.spec.KeySet, s.spec.CACertificate = client.UploadedKeys, s.issuer.JWKS(), ""
			},
		},
		"SDK falling back to IMDS, for there is no webhook": {
			seed: func(s *scene) {
				s.strip()
				s.webhook = nil
			},
			want: doctor.WebhookAbsent, check: 3, mend: "patch deployment cat --namespace pets --patch",
			twin: func(s *scene) { s.webhook = nil }, // it has done its work
		},
		"SDK falling back to IMDS, by its error": {
			seed: func(s *scene) {
				s.strip()
				s.question.Said = doctor.ReadError(imds)
			},
			want: doctor.NotInjected, check: 3, mend: "rollout restart deployment/cat",
			twin: func(*scene) {},
		},
		"SDK falling back to IMDS, for it is too old": {
			seed: func(s *scene) { s.question.Said = doctor.ReadError(oldSDK) },
			want: doctor.AsksIMDS, check: 3,
			twin: func(*scene) {},
		},
	} {
		for _, kind := range []string{"fault", "twin"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var change []func(*localissuer.Config)
				if f.config != nil {
					change = append(change, f.config)
				}
				s := newScene(t, change...)
				before, after := f.seed, f.after
				if kind == "twin" {
					before, after = f.twin, f.later
				}
				if before != nil {
					before(s)
				}
				s.register()
				if after != nil {
					after(s)
				}
				r := s.examine()
				if kind == "twin" {
					if r.Verdict != doctor.Healthy || r.ExitCode != 0 || r.Cause != "" {
						t.Errorf("the twin is %s: %s", r.Verdict, show(r))
					}
					return
				}
				if r.Verdict != doctor.Faulty || r.Cause != f.want || r.ExitCode != f.want.ExitCode() || r.ExitCode <= 10 {
					t.Fatalf("got %s %q (exit code %d), want %q: %s", r.Verdict, r.Cause, r.ExitCode, f.want, show(r))
				}
				c := r.Checks[f.check-1]
				i := slices.IndexFunc(c.Findings, func(g doctor.Finding) bool { return g.Cause == f.want })
				if i < 0 {
					t.Fatalf("check %d does not have it: %s", f.check, show(r))
				}
				if text, _ := json.Marshal(c.Findings[i].Mends); f.mend != "" && !strings.Contains(unescape(string(text)), f.mend) {
					t.Errorf("no mend with %q: %s", f.mend, show(r))
				}
				for _, g := range r.Faults() {
					if g.Class != f.want.Class() {
						t.Errorf("something else is blamed as well: %q (%s): %s", g.Cause, g.Text, show(r))
					}
				}
			})
		}
	}
}

// A second credential of the client, for another workload of the same cluster, is
// not taken for the one that is wrong, and neither does one at another client hide it.
func TestFaultsBesideOtherCredentials(t *testing.T) {
	for name, f := range map[string]struct {
		bare  bool
		seed  func(*scene)
		want  doctor.Cause
		twice bool // another client's credential fits, and the own one is still what is told
	}{
		"missing slash":        {false, func(s *scene) { s.credential.Issuer = strings.TrimSuffix(s.issuer.URL(), "/") }, doctor.IssuerSlashMissing, true},
		"extra slash":          {true, func(s *scene) { s.credential.Issuer = s.issuer.URL() + "/" }, doctor.IssuerSlashExtra, true},
		"old cluster's issuer": {false, func(s *scene) { s.credential.Issuer = "https://old.example/" }, doctor.IssuerOther, true},
		"case in subject":      {false, func(s *scene) { s.credential.Subject = "system:serviceaccount:Pets:cat" }, doctor.SubjectCase, true},
		"wrong namespace":      {false, func(s *scene) { s.credential.Subject = "system:serviceaccount:menagerie:cat" }, doctor.SubjectNamespace, false},
		"wildcard":             {false, func(s *scene) { s.credential.Subject = "system:serviceaccount:pets:*" }, doctor.SubjectWildcard, false},
		"wrong audience":       {false, func(s *scene) { s.credential.Audiences = []string{"https://vault.azure.net"} }, doctor.AudienceIsResource, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(c *localissuer.Config) { c.Bare = f.bare })
			own := s.credential
			f.seed(s)
			for _, name := range []string{"bat", "cow", "cats"} {
				s.add(s.app, client.FederatedCredential{Name: name, Issuer: s.issuer.URL(), Subject: "system:serviceaccount:pets:" + name, Audiences: []string{audience}})
			}
			s.register()
			for _, elsewhere := range []bool{false, true} {
				if elsewhere {
					if !f.twice {
						break
					}
					s.add(s.application("dog"), own)
				}
				r := s.examine()
				text, _ := json.Marshal(r)
				if r.Cause != f.want || strings.Contains(string(text), "should run as") {
					t.Errorf("with a fitting one elsewhere (%v) got %q, want %q: %s", elsewhere, r.Cause, f.want, show(r))
				}
			}
		})
	}
}

func unescape(s string) string {
	return strings.NewReplacer(`\"`, `"`, `\u003e`, ">", `\u003c`, "<", `\u0026`, "&").Replace(s)
}

// past makes a token that was made some time ago, good for an hour then.
func past(t *localissuer.Token, ago time.Duration) {
	made := time.Now().Add(-ago)
	expiry := made.Add(time.Hour)
	t.IssuedAt, t.NotBefore, t.Expiry = &made, &made, &expiry
}

func (s *scene) rotate() {
	s.Helper()
	if err := s.issuer.Rotate(); err != nil {
		s.Fatal(err)
	}
}

// giveToken has the doctor look at a token in a file.
func (s *scene) giveToken() {
	s.Helper()
	s.question = doctor.Question{Kind: doctor.TokenKind, Token: s.mint("pets", "cat", []string{audience}), TokenFrom: "token", ClientID: s.app.AppID}
}

// forgetIssuer removes the issuer that all tests share which have one without an address.
func (s *scene) forgetIssuer() {
	s.Helper()
	all, err := s.w.admin.Issuers(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, i := range all {
		if i.IssuerSpec.Issuer == s.issuer.URL() {
			if err := s.w.admin.DeleteIssuer(s.Context(), i.Name); err != nil {
				s.Fatal(err)
			}
		}
	}
}
