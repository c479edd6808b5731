package directory_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

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

// The list that is written is the list that is there: what it names stays, what it does not goes.
func TestCertificatesAreReplacedAsAList(t *testing.T) {
	a, b := selfSigned(t, "a"), selfSigned(t, "b")
	each(t, func(w *world) {
		c := w.client("client")
		made, err := w.setCertificates(w.system, c.ref(), directory.Certificate{DER: a, DisplayName: "a", End: start.AddDate(0, 1, 0)})
		w.ok(err)
		first := made[0]

		w.clock.Advance(time.Second)
		both, err := w.setCertificates(w.system, c.ref(),
			directory.Certificate{DER: b},
			directory.Certificate{ID: strings.ToUpper(first.ID), DisplayName: "renamed", End: notAfter})
		w.ok(err)
		if len(both) != 2 || cmp.Diff(first, both[0]) != "" || both[1].ID == first.ID {
			w.Fatalf("kept and added: %+v", both)
		}
		again, err := w.setCertificates(w.system, c.ref(), both...)
		w.ok(err)
		if diff := cmp.Diff(both, again); diff != "" {
			w.Errorf("the list as it was read (-want +got):\n%s", diff)
		}

		// An edit that does not touch the list leaves it.
		app, err := w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error {
			a.Description = "x"
			return nil
		})
		w.ok(err)
		if diff := cmp.Diff(both, app.Certificates); diff != "" {
			w.Errorf("after another edit (-want +got):\n%s", diff)
		}

		_, err = w.setCertificates(w.system, c.ref(), directory.Certificate{ID: first.ID, DER: b})
		if e := w.kind(err, directory.Immutable); e.Object != directory.CertificateObject || e.Field != "key" {
			w.Errorf("another certificate under its id: %+v", e)
		}
		_, err = w.setCertificates(w.system, c.ref(), directory.Certificate{ID: first.ID}, directory.Certificate{ID: first.ID})
		if e := w.kind(err, directory.Invalid); e.Field != "keyId" {
			w.Errorf("one twice: %+v", e)
		}

		// An id that another holder has is free here: to say otherwise would tell that it is there.
		other := w.client("other")
		_, err = w.setCertificates(w.system, other.ref(), directory.Certificate{ID: first.ID, DER: b})
		w.ok(err)
		_, err = w.setCertificates(w.system, other.ref())
		w.ok(err)
		left, err := w.setCertificates(w.system, c.ref(), directory.Certificate{ID: first.ID})
		w.ok(err)
		if diff := cmp.Diff([]directory.Certificate{first}, left); diff != "" {
			w.Errorf("kept alone (-want +got):\n%s", diff)
		}
		none, err := w.setCertificates(w.system, c.ref())
		w.ok(err)
		if len(none) != 0 || w.rows("certificates", "holder_id = $1", c.app.ID) != 0 {
			w.Errorf("left: %+v", none)
		}
	})
}

func TestCertificatesAreMadeWithTheirHolder(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		app, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "a", Certificates: []directory.Certificate{{DER: der}}})
		w.ok(err)
		p, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: app.AppID, Certificates: []directory.Certificate{{DER: der}}})
		w.ok(err)
		read, err := w.dir.ServicePrincipal(w.ctx(), w.system, directory.Ref{ID: p.ID})
		w.ok(err)
		if len(app.Certificates) != 1 || len(p.Certificates) != 1 || cmp.Diff(p.Certificates, read.Certificates) != "" {
			w.Errorf("made %+v and %+v, read %+v", app.Certificates, p.Certificates, read.Certificates)
		}
		listed, err := w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{ID: &p.ID}, directory.Page{})
		w.ok(err)
		if c := listed.Items[0].Certificates; len(c) != 1 || c[0].DER != nil || c[0].SHA256 != p.Certificates[0].SHA256 {
			w.Errorf("in a list: %+v", c)
		}
		_, err = w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "b", Certificates: []directory.Certificate{{DER: []byte("x")}}})
		w.kind(err, directory.Invalid)
		if n := w.rows("applications", "display_name = 'b'"); n != 0 {
			w.Errorf("an application with a bad certificate was made")
		}
	})
}

// What cannot serve is refused, with its field, and nothing of it is repeated.
func TestCertificateRefusals(t *testing.T) {
	good := selfSigned(t, "good")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(data []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	// The outer shape of a PKCS #12 file (RFC 7292 section 4).
	type contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	pfx := der(asn1.Marshal(struct {
		Version  int
		AuthSafe contentInfo
	}{3, contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, []byte("x")}}))
	// An encrypted private key (RFC 5958 section 3).
	encrypted := der(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, []byte("x")}))
	pkcs8 := der(x509.MarshalPKCS8PrivateKey(key2048()))

	const private = "private key"
	refusals := map[string]struct {
		certificate directory.Certificate
		field       string
		says        string
	}{
		"nothing":                {directory.Certificate{}, "key", "required"},
		"an id of none":          {directory.Certificate{ID: "aaaaaaaa-0000-4000-8000-000000000001"}, "key", "required"},
		"text":                   {directory.Certificate{DER: []byte("certificate")}, "key", "not an X.509 certificate"},
		"PEM":                    {directory.Certificate{DER: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good})}, "key", "not an X.509 certificate in DER"},
		"more behind it":         {directory.Certificate{DER: append(append([]byte{}, good...), 0)}, "key", "not an X.509 certificate"},
		"cut short":              {directory.Certificate{DER: good[:len(good)-1]}, "key", "not an X.509 certificate"},
		"two":                    {directory.Certificate{DER: append(append([]byte{}, good...), good...)}, "key", "not an X.509 certificate"},
		"too long":               {directory.Certificate{DER: make([]byte, 8<<10+1)}, "key", "longer than"},
		"a public key":           {directory.Certificate{DER: der(x509.MarshalPKIXPublicKey(&key2048().PublicKey))}, "key", "not an X.509 certificate"},
		"PKCS #1 private":        {directory.Certificate{DER: x509.MarshalPKCS1PrivateKey(key2048())}, "key", private},
		"PKCS #8 private":        {directory.Certificate{DER: pkcs8}, "key", private},
		"SEC 1 private":          {directory.Certificate{DER: der(x509.MarshalECPrivateKey(curve))}, "key", private},
		"encrypted private":      {directory.Certificate{DER: encrypted}, "key", private},
		"PKCS #12":               {directory.Certificate{DER: pfx}, "key", private},
		"PEM private":            {directory.Certificate{DER: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: pkcs8})}, "key", private},
		"PEM private behind it":  {directory.Certificate{DER: append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)}, "key", private},
		"elliptic":               {directory.Certificate{DER: certificateFor(t, "ec", &curve.PublicKey, curve)}, "key", "no RSA key"},
		"1024 bits":              {directory.Certificate{DER: certificateFor(t, "small", &small.PublicKey, small)}, "key", "1024 bits"},
		"exponent 1":             {directory.Certificate{DER: certificateFor(t, "e", &rsa.PublicKey{N: key2048().N, E: 1}, key2048())}, "key", ""},
		"even exponent":          {directory.Certificate{DER: certificateFor(t, "e", &rsa.PublicKey{N: key2048().N, E: 65536}, key2048())}, "key", ""},
		"id":                     {directory.Certificate{DER: good, ID: "one"}, "keyId", "GUID"},
		"name":                   {directory.Certificate{DER: good, DisplayName: "\x00"}, "displayName", ""},
		"identifier":             {directory.Certificate{DER: good, Identifier: "xyz"}, "customKeyIdentifier", "hexadecimal"},
		"long identifier":        {directory.Certificate{DER: good, Identifier: strings.Repeat("ab", 65)}, "customKeyIdentifier", "128"},
		"before the certificate": {directory.Certificate{DER: good, Start: notBefore.Add(-time.Second)}, "startDateTime", "2026-10-31T12:00:00Z"},
		"after the certificate":  {directory.Certificate{DER: good, End: notAfter.Add(time.Second)}, "endDateTime", "2027-11-01T12:00:00Z"},
		"backwards":              {directory.Certificate{DER: good, Start: notAfter, End: notBefore}, "endDateTime", "after startDateTime"},
		"no time at all":         {directory.Certificate{DER: good, Start: start, End: start}, "endDateTime", "after startDateTime"},
	}
	each(t, func(w *world) {
		c := w.client("a")
		for name, r := range refusals {
			events := w.events()
			_, err := w.setCertificates(w.system, c.ref(), directory.Certificate{DER: good}, r.certificate)
			if e := w.kind(err, directory.Invalid); e.Object != directory.CertificateObject || e.Field != r.field || !strings.Contains(e.Detail, r.says) {
				w.Errorf("%s: %v, want an invalid %s that says %q", name, err, r.field, r.says)
			}
			if w.events() != events || w.rows("certificates", "1 = 1") != 0 {
				w.Errorf("%s: something was kept", name)
			}
		}
		_, err := w.setCertificates(w.system, c.ref(), directory.Certificate{DER: good, Start: notBefore, End: notAfter, Identifier: "aB"})
		w.ok(err)
	})
}

func TestCertificateLimit(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		c := w.client("a")
		list := make([]directory.Certificate, 101)
		for i := range list {
			list[i] = directory.Certificate{DER: der, DisplayName: fmt.Sprint(i)}
		}
		_, err := w.setCertificates(w.system, c.ref(), list...)
		if e := w.kind(err, directory.LimitReached); e.Object != directory.CertificateObject || e.Limit != 100 {
			w.Errorf("got %+v", e)
		}
		full, err := w.setCertificates(w.system, c.ref(), list[:100]...)
		w.ok(err)
		_, err = w.setCertificates(w.system, c.ref(), append(full, list[0])...)
		w.kind(err, directory.LimitReached)
	})
}

// Each certificate that comes or goes has an event, of the application and of the service principal.
func TestCertificatesAreRecorded(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		c := w.client("a")
		latest := func(n int) []directory.Event {
			w.Helper()
			w.clock.Advance(time.Second)
			page, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: n})
			w.ok(err)
			return page.Items
		}
		made, err := w.setCertificates(w.admin, c.ref(), directory.Certificate{DER: der, DisplayName: "ci"})
		w.ok(err)
		certificate := made[0]
		for _, e := range latest(2) {
			switch e.Object {
			case directory.CertificateObject:
				want := map[string]string{"application": c.app.ID, "added": certificate.ID, "sha256": certificate.SHA256}
				if diff := cmp.Diff(want, e.Detail); diff != "" || e.Action != "microsoft.directory/applications/credentials/update" || e.TargetID != certificate.ID || e.TargetName != "ci" || e.ActorID != w.admin.PrincipalID {
					w.Errorf("%+v (-want +got):\n%s", e, diff)
				}
			case directory.ApplicationObject:
				if e.Detail["changed"] != "keyCredentials" {
					w.Errorf("%+v", e)
				}
			default:
				w.Errorf("%+v", e)
			}
		}
		before := w.events()
		_, err = w.setCertificates(w.admin, c.ref(), certificate)
		w.ok(err)
		if n := w.events(); n != before+1 {
			w.Errorf("a list as it is has %d events", n-before)
		}
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.admin, c.principalRef(), directory.PrincipalEdit{Certificates: &[]directory.Certificate{{DER: der}}}))
		w.clock.Advance(time.Second)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.admin, c.principalRef(), directory.PrincipalEdit{Certificates: &[]directory.Certificate{}}))
		found := false
		for _, e := range latest(2) {
			if e.Object == directory.CertificateObject {
				found = e.Action == "microsoft.directory/servicePrincipals/credentials/update" && e.Detail["servicePrincipal"] == c.principal.ID && e.Detail["removed"] == e.TargetID
			}
		}
		if !found {
			w.Error("the end of a service principal's certificate is not recorded")
		}
	})
}

// Whoever can set the certificates of a principal becomes it.
func TestWhoMaySetCertificates(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		target := w.client("target")
		appOwner, otherOwner := w.client("owner of the application", "Application.ReadWrite.OwnedBy"), w.client("owner of another", "Application.ReadWrite.OwnedBy")
		w.ok(w.dir.AddOwner(w.ctx(), w.admin, target.ref(), appOwner.PrincipalID))
		for _, c := range []struct {
			name    string
			caller  directory.Caller
			allowed bool
		}{
			{"nobody", w.client("nobody").Caller, false},
			{"itself", target.Caller, false},
			{"reader", w.client("reader", "Application.Read.All", "Directory.Read.All").Caller, false},
			{"owner of the application", appOwner.Caller, true},
			{"owner of another", otherOwner.Caller, false},
			{"writer", w.client("writer", "Application.ReadWrite.All").Caller, true},
			{"administrator", w.admin, true},
		} {
			one := []directory.Certificate{{DER: der}}
			_, ofApp := w.setCertificates(c.caller, target.ref(), one...)
			ofPrincipal := w.dir.UpdateServicePrincipal(w.ctx(), c.caller, target.principalRef(), directory.PrincipalEdit{Certificates: &one})
			s, _, secret := w.dir.AddPrincipalSecret(w.ctx(), c.caller, target.principalRef(), directory.NewSecret{})
			errs := map[string]error{"certificate of the application": ofApp, "certificate of the service principal": ofPrincipal, "secret of the service principal": secret}
			if c.allowed {
				errs["its end"] = w.dir.RemovePrincipalSecret(w.ctx(), c.caller, target.principalRef(), s.ID)
			}
			for what, err := range errs {
				if want := map[bool]string{true: "ok", false: string(directory.Forbidden)}[c.allowed]; kindOf(err) != want {
					w.Errorf("%s, %s: %v, want %s", c.name, what, err, want)
				}
			}
		}
	})
}

func TestKeysOfPrincipalsThatMayHaveNone(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		w.group("g")
		for name, c := range map[string]struct {
			id    string
			field string
		}{"managed identity": {w.identity("g", "machine").PrincipalID, "servicePrincipalType"}, "Microsoft Graph": {w.graph().ID, "appId"}} {
			ref := directory.Ref{ID: c.id}
			_, _, secret := w.dir.AddPrincipalSecret(w.ctx(), w.admin, ref, directory.NewSecret{})
			for what, err := range map[string]error{
				"secret":      secret,
				"its end":     w.dir.RemovePrincipalSecret(w.ctx(), w.admin, ref, c.id),
				"certificate": w.dir.UpdateServicePrincipal(w.ctx(), w.admin, ref, directory.PrincipalEdit{Certificates: &[]directory.Certificate{{DER: der}}}),
			} {
				if e := w.kind(err, directory.Immutable); e.Field != c.field {
					w.Errorf("%s of %s: %+v", what, name, e)
				}
			}
		}
		if n := w.rows("secrets", "holder_id NOT IN (SELECT id FROM applications)") + w.rows("certificates", "1 = 1"); n != 0 {
			w.Errorf("%d are there", n)
		}
	})
}

func TestMatchCertificate(t *testing.T) {
	a, b := selfSigned(t, "a"), selfSigned(t, "b")
	each(t, func(w *world) {
		c, other := w.client("client"), w.client("other")
		from, to := start.Add(time.Hour), start.Add(2*time.Hour)
		made, err := w.setCertificates(w.system, c.ref(), directory.Certificate{DER: a, Start: from, End: to})
		w.ok(err)
		one := made[0]
		made, err = w.setCertificates(w.system, other.ref(), directory.Certificate{DER: b})
		w.ok(err)
		two := made[0]
		judge := func(clientID, sha1, sha256 string) directory.CertificateResult {
			w.Helper()
			m, found, result, err := w.dir.MatchCertificate(w.ctx(), w.tenant.ID, clientID, sha1, sha256)
			w.ok(err)
			if (found.ID != "") != (result != directory.CertificateUnknown) || result != directory.CertificateUnknown && (m.Client.ClientID != clientID || len(found.DER) == 0) {
				w.Errorf("%s: found %+v for %+v", result, found, m.Client)
			}
			return result
		}
		for _, at := range []struct {
			at   time.Time
			want directory.CertificateResult
		}{
			{from.Add(-time.Millisecond), directory.CertificateExpired}, {from, directory.CertificateOK},
			{to.Add(-time.Millisecond), directory.CertificateOK}, {to, directory.CertificateExpired},
		} {
			w.clock.Set(at.at)
			if got := judge(c.AppID, one.SHA1, ""); got != at.want {
				w.Errorf("at %v: %s, want %s", at.at, got, at.want)
			}
		}
		w.clock.Set(from)
		for _, x := range []struct {
			client, sha1, sha256 string
			want                 directory.CertificateResult
		}{
			{c.AppID, one.SHA1, one.SHA256, directory.CertificateOK},
			{c.AppID, "", one.SHA256, directory.CertificateOK},
			{c.AppID, one.SHA1, two.SHA256, directory.CertificateUnknown},
			{c.AppID, two.SHA1, one.SHA256, directory.CertificateUnknown},
			{c.AppID, "", "", directory.CertificateUnknown},
			{c.AppID, one.SHA256, "", directory.CertificateUnknown},
			{c.AppID, two.SHA1, "", directory.CertificateUnknown},
			{other.AppID, one.SHA1, "", directory.CertificateUnknown},
			{other.AppID, two.SHA1, "", directory.CertificateOK},
			{w.tenant.ID, one.SHA1, "", directory.CertificateUnknown},
			{"", one.SHA1, "", directory.CertificateUnknown},
			{c.AppID, "\x00", "\xff", directory.CertificateUnknown},
		} {
			if got := judge(x.client, x.sha1, x.sha256); got != x.want {
				w.Errorf("client %q, %q, %q: %s, want %s", x.client, x.sha1, x.sha256, got, x.want)
			}
		}

		// The same certificate of the service principal, for longer, comes first.
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Certificates: &[]directory.Certificate{{DER: a}}}))
		w.clock.Set(to)
		if got := judge(c.AppID, one.SHA1, ""); got != directory.CertificateOK {
			w.Errorf("of the service principal: %s", got)
		}
		m, _, _, err := w.dir.MatchCertificate(w.ctx(), w.tenant.ID, c.AppID, "", "")
		w.ok(err)
		held, err := w.dir.CertificatesOf(w.ctx(), m)
		w.ok(err)
		if len(held) != 2 || held[0].DER != nil {
			w.Errorf("it holds %+v", held)
		}
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
		if got := judge(c.AppID, one.SHA1, ""); got != directory.CertificateUnknown {
			w.Errorf("of a deleted application: %s", got)
		}
	})
}

// Secrets and certificates end with what holds them.
func TestKeysArePurgedWithTheirHolder(t *testing.T) {
	der := selfSigned(t, "a")
	each(t, func(w *world) {
		c := w.client("a")
		one := []directory.Certificate{{DER: der}}
		_, err := w.setCertificates(w.system, c.ref(), one...)
		w.ok(err)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Certificates: &one}))
		_, _, err = w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{})
		w.ok(err)
		_, text, err := w.dir.AddPrincipalSecret(w.ctx(), w.system, c.principalRef(), directory.NewSecret{})
		w.ok(err)
		if got := w.secretResult(c.AppID, text); got != directory.SecretOK {
			w.Errorf("the secret of the service principal is judged %s", got)
		}
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
		if got := w.secretResult(c.AppID, text); got != directory.SecretWrong {
			w.Errorf("the secret of a deleted one is judged %s", got)
		}
		_, err = w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
		w.ok(err)
		if got := w.secretResult(c.AppID, text); got != directory.SecretOK {
			w.Errorf("the secret of a restored one is judged %s", got)
		}
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
		w.ok(w.dir.PurgeApplication(w.ctx(), w.system, c.app.ID))
		for _, table := range []string{"secrets", "certificates"} {
			if n := w.rows(table, "holder_id IN ($1, $2)", c.app.ID, c.principal.ID); n != 0 {
				w.Errorf("%d %s are left", n, table)
			}
		}
	})
}
