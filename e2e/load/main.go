// Command load says what an exchange costs a running service, in its own
// processor time and in the client's waiting time, and how many signatures
// that is on the same machine in the same minute.
//
//	go run ./e2e/load
//	go run ./e2e/load -clients 8 -rounds 9 -seconds 5 -o json
//	go run ./e2e/load -db postgres://…
//
// It builds the program and starts it in a directory of its own, with the log
// and the sign-in records that everybody has. Each round measures the bare
// signature first, by the same library with a key of the same length and as
// many at once as the service can make, then exchanges over TLS. The figure is
// the median over the rounds. It needs Linux, whose /proc tells what another
// process has used.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
)

type options struct {
	clients, rounds, credentials int
	seconds                      float64
	db, program, output          string
}

func main() {
	var o options
	flag.IntVar(&o.clients, "clients", 2*runtime.NumCPU(), "how many clients ask at once, each over its own connection")
	flag.IntVar(&o.rounds, "rounds", 5, "how many rounds")
	flag.Float64Var(&o.seconds, "seconds", 3, "how long exchanges are made in each round")
	flag.IntVar(&o.credentials, "credentials", 20, "how many federated identity credentials there are beside the one that matches, 20 to an application")
	flag.StringVar(&o.db, "db", "", "postgres:// URL of an empty database; default: SQLite")
	flag.StringVar(&o.program, "program", "", "the entente program; default: it is built")
	flag.StringVar(&o.output, "o", "text", "text or json")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.clients < 1 || o.rounds < 1 || o.seconds <= 0 || flag.NArg() > 0 || o.output != "text" && o.output != "json" {
		return errors.New("-clients and -rounds are at least 1, -seconds is more than 0, -o is text or json, and there are no arguments")
	}
	dir, err := os.MkdirTemp("", "entente-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.program == "" {
		o.program = filepath.Join(dir, "entente")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.program, "github.com/entente-id/entente/cmd/entente")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the program: %w", err)
		}
	}
	s, err := start(o, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.prepare(ctx, o.credentials); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	if _, err := s.exchanges(o.clients, time.Second); err != nil { // warms up
		return err
	}
	var rounds []round
	for range o.rounds {
		r := round{Signature: signatures(key, min(o.clients, runtime.NumCPU()), time.Second)}
		before, err := s.used()
		if err != nil {
			return err
		}
		began := time.Now()
		waits, err := s.exchanges(o.clients, time.Duration(o.seconds*float64(time.Second)))
		if err != nil {
			return err
		}
		took := time.Since(began)
		after, err := s.used()
		if err != nil {
			return err
		}
		slices.Sort(waits)
		r.Exchanges, r.PerSecond = len(waits), float64(len(waits))/took.Seconds()
		r.Exchange = (after - before) / time.Duration(len(waits))
		r.Ratio = float64(r.Exchange) / float64(r.Signature)
		r.Median, r.P99 = waits[len(waits)/2], waits[len(waits)*99/100]
		rounds = append(rounds, r)
	}
	resident, err := s.resident()
	if err != nil {
		return err
	}
	return print(os.Stdout, o, rounds, resident)
}

// round is what was measured in one of them.
type round struct {
	Signature   time.Duration // processor time of one alone
	Exchange    time.Duration // processor time of the service for one
	Ratio       float64       // of the two
	Exchanges   int
	PerSecond   float64
	Median, P99 time.Duration // from a client's request to its answer
}

func print(w io.Writer, o options, rounds []round, resident int) error {
	sorted := slices.SortedFunc(slices.Values(rounds), func(a, b round) int { return cmp.Compare(a.Ratio, b.Ratio) })
	middle := sorted[len(sorted)/2]
	if o.output == "json" {
		return json.NewEncoder(w).Encode(map[string]any{
			"processor": processor(), "processors": runtime.NumCPU(), "go": runtime.Version(), "clients": o.clients, "rounds": rounds, "median": middle, "residentMiB": resident,
		})
	}
	fmt.Fprintf(w, "%s, %d processors, %s, %d clients, resident memory of the service %d MiB\n\n", processor(), runtime.NumCPU(), runtime.Version(), o.clients, resident)
	fmt.Fprintf(w, "%12s %12s %8s %10s %10s %10s\n", "signature", "exchange", "ratio", "per s", "median", "p99")
	for _, r := range rounds {
		fmt.Fprintf(w, "%12s %12s %8.3f %10.0f %10s %10s\n", us(r.Signature), us(r.Exchange), r.Ratio, r.PerSecond, us(r.Median), us(r.P99))
	}
	_, err := fmt.Fprintf(w, "\nAn exchange costs the service %.2f signatures of processor time (median of %d rounds).\n", middle.Ratio, len(rounds))
	return err
}

func us(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// signatures is the processor time of a bare signature, several made at once.
func signatures(key *rsa.PrivateKey, parallel int, d time.Duration) time.Duration {
	digest := sha256.Sum256([]byte("an exchange"))
	var made atomic.Int64
	before, end := ourTime(), time.Now().Add(d)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for time.Now().Before(end) {
				if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					panic(err) // a good key signs
				}
				made.Add(1)
			}
		})
	}
	wg.Wait()
	return (ourTime() - before) / time.Duration(made.Load())
}

func ourTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // of one's own process it is always known
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// service is the program under load.
type service struct {
	cmd                                                        *exec.Cmd
	log                                                        *os.File
	Authority, CAFile, TenantID, ClientID, ClientSecret, Proof string
	Client                                                     string
	roots                                                      *x509.CertPool
}

func start(o options, dir string) (*service, error) {
	args := []string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--health-listen", "none", "--request-rate", "-1"}
	if o.db != "" {
		kek := filepath.Join(dir, "kek")
		key := make([]byte, 32)
		rand.Read(key)
		if err := os.WriteFile(kek, key, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--db", o.db, "--key-encryption-key", kek)
	}
	s := &service{cmd: exec.Command(o.program, args...)}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	serving := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.log.Write(append(lines.Bytes(), '\n'))
			if bytes.Contains(lines.Bytes(), []byte("msg=serving")) || bytes.Contains(lines.Bytes(), []byte(`"msg":"serving"`)) {
				serving <- true
			}
		}
		close(serving)
	}()
	if !<-serving {
		text, _ := os.ReadFile(s.log.Name())
		return nil, fmt.Errorf("the service does not serve:\n%s", text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(ca)
	return s, nil
}

func (s *service) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
	s.log.Close()
}

// http is a client with one connection.
func (s *service) http() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, MaxConnsPerHost: 1}}
}

// prepare makes an application that trusts one service account, among others.
func (s *service) prepare(ctx context.Context, others int) error {
	c, err := client.New(client.Config{
		Endpoints: client.Entente(s.Authority), TenantID: s.TenantID, HTTP: s.http(),
		Credential: client.ClientSecret(s.Authority, s.TenantID, s.ClientID, s.ClientSecret, s.http()),
	})
	if err != nil {
		return err
	}
	cluster, err := localissuer.New(localissuer.Config{URL: "https://cluster.example/"})
	if err != nil {
		return err
	}
	if _, _, err := c.PutIssuer(ctx, "cluster", client.IssuerSpec{Issuer: cluster.URL(), KeySource: client.UploadedKeys, KeySet: cluster.JWKS()}); err != nil {
		return err
	}
	application := func(name string) (client.Application, error) {
		app, err := c.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name})
		if err == nil {
			_, err = c.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID})
		}
		return app, err
	}
	trust := func(app client.Application, account string) error {
		_, err := c.CreateApplicationCredential(ctx, app.ID, client.FederatedCredential{
			Name: account, Issuer: cluster.URL(), Subject: "system:serviceaccount:load:" + account, Audiences: []string{localissuer.DefaultAudience},
		})
		return err
	}
	app, err := application("load")
	if err != nil {
		return err
	}
	if err := trust(app, "asker"); err != nil {
		return err
	}
	s.Client = app.AppID
	for i := range others {
		if i%20 == 0 {
			if app, err = application(fmt.Sprintf("other-%d", i/20)); err != nil {
				return err
			}
		}
		if err := trust(app, fmt.Sprintf("account-%d", i)); err != nil {
			return err
		}
	}
	s.Proof, err = cluster.Mint(localissuer.Token{Namespace: "load", ServiceAccount: "asker", Pod: "asker-0", Node: "node-0", Lifetime: 24 * time.Hour})
	return err
}

// exchanges makes exchanges for d and returns how long the client of each waited.
func (s *service) exchanges(clients int, d time.Duration) ([]time.Duration, error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {s.Client}, "scope": {"https://vault.azure.net/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {s.Proof},
	}.Encode()
	end := time.Now().Add(d)
	waits, errs := make([][]time.Duration, clients), make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			hc := s.http()
			defer hc.CloseIdleConnections()
			for time.Now().Before(end) && errs[i] == nil {
				began := time.Now()
				if errs[i] = s.exchange(hc, form); errs[i] == nil {
					waits[i] = append(waits[i], time.Since(began))
				}
			}
		})
	}
	wg.Wait()
	all := slices.Concat(waits...)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return nil, fmt.Errorf("after %d exchanges: %w", len(all), err)
	}
	return all, nil
}

func (s *service) exchange(hc *http.Client, form string) error {
	answer, err := hc.Post(s.Authority+"/"+s.TenantID+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("access_token"))) {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return err
}

// ticks per second in /proc: USER_HZ, which is 100 on every Linux that Go knows.
const ticks = 100

// used is the processor time of the service so far (proc_pid_stat(5), utime and stime).
func (s *service) used() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields", len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// resident is the memory of the service in MiB (VmRSS of proc_pid_status(5)).
func (s *service) resident() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			return kib / 1024, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}
