package node

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// The network of a node. It is the same for all, because nobody else is in it.
const (
	Address = "10.244.7.1" // of the node: here the API server and the test's own listeners are for pods
	pods    = "10.244.7.0/24"
	bridge  = "pods"
	plugins = "/usr/lib/cni" // where Debian puts them
)

// A Cluster is a control plane with one node.
type Cluster struct {
	*controlplane.Cluster
	containerd, kubelet, proxy *process
}

var (
	place   string // directory of everything; empty outside the namespaces
	missing string // why there is no such place
	started atomic.Bool
)

// Start starts a cluster with a node and waits until that is ready for pods. It
// can be had once in a test process whose TestMain calls [Main], and ends with
// the test. config.Node is set here.
func Start(t testing.TB, config controlplane.Config) *Cluster {
	t.Helper()
	if missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if place == "" {
		t.Fatal("node.Start needs node.Main in TestMain")
	}
	if !started.CompareAndSwap(false, true) {
		t.Fatal("a test process has one node: start it in the test that the others are part of")
	}
	c := &Cluster{}
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range []*process{c.kubelet, c.proxy, c.containerd} {
				if p != nil {
					t.Logf("end of the log of %s:\n%s", p.name, p.lines(15))
				}
			}
		}
	})
	if err := c.runContainers(); err != nil {
		t.Fatal(err)
	}
	c.ImportImage(t, pauseImage, Program(t, "github.com/entente-id/entente/internal/testkit/node/pause", "pause"))
	config.Node = Address
	c.Cluster = controlplane.Start(t, config)
	if err := c.join(t); err != nil {
		t.Fatal(err)
	}
	return c
}

const pauseImage = "localhost/pause:test"

// runContainers starts containerd.
func (c *Cluster) runContainers() error {
	network, err := json.Marshal(map[string]any{
		"cniVersion": "0.4.0", "name": "pods",
		"plugins": []map[string]any{
			{"type": "bridge", "bridge": bridge, "isDefaultGateway": true, "hairpinMode": true, "ipam": map[string]any{
				"type": "host-local", "dataDir": filepath.Join(place, "addresses"), "ranges": [][]map[string]string{{{"subnet": pods}}},
			}},
			{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	})
	if err != nil {
		return err
	}
	// Not everybody who is root may lower a process's oom_score_adj.
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[plugins."io.containerd.internal.v1.opt"]
  path = %[4]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[5]q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[6]q
    conf_dir = %[7]q
`, filepath.Join(place, "containerd"), "/run/containerd", socket, filepath.Join(place, "opt"), pauseImage, plugins, filepath.Join(place, "cni"))
	if err := os.Mkdir(filepath.Join(place, "cni"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"containerd.toml": config, "cni/pods.conflist": string(network)} {
		if err := os.WriteFile(filepath.Join(place, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if c.containerd, err = launch("containerd", "--config", filepath.Join(place, "containerd.toml")); err != nil {
		return err
	}
	return c.containerd.until(func() error {
		out, err := exec.Command("ctr", "--address", socket, "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

const socket = "/run/containerd.sock"

// join starts kubelet and kube-proxy and waits until the node is ready.
func (c *Cluster) join(t testing.TB) error {
	t.Helper()
	type m map[string]any
	kubelet, err := json.Marshal(m{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": Address, "healthzPort": 0, "readOnlyPort": 0,
		"authentication": m{"anonymous": m{"enabled": true}, "webhook": m{"enabled": false}}, "authorization": m{"mode": "AlwaysAllow"},
		"cgroupDriver": "cgroupfs", "cgroupRoot": "/" + os.Getenv("ENTENTE_NODE_CGROUP"), "failCgroupV1": false, "failSwapOn": false,
		"containerRuntimeEndpoint": "unix://" + socket,
		// The machine is not the node's to look after.
		"evictionHard":                m{"memory.available": "1Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
		"imageGCHighThresholdPercent": 100, "nodeStatusUpdateFrequency": "5s",
		"resolvConf": "", "registerNode": true, "maxPods": 240,
		"serializeImagePulls": false, "registryPullQPS": 0, "eventRecordQPS": 0, "kubeAPIQPS": 500, "kubeAPIBurst": 1000,
	})
	if err != nil {
		return err
	}
	file := filepath.Join(place, "kubelet.json")
	if err := os.WriteFile(file, kubelet, 0o600); err != nil {
		return err
	}
	programs := controlplane.Programs(t)
	c.kubelet, err = launch(filepath.Join(programs, "kubelet"), "--config="+file, "--kubeconfig="+c.KubeconfigOf(t, controlplane.NodeUser),
		"--cert-dir="+filepath.Join(place, "kubelet"), "--hostname-override="+controlplane.NodeName, "--node-ip="+Address)
	if err != nil {
		return err
	}
	c.proxy, err = launch(filepath.Join(programs, "kube-proxy"), "--kubeconfig="+c.KubeconfigOf(t, controlplane.ProxyUser), "--proxy-mode=iptables",
		"--cluster-cidr="+pods, "--hostname-override="+controlplane.NodeName, "--bind-address="+Address, "--conntrack-max-per-core=0",
		"--metrics-bind-address=127.0.0.1:10249", "--healthz-bind-address=127.0.0.1:10256", "--iptables-min-sync-period=100ms")
	if err != nil {
		return err
	}
	nodes := c.Client(t).CoreV1().Nodes()
	return c.kubelet.until(func() error {
		node, err := nodes.Get(t.Context(), controlplane.NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return fmt.Errorf("the node is not ready: %s", condition.Message)
			}
		}
		return fmt.Errorf("the node does not say whether it is ready")
	})
}
