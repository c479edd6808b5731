// Package doctor finds out why a workload gets no token, step by step from the
// pod to the exchange.
//
// Federation fails in few ways, and a program sees one line of each: the same
// "no matching federated identity record" stands for a missing slash, another
// cluster, a wrong namespace. What is wrong stands in four places (the pod, the
// token, the issuer's documents, the credentials) that nobody has open side by
// side. So every check says what it saw and what it expected, and what mends it;
// and since a wrong mend does more harm than none, a check that cannot see
// something says that, and what the authority itself has decided overrules what
// was concluded here. Nothing is changed anywhere: the one thing that is asked to
// be made is a token, which is stored nowhere.
package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// A Cluster is what can be asked about pods and tokens.
type Cluster struct {
	API kubernetes.Interface // nil: no cluster is known
	// Document reads one of the two documents that a cluster publishes about its
	// tokens, by its path. nil: they cannot be read.
	Document func(ctx context.Context, path string) ([]byte, error)
	// Kubeconfig and Context name the cluster in commands; empty: the default ones.
	Kubeconfig, Context string
	Host                string // URL of the API server; may be empty
}

// A Target is the authority that gives the tokens.
type Target struct {
	Kind      Kind
	Authority string // base URL; empty: none is known
	TenantID  string
	Flags     []string     // that name the target to our other verbs, for commands
	Scope     string       // that a token is asked for
	HTTP      *http.Client // trusts the authority; nil: a plain one
	// Client reads applications, identities and credentials, as a caller who may or
	// may not do that. nil: nobody is known who could.
	Client *client.Client
}

// A Doctor examines. Every zero value is a good default.
type Doctor struct {
	Cluster Cluster
	Target  Target
	Roots   *x509.CertPool // that issuers are checked against; nil: the system's
	// IssuerCA is the file of those that are not the system's, for commands.
	IssuerCA string
	Proxy    func(*http.Request) (*url.URL, error)
	Clock    func() time.Time // nil: time.Now
	Say      func(string)     // told what takes a while; nil: nobody
	// Patience is how long one request may take; 0: 5 s.
	Patience time.Duration
}

// What may be examined.
const (
	PodKind            = "pod"
	ServiceAccountKind = "serviceaccount"
	TokenKind          = "token"
	ProcessKind        = "process"
)

// A Question is what to examine.
type Question struct {
	Kind            string // one of the above
	Namespace, Name string // of a pod or a service account
	Container       string // of the pod; empty: the first that is not exempt
	// Token is one that is given, instead of one that is asked for; TokenFrom says where it comes from.
	Token, TokenFrom string
	// Environment is that of a process.
	Environment func(name string) string
	// ReadFile reads a file of a process; of its token.
	ReadFile   func(name string) ([]byte, error)
	ClientID   string // overrules what the pod or the process has
	TenantID   string // likewise
	Audience   string // of a token that is asked for; empty: the pod's, or the authority's usual one
	Said       *Said  // an error that was pasted; nil: none
	NoToken    bool   // do not ask the cluster for a token
	NoExchange bool   // do not ask the authority for one
}

// exam is one examination.
type exam struct {
	*Doctor
	Question
	report *Report

	pod       *corev1.Pod
	spec      *corev1.PodSpec
	container *corev1.Container
	workload  *workload
	account   *corev1.ServiceAccount
	env       map[string]variable
	volume    *projected // that brings the token
	bare      bool       // nothing was injected, nor written by hand
	// clientID and tenant are those that the workload would use; authority the host that its pod names.
	clientID, clientFrom string
	tenant, authority    string

	raw       string
	token     *issuer.Token
	says      issuer.Peeked
	fresh     bool      // it was made for this examination
	madeAt    time.Time // when, by our clock
	issuer    string    // what follows is the token's, or what a token would say
	subject   string
	audiences []string
	own       string // the cluster's own word on its issuer

	authorityClock offset
	tenantError    error          // of asking the authority for the tenant
	registered     *client.Issuer // at the target; nil: not known
	listed         bool           // the target's issuers could be read
	inspection     *Inspection    // nil: the issuer was not asked
	private        bool           // its address is private
	parent         *parent
	hit            bool
	accepted       bool
	refusal        *client.TokenError
}

var checkNames = []string{"label", "service account", "environment", "token", "clock", "discovery", "issuer", "keys", "client", "credential", "exchange"}

// The checks by number.
const (
	labelCheck = iota
	accountCheck
	environmentCheck
	tokenCheck
	clockCheck
	discoveryCheck
	issuerCheck
	keysCheck
	clientCheck
	credentialCheck
	exchangeCheck
)

// Examine answers a question. An error means that there is nothing to examine:
// for a pod or service account that is not there or may not be read it is the
// API server's.
func (d *Doctor) Examine(ctx context.Context, q Question) (*Report, error) {
	x := &exam{Doctor: d, Question: q, report: &Report{Authority: d.Target.Authority, Error: q.Said}}
	for i, name := range checkNames {
		x.report.Checks = append(x.report.Checks, Check{Number: i + 1, Name: name, State: Skipped})
	}
	if err := x.open(ctx); err != nil {
		return nil, err
	}
	for _, check := range []func(context.Context){
		x.checkLabel, x.checkAccount, x.checkEnvironment, x.checkToken, x.checkClock,
		x.checkDiscovery, x.checkKeys, x.checkClient, x.checkCredential, x.checkExchange,
	} {
		check(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	x.judge()
	return x.report, nil
}

func (x *exam) check(n int) *Check { return &x.report.Checks[n] }

func (x *exam) say(format string, args ...any) {
	if x.Say != nil {
		x.Say(fmt.Sprintf(format, args...))
	}
}

func (x *exam) now() time.Time {
	if x.Clock != nil {
		return x.Clock()
	}
	return time.Now()
}

func (x *exam) cluster() bool { return x.Cluster.API != nil }

func (x *exam) patience() time.Duration { return cmp.Or(x.Patience, fetchTime) }

// exchangeAudience is the one that a token has to have.
func (x *exam) exchangeAudience() string {
	return cmp.Or(x.Audience, UsualAudience(x.Target.Authority))
}

// UsualAudience is the audience of assertions by convention, which differs by
// cloud (learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust).
func UsualAudience(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return credential.DefaultAudience
	}
	switch strings.ToLower(u.Hostname()) {
	case "login.microsoftonline.us":
		return credential.DefaultAudience + "USGov"
	case "login.chinacloudapi.cn", "login.partner.microsoftonline.cn":
		return credential.DefaultAudience + "China"
	}
	return credential.DefaultAudience
}

// microsoft tells a host of a public Azure cloud.
func microsoft(authority string) bool {
	u, err := url.Parse(authority)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return slices.ContainsFunc([]string{"microsoftonline.com", "microsoftonline.us", "chinacloudapi.cn", "microsoftonline.cn", "login.windows.net", "sts.windows.net"}, func(cloud string) bool {
		return host == cloud || strings.HasSuffix(host, "."+cloud)
	})
}

var errNothing = errors.New("there is nothing to examine")
