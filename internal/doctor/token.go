package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// 4. The token's header and claims.
func (x *exam) checkToken(ctx context.Context) {
	c := x.check(tokenCheck)
	x.readOwn(ctx)
	x.raw = x.Token
	if x.raw == "" {
		x.obtain(ctx, c)
	}
	if x.raw == "" {
		x.expect(c)
		return
	}
	x.raw = strings.TrimSpace(x.raw)
	token, err := issuer.Read(x.raw)
	if err != nil {
		c.find(x.malformed(err))
		x.raw = ""
		x.expect(c)
		return
	}
	x.token, x.says = token, token.Says()
	x.issuer, x.subject, x.audiences = x.says.Issuer, x.says.Subject, x.says.Audiences
	c.pass(fmt.Sprintf("alg %s, kid %q, iss %q, sub %q, aud %s", x.says.Algorithm, x.says.KeyID, x.issuer, x.subject, quoted(x.audiences)), "")
	if x.ofAuthority() {
		c.find(fault(TokenOfAuthority, "this is an access token, which an authority gave: what is exchanged is the service account's token, which a cluster signed").
			saw("iss "+x.issuer, "the issuer of a cluster"))
		x.raw, x.token, x.issuer, x.subject = "", nil, "", "" // nothing can be concluded from it
		return
	}
	x.foreign(c)
}

// obtain gets a token: from the cluster, or of a process from its file.
func (x *exam) obtain(ctx context.Context, c *Check) {
	switch {
	case x.Kind == ProcessKind:
		file := x.env[fileVariable].value
		if file == "" {
			c.skip(fileVariable + " is not set")
			return
		}
		x.TokenFrom = file
		text, err := x.ReadFile(file)
		if err == nil && len(strings.TrimSpace(string(text))) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			c.find(fault(TokenMissing, fmt.Sprintf("%s names a file without a token: %v", fileVariable, err)).saw(file, "a file with the service account's token"))
			return
		}
		x.raw = string(text)
	case x.Kind == TokenKind:
		c.find(fault(TokenMissing, "there is no token").saw("nothing", "the service account's token"))
	case x.NoToken:
		c.skip("not asked for (--no-token): what a token would say is concluded from the cluster")
	default:
		x.request(ctx, c)
	}
}

// request asks the API server for a token as the kubelet does for a pod. Nothing
// is stored by that, and the token is good for ten minutes.
func (x *exam) request(ctx context.Context, c *Check) {
	account := x.Name
	if x.Kind == PodKind {
		account = accountOf(*x.spec)
	}
	audience := x.Audience
	if audience == "" && x.volume != nil {
		audience = x.volume.audience
	}
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{cmp.Or(audience, x.exchangeAudience())}, ExpirationSeconds: &seconds,
	}}
	if x.Kind == PodKind && x.pod.UID != "" && x.pod.DeletionTimestamp == nil {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: x.pod.Name, UID: x.pod.UID}
	}
	x.say("asking the cluster for a token of %s/%s", x.Namespace, account)
	x.madeAt = x.now()
	answer, err := x.Cluster.API.CoreV1().ServiceAccounts(x.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		c.find(unknown(fmt.Sprintf("what a token says cannot be told, only what it should say: %s (create serviceaccounts/token); give one with --token FILE", mayNot("a token of "+account, err))))
		return
	}
	x.raw, x.fresh = answer.Status.Token, true
}

// readOwn reads what the cluster says its issuer is.
func (x *exam) readOwn(ctx context.Context) {
	if x.Cluster.Document == nil {
		return
	}
	text, err := x.Cluster.Document(ctx, discoveryPath)
	var document struct {
		Issuer string `json:"issuer"`
	}
	if err == nil && json.Unmarshal(text, &document) == nil {
		x.own = document.Issuer
	}
}

// expect concludes what a token would say.
func (x *exam) expect(c *Check) {
	if x.Kind != PodKind && x.Kind != ServiceAccountKind {
		return
	}
	account := x.Name
	if x.Kind == PodKind {
		account = accountOf(*x.spec)
	}
	x.issuer, x.subject = x.own, credential.ServiceAccountSubject(x.Namespace, account)
	audience := x.Audience
	if audience == "" && x.volume != nil {
		audience = x.volume.audience
	}
	x.audiences = []string{cmp.Or(audience, x.exchangeAudience())}
	if x.issuer == "" {
		c.find(unknown("the issuer of the cluster's tokens cannot be told: its discovery document could not be read either"))
	}
}

func (x *exam) malformed(err error) Finding {
	reason := err.Error()
	if e, ok := errors.AsType[*issuer.Error](err); ok && e.Err != nil {
		reason = e.Err.Error()
	}
	f := fault(TokenMalformed, "what was given as the token is none: "+reason)
	switch {
	case strings.HasPrefix(x.raw, "{"):
		f = f.saw("JSON", "three parts of base64url with dots between them").mend(Mend{Text: "a TokenRequest's answer is an object: the token is its .status.token"})
	case strings.HasPrefix(strings.ToLower(x.raw), "bearer "):
		f = f.saw(`"Bearer …"`, "the token alone")
	default:
		f = f.saw(fmt.Sprintf("%d characters, %d dots", len(x.raw), strings.Count(x.raw, ".")), "three parts of base64url with dots between them")
	}
	return f
}

var authorityIssuer = regexp.MustCompile(`^https://[^/]+/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/(v2\.0/?)?$`)

// ofAuthority tells an access token. Microsoft Entra takes some of its own for
// assertions (managed identities that stand in for a workload), so there only the
// audience tells.
func (x *exam) ofAuthority() bool {
	if !authorityIssuer.MatchString(x.issuer) {
		return false
	}
	own := x.Target.Authority != "" && strings.HasPrefix(x.issuer, strings.TrimRight(x.Target.Authority, "/")+"/")
	if own && x.Target.Kind == Entente {
		return true
	}
	return (own || microsoft(x.issuer)) && !slices.Contains(x.audiences, x.exchangeAudience())
}

// foreign notes a token that is not of the cluster that is looked at.
func (x *exam) foreign(c *Check) {
	if x.own == "" || x.own == x.issuer || x.fresh {
		return
	}
	f := note("the token is of another issuer than the cluster that was asked: it is another cluster's, or older than a change of the issuer").saw(x.issuer, x.own)
	f.Difference = differ(x.issuer, x.own, hintOn(x.issuer, x.own))
	c.find(f)
}

func quoted(all []string) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(words, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// offset is how far another clock is ahead of ours.
type offset struct {
	known bool
	by    time.Duration
}

// dated is a transport that reads the Date of each answer (RFC 9110 section 6.6.1).
type dated struct {
	base  http.RoundTripper
	now   func() time.Time
	mu    sync.Mutex
	clock offset
	took  time.Duration
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := d.now()
	response, err := d.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	came := d.now()
	date, problem := http.ParseTime(response.Header.Get("Date"))
	d.mu.Lock()
	defer d.mu.Unlock()
	if took := came.Sub(sent); problem == nil && (!d.clock.known || took < d.took) {
		// A Date is cut to the second, so half of one is what it lacks on average.
		d.clock, d.took = offset{true, date.Add(time.Second / 2).Sub(sent.Add(took / 2))}, took
	}
	return response, nil
}

func (d *dated) offset() offset {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

// Clocks may differ by skew before an authority refuses; clocks that differ by
// less than near are one.
const (
	skew = 5 * time.Minute
	near = time.Minute
)

// watch makes the target's HTTP client one that reads clocks.
func (x *exam) watch() (*http.Client, *dated) {
	plain := http.Client{}
	if x.Target.HTTP != nil {
		plain = *x.Target.HTTP
	}
	d := &dated{base: cmp.Or[http.RoundTripper](plain.Transport, http.DefaultTransport), now: x.now}
	plain.Transport = d
	return &plain, d
}

// 5. Expiry and clock.
func (x *exam) checkClock(ctx context.Context) {
	c := x.check(clockCheck)
	if x.Target.Authority != "" && !x.NoExchange {
		x.say("asking %s for the tenant and the time", x.Target.Authority)
		hc, d := x.watch()
		ctx, cancel := context.WithTimeout(ctx, 2*x.patience())
		defer cancel()
		_, x.tenantError = client.ResolveTenant(ctx, x.Target.Authority, cmp.Or(x.tenant, "common"), hc)
		x.authorityClock = d.offset()
	}
	if x.token == nil {
		c.skip("there is no token")
		return
	}
	if !x.authorityClock.known {
		f := unknown("how the authority's clock stands cannot be told: it did not answer")
		if x.NoExchange || x.Target.Authority == "" {
			f = note("the authority's clock is not known: it was not asked")
		}
		c.find(f)
	}
	if x.says.Expiry.IsZero() {
		c.find(fault(TokenMalformed, `the token has no "exp"`))
		return
	}
	x.judgeClocks(c)
	if c.failed() == nil {
		x.judgeTimes(c)
	}
	if c.failed() == nil {
		c.pass(fmt.Sprintf("valid until %s, for another %s", stamp(x.says.Expiry), x.says.Expiry.Sub(x.theirNow()).Round(time.Second)), "")
	}
}

// theirNow is the time by the authority's clock, or else by ours.
func (x *exam) theirNow() time.Time { return x.now().Add(x.authorityClock.by) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func apartBy(d time.Duration) string {
	if d < 0 {
		return d.Abs().Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead"
}

// judgeClocks compares the cluster's clock, which a new token tells, with the authority's and ours.
func (x *exam) judgeClocks(c *Check) {
	issued := x.says.IssuedAt
	if issued.IsZero() {
		issued = x.says.NotBefore
	}
	if !x.fresh || issued.IsZero() {
		return
	}
	ours := issued.Sub(x.madeAt) // how far the cluster is ahead of us
	if !x.authorityClock.known {
		if ours.Abs() > skew {
			c.find(unknown(fmt.Sprintf("the cluster's clock is %s of this machine's; which of them is wrong cannot be told", apartBy(ours))))
		}
		return
	}
	theirs := ours - x.authorityClock.by // ahead of the authority
	mend := func(where string) Mend {
		return Mend{Text: "set the clock right, on " + where, Commands: []string{"timedatectl set-ntp true"}}
	}
	seen := fmt.Sprintf("cluster %s, authority %s, this machine %s", stamp(issued), stamp(x.madeAt.Add(x.authorityClock.by)), stamp(x.madeAt))
	const want = "clocks that differ by less than five minutes"
	switch {
	case theirs.Abs() <= skew:
		if x.authorityClock.by.Abs() > skew {
			c.find(note(fmt.Sprintf("the clock of this machine is %s of the authority's and the cluster's, which are what counts", apartBy(-x.authorityClock.by))))
		}
	case x.authorityClock.by.Abs() <= near:
		c.find(fault(ClockOfCluster, fmt.Sprintf("the cluster's clock is %s: the authority's agrees with this machine's", apartBy(theirs))).
			saw(seen, want).mend(mend("the hosts of the control plane")))
	case ours.Abs() <= near:
		c.find(fault(ClockOfAuthority, fmt.Sprintf("the authority's clock is %s: the cluster's agrees with this machine's", apartBy(-theirs))).
			saw(seen, want).mend(mend("the host of the service")))
	default:
		c.find(fault(ClocksDiffer, fmt.Sprintf("the cluster's clock is %s of the authority's, and this machine's agrees with neither: which one is wrong cannot be told", apartBy(theirs))).
			saw(seen, want))
	}
}

// judgeTimes compares the token's window with the authority's clock.
func (x *exam) judgeTimes(c *Check) {
	now, whose := x.theirNow(), "the authority's clock"
	if !x.authorityClock.known {
		whose = "this machine's clock"
	}
	switch p := x.says; {
	case !now.Before(p.Expiry.Add(skew)):
		c.find(fault(TokenExpired, fmt.Sprintf("the token expired %s ago, by %s", now.Sub(p.Expiry).Round(time.Second), whose)).
			saw("exp "+stamp(p.Expiry), "later than "+stamp(now)).mend(x.renew()...))
	case !now.Before(p.Expiry):
		c.find(note(fmt.Sprintf("the token expired %s ago: authorities allow for five minutes", now.Sub(p.Expiry).Round(time.Second))))
	case now.Before(p.NotBefore.Add(-skew)):
		text := fmt.Sprintf("the token is valid only %s from now, by %s", p.NotBefore.Sub(now).Round(time.Second), whose)
		f := fault(ClocksDiffer, text+": whose clock is wrong cannot be told")
		if x.authorityClock.known && x.authorityClock.by.Abs() <= near {
			f = fault(ClockOfCluster, text+": the clock of the cluster that made it was ahead").
				mend(Mend{Text: "set the clock right, on the hosts of the control plane", Commands: []string{"timedatectl set-ntp true"}})
		}
		c.find(f.saw("nbf "+stamp(p.NotBefore), "at most "+stamp(now.Add(skew))))
	}
}

// renew says how to come by a token that has not expired.
func (x *exam) renew() []Mend {
	namespace, name, ok := credential.ParseServiceAccountSubject(x.subject)
	if !ok {
		return []Mend{{Text: "get a new token where this one is from"}}
	}
	if x.Kind == ProcessKind {
		return []Mend{{Text: "the kubelet writes a new token into the file long before the old one expires, so why this one is old cannot be told; a new pod has a new one", Commands: x.podCommands(namespace)}}
	}
	command := x.kubectl("create", "token", name, "--namespace", namespace, "--audience", x.exchangeAudience())
	if x.TokenFrom != "" && x.TokenFrom != "-" {
		command += " > " + quote(x.TokenFrom)
	}
	return []Mend{{Text: "get a new one; a program has to read the file again, since the kubelet renews it", Commands: []string{command}}}
}

func (x *exam) podCommands(namespace string) []string {
	if pod := x.Environment("HOSTNAME"); pod != "" && x.Environment("KUBERNETES_SERVICE_HOST") != "" {
		return []string{x.kubectl("delete", "pod", pod, "--namespace", namespace)}
	}
	return nil
}
