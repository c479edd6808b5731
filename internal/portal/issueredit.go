package portal

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
)

type issuerFormView struct {
	Errors        []string
	New           bool
	Implicit      bool // it can be given a name
	Hosted        bool // its keys are a cluster's, and stay so
	URL           string
	Name, Issuer  field
	Source        choice
	Address, Keys field
	Algorithms    []algorithmBox
	CA            field
	ManyAudiences bool
	Change        *keySetChange // of a key set that was not looked at yet
	KeysCommand   string
	Action, Back  string
	Save          string
}

// algorithmBox is an algorithm to accept.
type algorithmBox struct {
	Name, Text string
	On         bool
}

// algorithms are those that an issuer may be allowed, with what signs by them.
var algorithms = []option{
	{"RS256", "RSA"}, {"RS384", "RSA"}, {"RS512", "RSA"}, {"PS256", "RSA"}, {"ES256", "curve P-256"}, {"ES384", "curve P-384"}, {"EdDSA", "Ed25519"},
}

// issuerSources are where the keys of an issuer come from.
var issuerSources = []option{
	{string(directory.DiscoveredKeys), "From the issuer itself, by its discovery document"},
	{string(directory.JWKSURIKeys), "From another address (jwks_uri)"},
	{string(directory.UploadedKeys), "From a key set that I upload; nothing is fetched"},
}

func (c *call) newIssuer() error {
	if !c.maySetIssuers() {
		return refusedIssuer(issuersScope)
	}
	return c.showIssuerForm(0, directory.Issuer{URL: c.query("url"), KeySource: directory.DiscoveredKeys}, issuerFormView{New: true})
}

func refusedIssuer(scope string) error {
	return &directory.Error{Kind: directory.Forbidden, Object: directory.IssuerObject, Action: issuerAction + "write", Scope: scope}
}

func (c *call) editIssuer() error {
	i, err := c.changeableIssuer()
	if err != nil {
		return err
	}
	return c.showIssuerForm(0, i, issuerFormView{})
}

// changeableIssuer reads the issuer of the page's path for those who may change it.
func (c *call) changeableIssuer() (directory.Issuer, error) {
	i, err := c.findIssuer()
	if err != nil {
		return i, err
	}
	if scope := issuersScope + "/" + i.Name; !c.rights.Can(issuerAction+"write", scope) {
		return i, refusedIssuer(scope)
	}
	return i, nil
}

// showIssuerForm shows the form of an issuer. Of v it reads the errors and what changes.
func (c *call) showIssuerForm(status int, i directory.Issuer, v issuerFormView) error {
	p := page{template: "issuer-edit", title: "Register an issuer", status: status, trail: []crumb{{"Issuers", issuersPath}}}
	v.Action, v.Back, v.Save = newIssuerPath, issuersPath, "Register issuer"
	if !v.New {
		name := c.value("name")
		p.title, p.above, p.trail, p.side = "Change issuer", name, issuerTrail(name), issuerSide(name, "")
		v.Action, v.Back, v.Save = issuerPath(name, "edit"), issuerPath(name), "Save"
		clusters, err := c.clustersWith(i.URL)
		if err != nil {
			return err
		}
		v.Hosted = slices.ContainsFunc(clusters, func(k directory.Cluster) bool { return k.Issuer.Keys == directory.HostedKeys })
	}
	v.URL = i.URL
	v.Name = field{Name: "name", Label: "Name", Value: i.Name, Error: v.Name.Error, Max: 120, Required: true, Hint: "3 to 120 letters, digits, - and _. It cannot be changed later."}
	v.Issuer = field{Name: "issuer", Label: "Issuer URL", Value: i.URL, Error: v.Issuer.Error, Max: credential.MaxIssuer, Required: true, Placeholder: "https://", Hint: "Exactly as in the claim iss of its tokens, with or without the last slash. It cannot be changed later."}
	if v.Implicit = i.Implicit; v.Implicit {
		v.Name.Required, v.Name.Hint = false, "3 to 120 letters, digits, - and _. Until it is given one it is called "+c.value("name")+"."
		if strings.EqualFold(i.Name, c.value("name")) {
			v.Name.Value = ""
		}
	}
	v.Source = choice{Name: "source", Label: "Where its keys come from", Value: string(i.KeySource), Error: v.Source.Error, Options: issuerSources, Required: true}
	v.Address = field{Name: "jwks-uri", Label: "Address of the key set", Value: i.JWKSURI, Error: v.Address.Error, Max: 2048, Placeholder: "https://"}
	v.Keys = keySetField(string(i.KeySet), v.Keys.Error)
	v.KeysCommand = keySetCommand
	for _, o := range algorithms {
		v.Algorithms = append(v.Algorithms, algorithmBox{o.Value, o.Text, slices.Contains(exchange.Source(i).Accepts(), o.Value)})
	}
	v.CA = field{Name: "ca", Label: "Certificates to trust", Value: i.CAPEM, Error: v.CA.Error, Lines: 5, Placeholder: "-----BEGIN CERTIFICATE-----", Hint: "PEM, besides those that this service trusts anyway. Empty for most issuers."}
	v.ManyAudiences = i.ManyAudiences
	return c.show(p, v)
}

// typedIssuer is an issuer as the form says it is.
func (c *call) typedIssuer(i directory.Issuer) directory.Issuer {
	i.KeySource, i.JWKSURI, i.KeySet = directory.KeySource(c.field("source")), "", nil
	switch i.KeySource {
	case directory.JWKSURIKeys:
		i.JWKSURI = c.field("jwks-uri")
	case directory.UploadedKeys:
		if set := c.field("keyset"); set != "" {
			i.KeySet = json.RawMessage(set)
		}
	}
	i.Algorithms = nil
	for _, o := range algorithms {
		if c.form.Get("alg-"+o.Value) != "" {
			i.Algorithms = append(i.Algorithms, o.Value)
		}
	}
	i.CAPEM, i.ManyAudiences = strings.ReplaceAll(c.field("ca"), "\r\n", "\n"), c.form.Get("many") != ""
	if i.CAPEM != "" {
		i.CAPEM += "\n"
	}
	return i
}

func (c *call) addIssuer() error {
	if !c.maySetIssuers() {
		return refusedIssuer(issuersScope)
	}
	i := c.typedIssuer(directory.Issuer{Name: c.field("name"), URL: c.field("issuer")})
	v := issuerFormView{New: true}
	// PutIssuer changes the one of this name, which a page that registers must not.
	switch there, err := c.Directory.Issuer(c, c.caller, i.Name); {
	case i.Name == "":
		v.Name.Error = "Give the issuer a name."
	case err == nil:
		v.Errors, v.Name.Error = []string{nothingDone}, "There is an issuer "+there.Name+" already."
		return c.showIssuerForm(http.StatusConflict, i, v)
	case !isNotFound(err) && !isForbidden(err):
		return err
	}
	if i.URL == "" {
		v.Issuer.Error = "Say what the issuer is called."
	}
	return c.saveIssuer(directory.Issuer{}, i, v, "added")
}

func (c *call) changeIssuer() error {
	old, err := c.changeableIssuer()
	if err != nil {
		return err
	}
	i := c.typedIssuer(old)
	if old.Implicit && c.field("name") != "" {
		i.Name = c.field("name")
	}
	return c.saveIssuer(old, i, issuerFormView{}, "changed")
}

// saveIssuer stores an issuer once what its key set changes was looked at.
func (c *call) saveIssuer(old, i directory.Issuer, v issuerFormView, what string) error {
	if !slices.ContainsFunc(issuerSources, func(o option) bool { return o.Value == string(i.KeySource) }) {
		v.Source.Error = "Choose one of these."
	}
	if i.KeySource == directory.JWKSURIKeys && i.JWKSURI == "" {
		v.Address.Error = "Say where the key set is."
	}
	if i.KeySource == directory.UploadedKeys && string(i.KeySet) != string(old.KeySet) {
		v.Keys.Error = c.wrongKeySet(i.KeySet)
	} else if i.KeySource == directory.UploadedKeys && len(i.KeySet) == 0 {
		v.Keys.Error = "Paste the key set."
	}
	if cmp.Or(v.Name.Error, v.Issuer.Error, v.Source.Error, v.Address.Error, v.Keys.Error) != "" {
		v.Errors = []string{nothingDone}
		return c.showIssuerForm(http.StatusUnprocessableEntity, i, v)
	}
	if len(old.KeySet) > 0 && i.KeySource == directory.UploadedKeys && string(i.KeySet) != string(old.KeySet) {
		if change := compareKeySets(old.KeySet, nil, i.KeySet); c.form.Get("looked") != change.Looked {
			v.Change = &change
			return c.showIssuerForm(0, i, v)
		}
	}
	put, _, err := c.Directory.PutIssuer(c, c.caller, i)
	if refused, ok := refused(err); ok {
		v.Errors = []string{refused.text}
		v.Name.Error = refused.at("name")
		v.Issuer.Error = refused.at("issuer")
		v.Source.Error = refused.at("keySource")
		v.Address.Error = refused.at("jwksUri")
		v.Keys.Error = refused.at("keySet")
		v.CA.Error = refused.at("caCertificate")
		return c.showIssuerForm(refused.status, i, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(issuerPath(put.Name), what))
}
