// Package roles holds the rules of authorisation that need no database: which
// actions a role definition allows, which scopes an assignment covers, and the
// definitions that exist from the first start.
//
// Clients (az, azwi, Terraform) look built-in roles up by Azure's names and
// ids, so those are Azure's, and the patterns mean what they mean there. One
// rule is ours: a pattern that does not name the provider Entente.Federation
// does not reach into it, because whoever may set an issuer's keys can speak
// for every workload of that issuer, and an Owner of resources must not get
// that with a star.
package roles
