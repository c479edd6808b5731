package portal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate makes one for a key, and its key, in PEM.
func (w *world) certificate(key any, public any) (certificate, private string) {
	w.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().Add(10 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	w.must(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	w.must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	at := "/portal/applications/" + app.ID
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	w.must(err)
	good, private := w.certificate(key, key.Public())
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	other, _ := w.certificate(curve, curve.Public())

	p := w.signIn(w.admin)
	p.shows(p.get(at+"/credentials?tab=certificates"), http.StatusOK, "Certificates (0)", "This application has no certificate.", "Add certificate")
	for _, c := range []struct{ pem, says string }{
		{"", "Paste the certificate."},
		{"hello", "This is not a certificate in PEM"},
		{hostile, "This is not a certificate in PEM"},
		{good + good, "These are several certificates."},
		{other, "The certificate has no RSA key"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "The certificate is not an X.509 certificate"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "This holds a PUBLIC KEY and not a certificate."},
	} {
		a := p.post(at+"/certificates", "description", "kept", "certificate", c.pem)
		p.shows(a, http.StatusUnprocessableEntity, c.says)
		p.shows(a, http.StatusUnprocessableEntity, strings.Join(strings.Fields(c.pem), " "))
		p.hides(a, "<script>alert", "<img src=x")
		if !strings.Contains(a.body, `value="kept"`) {
			t.Error("what was typed is lost")
		}
	}
	for _, text := range []string{private, good + private, private + good} {
		a := p.post(at+"/certificates", "certificate", text)
		p.shows(a, http.StatusUnprocessableEntity, "This holds a private key.")
		p.hides(a, strings.Split(private, "\n")[2])
	}
	if n := len(w.readApplication(app.ID).Certificates); n != 0 {
		t.Fatalf("refused forms added %d", n)
	}

	a := p.post(at+"/certificates", "description", "the shop", "certificate", "\n"+strings.ReplaceAll(good, "\n", "\r\n"))
	p.sentTo(a, at+"/credentials?tab=certificates&done=added")
	added := w.readApplication(app.ID).Certificates
	if len(added) != 1 || added[0].DisplayName != "the shop" {
		t.Fatalf("added %+v", added)
	}
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The certificate was added.", "Certificates (1)", strings.ToUpper(added[0].SHA1), "Expires soon", "never")
	p.shows(p.post(at+"/certificates", "certificate", good), http.StatusUnprocessableEntity, "The application has this certificate already.")

	remove := at + "/certificates/" + added[0].ID + "/delete"
	auditor := w.auditor()
	auditor.shows(auditor.post(at+"/certificates", "certificate", other), http.StatusForbidden, "It takes the right")
	auditor.shows(auditor.post(remove), http.StatusForbidden, "You may not do this")
	auditor.hides(auditor.get(at+"/credentials?tab=certificates"), "Remove", "Add certificate")

	p.shows(p.get(remove), http.StatusOK, "Remove this certificate?", strings.ToUpper(added[0].SHA1), "is refused from its next request on")
	a = p.post(remove)
	p.sentTo(a, at+"/credentials?tab=certificates&done=removed")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The certificate was removed.", "Certificates (0)")
	p.shows(p.post(remove), http.StatusNotFound, "It is not there")
}
