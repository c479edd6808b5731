package directory_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/directory"
)

// key2048 is the RSA key that most tests share: making one takes a second on a slow machine.
var key2048 = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// selfSigned makes a certificate in DER, for a year from a day before the world starts.
func selfSigned(t *testing.T, name string) []byte {
	t.Helper()
	return certificateFor(t, name, &key2048().PublicKey, key2048())
}

var notBefore, notAfter = start.AddDate(0, 0, -1), start.AddDate(1, 0, 0)

func certificateFor(t *testing.T, name string, public, signer any) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: notBefore, NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// setCertificates replaces an application's certificates.
func (w *world) setCertificates(c directory.Caller, ref directory.Ref, list ...directory.Certificate) ([]directory.Certificate, error) {
	app, err := w.dir.UpdateApplication(w.ctx(), c, ref, func(a *directory.Application) error {
		a.Certificates = list
		return nil
	})
	return app.Certificates, err
}

func TestCertificates(t *testing.T) {
	der := selfSigned(t, "one")
	one, two := sha1.Sum(der), sha256.Sum256(der)
	each(t, func(w *world) {
		c := w.client("a")
		const id = "AAAAAAAA-0000-4000-8000-000000000001"
		set, err := w.setCertificates(w.system, c.ref(), directory.Certificate{DisplayName: "ci", DER: der, ID: id})
		w.ok(err)
		want := directory.Certificate{ID: strings.ToLower(id), DisplayName: "ci", Identifier: strings.ToUpper(hex.EncodeToString(one[:])), DER: der,
			SHA1: hex.EncodeToString(one[:]), SHA256: hex.EncodeToString(two[:]), Start: notBefore, End: notAfter}
		read, err := w.dir.Application(w.ctx(), w.system, c.ref())
		w.ok(err)
		for name, got := range map[string][]directory.Certificate{"set": set, "read": read.Certificates} {
			if diff := cmp.Diff([]directory.Certificate{want}, got); diff != "" {
				w.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		listed, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{ID: &c.app.ID}, directory.Page{})
		w.ok(err)
		if diff := cmp.Diff([]directory.Certificate{want}, listed.Items[0].Certificates, cmpopts.IgnoreFields(directory.Certificate{}, "DER")); diff != "" || listed.Items[0].Certificates[0].DER != nil {
			w.Errorf("in a list (-want +got):\n%s", diff)
		}
	})
}
