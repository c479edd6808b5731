package az

import (
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.prints("Succeeded", `az group create -n pets -l local --tags env=dev --query properties.provisioningState -o tsv`)
	p.prints("true", `az group exists -n PETS`)
	p.prints("false", `az group exists -n nope`)
	p.prints("pets", `az group list --query '[].name' -o tsv`)
	p.prints("pets", `az group list --tag env=dev --query '[].name' -o tsv`)
	p.prints("dev\tshop", `az group update -n pets --set tags.team=shop --query 'tags.[env, team]' -o tsv | paste -s`)
	p.refused(3, `\(ResourceGroupNotFound\) Resource group 'nope' could not be found\.`, `az group show -n nope`)
	p.refused(3, `\(ResourceGroupNotFound\)`, `az group delete -n nope --yes`)
	p.prints("Registered", `az provider show -n Microsoft.ManagedIdentity --query registrationState -o tsv`)
	p.out(`az provider register -n Microsoft.ManagedIdentity`)

	p.refused(1, "Operation cancelled", `az group delete -n pets`) // nobody is there to be asked
	if s := p.answers("n", `az group delete -n pets`); !strings.Contains(s.out, "Are you sure you want to perform this operation? (y/n)") {
		t.Errorf("az does not ask: %s%s", s.out, s.err)
	}
	p.prints("true", `az group exists -n pets`)
	p.out(`az group delete -n pets --yes`)
	p.prints("false", `az group exists -n pets`)
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	p.export("SERVICE_ACCOUNT_ISSUER", issuer.URL())
	p.export("SERVICE_ACCOUNT_NAMESPACE", "pets")
	p.export("SERVICE_ACCOUNT_NAME", "workload-identity-sa")
	p.export("USER_ASSIGNED_MANAGED_IDENTITY_NAME", "cat")
	p.export("RESOURCE_GROUP", "pets")

	p.refused(3, `\(ResourceGroupNotFound\)`, `az identity create -g nope -n cat -l local`)
	p.out(`az group create -n "${RESOURCE_GROUP}" -l local`)
	p.keep("CLIENT", `az identity create -g "${RESOURCE_GROUP}" -n "${USER_ASSIGNED_MANAGED_IDENTITY_NAME}" --tags env=dev --query clientId -o tsv`)
	p.keep("ID", `az identity show -g pets -n cat --query id -o tsv`)
	p.prints(p.env["CLIENT"]+"\tdev\tlocal\tpets", `az identity show --ids $ID --query '[clientId, tags.env, location, resourceGroup]' -o tsv | paste -s`)
	p.prints(p.env["CLIENT"], `az identity create -g pets -n cat --query clientId -o tsv`)
	p.prints("cat", `az identity list -g pets --query '[].name' -o tsv`)
	p.prints("cat", `az identity list --query '[].name' -o tsv`)
	p.prints("[]", `az identity list-resources -g pets -n cat`)
	p.prints("Microsoft.ManagedIdentity/userAssignedIdentities/read", `az identity list-operations --query "[?name=='Microsoft.ManagedIdentity/userAssignedIdentities/read'].name" -o tsv`)
	p.keep("PRINCIPAL", `az identity show -g pets -n cat --query principalId -o tsv`)
	p.prints("ManagedIdentity\tcat", `az ad sp show --id $CLIENT --query '[servicePrincipalType, displayName]' -o tsv | paste -s`)
	p.prints("ManagedIdentity\tcat", `az ad sp show --id $PRINCIPAL --query '[servicePrincipalType, displayName]' -o tsv | paste -s`)
	p.refused(1, ".*deleted with the identity", `az ad sp delete --id $PRINCIPAL`)
	p.refused(3, `\(ResourceNotFound\)`, `az identity show -g pets -n nope`)

	p.out(`az identity federated-credential create \
  --name "kubernetes-federated-identity" \
  --identity-name "${USER_ASSIGNED_MANAGED_IDENTITY_NAME}" \
  --resource-group "${RESOURCE_GROUP}" \
  --issuer "${SERVICE_ACCOUNT_ISSUER}" \
  --subject "system:serviceaccount:${SERVICE_ACCOUNT_NAMESPACE}:${SERVICE_ACCOUNT_NAME}"`)
	const of = ` --identity-name cat -g pets `
	p.prints("kubernetes-federated-identity\t"+issuer.URL()+"\tsystem:serviceaccount:pets:workload-identity-sa\tapi://AzureADTokenExchange",
		`az identity federated-credential list`+of+`--query '[].[name, issuer, subject, audiences[0]]' -o tsv`)
	p.out(`az identity federated-credential update --name kubernetes-federated-identity` + of + `--issuer $SERVICE_ACCOUNT_ISSUER --subject system:serviceaccount:pets:dog`)
	p.prints("system:serviceaccount:pets:dog", `az identity federated-credential show --name kubernetes-federated-identity`+of+`--query subject -o tsv`)
	p.refused(1, ".*Issuer and subject combination already exists", `az identity federated-credential create --name second`+of+`--issuer $SERVICE_ACCOUNT_ISSUER --subject system:serviceaccount:pets:dog`)
	p.refused(3, `\(`, `az identity federated-credential show --name nope`+of)
	p.refused(3, `\(`, `az identity federated-credential list --identity-name nope -g pets`)

	// Deleted as a person does, who is asked; and as a script may have been told to do.
	deletion := `az identity federated-credential delete --identity-name "${USER_ASSIGNED_MANAGED_IDENTITY_NAME}" --name "kubernetes-federated-identity" --resource-group "${RESOURCE_GROUP}"`
	p.refused(1, "Operation cancelled", deletion) // nobody is there to be asked
	for _, answer := range []struct {
		types string
		code  int
		left  string
	}{{"n", 1, "1"}, {"y", 0, "0"}} {
		s := p.answers(answer.types, deletion)
		if s.code != answer.code || !strings.Contains(s.out, "Are you sure you want to perform this operation? (y/n)") {
			t.Errorf("asked, and told %q, az ends with %d: %s%s", answer.types, s.code, s.out, s.err)
		}
		p.prints(answer.left, `az identity federated-credential list`+of+`--query 'length(@)' -o tsv`)
	}
	p.out(`az identity federated-credential create --name kubernetes-federated-identity` + of + `--issuer $SERVICE_ACCOUNT_ISSUER --subject s`)
	p.prints("", `AZURE_CORE_DISABLE_CONFIRM_PROMPT=1 `+deletion)
	p.prints("0", `az identity federated-credential list`+of+`--query 'length(@)' -o tsv`)

	p.out(`az identity delete -g pets -n cat`)
	p.out(`az identity delete -g pets -n cat`)
	p.refused(3, `\(ResourceNotFound\)`, `az identity show -g pets -n cat`)
	p.refused(3, "does not exist", `az ad sp show --id $PRINCIPAL`)
}
