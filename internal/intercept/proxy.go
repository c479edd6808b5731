package intercept

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config is what a proxy is started with.
type Config struct {
	// Service is the https:// URL of the service that answers for Azure, without path.
	Service string
	// Transport takes requests to it and checks its certificate; nil: http.DefaultTransport.
	Transport http.RoundTripper
	// Pass are the hosts to which requests pass, as CheckPass wants them.
	Pass []string
	// PassAll passes requests to every public address.
	PassAll bool
	// AnyClient takes requests without the credential in the proxy's URL.
	AnyClient bool
	// Log gets a line for every request; nil: nobody does.
	Log *slog.Logger
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Proxy is a running proxy on a loopback address.
type Proxy struct {
	config    Config
	service   *url.URL
	base      string // the service's URL, without a slash at its end
	rules     []rule
	log       *slog.Logger
	authority *authority
	secret    string

	listener     net.Listener
	tunnels      *tunnels // those to Azure's names
	outer, inner *http.Server
	toService    *httputil.ReverseProxy
	passed       *httputil.ReverseProxy
	transport    *http.Transport // of plain HTTP that is passed
	ended        context.Context
	end          context.CancelFunc
	running      sync.WaitGroup
}

// proxyUser goes before the random secret in the proxy's URL.
const proxyUser = "entente"

const (
	maxHeader   = 64 << 10 // bytes
	readWithin  = 10 * time.Second
	idleFor     = 2 * time.Minute
	errorStatus = http.StatusBadGateway
)

// Start makes a throw-away CA and a proxy that answers at once.
func Start(c Config) (*Proxy, error) {
	service, err := url.Parse(strings.TrimRight(c.Service, "/"))
	if err != nil || service.Scheme != "https" || service.Host == "" || service.User != nil || service.Path != "" || service.RawQuery != "" {
		return nil, fmt.Errorf("the service's URL %q is not https://HOST[:PORT]", c.Service)
	}
	if Answers(service.Hostname()) {
		return nil, fmt.Errorf("the service %s is Azure itself", c.Service)
	}
	p := &Proxy{config: c, service: service, base: service.String(), secret: rand.Text(), log: cmp.Or(c.Log, slog.New(slog.DiscardHandler))}
	if p.rules, err = parseRules(c.Pass); err != nil {
		return nil, err
	}
	// The service has no secrets from those who were sent to it.
	p.rules = append(p.rules, rule{strings.ToLower(service.Hostname()), cmp.Or(service.Port(), "443")})
	if p.authority, err = newAuthority(p.now()); err != nil {
		return nil, fmt.Errorf("make a throw-away CA: %w", err)
	}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p.ended, p.end = context.WithCancel(context.Background())
	p.serve()
	return p, nil
}

func parseRules(pass []string) ([]rule, error) {
	var rules []rule
	for _, s := range pass {
		r, err := parseRule(s)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func (p *Proxy) serve() {
	quiet := slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)
	p.tunnels = newTunnels(p.listener.Addr())
	p.transport = &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: idleFor, MaxResponseHeaderBytes: maxHeader}
	p.toService = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: p.config.Transport, ModifyResponse: p.answer, ErrorHandler: p.failed, ErrorLog: quiet,
	}
	p.passed = &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, Transport: p.transport, ErrorLog: quiet, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, "entente run: "+err.Error(), errorStatus)
		},
	}
	p.outer = &http.Server{Handler: http.HandlerFunc(p.proxy), ErrorLog: quiet, ReadHeaderTimeout: readWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader}
	p.inner = &http.Server{
		Handler: http.HandlerFunc(p.forward), ErrorLog: quiet, ReadHeaderTimeout: readWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate, NextProtos: []string{"h2", "http/1.1"}},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			t := c.(*tls.Conn).NetConn().(*tunnel)
			return context.WithValue(ctx, askedKey{}, t.asked)
		},
	}
	p.running.Go(func() { p.outer.Serve(p.listener) })
	p.running.Go(func() { p.inner.ServeTLS(p.tunnels, "", "") })
}

// Close ends the proxy and everything that goes through it.
func (p *Proxy) Close() error {
	p.end()
	err := errors.Join(p.outer.Close(), p.inner.Close())
	p.tunnels.Close()
	p.transport.CloseIdleConnections()
	p.running.Wait()
	return err
}

// URL is where the proxy is, with the credential that it wants.
func (p *Proxy) URL() *url.URL {
	return &url.URL{Scheme: "http", User: url.UserPassword(proxyUser, p.secret), Host: p.listener.Addr().String()}
}

// CAPEM is the certificate of the throw-away CA.
func (p *Proxy) CAPEM() []byte { return p.authority.pem() }

func (p *Proxy) now() time.Time {
	if p.config.Clock != nil {
		return p.config.Clock()
	}
	return time.Now()
}

// askedKey is where a request's context has the name that it was made for.
type askedKey struct{}

func askedIn(ctx context.Context) asked {
	a, _ := ctx.Value(askedKey{}).(asked)
	return a
}

// proxy takes what programs send to a proxy: CONNECT, and plain HTTP with a
// whole URL.
func (p *Proxy) proxy(w http.ResponseWriter, r *http.Request) {
	if !p.config.AnyClient && !p.knows(r.Header.Get("Proxy-Authorization")) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="entente run"`)
		http.Error(w, "entente run: this proxy is for the programs of one command, which have its credential in HTTPS_PROXY; "+
			"--any-client takes requests of programs that cannot send it", http.StatusProxyAuthRequired)
		return
	}
	if r.Method == http.MethodConnect {
		p.connect(w, r)
		return
	}
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		http.Error(w, "entente run: this is a proxy", http.StatusBadRequest)
		return
	}
	host, port := strings.ToLower(r.URL.Hostname()), cmp.Or(r.URL.Port(), "80")
	switch {
	case !hostName.MatchString(host):
		http.Error(w, "entente run: the host is malformed", http.StatusBadRequest)
	case cloudOf(host) != nil:
		p.log.Info("refused", "method", r.Method, "host", host, "why", "not https")
		http.Error(w, "entente run: "+host+" is answered with https only", http.StatusForbidden)
	case !p.passes(host, port):
		p.log.Info("refused", "method", r.Method, "host", host, "pass", host)
		http.Error(w, refusal(host), http.StatusForbidden)
	default:
		p.log.Info("passed", "method", r.Method, "host", host)
		p.passed.ServeHTTP(w, r)
	}
}

// knows checks the credential (RFC 7617), in a time that does not tell how much of it is right.
func (p *Proxy) knows(authorization string) bool {
	scheme, credential, _ := strings.Cut(authorization, " ")
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credential))
	return err == nil && strings.EqualFold(scheme, "Basic") && subtle.ConstantTimeCompare(given, []byte(proxyUser+":"+p.secret)) == 1
}

func (p *Proxy) passes(host, port string) bool { return p.config.PassAll || p.named(host, port) }

// refusal says what to do about it. Azure SDKs take a 403 that speaks of what
// is unreachable, where they look for a managed identity, for there being none.
func refusal(host string) string {
	return fmt.Sprintf("%s is unreachable under entente run: it is none of Azure's names that a service answers for; --pass %s lets requests through", host, host)
}

// connect opens a tunnel: to the service for Azure's names, and to hosts that are passed.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	host = strings.ToLower(host)
	if err != nil || !hostName.MatchString(host) || strings.Trim(port, "0123456789") != "" {
		http.Error(w, "entente run: CONNECT wants HOST:PORT", http.StatusBadRequest)
		return
	}
	ours := cloudOf(host)
	switch {
	case ours != nil && port != "443":
		p.log.Info("refused", "method", r.Method, "host", host, "port", port)
		p.refuse(w, http.StatusForbidden, host+" is answered on port 443 only")
		return
	case ours == nil && !p.passes(host, port):
		p.log.Info("refused", "method", r.Method, "host", host, "port", port, "pass", host)
		p.refuse(w, http.StatusForbidden, refusal(host))
		return
	case ours != nil:
		if c := p.accept(w); c != nil {
			p.tunnels.take(&tunnel{c, asked{ours, host}})
		}
		return
	}
	far, err := p.dial(r.Context(), "tcp", net.JoinHostPort(host, port))
	if err != nil {
		p.log.Info("not reached", "host", host, "port", port, "error", err)
		p.refuse(w, errorStatus, err.Error())
		return
	}
	p.log.Info("passed", "method", r.Method, "host", host, "port", port)
	if near := p.accept(w); near != nil {
		p.join(near, far)
		return
	}
	far.Close()
}

// refuse answers CONNECT. Many programs show of the answer only its first line.
func (p *Proxy) refuse(w http.ResponseWriter, status int, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, text, status)
		return
	}
	defer c.Close()
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	c.SetWriteDeadline(time.Now().Add(readWithin))
	fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", status, line, len(line)+1, line)
}

// accept answers CONNECT and returns the connection; nil: it broke.
func (p *Proxy) accept(w http.ResponseWriter) net.Conn {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "entente run: "+err.Error(), errorStatus)
		return nil
	}
	c.SetDeadline(time.Time{})
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		c.Close()
		return nil
	}
	return &early{c, buffered.Reader}
}

// early is a connection of which something was read already.
type early struct {
	net.Conn
	r *bufio.Reader
}

func (e *early) Read(b []byte) (int, error) { return e.r.Read(b) }

// CloseWrite tells the other side that nothing more comes.
func (e *early) CloseWrite() error { return closeWrite(e.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// join copies both ways until both have ended, or the proxy has.
func (p *Proxy) join(near, far net.Conn) {
	stop := context.AfterFunc(p.ended, func() { near.Close(); far.Close() })
	defer stop()
	defer near.Close()
	defer far.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(far, near); closeWrite(far) })
	wg.Go(func() { io.Copy(near, far); closeWrite(near) })
	wg.Wait()
}

// certificate is that of the host that the tunnel was opened for.
func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hello.Conn.(*tunnel).host
	if hello.ServerName != "" && !strings.EqualFold(hello.ServerName, host) {
		return nil, fmt.Errorf("a tunnel to %s is used for %q", host, hello.ServerName)
	}
	return p.authority.certificateFor(host, p.now())
}

// forward has a request for one of Azure's names answered by the service.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	a := askedIn(r.Context())
	if !strings.EqualFold(strings.TrimSuffix(r.Host, ":443"), a.host) {
		http.Error(w, "entente run: this connection is for "+a.host, http.StatusMisdirectedRequest)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/") {
		http.Error(w, "entente run: the request names no path", http.StatusBadRequest)
		return
	}
	if a.instance(w, r) {
		p.log.Info("answered", "method", r.Method, "host", a.host, "path", r.URL.Path)
		return
	}
	r.Header.Del("Upgrade")
	p.toService.ServeHTTP(&noted{ResponseWriter: w, log: func(status int) {
		p.log.Info("answered", "method", r.Method, "host", a.host, "path", r.URL.Path, "status", status)
	}}, r)
}

// noted logs the status of an answer.
type noted struct {
	http.ResponseWriter
	log func(status int)
}

func (n *noted) WriteHeader(status int) {
	if status >= 200 {
		n.log(status)
	}
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// rewrite addresses a request to the service.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", p.service.Host, p.service.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.Header.Set("Accept-Encoding", "identity") // links in the answer are read
}

// failed answers for a service that does not, in the form of the wire.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // nobody waits for it any more
	}
	p.log.Info("not reached", "host", p.service.Host, "error", err)
	text := "entente run: the service at " + p.base + " does not answer: " + err.Error()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(errorStatus)
	w.Write(askedIn(r.Context()).problem(text))
}
