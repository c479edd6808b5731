package az

import "testing"

// az prints what the service says of a refusal, whatever it is refused, and
// shows people no traceback (which run looks for).
func TestRefusals(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.keep("APPLICATION", `az ad app create --display-name pets --query appId -o tsv`)
	p.out(`az group create -n pets -l local && az identity create -g pets -n cat`)
	const (
		credential = `az ad app federated-credential create --id $APPLICATION --parameters `
		identities = `az identity federated-credential create --identity-name cat -g pets `
	)
	for _, refusal := range []struct {
		code       int
		says, line string
	}{
		// Graph
		{1, "A value is required for property 'displayName'", `az ad app create --display-name ''`},
		{1, "Invalid property 'nosuch'", `az ad app update --id $APPLICATION --set nosuch=1`},
		{1, "Invalid filter clause", `az ad app list --filter 'nope eq 1'`},
		{1, "The name must consist of letters", credential + `'{"name":"white space","issuer":"https://oidc.example.org","subject":"s","audiences":["a"]}'`},
		{1, "The name must not be empty", credential + `'{"issuer":"https://oidc.example.org","subject":"s","audiences":["a"]}'`},
		{1, "The issuer must use https", credential + `'{"name":"second","issuer":"http://oidc.example.org","subject":"s","audiences":["a"]}'`},
		{1, "The subject must not be empty", credential + `'{"name":"second","issuer":"https://oidc.example.org","audiences":["a"]}'`},
		{1, ".*audience", credential + `'{"name":"second","issuer":"https://oidc.example.org","subject":"s","audiences":[]}'`},
		{1, "Empty Payload", credential + `'{}'`},
		{3, "Resource 'nobody@example.org' does not exist", `az ad user show --id nobody@example.org`},
		{1, "/me request is only valid with delegated authentication flow", `az ad signed-in-user show`},
		{3, "Service principal 'nope' doesn't exist|.*nope", `az ad sp show --id nope`},
		{1, "Bad Request.*BadRequest", `az rest --url "$ENTENTE_URL/v1.0/nope"`},
		{1, "Bad Request.*application/json|.*JSON", `az rest --method post --url "$ENTENTE_URL/v1.0/applications" --headers Content-Type=application/json --body '{'`},

		// Resource Manager
		{1, `\(InvalidRequestUri\) The path`, `az group create -n bad/name -l local`},
		{1, "Bad Request.*InvalidResourceGroupName", `az rest --method put --url "/subscriptions/$SUBSCRIPTION/resourcegroups/dot.?api-version=2021-04-01" --body '{"location":"local"}'`},
		{1, `\(InvalidResourceName\) The name of the user-assigned managed identity`, `az identity create -g pets -n 'b d'`},
		{1, `\(InvalidResourceLocation\) The resource 'cat' already exists`, `az identity create -g pets -n cat -l elsewhere`},
		{1, `\(BadRequest\) .*issuer "http://oidc\.example\.org" must use https`, identities + `--name second --issuer http://oidc.example.org --subject s`},
		{1, `\(BadRequest\) .*exactly one audience`, identities + `--name second --issuer https://oidc.example.org --subject s --audiences a b`},
		{1, `\(BadRequest\) .*name 's' is invalid`, identities + `--name s --issuer https://oidc.example.org --subject s`},
		{3, `\(ParentResourceNotFound\) `, `az identity federated-credential create --identity-name nope -g pets --name second --issuer https://oidc.example.org --subject s`},
		{3, `\(InvalidResourceNamespace\) `, `az provider show -n Microsoft.Nope`},
		{3, `\(NotFound\) No resource of this service has the path`, `az policy assignment list`},
		{1, "Bad Request.*MissingApiVersionParameter", `az rest --url /subscriptions`},
		{1, "Unsupported Media Type", `az rest --method put --url "/subscriptions/$SUBSCRIPTION/resourcegroups/z?api-version=2021-04-01" --body '{'`},

		// who has no right token
		{1, "Unauthorized", `az rest --skip-authorization-header --url "$ENTENTE_URL/v1.0/applications"`},
		{1, "Unauthorized", `az rest --skip-authorization-header --url "$ENTENTE_URL/subscriptions?api-version=2021-04-01"`},
		{1, "Unauthorized", `az rest --skip-authorization-header --headers "Authorization=Bearer $(az account get-access-token --resource https://vault.azure.net --query accessToken -o tsv)" --url "$ENTENTE_URL/v1.0/applications"`},
	} {
		p.refused(refusal.code, refusal.says, refusal.line)
	}
}
