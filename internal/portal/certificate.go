package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var certificatePages = []route{
	{"POST " + applicationsPath + "/{id}/certificates", (*call).addCertificate, false},
	{"GET " + applicationsPath + "/{id}/certificates", (*call).toCertificates, false},
	{"GET " + applicationsPath + "/{id}/certificates/{certificate}/delete", (*call).confirmRemoveCertificate, false},
	{"POST " + applicationsPath + "/{id}/certificates/{certificate}/delete", (*call).removeCertificate, false},
}

type certificatesView struct {
	Tabs         []link
	Certificates []certificateRow
	MayChange    bool
	Errors       []string
	Name, PEM    field
	Action       string
}

type certificateRow struct {
	Name, ID, SHA1 string
	End            time.Time
	State          string
	Bad            bool
	LastUsed       time.Time
	Remove         string
}

// certificates is the tab of certificates.
func (c *call) certificates(app directory.Application) error {
	p := c.credentialsPage(app, "certificates")
	p.done = map[string]string{"added": "The certificate was added.", "removed": "The certificate was removed. It works no longer."}[c.query("done")]
	return c.showCertificates(app, p, certificatesView{PEM: field{Value: c.form.Get("certificate")}})
}

// showCertificates shows the tab, with what v says already.
func (c *call) showCertificates(app directory.Application, p page, v certificatesView) (err error) {
	if v.Tabs, err = c.credentialTabs(app, certificatesTab); err != nil {
		return err
	}
	if v.MayChange, err = c.Directory.MayChangeApplication(c, c.caller, directory.Ref{ID: app.ID}); err != nil {
		return err
	}
	ids := make([]string, len(app.Certificates))
	for i, k := range app.Certificates {
		ids[i] = k.ID
	}
	used, err := c.SignIns.LastUsed(c, c.caller.TenantID, ids)
	if err != nil {
		return err
	}
	for _, k := range app.Certificates {
		state, bad := validity(c.Clock(), k.Start, k.End)
		v.Certificates = append(v.Certificates, certificateRow{named(k.DisplayName), k.ID, strings.ToUpper(k.SHA1), k.End, state, bad, used[k.ID], applicationPath(app.ID, "certificates", k.ID, "delete")})
	}
	v.Action = applicationPath(app.ID, "certificates")
	v.Name = field{Name: "description", Label: "Description", Value: c.field("description"), Hint: "What holds its private key.", Error: v.Name.Error, Max: 256}
	v.PEM = field{Name: "certificate", Label: "Certificate", Value: v.PEM.Value, Placeholder: "-----BEGIN CERTIFICATE-----", Error: v.PEM.Error, Lines: 8, Required: true,
		Hint: "One certificate in PEM, with an RSA key of 2,048 to 8,192 bits. Never the private key, which stays with its owner."}
	return c.show(p, v)
}

func (c *call) toCertificates() error {
	return c.redirect(applicationPath(c.value("id"), "credentials") + "?tab=" + certificatesTab)
}

func (c *call) addCertificate() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	p, v := c.credentialsPage(app, "certificates"), certificatesView{PEM: field{Value: c.form.Get("certificate")}}
	der, wrong := readPEM(v.PEM.Value)
	if sum := sha256.Sum256(der); wrong == "" && slices.ContainsFunc(app.Certificates, func(k directory.Certificate) bool { return k.SHA256 == hex.EncodeToString(sum[:]) }) {
		wrong = "The application has this certificate already."
	}
	if wrong != "" {
		if strings.Contains(v.PEM.Value, "PRIVATE KEY") {
			v.PEM.Value = "" // not to be sent over the network once more
		}
		p.status, v.PEM.Error, v.Errors = http.StatusUnprocessableEntity, wrong, []string{"Nothing was added. See the marked field."}
		return c.showCertificates(app, p, v)
	}
	_, err = c.Directory.UpdateApplication(c, c.caller, directory.Ref{ID: app.ID}, func(a *directory.Application) error {
		a.Certificates = append(a.Certificates, directory.Certificate{DisplayName: c.field("description"), DER: der})
		return nil
	})
	if refused, ok := refused(err); ok {
		p.status, v.Errors, v.Name.Error = refused.status, []string{refused.text}, refused.at("displayName")
		if v.PEM.Error = refused.at("key"); v.PEM.Error != "" {
			v.PEM.Error = "The certificate " + strings.ToLower(v.PEM.Error[:1]) + v.PEM.Error[1:]
		}
		return c.showCertificates(app, p, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(applicationPath(app.ID, "credentials")+"?tab="+certificatesTab, "added"))
}

// readPEM reads the one certificate of a PEM text (RFC 7468), or says what is wrong with the text.
func readPEM(text string) (der []byte, wrong string) {
	if strings.TrimSpace(text) == "" {
		return nil, "Paste the certificate."
	}
	for rest := []byte(strings.TrimSpace(text)); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		rest = bytes.TrimSpace(rest)
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, "This holds a private key. Paste the certificate alone, and think of that key as known to others."
		case block.Type != "CERTIFICATE":
			return nil, "This holds a " + clip(block.Type, 40) + " and not a certificate."
		case der != nil:
			return nil, "These are several certificates. Paste the one whose private key signs, without the authorities that issued it."
		}
		der = block.Bytes
	}
	if der == nil {
		return nil, "This is not a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----."
	}
	return der, ""
}

// findCertificate finds the certificate of the page's path among an application's.
func (c *call) findCertificate(app directory.Application) (directory.Certificate, error) {
	i := slices.IndexFunc(app.Certificates, func(k directory.Certificate) bool { return k.ID == c.value("certificate") })
	if i < 0 {
		return directory.Certificate{}, &directory.Error{Kind: directory.NotFound, Object: directory.CertificateObject, ID: c.value("certificate")}
	}
	return app.Certificates[i], nil
}

func (c *call) confirmRemoveCertificate() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	k, err := c.findCertificate(app)
	if err != nil {
		return err
	}
	used, err := c.SignIns.LastUsed(c, c.caller.TenantID, []string{k.ID})
	if err != nil {
		return err
	}
	return c.show(page{template: "remove", title: "Remove this certificate?", trail: applicationTrail(app), side: c.applicationSide(app, onCredentials)}, removeView{
		What: "certificate", Name: named(k.DisplayName), ID: k.ID, Facts: []fact{{"Thumbprint (SHA-1)", strings.ToUpper(k.SHA1)}, {"Expires", stamp(k.End)}},
		Warning:  "Whatever signs in as " + app.DisplayName + " with this certificate is refused from its next request on.",
		LastUsed: used[k.ID], Recorded: true,
		Action: applicationPath(app.ID, "certificates", k.ID, "delete"), Back: applicationPath(app.ID, "credentials") + "?tab=" + certificatesTab,
	})
}

func (c *call) removeCertificate() error {
	ref := directory.Ref{ID: c.value("id")}
	_, err := c.Directory.UpdateApplication(c, c.caller, ref, func(a *directory.Application) error {
		k, err := c.findCertificate(*a)
		a.Certificates = slices.DeleteFunc(a.Certificates, func(other directory.Certificate) bool { return other.ID == k.ID })
		return err
	})
	if err != nil {
		return err
	}
	return c.redirect(done(applicationPath(ref.ID, "credentials")+"?tab="+certificatesTab, "removed"))
}
