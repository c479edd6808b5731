// A program of somebody who uses the Azure SDK for JavaScript: it gets an access
// token and writes {"token"} or {"error"}. Arguments: see ../token/main.go.
import { DefaultAzureCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from "@azure/identity";

const credentials = {
  default: () => new DefaultAzureCredential(),
  "no-discovery": () => new DefaultAzureCredential({ disableInstanceDiscovery: true }),
  "managed-identity": () => new ManagedIdentityCredential({ clientId: process.env.AZURE_CLIENT_ID }),
  "token-proxy": () => new WorkloadIdentityCredential({ enableAzureProxy: true }),
};
const [scope, credential = "default"] = process.argv.slice(2);
try {
  const { token } = await credentials[credential]().getToken(scope);
  console.log(JSON.stringify({ token }));
} catch ({ message }) {
  console.log(JSON.stringify({ error: message }));
}
