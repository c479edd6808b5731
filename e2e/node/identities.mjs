// Makes, changes, lists and deletes a managed identity and its federated
// credentials with @azure/arm-msi, signed in as a workload.
//
// Standard input: {"endpoint", "subscription", "group", "name", "workload": options of WorkloadIdentityCredential}
// Standard output: what each step saw, by its name; an error as {"status", "code"}.
import { ManagedServiceIdentityClient } from "@azure/arm-msi";
import { WorkloadIdentityCredential } from "@azure/identity";
import { input, output } from "./io.mjs";

const { endpoint, subscription, group, name, workload } = await input();
const { userAssignedIdentities: identities, federatedIdentityCredentials: credentials } = new ManagedServiceIdentityClient(
  new WorkloadIdentityCredential(workload),
  subscription,
  { endpoint, credentialScopes: [endpoint + "/.default"], retryOptions: { maxRetries: 0 } },
);

const refusal = (promise) =>
  promise.then(
    () => null,
    ({ statusCode, code }) => ({ status: statusCode, code }),
  );

const all = async (pages) => {
  const names = [];
  for await (const item of pages) names.push(item.name);
  return names.sort();
};

const trust = (subject) => ({ issuer: "https://oidc.example.org/cluster/", subject, audiences: ["api://AzureADTokenExchange"] });
const steps = {};

const made = await identities.createOrUpdate(group, name, { location: "local", tags: { team: "pets" } });
const got = await identities.get(group, name);
steps.made = { id: made.id, clientId: made.clientId, principalId: made.principalId, tenantId: made.tenantId, same: made.clientId === got.clientId };
steps.tagged = (await identities.update(group, name, { tags: { team: "dogs" } })).tags;
steps.listed = (await all(identities.listByResourceGroup(group))).includes(name);

for (const k of ["first", "second", "third"]) await credentials.createOrUpdate(group, name, k, trust("system:serviceaccount:pets:" + k));
await credentials.createOrUpdate(group, name, "third", trust("system:serviceaccount:pets:last"));
steps.credential = (await credentials.get(group, name, "third")).subject;
steps.twice = await refusal(credentials.createOrUpdate(group, name, "fourth", trust("system:serviceaccount:pets:first")));
steps.credentials = await all(credentials.list(group, name, { top: 2 }));

await credentials.delete(group, name, "second");
await credentials.delete(group, name, "second"); // finds nothing, which is no error
steps.withdrawn = await refusal(credentials.get(group, name, "second"));
await identities.delete(group, name);
steps.deleted = await refusal(identities.get(group, name));
output(steps);
