// Package proxy is the endpoint that programs made for Azure expect to find
// where they run: the managed identity of an App Service, on loopback, and that of
// a virtual machine, at 169.254.169.254. Behind both stands the exchange of the
// pod's service account token for an access token.
//
// It exists because such programs work unmodified then, with any authority: the
// SDKs' managed-identity part asks whoever it is pointed at, while their
// workload-identity part first asks a Microsoft host whether an authority may be
// trusted. It lands beside every pod. So it links no Azure SDK, no Kubernetes and
// no SQL, is measured in megabytes, and asks for no privilege but, for the second
// address, those of a moment: NET_ADMIN, in an init container that ends.
//
// What it gives out is worth stealing, and a server that can be talked into a
// request (SSRF) is the usual thief. The App Service endpoint wants the pod's
// secret in a header; the other one wants Metadata: true, as in Azure. Neither
// answers a browser, a forwarding proxy or a foreign Host, paths are compared
// byte for byte, and nothing reaches the node's own metadata service unless the
// operator says so.
//
// A refusal is JSON with 400 or 401, which clients do not try again; what may pass
// by itself is 429 or 503 with a small Retry-After, which they do
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling).
package proxy
