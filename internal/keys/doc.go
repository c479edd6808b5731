// Package keys is the ring of keys that this server signs its tokens with:
// made, sealed at rest, published ahead of their use, rotated and retired.
//
// Signing is nearly the whole cost of an exchange, so the ring is built around
// it: a key is opened and parsed once, its two possible token headers are
// encoded once, and Sign does one signature and nothing else that could be
// noticed. Everything that decides which key signs (what is published, when it
// activates, when it retires) is a column with a time in it, written in one
// transaction. Replicas therefore need not talk to each other: each reads the
// same rows, looks at its clock, and picks the same key. A key is published a
// day before it signs, so neither a replica's snapshot, which is a few seconds
// old, nor a verifier's cache can ever be behind.
//
// A key counts, for signing as for verifying and publishing, only if its sealed
// half opens with the key-encryption key. Whoever can merely write to the
// database cannot add a key of his own, nor move a key to another tenant.
package keys
