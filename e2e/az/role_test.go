package az

import (
	"testing"

	"github.com/google/uuid"
)

const (
	reader      = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
)

// What somebody may do is what they were assigned, from the next request on.
func TestAssignments(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.out(`az group create -n pets -l local && az group create -n others -l local && az identity create -g pets -n cat`)
	p.keep("APPLICATION", `az ad app create --display-name worker --query appId -o tsv`)
	p.keep("OBJECT", `az ad app show --id $APPLICATION --query id -o tsv`)
	p.keep("PRINCIPAL", `az ad sp create --id $APPLICATION --query id -o tsv`)
	p.keep("SECRET", `az ad app credential reset --id $APPLICATION --query password -o tsv`)
	p.export("SCOPE", "/subscriptions/"+s.SubscriptionID+"/resourceGroups/pets")
	assign := func(role string) string {
		return `az rest --method put --url "$SCOPE/providers/Microsoft.Authorization/roleAssignments/` + uuid.NewString() + `?api-version=2022-04-01" ` +
			`--body '{"properties":{"roleDefinitionId":"/subscriptions/'$SUBSCRIPTION'/providers/Microsoft.Authorization/roleDefinitions/` + role + `","principalId":"'$PRINCIPAL'","principalType":"ServicePrincipal"}}' --query id -o tsv`
	}

	q := p.another()
	q.refused(1, "No subscriptions found for", `az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT`)
	p.keep("ASSIGNMENT", assign(reader))
	p.refused(1, "Conflict.*RoleAssignmentExists", assign(reader))
	q.prints(s.SubscriptionID, `az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT --query '[].id' -o tsv`)
	q.prints("pets", `az group list --query '[].name' -o tsv`)
	q.prints("cat", `az identity list -g pets --query '[].name' -o tsv`)
	q.refused(1, `\(AuthorizationFailed\) The client '[-0-9a-f]+' with object id '[-0-9a-f]+' does not have authorization to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/write'`, `az identity create -g pets -n dog`)
	q.refused(1, `\(AuthorizationFailed\)`, `az group delete -n pets --yes`)
	q.refused(1, `\(AuthorizationFailed\)`, `az group show -n others`)
	q.refused(1, "Forbidden.*AuthorizationFailed", assign(contributor))

	p.keep("CONTRIBUTOR", assign(contributor))
	q.out(`az identity create -g pets -n dog`)
	q.out(`az identity federated-credential create --name cluster --identity-name dog -g pets --issuer https://oidc.example.org/ --subject s`)
	q.refused(1, `\(AuthorizationFailed\)`, `az group create -n more -l local`)
	q.refused(1, "Forbidden.*AuthorizationFailed", assign(contributor)) // Contributor does not make others one
	q.refused(1, "Forbidden.*AuthorizationFailed", `az rest --method put --url "$FEDERATION/issuers/mine?$API" --body '{"properties":{"issuer":"https://oidc.example.org/","keySource":"KeySet","keySet":{"keys":[]}}}'`)
	p.prints("2", `az rest --url "$SCOPE/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&\$filter=principalId%20eq%20'$PRINCIPAL'" --query 'length(value)' -o tsv`)
	p.out(`az rest --method delete --url "$ASSIGNMENT?api-version=2022-04-01" && az rest --method delete --url "$CONTRIBUTOR?api-version=2022-04-01"`)
	q.refused(3, `\(SubscriptionNotFound\)|\(AuthorizationFailed\)`, `az group list`)

	// Permissions of Graph
	q.refused(1, "Insufficient privileges", `az ad app list`)
	q.refused(1, "Insufficient privileges|.*permission", `az ad app create --display-name mine`)
	p.keep("GRAPH", `az ad sp show --id 00000003-0000-0000-c000-000000000000 --query id -o tsv`)
	grant := func(permission string) string {
		return `az rest --method post --url "$ENTENTE_URL/v1.0/servicePrincipals/$PRINCIPAL/appRoleAssignments" --body '{"principalId":"'$PRINCIPAL'","resourceId":"'$GRAPH'","appRoleId":"'$(az ad sp show --id $GRAPH --query "appRoles[?value=='` + permission + `'].id" -o tsv)'"}' --query id -o tsv`
	}
	p.out(grant("Application.ReadWrite.OwnedBy"))
	q.keep("MINE", `az ad app create --display-name mine --query appId -o tsv`)
	q.out(`az ad app federated-credential create --id $MINE --parameters '{"name":"cluster","issuer":"https://oidc.example.org/","subject":"s","audiences":["api://AzureADTokenExchange"]}'`)
	q.prints("mine", `az ad app list --query '[].displayName' -o tsv`)
	q.refused(1, "Resource '[-0-9a-f]+' does not exist", `az ad app credential reset --id $ADMIN`)
	q.refused(1, "Forbidden.*Insufficient privileges", `az rest --method patch --url "$ENTENTE_URL/v1.0/applications/$OBJECT" --body '{"notes":"mine"}' --headers Content-Type=application/json`)
}

// The role commands, as far as the az of Debian 12 is helped over its crash.
func TestRoleCommands(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.shim()
	p.out(`az group create -n pets -l local`)
	p.keep("PRINCIPAL", `az identity create -g pets -n cat --query principalId -o tsv`)
	p.keep("CLIENT", `az identity show -g pets -n cat --query clientId -o tsv`)
	p.export("SCOPE", "/subscriptions/"+s.SubscriptionID+"/resourceGroups/pets")
	p.prints(reader, `az role definition list --name Reader --query '[].name' -o tsv`)
	p.prints("Contributor", `az role definition list --name `+contributor+` --query '[].roleName' -o tsv`)
	id := p.keep("ID", `az role assignment create --role Reader --assignee $CLIENT --scope $SCOPE --query id -o tsv`)
	p.prints(id, `az role assignment create --role Reader --assignee $PRINCIPAL --scope $SCOPE --query id -o tsv`)
	p.out(`az role assignment create --role ` + contributor + ` --assignee-object-id $PRINCIPAL --assignee-principal-type ServicePrincipal -g pets`)
	p.prints("Contributor Reader", `az role assignment list -g pets --query 'sort([].roleDefinitionName)' -o tsv | paste -sd' '`)
	p.prints(p.env["CLIENT"], `az role assignment list --scope $SCOPE --assignee $CLIENT --role Reader --query '[].principalName' -o tsv`)
	p.prints("2", `az role assignment list --all --assignee $PRINCIPAL --query 'length(@)' -o tsv`)
	p.refused(1, "Role 'nope' doesn't exist", `az role assignment create --role nope --assignee $CLIENT --scope $SCOPE`)
	p.refused(1, "Cannot find user or service principal in graph database for 'nope'", `az role assignment create --role Reader --assignee nope --scope $SCOPE`)
	p.out(`az role assignment delete --ids $ID`)
	p.out(`az role assignment delete --assignee $PRINCIPAL --role Contributor --scope $SCOPE`)
	p.prints("[]", `az role assignment list --scope $SCOPE`)
}
