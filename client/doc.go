// Package client speaks the three wires that a workload identity is managed
// and used over: the token endpoint of the Microsoft identity platform, the
// part of Microsoft Graph that holds applications and their federated identity
// credentials, and the part of Azure Resource Manager that holds managed
// identities and clusters. Entente serves the same wires, and one provider of its own
// (Entente.Federation) for what Azure has no wire for, so one client serves both:
// only the [Endpoints] differ.
//
// It is written out on net/http rather than on the Azure SDKs because it is
// linked into a proxy that runs beside every pod, where size counts, and because
// the SDKs' token library asks a Microsoft host for permission before it talks to
// an authority of one's own.
//
// Whatever the servers answer is bounded and distrusted:
//
//   - every endpoint is https, and a bearer token is sent to the configured
//     endpoint only: a redirect to another origin, or a list or an operation that
//     continues at another origin, is an error;
//   - an answer holds at most 4 MiB, a request takes at most 60 seconds, or less
//     when the context says so;
//   - 429, 502, 503 and 504 are tried three times in all, at the pace that
//     Retry-After asks for, if that is 30 seconds or less. A POST that creates
//     something is not repeated after 502 and 504, because it may have been
//     carried out;
//   - error texts are stripped of what could confuse a terminal or a log.
package client
