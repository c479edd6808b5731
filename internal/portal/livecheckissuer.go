package portal

import (
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
)

const discoveryPath = "/.well-known/openid-configuration"

// checkIssuer looks at the issuer: its form, whom it belongs to, whether it is
// nearly another one, and what it publishes.
func (x *exam) checkIssuer() error {
	field, url := x.issuerField(), x.issuer()
	if url == "" {
		return nil
	}
	if v := violation(credential.ValidateIssuer(url)); v != nil {
		f := finding{Level: bad, rule: true, Text: "The issuer " + v.Detail + "."}
		if better := mendURL(url); better != "" {
			f.Fix = mend("Use "+better, field, better)
		}
		x.note(field, f)
		return nil
	}
	if base, ok := strings.CutSuffix(url, discoveryPath); ok {
		f := finding{Level: warn, Text: "This is the address of a discovery document. The issuer is what stands before " + discoveryPath + "."}
		if credential.ValidateIssuer(base) == nil {
			f.Fix = mend("Use "+base, field, base)
		}
		x.note(field, f)
		return nil
	}

	cluster, registered := x.owner(url)
	switch {
	case x.chosen != nil && x.chosen.Issuer.URL != url:
		x.note(field, finding{Level: warn, Text: "The cluster " + x.chosen.Name + " has another issuer.", Fix: mend("Use "+x.chosen.Issuer.URL, field, x.chosen.Issuer.URL)})
	case cluster != nil:
		x.note(field, finding{Level: good, Text: "It is the issuer of the registered cluster " + cluster.Name + "."})
	case registered != nil && !registered.Implicit:
		x.note(field, finding{Level: good, Text: "It is registered here as " + registered.Name + "."})
	default:
		x.checkLookAlike(field, url)
	}
	if registered != nil && registered.KeySource == directory.UploadedKeys {
		x.note(field, finding{Level: good, Text: "The issuer's keys are kept here, and it is not asked for them."})
		return nil
	}
	if cluster != nil && cluster.Issuer.Keys != directory.ClusterDiscovery {
		x.note(field, finding{Level: good, Text: "The issuer's keys are kept here, and it is not asked for them."})
		return nil
	}
	if x.registeredOnly && cluster == nil && (x.chosen == nil || x.chosen.Issuer.URL != url) && (registered == nil || registered.Implicit) {
		x.note(field, finding{Level: warn, Text: "This tenant takes registered issuers only, and you see none that has this URL. It is not asked for its keys.", To: x.issuersPage()})
		return nil
	}
	return x.askIssuer(field, url, registered)
}

// mendURL is an issuer that was probably meant; "" if nobody can tell.
func mendURL(s string) string {
	s = strings.TrimSpace(credential.Plain(s))
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		switch strings.ToLower(scheme) {
		case "http", "https":
			s = "https://" + rest
		}
	} else if !strings.Contains(s, ":") && strings.Contains(s, ".") {
		s = "https://" + s
	}
	s, _, _ = strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	s = strings.TrimSuffix(s, discoveryPath)
	if credential.ValidateIssuer(s) != nil {
		return ""
	}
	return s
}

// owner finds whose issuer a URL is: a cluster's, and that of a registration that
// the caller may see.
func (x *exam) owner(url string) (cluster *directory.Cluster, registered *directory.Issuer) {
	for i := range x.likely {
		if x.likely[i].Issuer.URL == url {
			cluster = &x.likely[i]
		}
	}
	for i := range x.issuers {
		if x.issuers[i].URL == url {
			registered = &x.issuers[i]
		}
	}
	return cluster, registered
}

// checkLookAlike warns of an issuer that is not one that is known here, but for
// what people overlook.
func (x *exam) checkLookAlike(field, url string) {
	type known struct{ url, what string }
	var all []known
	for _, k := range x.likely {
		all = append(all, known{k.Issuer.URL, "the registered cluster " + k.Name})
	}
	for _, i := range x.issuers {
		if !i.Implicit { // that a credential names an issuer does not make it right
			all = append(all, known{i.URL, "the registered issuer " + i.Name})
		}
	}
	for _, s := range x.siblings {
		all = append(all, known{s.Issuer, "the credential " + s.Name})
	}
	for _, k := range all {
		if d := compare(k.url, url); credential.Slips(d) {
			x.note(field, finding{Level: warn, Text: "It is nearly the issuer of " + k.what + ": " + d[0].HintFor("that one", "this one") + ".", Fix: x.offerIssuer(credential.Issuer, k.url)})
			return
		}
	}
	for _, k := range (credential.Spec{Issuer: url, Subject: "-"}).Cautions() {
		if k.Field == credential.Issuer {
			x.note(field, finding{Level: warn, Text: "It " + k.Detail + ".", Fix: x.offerIssuer(credential.Issuer, url+"/")})
		}
	}
	if host := strings.ToLower(hostOf(url)); host == "kubernetes.default.svc" || strings.HasPrefix(host, "kubernetes.default.svc.") || host == "localhost" {
		x.note(field, finding{Level: warn, Text: "Only a cluster itself knows this name, and every cluster has it. Register the cluster with its keys, or give its API server an issuer of its own.", To: &link{Text: "Clusters", To: clustersPath}})
	}
}

// askIssuer asks an issuer what it publishes, if it is time to ask.
func (x *exam) askIssuer(field, url string, registered *directory.Issuer) error {
	src := issuer.Source{URL: url, TenantID: x.caller.TenantID}
	if registered != nil {
		whole, err := x.Directory.Issuer(x, x.caller, registered.Name)
		if err != nil && !isNotFound(err) && !isForbidden(err) {
			return err
		}
		if err == nil {
			src = exchange.Source(whole)
		}
	}
	a, ok := x.inquiries.known(x.session.ID, src, x.Clock())
	if !ok {
		if !x.ask {
			x.pending = true
			return nil
		}
		if a, ok = x.inquiries.ask(x, x.session.ID, x.Surface, src); !ok {
			x.pending = true
			x.note(field, finding{Level: hint, Text: "The issuer is asked for its keys in a moment."})
			return nil
		}
	}
	x.note(field, x.judge(src, a))
	return nil
}

// issuersPage leads to where issuers are registered, for those who may see it.
func (x *exam) issuersPage() *link {
	if !x.rights.Can(issuerAction+"read", "/") {
		return nil
	}
	return &link{Text: "Issuers", To: issuersPath}
}

// judge says what an issuer's answer means.
func (x *exam) judge(src issuer.Source, a inquiry) finding {
	if a.err == nil {
		if len(a.report.Keys) == 0 {
			return finding{Level: warn, Text: "The issuer answers, but publishes no key that can be used."}
		}
		if len(src.Usable(a.report.Keys)) == 0 {
			return finding{Level: warn, Text: "The issuer answers, but none of its keys fits the algorithms that are accepted of it (" + strings.Join(src.Accepts(), ", ") + "). Register it with those that it uses.", To: x.issuersPage()}
		}
		keys := plural(len(a.report.Keys), "key", "keys")
		if a.report.DocumentIssuer == "" {
			return finding{Level: good, Text: "The issuer's keys were read: " + keys + "."}
		}
		return finding{Level: good, Text: "The issuer answers, under exactly this name, with " + keys + "."}
	}
	const later = " The credential can be added all the same; its tokens are refused until that is mended."
	switch issuer.KindOf(a.err) {
	case issuer.IssuerMismatch:
		said := clip(a.report.DocumentIssuer, 200)
		f := finding{Level: bad, Text: "The discovery document there names another issuer, and its tokens will too:", Code: said}
		if d := compare(src.URL, a.report.DocumentIssuer); credential.Slips(d) {
			f.Text = "The discovery document there names another issuer: " + d[0].HintFor("this one", "the published one") + "."
			f.Code = ""
		}
		f.Fix = x.offerIssuer(credential.Issuer, a.report.DocumentIssuer)
		return f
	case issuer.AddressRefused:
		return finding{Level: warn, Text: "The issuer has a private address, which this service does not ask. An administrator can permit it with serve --issuer-allow, or upload the issuer's keys." + later}
	case issuer.InvalidDocument:
		return finding{Level: warn, Text: "What the issuer answers is no discovery document or key set." + later}
	}
	return finding{Level: warn, Text: "This service cannot reach the issuer." + later}
}
