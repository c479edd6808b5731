// Package node gives tests a real Kubernetes node: containerd, runc, CNI,
// kubelet and kube-proxy beside the control plane of testkit/controlplane, so
// that what is tested runs in pods, with tokens that a kubelet has mounted, and
// talks through a cluster's network.
//
// All of it, the test process too, lives in mount, network and process
// namespaces of its own, which [Main] makes before the tests start: it runs the
// test program again in there. A test process that stayed outside would need a
// way in for each of its clients, for kubectl and for the service under test;
// inside, they all just dial. The price is that there is no way out: what needs
// the network (modules, packages of Node) has to be there before, see Main.
// When the first process in there ends, the kernel ends everything else, and the
// mounts go with it; what lives on outside are empty directories of cgroups,
// which Main removes.
//
// It needs root on Linux, and a few of Debian's packages; no registry of images
// and no service manager. Images are made from files of this machine.
package node
