// Package signin keeps the record of exchanges: who asked for a token, with
// what, and what was answered.
//
// An exchange must not wait for its own record, nor fail because of it: on
// SQLite a write costs more than all the rest of an exchange but the signature.
// So the record is lossy by contract. Records wait in memory, bounded, and are
// written in batches; a crash loses what was not written, usually the last
// second; a database that is down or too slow loses what does not fit. Every
// loss that is not a crash is counted. What must not be lost is elsewhere: the
// audit of management writes stands in the transaction of the write, and the
// log has a line for each exchange.
//
// Strangers can cause records (a refused exchange is one), so everything about
// them has a bound: the length of a field, the number in memory, and the number
// and age of those kept for a tenant.
package signin
