package controlplane

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Config says what a control plane is started with. The zero value is a cluster
// with an RSA key whose issuer is its API server's address.
type Config struct {
	// Issuer is the iss of service-account tokens. Empty: the API server's URL,
	// without a slash at its end. One that begins with a slash is appended to
	// that URL; any other is taken as it is.
	Issuer string
	// JWKSURI stands in the discovery document; empty: {URL}/openid/v1/jwks.
	JWKSURI string
	// Keys are those of service-account tokens, RSA or ECDSA: all are published,
	// and the first one signs. Empty: a new RSA key of 2,048 bits.
	Keys []crypto.Signer
	// Authority signs the API server's certificate; nil: a new one.
	Authority *Authority
	// Flags are added to those of kube-apiserver.
	Flags []string
	// ControllerManager starts kube-controller-manager as well, which makes the
	// service account "default" of each namespace, and what controllers make.
	ControllerManager bool
	// Node is an address of this machine's that pods can reach, for a cluster
	// that has a node there. The API server answers on all addresses then, and
	// the controller manager and the scheduler run as well. Only for a network
	// namespace of the test's own.
	Node string
}

// NodeName is the name of the node that a cluster can have.
const NodeName = "node"

// A Cluster is a running control plane. It ends with the test, and with the
// test process.
type Cluster struct {
	Config            // as completed
	URL        string // of the API server: https://127.0.0.1:PORT
	Kubeconfig string // file of a member of system:masters
	Directory  string // of everything else

	programs   string
	admin      string            // bearer token
	others     map[string]string // bearer tokens of NodeUser and ProxyUser
	etcd       *process
	apiServer  *process
	controller *process
	scheduler  *process
}

// The users that the programs of a node are.
const (
	NodeUser  = "system:node:" + NodeName
	ProxyUser = "system:kube-proxy"
)

// Start starts a control plane and waits until it is ready. Anybody may read
// its discovery document, as with clusters whose issuer is public.
func Start(t testing.TB, config Config) *Cluster {
	t.Helper()
	c := &Cluster{
		Config: config, programs: Programs(t), Directory: t.TempDir(),
		admin: rand.Text(), others: map[string]string{NodeUser: rand.Text(), ProxyUser: rand.Text()},
	}
	if c.Authority == nil {
		c.Authority = NewAuthority(t)
	}
	if len(c.Keys) == 0 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		c.Keys = []crypto.Signer{key}
	}
	t.Cleanup(func() {
		for _, p := range []*process{c.scheduler, c.controller, c.apiServer, c.etcd} {
			p.kill()
		}
		if t.Failed() {
			t.Logf("end of the log of the API server:\n%s", lastLines(c.Log(), 30))
		}
	})
	var err error
	// Sockets need no free ports, and nobody else on the machine can ask them.
	c.etcd, err = launch(c.programs, c.Directory, "etcd", "--name=etcd", "--data-dir=etcd", "--unsafe-no-fsync",
		"--listen-client-urls=unix://localhost:1", "--advertise-client-urls=unix://localhost:1",
		"--listen-peer-urls=unix://localhost:2", "--initial-advertise-peer-urls=unix://localhost:2", "--initial-cluster=etcd=unix://localhost:2")
	if err != nil {
		t.Fatal(err)
	}
	issuer, uri := c.Issuer, c.JWKSURI
	for attempt := 1; ; attempt++ {
		c.URL = fmt.Sprintf("https://127.0.0.1:%d", freePort(t))
		if c.Issuer = issuer; issuer == "" || issuer[0] == '/' {
			c.Issuer = c.URL + issuer
		}
		if c.JWKSURI = uri; uri == "" {
			c.JWKSURI = c.URL + "/openid/v1/jwks"
		}
		c.write(t)
		err := c.run(t)
		if err == nil {
			break
		}
		if attempt == 3 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("%v\nend of etcd's log:\n%s", err, c.etcd.complaints())
		}
	}
	if c.ControllerManager || c.Node != "" {
		c.control(t)
	}
	if c.Node != "" {
		c.scheduler, err = launch(c.programs, c.Directory, "kube-scheduler", "--kubeconfig=kubeconfig", "--secure-port=0", "--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000")
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Client(t).RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "issuer-is-public"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Stop stops the API server, as maintenance does: the cluster cannot be asked any more.
func (c *Cluster) Stop() {
	c.apiServer.stop()
	c.apiServer = nil
}

// Restart stops the API server if it runs, and starts it with what the test
// has changed of the cluster's Keys and Flags.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	c.Stop()
	c.write(t)
	if err := c.run(t); err != nil {
		t.Fatal(err)
	}
}

// Log is what the API server has logged since the cluster was started.
func (c *Cluster) Log() string {
	text, _ := os.ReadFile(filepath.Join(c.Directory, "kube-apiserver.log"))
	return string(text)
}

// freePort finds a port below those that the system gives to whoever asks for any.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(12000))
		if err != nil {
			t.Fatal(err)
		}
		port := 20000 + int(n.Int64())
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return 0
}

// write writes the files that the programs read.
func (c *Cluster) write(t testing.TB) {
	t.Helper()
	var addresses []net.IP
	if c.Node != "" {
		addresses = append(addresses, net.ParseIP(c.Node))
	}
	serving := c.Authority.Certificate(t, addresses...)
	tokens := c.admin + ",admin,admin,system:masters\n"
	tokens += c.others[NodeUser] + "," + NodeUser + ",node,system:nodes\n"
	tokens += c.others[ProxyUser] + "," + ProxyUser + ",proxy\n"
	files := map[string][]byte{
		"ca.pem":          c.Authority.PEM,
		"serving.pem":     encode("CERTIFICATE", serving.Certificate[0]),
		"serving-key.pem": encodePrivate(t, serving.PrivateKey),
		"signing-key.pem": encodePrivate(t, c.Keys[0]),
		"tokens.csv":      []byte(tokens),
		"kubeconfig":      kubeconfig(t, c.URL, c.Authority.PEM, c.admin),
	}
	for n, key := range c.Keys {
		files[publicKeyFile(n)] = encodePublic(t, key.Public())
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.Directory, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Kubeconfig = filepath.Join(c.Directory, "kubeconfig")
}

// KubeconfigOf writes a kubeconfig file of NodeUser or ProxyUser, and returns its name.
func (c *Cluster) KubeconfigOf(t testing.TB, user string) string {
	t.Helper()
	file := filepath.Join(c.Directory, strings.ReplaceAll(user, ":", "-")+".kubeconfig")
	if err := os.WriteFile(file, kubeconfig(t, c.URL, c.Authority.PEM, c.others[user]), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func publicKeyFile(n int) string { return fmt.Sprintf("public-key-%d.pem", n) }

func kubeconfig(t testing.TB, url string, ca []byte, token string) []byte {
	t.Helper()
	type named map[string]any
	text, err := json.Marshal(named{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []named{{"name": "c", "cluster": named{"server": url, "certificate-authority-data": ca}}},
		"users":    []named{{"name": "u", "user": named{"token": token}}},
		"contexts": []named{{"name": "c", "context": named{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// run starts kube-apiserver and waits until it is ready.
func (c *Cluster) run(t testing.TB) error {
	t.Helper()
	args := []string{
		"--etcd-servers=unix://localhost:1",
		"--secure-port=" + c.URL[strings.LastIndexByte(c.URL, ':')+1:], "--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=serving.pem", "--tls-private-key-file=serving-key.pem",
		"--token-auth-file=tokens.csv", "--authorization-mode=Node,RBAC", "--allow-privileged",
		"--service-account-issuer=" + c.Issuer, "--service-account-jwks-uri=" + c.JWKSURI,
		"--service-account-signing-key-file=signing-key.pem",
	}
	for n := range c.Keys {
		args = append(args, "--service-account-key-file="+publicKeyFile(n))
	}
	if c.Node == "" {
		args = append(args, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
	} else {
		args = append(args, "--bind-address=0.0.0.0", "--advertise-address="+c.Node, "--kubelet-preferred-address-types=InternalIP")
	}
	var err error
	if c.apiServer, err = launch(c.programs, c.Directory, "kube-apiserver", slices.Concat(args, c.Flags)...); err != nil {
		return err
	}
	ready := c.Client(t).RESTClient().Get().AbsPath("/readyz")
	return c.apiServer.until(func() error { return ready.Do(t.Context()).Error() })
}

// control starts kube-controller-manager and waits until it works.
func (c *Cluster) control(t testing.TB) {
	t.Helper()
	var err error
	c.controller, err = launch(c.programs, c.Directory, "kube-controller-manager", "--kubeconfig=kubeconfig", "--secure-port=0", "--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--service-account-private-key-file=signing-key.pem", "--root-ca-file=ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	accounts := c.Client(t).CoreV1().ServiceAccounts("default")
	err = c.controller.until(func() error {
		_, err := accounts.Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Client is a client with all rights.
func (c *Cluster) Client(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	return c.ClientAs(t, c.admin)
}

// ClientAs is a client of whoever holds a bearer token, which may be another
// issuer's; without one it is nobody's.
func (c *Cluster) ClientAs(t testing.TB, token string) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.config(token))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// REST is what a client with all rights is made of, for libraries that make their own.
func (c *Cluster) REST() *rest.Config { return c.config(c.admin) }

func (c *Cluster) config(token string) *rest.Config {
	return &rest.Config{Host: c.URL, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: c.Authority.PEM}}
}
