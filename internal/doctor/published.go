package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/issuer"
)

// 6 and 7. The issuer's documents: whether they can be reached, and whose they are.
func (x *exam) checkDiscovery(ctx context.Context) {
	reach, same := x.check(discoveryCheck), x.check(issuerCheck)
	if x.issuer == "" {
		reach.skip("no issuer is known")
		same.skip("no issuer is known")
		return
	}
	x.register(ctx)
	if x.uploaded() {
		reach.skip(fmt.Sprintf("the authority does not ask the issuer: its keys are with it (%s)", x.registered.KeySource))
		same.pass(x.issuer, x.issuer)
		return
	}
	reader := x.reader()
	if x.registered != nil && x.registered.KeySource == client.JWKSURIKeys {
		x.say("asking for the keys of %s", x.issuer)
		x.inspection = &Inspection{Issuer: x.issuer, JWKSURI: x.registered.JWKSURI}
		x.inspection.readKeys(ctx, reader)
		reach.skip("the authority does not ask the issuer, but " + x.registered.JWKSURI)
		same.pass(x.issuer, x.issuer)
	} else {
		if f := x.notEnabled(); f != nil {
			reach.find(*f)
			same.skip("the issuer cannot be asked")
			return
		}
		x.say("asking the issuer %s", x.issuer)
		x.inspection = reader.Inspect(ctx, x.issuer)
	}
	for _, f := range x.inspection.Findings {
		if f.Cause == AddressRefused {
			x.private = true // which is looked at again if the authority could not read the documents
			if x.Target.Kind != Azure {
				continue
			}
			f = unknown("seen from here the issuer has a private or reserved address; whether Microsoft Entra, which asks it from the Internet, sees another cannot be told")
		}
		switch f.Class {
		case Network, TLS:
			x.reachable(&f)
			reach.find(f)
		case IssuerDocument:
			same.find(f)
		case Keys:
			x.check(keysCheck).find(f)
		default:
			reach.find(f)
		}
	}
	if reach.failed() == nil && reach.Seen == "" {
		reach.pass(x.inspection.DiscoveryURL, "")
	}
	switch {
	case same.failed() != nil:
	case x.inspection.DocumentIssuer != "":
		same.pass(x.inspection.DocumentIssuer, x.issuer)
	default:
		same.skip("the discovery document could not be read")
	}
}

func (x *exam) reader() *Reader {
	r := &Reader{Roots: x.Roots, Proxy: x.Proxy, Patience: x.patience(), AllowPrivate: true}
	if x.registered != nil && x.registered.CACertificate != "" {
		roots := x.Roots
		if roots == nil {
			roots, _ = x509.SystemCertPool()
		}
		if roots == nil {
			roots = x509.NewCertPool()
		}
		r.Roots = roots.Clone()
		r.Roots.AppendCertsFromPEM([]byte(x.registered.CACertificate))
	}
	return r
}

// register finds the issuer as the target has it. Azure has none such.
func (x *exam) register(ctx context.Context) {
	if x.Target.Kind != Entente || x.Target.Client == nil {
		return
	}
	all, err := x.Target.Client.Issuers(ctx)
	if err != nil {
		return // what follows from it is said where it matters
	}
	x.listed = true
	for _, i := range all {
		if i.IssuerSpec.Issuer == x.issuer {
			if whole, err := x.Target.Client.Issuer(ctx, i.Name); err == nil {
				i = whole // with its key set, which a list leaves out
			}
			x.registered = &i
		}
	}
}

// uploaded says that the authority has the issuer's keys, wherever from.
func (x *exam) uploaded() bool {
	return x.registered != nil && (x.registered.KeySource == client.UploadedKeys || x.registered.KeySource == client.HostedKeys)
}

// notEnabled tells an issuer that nobody outside its cluster can ask; nil: it is another.
func (x *exam) notEnabled() *Finding {
	u, err := url.Parse(x.issuer)
	if err != nil {
		return nil
	}
	host := strings.ToLower(u.Hostname())
	aks := onAKS(u.Host)
	switch {
	case aks:
	case x.issuer == "kubernetes/serviceaccount":
		f := fault(IssuerNotEnabled, "this is a token of a Secret, of the kind before projected tokens: nobody outside the cluster can check it").
			saw("iss "+x.issuer, "the https URL of the cluster's issuer").
			mend(Mend{Text: "use a projected token, as the webhook injects it"})
		return &f
	case host == "kubernetes" || host == "kubernetes.default" || strings.HasPrefix(host, "kubernetes.default.svc"):
	default:
		return nil
	}
	f := fault(IssuerNotEnabled, "the cluster has no issuer that anybody outside can ask: its tokens name an address of its own").
		saw("iss "+x.issuer, "a public https URL")
	switch {
	case aks || onAKS(x.Cluster.Host):
		f = f.mend(x.withRestart(Mend{Text: "enable the issuer of the AKS cluster; credentials then name the new one, which ends in a slash", Commands: []string{
			"az aks update --resource-group GROUP --name CLUSTER --enable-oidc-issuer",
			"az aks show --resource-group GROUP --name CLUSTER --query oidcIssuerProfile.issuerUrl --output tsv",
		}}))
	case x.Target.Kind == Entente:
		if m, ok := x.uploadMend(""); ok {
			f = f.mend(m)
		} else {
			f = f.mend(Mend{Text: "upload the cluster's keys, from where the cluster can be read", Commands: []string{
				line("kubectl", "get", "--raw", "/openid/v1/jwks") + " | " + x.registration(),
			}})
		}
	default:
		f = f.mend(Mend{Text: "publish the cluster's two documents at a public address, and start kube-apiserver with --service-account-issuer set to it (beside the present one, which then goes second)"})
	}
	return &f
}

// reachable adds the ways out of a trouble with the network that depend on the target.
func (x *exam) reachable(f *Finding) {
	switch {
	case f.State != Failed:
	case x.Target.Kind == Azure && f.Cause == TLSUntrusted:
		f.Mends = append(f.Mends, Mend{Text: "Microsoft Entra trusts public CAs alone: publish the documents under a certificate of one"})
	case x.Target.Kind == Azure:
		f.Mends = append(f.Mends, Mend{Text: "the issuer must be reachable from the Internet: mend the name, the firewall or the server, or publish the two documents elsewhere"})
	default:
		switch f.Cause {
		case TLSUntrusted:
			if r := x.registered; r != nil && r.CACertificate != "" {
				f.Mends = append(f.Mends, Mend{When: "the certificate is the right one", Text: fmt.Sprintf("replace the caCertificate of the issuer %q at the service, which is another CA", r.Name)})
			}
			f.Mends = append(f.Mends, x.trustMend())
		case DiscoveryDNS:
			f.Mends = append(f.Mends, Mend{When: "the name is the right one", Text: "make it known to the name server that the service asks"})
		case DiscoveryRefused, DiscoveryTimeout, DiscoveryUnreachable, DiscoveryProxy:
			f.Mends = append(f.Mends, Mend{When: "the address is the right one", Text: "have the server run that publishes the issuer, and let the service reach it without a proxy"})
		}
		if m, ok := x.uploadMend("the issuer should stay as it is"); ok {
			f.Mends = append(f.Mends, m)
		}
	}
}

// trustMend has a service trust the issuer's CA.
func (x *exam) trustMend() Mend {
	m := Mend{When: "the certificate is the right one", Text: "start the service with the issuer's CA beside its other flags", Commands: []string{"entente serve --issuer-ca FILE"}}
	if x.cluster() && x.Cluster.Host != "" && sameHost(x.Cluster.Host, x.issuer) {
		m.Text = "the issuer is the API server itself, whose CA the kubeconfig has; start the service with it beside its other flags"
		m.Commands = []string{
			x.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output", "jsonpath={.clusters[0].cluster.certificate-authority-data}") + " | base64 -d > issuer-ca.pem",
			"entente serve --issuer-ca issuer-ca.pem",
		}
	}
	return m
}

// 8. The key that signed the token.
func (x *exam) checkKeys(ctx context.Context) {
	c := x.check(keysCheck)
	set := x.keySet()
	if set == nil {
		c.skip("the issuer's keys are not known")
		return
	}
	keys, _, err := issuer.ParseKeySet(set)
	if err != nil {
		return // told already
	}
	if x.token == nil {
		x.compareKeys(ctx, c, keys)
		return
	}
	algorithm := x.says.Algorithm
	if x.registered != nil && len(x.registered.Algorithms) > 0 && !slices.Contains(x.registered.Algorithms, algorithm) {
		c.find(fault(AlgorithmNotAllowed, fmt.Sprintf("the token is signed with %s, which the authority does not accept of this issuer", algorithm)).
			saw(algorithm, strings.Join(x.registered.Algorithms, ", ")).
			mend(Mend{Text: fmt.Sprintf("add %s to the algorithms of the issuer %q", algorithm, x.registered.Name)}))
		return
	}
	switch err := x.verify(ctx, set); issuer.KindOf(err) {
	case "":
		if err == nil {
			c.pass(fmt.Sprintf("kid %q signed the token", x.says.KeyID), "")
		}
	case issuer.KeyNotFound:
		c.find(x.unpublished(ctx, keys))
	case issuer.KeyUnsuitable:
		c.find(fault(KeyUnsuitable, reason(err)).saw("kid "+fmt.Sprintf("%q", x.says.KeyID), "a key that fits "+algorithm))
	case issuer.AlgorithmNotAllowed:
		c.find(fault(AlgorithmNotAllowed, fmt.Sprintf("the token is signed with %q, which no authority accepts", algorithm)).saw(algorithm, issuer.DefaultAlgorithm))
	case issuer.Malformed:
		c.skip("the token is not one that could be verified") // told already
	default:
		c.find(fault(SignatureWrong, fmt.Sprintf("the key %q is published, and did not sign this token: the token was changed, or another cluster with the same issuer made it", x.says.KeyID)).
			saw("a signature that is not valid", "one by the key"))
	}
}

// keySet is what the authority would check the token with; nil: it is not known.
func (x *exam) keySet() []byte {
	switch {
	case x.uploaded() && len(x.registered.KeySet) > 0:
		return x.registered.KeySet
	case x.inspection != nil && x.inspection.document != nil:
		return x.inspection.document
	}
	return nil
}

func (x *exam) verify(ctx context.Context, set []byte) error {
	v, err := issuer.New(issuer.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = v.Verify(ctx, issuer.Source{URL: x.issuer, Kind: issuer.Uploaded, KeySet: set, Algorithms: []string{x.says.Algorithm}}, x.token)
	return err
}

// reason is an error without what everybody knows already.
func reason(err error) string {
	e, ok := errors.AsType[*issuer.Error](err)
	if !ok {
		return err.Error()
	}
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

func ids(keys []issuer.Key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.ID
	}
	return all
}

// own is the key set of the cluster itself; nil: it could not be read.
func (x *exam) ownKeys(ctx context.Context) []issuer.Key {
	if x.Cluster.Document == nil {
		return nil
	}
	text, err := x.Cluster.Document(ctx, "/openid/v1/jwks")
	if err != nil {
		return nil
	}
	keys, _, _ := issuer.ParseKeySet(text)
	return keys
}

// unpublished says how it comes that the token's key is not among the issuer's.
func (x *exam) unpublished(ctx context.Context, published []issuer.Key) Finding {
	kid := x.says.KeyID
	cause, text := KeyUnpublished, fmt.Sprintf("the issuer does not publish the key %q that signed the token", kid)
	if x.uploaded() {
		cause, text = KeysOutdated, fmt.Sprintf("the keys that were uploaded for the issuer lack the key %q that signed the token", kid)
	}
	f := fault(cause, text).saw(counted(len(published), "key")+": "+quoted(ids(published)), fmt.Sprintf("one with kid %q", kid))
	own := x.ownKeys(ctx)
	ours := x.own == x.issuer
	has := slices.Contains(ids(own), kid)
	switch {
	case len(own) == 0:
		f.Text += "; whether the cluster has changed its keys or the token is older than the change cannot be told"
	case has || x.fresh:
		f.Text += ": the cluster has changed its keys, and what is published is from before"
		f = f.mend(x.publish(ctx)...)
	case ours:
		f.Text += ", and neither does the cluster: the token is older than a change of keys, or of another cluster with the same issuer"
		f = f.mend(x.renew()...)
	}
	return f
}

// registeredCluster finds the cluster of the issuer among those that the target knows.
func (x *exam) registeredCluster(ctx context.Context) (name, group string, ok bool) {
	subscriptions, err := x.Target.Client.Subscriptions(ctx)
	if err != nil {
		return "", "", false
	}
	for _, s := range subscriptions {
		clusters, err := x.Target.Client.Clusters(ctx, client.ResourceGroupID{SubscriptionID: s.SubscriptionID})
		if err != nil {
			continue
		}
		for _, c := range clusters {
			if id, err := client.ParseClusterID(c.ID); err == nil && c.Issuer != nil && c.Issuer.URL == x.issuer {
				return id.Name, id.ResourceGroup, true
			}
		}
	}
	return "", "", false
}

// publish brings the cluster's keys to where the authority looks for them.
func (x *exam) publish(ctx context.Context) []Mend {
	if x.uploaded() {
		if name, group, ok := x.registeredCluster(ctx); ok {
			words := append([]string{"cluster", "update-keys", name, "--resource-group", group, "--from-cluster"}, x.Cluster.flags("--kube-context")...)
			return []Mend{{Text: "upload the cluster's keys of today", Commands: []string{x.entente(words...)}}}
		}
		if m, ok := x.uploadMend(""); ok {
			return []Mend{m}
		}
		return []Mend{{Text: "upload the cluster's keys of today", Commands: []string{
			line("kubectl", "get", "--raw", "/openid/v1/jwks") + " | " + x.entente("cluster", "update-keys", "CLUSTER", "--resource-group", "GROUP", "--keys", "-"),
		}}}
	}
	where := "where the issuer's keys are served"
	if x.inspection != nil && x.inspection.JWKSURI != "" {
		where = x.inspection.JWKSURI
	}
	return []Mend{{
		Text:     "publish the cluster's keys of today at " + where + ", beside the old ones until their last token has expired",
		Commands: []string{x.kubectl("get", "--raw", "/openid/v1/jwks") + " > jwks.json"},
	}}
}

// compareKeys compares what a cluster says with what is published, where there is no token.
func (x *exam) compareKeys(ctx context.Context, c *Check, published []issuer.Key) {
	own := x.ownKeys(ctx)
	if len(own) == 0 || x.own != x.issuer {
		c.skip("there is no token")
		return
	}
	var absent []string
	for _, k := range own {
		if !slices.ContainsFunc(published, func(p issuer.Key) bool { return p.ID == k.ID }) {
			absent = append(absent, k.ID)
		}
	}
	cause := KeyUnpublished
	if x.uploaded() {
		cause = KeysOutdated
	}
	seen, expected := quoted(ids(published)), quoted(ids(own))
	switch len(absent) {
	case 0:
		c.pass("the cluster's keys are published: "+expected, "")
	case len(own):
		c.find(fault(cause, "none of the cluster's keys is among those that the authority looks at").saw(seen, expected).mend(x.publish(ctx)...))
	default:
		c.find(unknown(fmt.Sprintf("the cluster has keys that are not published: %s; whether it signs with one of them cannot be told without a token", quoted(absent))).saw(seen, expected).mend(x.publish(ctx)...))
	}
}
