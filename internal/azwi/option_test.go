package azwi_test

import (
	"testing"
	"time"

	"github.com/entente-id/entente/internal/azwi"
	"github.com/entente-id/entente/internal/credential"
)

// The names were worked out with printf, openssl dgst -sha256 -binary and basenc
// --base64url; the first is the one in the example of azwi's own manual.
func TestNames(t *testing.T) {
	const blob = "https://chuwon.blob.core.windows.net/oidc-test/"
	for got, want := range map[string]string{
		azwi.DefaultApplicationName("default", "azwi-sa", blob): "default-azwi-sa-1g7d7NgSw9Q2EsSeafgx8uQKqR4q6zTrsPjDdrvN79Y=",
		credential.AzwiName("default", "azwi-sa", blob):         "3DCfwoh6zBeo8NjWbTppP5eyupAoKt79plPvp6335Hk=",
		azwi.IdentityCredentialName("default", "azwi-sa", blob): "azwi-3DCfwoh6zBeo8NjWbTppP5eyupAoKt79plPvp6335Hk",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := credential.ValidateName(azwi.IdentityCredentialName("default", "azwi-sa", blob), credential.ManagedIdentity); err != nil {
		t.Error(err)
	}
}

// Every phase says what it lacks before anything is done.
func TestRequired(t *testing.T) {
	full := azwi.Options{
		Namespace: "pets", ServiceAccount: "cat", Issuer: issuer, ApplicationName: "pets", Scope: "/subscriptions/s", Role: "Reader",
		RoleAssignmentID: "/subscriptions/s/providers/microsoft.authorization/roleassignments/r",
	}
	twin := full
	twin.ApplicationName, twin.IdentityName, twin.ResourceGroup = "", "cat", "pets"
	for _, o := range []azwi.Options{full, twin} {
		for _, v := range []azwi.Verb{azwi.Create, azwi.Delete} {
			if err := (&azwi.Run{Verb: v, Options: o}).Check(); err != nil {
				t.Errorf("%s: %v", v, err)
			}
		}
	}
	const pre = "failed to run pre-run for phase "
	tests := []struct {
		verb  azwi.Verb
		phase azwi.Phase // empty: all
		o     azwi.Options
		want  string // empty: nothing is lacking
	}{
		{azwi.Create, "", azwi.Options{}, pre + "aad-application: --aad-application-name is required"},
		{azwi.Create, "", azwi.Options{Namespace: "pets", ServiceAccount: "cat", Issuer: issuer}, pre + "role-assignment: --azure-scope is required"},
		{azwi.Create, "", azwi.Options{Namespace: "pets", ServiceAccount: "cat", Issuer: issuer, Scope: "/"}, pre + "role-assignment: --azure-role is required"},
		{azwi.Create, azwi.ApplicationPhase, azwi.Options{Namespace: "default"}, pre + "aad-application: --aad-application-name is required"},
		{azwi.Create, azwi.ApplicationPhase, azwi.Options{IdentityName: "cat"}, pre + "aad-application: --resource-group is required"},
		{azwi.Create, azwi.ApplicationPhase, azwi.Options{ResourceGroup: "pets"}, pre + "aad-application: --managed-identity-name is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{ServiceAccount: "cat"}, pre + "service-account: --service-account-namespace is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default"}, pre + "service-account: --service-account-name is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat"}, pre + "service-account: --aad-application-name or --aad-application-client-id is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", ApplicationClientID: "c"}, ""},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", IdentityClientID: "c"}, ""},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", ResourceGroup: "g"}, pre + "service-account: --managed-identity-name or --managed-identity-client-id is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", IdentityName: "c"}, pre + "service-account: --resource-group is required"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", ApplicationClientID: "c", TokenExpiration: time.Hour - 1}, pre + "service-account: --service-account-token-expiration must be greater than or equal to 1h0m0s"},
		{azwi.Create, azwi.ServiceAccountPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", ApplicationClientID: "c", TokenExpiration: 24*time.Hour + 1}, pre + "service-account: --service-account-token-expiration must be less than or equal to 24h0m0s"},
		{azwi.Create, azwi.CredentialPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat"}, pre + "federated-identity: --service-account-issuer-url is required"},
		{azwi.Create, azwi.CredentialPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", Issuer: "http://x/"}, pre + `federated-identity: --service-account-issuer-url: issuer "http://x/" must use https`},
		{azwi.Delete, azwi.CredentialPhase, azwi.Options{Namespace: "default", ServiceAccount: "cat", Issuer: "http://x/"}, ""},
		{azwi.Create, azwi.CredentialPhase, azwi.Options{Namespace: "Default", ServiceAccount: "cat", Issuer: issuer}, pre + `federated-identity: --service-account-namespace: "Default" cannot be the name of a namespace`},
		{azwi.Create, azwi.CredentialPhase, azwi.Options{Namespace: "default", ServiceAccount: "c:t", Issuer: issuer}, pre + `federated-identity: --service-account-name: "c:t" cannot be the name of a service account`},
		{azwi.Create, azwi.RolePhase, azwi.Options{Namespace: "default", Scope: "/", Role: "Reader"}, pre + "role-assignment: --service-principal-name or --service-principal-object-id is required"},
		{azwi.Create, azwi.RolePhase, azwi.Options{Scope: "/", Role: "Reader", ServicePrincipalObjectID: "p"}, ""},
		{azwi.Create, azwi.RolePhase, azwi.Options{Scope: "/", Role: "Reader", IdentityName: "p"}, pre + "role-assignment: --resource-group is required"},
		{azwi.Delete, "", azwi.Options{Namespace: "pets", ServiceAccount: "cat", Issuer: issuer}, pre + "role-assignment: --role-assignment-id is required"},
		{azwi.Delete, azwi.RolePhase, azwi.Options{RoleAssignmentID: "r"}, pre + `role-assignment: --role-assignment-id: "r" is not the resource id of a role assignment`},
		{azwi.Delete, azwi.ServiceAccountPhase, azwi.Options{Namespace: "pets"}, pre + "service-account: --service-account-name is required"},
		{azwi.Delete, azwi.ApplicationPhase, azwi.Options{Namespace: "pets"}, pre + "aad-application: --aad-application-name or --aad-application-object-id is required"},
		{azwi.Delete, azwi.ApplicationPhase, azwi.Options{ApplicationObjectID: "o"}, ""},
		{azwi.Delete, azwi.ApplicationPhase, azwi.Options{ApplicationObjectID: "o", IdentityName: "i", ResourceGroup: "g"}, "--aad-application-object-id is about an application, and --managed-identity-name, --resource-group and --managed-identity-client-id are about a managed identity: give one of the two"},
	}
	for _, tt := range tests {
		r := azwi.Run{Verb: tt.verb, Options: tt.o}
		if tt.phase != "" {
			r.Phases = []azwi.Phase{tt.phase}
		}
		got := ""
		if err := r.Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s %s %+v\ngot  %q\nwant %q", tt.verb, tt.phase, tt.o, got, tt.want)
		}
		if tt.want == "" {
			continue
		}
		if err := r.Do(t.Context()); err == nil || err.Error() != tt.want { // before anything is asked
			t.Errorf("%s %s runs: %v", tt.verb, tt.phase, err)
		}
	}
}

func TestPhases(t *testing.T) {
	for alias, want := range map[string]azwi.Phase{
		"app": azwi.ApplicationPhase, "managed-identity": azwi.ApplicationPhase, "mi": azwi.ApplicationPhase, "aad-application": azwi.ApplicationPhase,
		"sa": azwi.ServiceAccountPhase, "fi": azwi.CredentialPhase, "ra": azwi.RolePhase, "role-assignment": azwi.RolePhase, "ar": "",
	} {
		if got, ok := azwi.ParsePhase(alias); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", alias, got, ok)
		}
	}
	for _, v := range []azwi.Verb{azwi.Create, azwi.Delete} {
		for _, p := range v.Phases() {
			if v.Describe(p) == "" || len(v.Options(p)) == 0 {
				t.Errorf("%s %s: %q, %q", v, p, v.Describe(p), v.Options(p))
			}
		}
	}
}
