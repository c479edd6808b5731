package manifest

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/strictjson"
)

// algorithms are those that an issuer may be allowed (RFC 7518 §3.1, RFC 8037 §3.1).
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"}

// implicitPrefix begins the names that a service gives to issuers which only credentials name.
const implicitPrefix = "auto-"

func (c *checker) issuersOf(o *Objects) {
	c.issuers = map[string]string{}
	names, urls := seen{}, seen{}
	for i := range o.Issuers {
		s := &o.Issuers[i]
		if c.given(s.Place, "name", true) {
			c.violation(s.Place, "name", credential.ValidateName(s.Name, credential.ManagedIdentity))
			c.once(names, s.Place, "name", strings.ToLower(s.Name))
			if strings.HasPrefix(strings.ToLower(s.Name), implicitPrefix) {
				c.add(s.Place, "name", "%s begins with %s, as the names of issuers do that nobody named", quote(s.Name), implicitPrefix)
			}
		}
		if c.given(s.Place, "issuer", true) {
			c.violation(s.Place, "issuer", credential.ValidateIssuer(s.URL))
			c.once(urls, s.Place, "issuer", s.URL)
		}
		c.issuers[s.Name] = s.URL
		c.keys(s)
		c.list(s.Place, "algorithms", s.Algorithms, oneOf(algorithms...))
		c.certificate(s)
	}
}

// keys fills in the key source and the key set.
func (c *checker) keys(s *Issuer) {
	p := s.Place
	var source KeySource // that a field belongs to
	var from string
	for _, m := range []struct {
		field  string
		source KeySource
	}{{"jwksUri", JWKSURI}, {"keySet", KeySet}, {"keySetFile", KeySet}} {
		if !p.Has(m.field) {
			continue
		}
		if from != "" {
			c.add(p, m.field, "cannot stand beside %s", from)
			return
		}
		source, from = m.source, m.field
	}
	if !p.Has("keySource") {
		s.KeySource = source
	} else if c.given(p, "keySource", true) {
		needs := map[KeySource]string{Discovery: "", JWKSURI: "jwksUri", KeySet: "keySet or keySetFile"}
		switch need, known := needs[s.KeySource]; {
		case !known:
			c.add(p, "keySource", "%s is none of %s, %s, %s", quote(string(s.KeySource)), Discovery, JWKSURI, KeySet)
		case from == "" && need != "":
			c.add(p, "keySource", "%s needs %s", s.KeySource, need)
		case from != "" && source != s.KeySource:
			c.add(p, from, "does not go with the key source %s", s.KeySource)
		}
	}
	if c.given(p, "jwksUri", false) {
		if u, err := url.Parse(s.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(s.JWKSURI) > maxText {
			c.add(p, "jwksUri", "%s should be an https URL of at most %d characters", quote(s.JWKSURI), maxText)
		}
	}
	field := "keySet"
	if c.given(p, "keySetFile", false) {
		field = "keySetFile"
		if s.KeySet = c.file(p, field, s.KeySetFile, maxKeySet); s.KeySet == nil {
			return
		}
	}
	if c.given(p, field, false) {
		c.keySet(p, field, s.KeySet)
	}
}

// keySet checks that data is a key set at all (RFC 7517 §5). Its keys are for
// whoever verifies with them.
func (c *checker) keySet(p Place, field string, data []byte) {
	set, err := strictjson.ParseOuter(data)
	if err != nil {
		c.add(p, field, "is not a JSON Web Key Set: %v", err)
		return
	}
	if keys, err := set.Array("keys"); err != nil || len(keys) == 0 {
		c.add(p, field, "is not a JSON Web Key Set with at least one key in its list \"keys\"")
	}
}

func (c *checker) certificate(s *Issuer) {
	p, field := s.Place, "caCertificate"
	if p.Has("caCertificateFile") {
		if p.Has(field) {
			c.add(p, "caCertificateFile", "cannot stand beside %s", field)
			return
		}
		if field = "caCertificateFile"; !c.given(p, field, false) {
			return
		}
		data := c.file(p, field, s.CACertificateFile, maxCA)
		if data == nil {
			return
		}
		s.CACertificate = string(data)
	}
	if !c.given(p, field, false) || s.CACertificate == "" && field == "caCertificate" { // which takes one back
		return
	}
	if len(s.CACertificate) > maxCA {
		c.add(p, field, "is larger than %d bytes", maxCA)
		return
	}
	n := 0
	for rest := []byte(s.CACertificate); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			c.add(p, field, "PEM block %d is not a certificate", n+1)
			return
		}
	}
	if n == 0 {
		c.add(p, field, "holds no PEM certificate")
	}
}
