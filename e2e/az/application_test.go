package az

import "testing"

func TestApplications(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)

	// made, found, changed
	p.keep("LONGER", `az ad app create --display-name pets-and-more --query appId -o tsv`)
	p.keep("APPLICATION", `az ad app create --display-name pets --query appId -o tsv`)
	p.keep("OBJECT", `az ad app show --id $APPLICATION --query id -o tsv`)
	p.prints(p.env["OBJECT"], `az ad app list --display-name pets --query '[0].id' -o tsv`) // the exact name stands first
	p.prints("2", `az ad app list --display-name pets --query 'length(@)' -o tsv`)
	p.prints("pets", `az ad app list --filter "displayName eq 'pets'" --query '[].displayName' -o tsv`)
	p.prints("pets", `az ad app list --app-id $APPLICATION --query '[].displayName' -o tsv`)
	p.prints(p.env["APPLICATION"], `az ad app show --id $OBJECT --query appId -o tsv`)
	p.prints(p.env["OBJECT"], `az ad app create --display-name pets --query id -o tsv`) // changed, not made again
	p.out(`az ad app update --id $APPLICATION --set notes='ask the pets team' tags='["shop"]'`)
	p.out(`az ad app update --id $APPLICATION --identifier-uris api://pets --sign-in-audience AzureADMyOrg`)
	p.prints("ask the pets team\tshop\tapi://pets", `az ad app show --id api://pets --query '[notes, tags[0], identifierUris[0]]' -o tsv | paste -s`)
	p.refused(1, "already exists|conflict|[Uu]nique", `az ad app update --id $LONGER --identifier-uris api://pets`)
	p.refused(3, "Resource '[-0-9a-f]+' does not exist", `az ad app show --id 00000000-0000-0000-0000-00000000dead`)
	p.refused(1, "does not exist", `az ad app delete --id 00000000-0000-0000-0000-00000000dead`)
	p.out(`az ad app create --display-name "Käse & Brot"`)
	p.prints("Käse & Brot", `az ad app list --filter "displayName eq 'Käse & Brot'" --query '[].displayName' -o tsv`)
	p.refused(1, "Invalid filter clause", `az ad app list --display-name "Käse 'n' Brot"`) // az does not double the quotes

	// its service principal
	p.keep("PRINCIPAL", `az ad sp create --id $APPLICATION --query id -o tsv`)
	p.refused(1, "already in use|already exists", `az ad sp create --id $APPLICATION`)
	for _, name := range []string{"$APPLICATION", "$PRINCIPAL", "api://pets"} {
		p.prints(p.env["PRINCIPAL"], `az ad sp show --id `+name+` --query id -o tsv`)
	}
	p.prints(p.env["PRINCIPAL"], `az ad sp list --display-name pets --query '[].id' -o tsv`)
	p.prints(p.env["PRINCIPAL"], `az ad sp list --spn $APPLICATION --query '[].id' -o tsv`)
	p.prints(p.env["PRINCIPAL"], `az ad sp list --filter "appId eq '$APPLICATION'" --query '[].id' -o tsv`)
	p.out(`az ad sp update --id $PRINCIPAL --set appRoleAssignmentRequired=true`)
	p.prints("true", `az ad sp show --id $PRINCIPAL --query appRoleAssignmentRequired -o tsv`)
	p.refused(3, "does not exist", `az ad sp show --id 00000000-0000-0000-0000-00000000dead`)
	p.prints("servicePrincipal", `az rest --method post --url "$ENTENTE_URL/v1.0/directoryObjects/getByIds" --body '{"ids":["'$PRINCIPAL'"],"types":["servicePrincipal"]}' --query 'value[].["@odata.type"][]' -o tsv | sed s/.*graph.//`)

	// its owners
	p.keep("ADMINISTRATOR", `az ad sp show --id $ADMIN --query id -o tsv`)
	p.prints(p.env["ADMINISTRATOR"], `az ad app owner list --id $APPLICATION --query '[].id' -o tsv`)
	p.out(`az ad app owner add --id $APPLICATION --owner-object-id $PRINCIPAL`)
	p.prints("2", `az ad app owner list --id $APPLICATION --query 'length(@)' -o tsv`)
	p.out(`az ad app owner remove --id $APPLICATION --owner-object-id $PRINCIPAL`)
	p.prints(p.env["ADMINISTRATOR"], `az ad app owner list --id $APPLICATION --query '[].id' -o tsv`)
	p.refused(1, "does not exist", `az ad app owner add --id $APPLICATION --owner-object-id 00000000-0000-0000-0000-00000000dead`)

	// its secrets
	p.keep("SECRET", `az ad app credential reset --id $APPLICATION --display-name first --query password -o tsv`)
	q := p.another()
	q.out(`az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT --allow-no-subscriptions`)
	p.out(`az ad app credential reset --id $APPLICATION --append --display-name second --years 2`)
	p.prints("first second", `az ad app credential list --id $APPLICATION --query 'sort_by(@, &displayName)[].displayName' -o tsv | paste -sd' '`)
	p.keep("KEY", `az ad app credential list --id $APPLICATION --query "[?displayName=='first'].keyId" -o tsv`)
	p.out(`az ad app credential delete --id $APPLICATION --key-id $KEY`)
	q.refused(1, "AADSTS7000215: ", `az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT --allow-no-subscriptions`)

	// those of its service principal
	p.keep("SECRET", `az ad sp credential reset --id $PRINCIPAL --display-name third --query password -o tsv`)
	q.export("SECRET", p.env["SECRET"])
	q.out(`az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT --allow-no-subscriptions`)
	p.keep("KEY", `az ad sp credential list --id $PRINCIPAL --query '[].keyId' -o tsv`)
	p.out(`az ad sp credential delete --id $PRINCIPAL --key-id $KEY`)
	q.refused(1, "AADSTS7000215: ", `az login --service-principal -u $APPLICATION -p $SECRET --tenant $TENANT --allow-no-subscriptions`)
	p.prints(p.env["ADMINISTRATOR"], `az ad sp owner list --id $PRINCIPAL --query '[].id' -o tsv`)

	// deleted, restored, deleted for good
	p.out(`az ad sp delete --id $PRINCIPAL`)
	p.refused(3, "does not exist", `az ad sp show --id $PRINCIPAL`)
	p.out(`az ad sp create --id $APPLICATION`)
	p.prints("", `az ad app delete --id $APPLICATION`)
	p.refused(3, "does not exist", `az ad app show --id $APPLICATION`)
	p.prints("0", `az ad sp list --spn $APPLICATION --query 'length(@)' -o tsv`)
	p.prints(p.env["OBJECT"], `az rest --url "$ENTENTE_URL/v1.0/directory/deletedItems/microsoft.graph.application" --query "value[?appId=='$APPLICATION'].id" -o tsv`)
	p.out(`az rest --method post --url "$ENTENTE_URL/v1.0/directory/deletedItems/$OBJECT/restore"`)
	p.prints(p.env["OBJECT"], `az ad app show --id $APPLICATION --query id -o tsv`)
	p.out(`az ad app delete --id $OBJECT`)
	p.out(`az rest --method delete --url "$ENTENTE_URL/v1.0/directory/deletedItems/$OBJECT"`)
	p.refused(1, "Not Found.*does not exist", `az rest --method post --url "$ENTENTE_URL/v1.0/directory/deletedItems/$OBJECT/restore"`)
}

func TestApplicationCredentials(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	p.export("SERVICE_ACCOUNT_ISSUER", issuer.URL())
	p.export("SERVICE_ACCOUNT_NAMESPACE", "pets")
	p.export("SERVICE_ACCOUNT_NAME", "workload-identity-sa")
	p.export("APPLICATION_NAME", "pets")
	p.keep("APPLICATION", `az ad app create --display-name "${APPLICATION_NAME}" --query appId -o tsv`)
	p.keep("APPLICATION_OBJECT_ID", `az ad app list --display-name "${APPLICATION_NAME}" --query '[0].id' -otsv`)
	p.out(`cat <<EOF > params.json
{
  "name": "kubernetes-federated-identity",
  "issuer": "${SERVICE_ACCOUNT_ISSUER}",
  "subject": "system:serviceaccount:${SERVICE_ACCOUNT_NAMESPACE}:${SERVICE_ACCOUNT_NAME}",
  "description": "Kubernetes service account federated identity",
  "audiences": [
    "api://AzureADTokenExchange"
  ]
}
EOF`)
	const create = `az ad app federated-credential create --id $APPLICATION_OBJECT_ID --parameters `
	const show = `az ad app federated-credential show --id $APPLICATION_OBJECT_ID --federated-credential-id `
	p.keep("FIC_ID", create+`params.json --query id -o tsv`)
	whole := "kubernetes-federated-identity\t" + issuer.URL() + "\tsystem:serviceaccount:pets:workload-identity-sa\tapi://AzureADTokenExchange"
	p.prints(whole, `az ad app federated-credential list --id "${APPLICATION_OBJECT_ID}" --query '[].[name, issuer, subject, audiences[0]]' -o tsv`)
	for _, id := range []string{"$FIC_ID", "kubernetes-federated-identity"} {
		p.prints("Kubernetes service account federated identity", show+id+` --query description -o tsv`)
	}
	p.prints("", `az ad app federated-credential update --id $APPLICATION --federated-credential-id kubernetes-federated-identity --parameters '{"subject":"system:serviceaccount:pets:dog"}'`)
	p.prints("system:serviceaccount:pets:dog\tKubernetes service account federated identity", show+`$FIC_ID --query '[subject, description]' -o tsv | paste -s`)

	p.refused(1, ".*kubernetes-federated-identity already exists", create+`params.json`)
	p.refused(1, "The combination of issuer and subject must be unique", create+`'{"name":"second","issuer":"'$SERVICE_ACCOUNT_ISSUER'","subject":"system:serviceaccount:pets:dog","audiences":["api://AzureADTokenExchange"]}'`)
	p.refused(1, "Resource 'nope' does not exist", show+`nope`)
	p.refused(1, "Resource 'nope' does not exist", `az ad app federated-credential delete --id $APPLICATION_OBJECT_ID --federated-credential-id nope`)
	p.refused(1, "does not exist", `az ad app federated-credential list --id 00000000-0000-0000-0000-00000000dead`)

	p.prints("", `az ad app federated-credential delete --federated-credential-id $FIC_ID --id $APPLICATION_OBJECT_ID`)
	p.prints("[]", `az ad app federated-credential list --id "${APPLICATION_OBJECT_ID}"`)
	p.out(create + `params.json`)
	p.prints("", `az ad app federated-credential delete --federated-credential-id kubernetes-federated-identity --id $APPLICATION`)
	p.prints("[]", `az ad app federated-credential list --id "${APPLICATION_OBJECT_ID}"`)
}

func TestCreateForRBAC(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.shim()
	p.out(`az group create -n pets -l local`)
	for _, more := range []string{
		"", // makes one
		"", // gives it another secret
		"--role Reader --scopes /subscriptions/$SUBSCRIPTION/resourceGroups/pets",
	} {
		p.out(`az ad sp create-for-rbac --name ci ` + more + ` > ci.json`)
		p.keep("CI", `python3 -c 'import json; print(json.load(open("ci.json"))["appId"])'`)
		p.keep("CI_SECRET", `python3 -c 'import json; print(json.load(open("ci.json"))["password"])'`)
		q := p.another()
		q.out(`az login --service-principal -u $CI -p $CI_SECRET --tenant $TENANT --allow-no-subscriptions`)
		if more == "" {
			q.refused(3, `\(SubscriptionNotFound\)`, `az group list`) // az takes the tenant for one
			continue
		}
		q.prints("pets", `az group list --query '[].name' -o tsv`)
		q.refused(1, `\(AuthorizationFailed\)`, `az group create -n more -l local`)
	}
	p.prints("1", `az ad app list --display-name ci --query 'length(@)' -o tsv`)
	p.prints("1", `az ad sp list --display-name ci --query 'length(@)' -o tsv`)
}
