package az

import "testing"

// What az asks of any resource manager: the resources of all types, and what
// there is none of here, which it lists as nothing instead of failing.
func TestResources(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	p.export("ISSUER", issuer.URL())
	p.out(`az group create -n pets -l local --tags env=dev`)
	p.out(`az group create -n other -l local`)
	p.out(`az identity create -g pets -n cat --tags team=cats`)
	p.keep("CLUSTER", `az rest --method put --url "/subscriptions/$SUBSCRIPTION/resourceGroups/pets/providers/Microsoft.ContainerService/managedClusters/prod?api-version=2022-11-01" \
  --body "{\"location\":\"local\",\"properties\":{\"oidcIssuerProfile\":{\"enabled\":true,\"issuerURL\":\"$ISSUER\"}}}" --query id -o tsv`)

	const names = ` --query 'sort([].name)' -o tsv | paste -sd' '`
	p.prints("cat prod", `az resource list`+names)
	p.prints("cat prod", `az resource list -g PETS`+names)
	p.prints("", `az resource list -g other -o tsv`)
	p.prints("cat", `az resource list --tag team=cats`+names)
	p.prints("prod", `az resource list --resource-type Microsoft.ContainerService/managedClusters`+names)
	p.prints("cat", `az resource list -n cat`+names)
	p.out(`az resource list -o table`)
	p.refused(3, `\(ResourceGroupNotFound\)`, `az resource list -g nope`)
	p.prints("prod", `az resource show --ids $CLUSTER --query name -o tsv`)
	p.prints("prod", `az resource show -g pets -n prod --resource-type Microsoft.ContainerService/managedClusters --query name -o tsv`)
	p.prints("cat", `az resource show -g pets -n cat --resource-type Microsoft.ManagedIdentity/userAssignedIdentities --query name -o tsv`)
	p.refused(3, `\(ResourceNotFound\)`, `az resource show -g pets -n nope --resource-type Microsoft.ContainerService/managedClusters`)

	p.prints("[]", `az lock list`)
	p.prints("[]", `az lock list -g pets`)
	p.prints("[]", `az lock list --resource $CLUSTER`)
	p.refused(3, `\(ResourceGroupNotFound\)`, `az lock list -g nope`)
	p.prints("[]", `az tag list`)
	p.prints("dev", `az tag list --resource-id /subscriptions/$SUBSCRIPTION/resourceGroups/pets --query properties.tags.env -o tsv`)
	p.prints("cats", `az tag list --resource-id "$(az identity show -g pets -n cat --query id -o tsv)" --query properties.tags.team -o tsv`)
	p.prints("[]", `az deployment group list -g pets`)
	p.prints("[]", `az deployment sub list`)
	p.refused(3, `\(ResourceGroupNotFound\)`, `az deployment group list -g nope`)
	p.prints("Microsoft.ContainerService Microsoft.ManagedIdentity", `az provider list --query "[?registrationState=='Registered' && starts_with(namespace, 'Microsoft') && (ends_with(namespace, 'Service') || ends_with(namespace, 'Identity'))].namespace" -o tsv | paste -sd' '`)
	p.prints("Registered", `az provider show -n Microsoft.ContainerService --query registrationState -o tsv`)
	p.prints("local", `az account list-locations --query '[0].name' -o tsv`)

	// Of a registered cluster, az can change the tags, and nothing that only Azure's clusters have.
	p.prints("cats", `az aks update -n prod -g pets --tags team=cats --query tags.team -o tsv`)
	p.prints(issuer.URL(), `az aks update -n prod -g pets --enable-oidc-issuer --query oidcIssuerProfile.issuerUrl -o tsv`)
	p.refused(1, `\(OperationNotAllowed\) .*'entente cluster register prod --resource-group pets'`, `az aks scale -n prod -g pets -c 3`)
	p.refused(1, `\(OperationNotAllowed\) .*'aadProfile'`, `az aks update -n prod -g pets --enable-aad`)
	p.out(`az group delete -n pets --yes`)
	p.prints("", `az resource list -o tsv`)
}
