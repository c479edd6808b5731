// Package testkit gives tests the real things: databases of both engines, the
// built program as it serves, and a clock that stands still. A Kubernetes
// control plane is in its room controlplane.
//
// It exists so that no test needs a mock of a database, and so that what is
// true on one engine is asked of the other by the same lines. Only tests
// import it.
package testkit
