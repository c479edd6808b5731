// Package controlplane gives tests a real Kubernetes control plane: etcd and
// kube-apiserver as processes on loopback, with keys, issuers and flags of the
// test's choice.
//
// What Entente federates with is a cluster, and an imitation of one proves only
// that we agree with ourselves. The programs come from the module proxy like
// every other dependency: the module in /kubernetes is built once, which takes
// minutes, and kept in the user's cache directory; from then on a control plane
// is there in seconds. It is not in testkit itself because everything that
// imports testkit would link client-go.
package controlplane
