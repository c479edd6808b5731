// Package testkit gives tests the real things: databases of both engines and
// a clock that stands still.
//
// It exists so that no test needs a mock of a database, and so that what is
// true on one engine is asked of the other by the same lines. Only tests
// import it.
package testkit
