package graph

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// key2048 is shared: making one takes a second on a slow machine.
var key2048 = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// certificate makes one in DER, valid from a day before the world starts for a year.
func (w *world) certificate(subject pkix.Name) []byte {
	w.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(1, 0, -1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key2048().PublicKey, key2048())
	w.must(err)
	return der
}

func thumbprint(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// brokenLines is base64 with line breaks, which is what is between the lines of a PEM file.
func brokenLines(der []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	text = strings.TrimPrefix(text, "-----BEGIN CERTIFICATE-----\n")
	return strings.TrimSuffix(text, "-----END CERTIFICATE-----\n")
}

const (
	firstKey  = "88888888-0000-4000-8000-000000000001"
	secondKey = "88888888-0000-4000-8000-000000000002"
)

// azKey is a key credential as az writes it ("az ad sp create-for-rbac --create-cert").
func azKey(id string, der []byte) m {
	return m{"@odata.type": "#microsoft.graph.keyCredential", "displayName": nil, "endDateTime": "2028-02-01T00:00:00Z", "key": brokenLines(der),
		"keyId": id, "startDateTime": "2027-03-01T12:30:45Z", "type": "AsymmetricX509Cert", "usage": "Verify"}
}

func keyWire(id, name string, der []byte, key string) string {
	return fmt.Sprintf(`"keyCredentials":[{"customKeyIdentifier":"%s","displayName":"%s","endDateTime":"2028-02-01T00:00:00Z","key":%s,"keyId":"%s","startDateTime":"2027-03-01T12:30:45Z","type":"AsymmetricX509Cert","usage":"Verify"}]`,
		thumbprint(der), name, key, id)
}

func TestKeysOnTheWire(t *testing.T) { onEngines(t, testKeysOnTheWire) }

func testKeysOnTheWire(t *testing.T, w *world) {
	der := w.certificate(pkix.Name{CommonName: "CLI-Login", Organization: []string{"Pets"}})
	made := w.do(admin, "POST", "/applications", m{"displayName": "app", "keyCredentials": []m{azKey(firstKey, der)}}).is(201)
	app := "/applications/" + made.str("id")
	hidden, shown := keyWire(firstKey, "CN=CLI-Login,O=Pets", der, "null"), keyWire(firstKey, "CN=CLI-Login,O=Pets", der, `"`+base64.StdEncoding.EncodeToString(der)+`"`)
	for path, want := range map[string]string{
		app:             hidden,
		"/applications": hidden,
		"/applications?$select=keyCredentials,displayName": hidden, // never in a list
		app + "?$select=keyCredentials":                    shown,
		app + "?$select=KEYCREDENTIALS":                    shown,
	} {
		if got := w.do(admin, "GET", path, nil).is(200); !strings.Contains(got.text, want) {
			t.Errorf("%s: no %s in %s", path, want, got.text)
		}
	}
	if !strings.Contains(made.text, hidden) {
		t.Errorf("made: no %s in %s", hidden, made.text)
	}

	// Another one beside it: what is there is sent back as it was read, its key being null.
	second := w.certificate(pkix.Name{CommonName: "second"})
	kept := w.do(admin, "GET", app, nil).is(200).at("keyCredentials").([]any)
	w.do(admin, "PATCH", app, m{"keyCredentials": append(kept, azKey(secondKey, second))}).is(204)
	names := func(path string) (all []string) {
		t.Helper()
		for _, k := range w.do(admin, "GET", path, nil).is(200).at("keyCredentials").([]any) {
			all = append(all, k.(map[string]any)["displayName"].(string))
		}
		return all
	}
	if got := names(app); !cmp.Equal(got, []string{"CN=CLI-Login,O=Pets", "CN=second"}) {
		t.Errorf("after another one: %v", got)
	}
	// A change of something else leaves them, and so does a key that says nothing.
	w.do(admin, "PATCH", app, m{"notes": "n", "keyCredentials": nil}).is(204)
	if got := names(app); len(got) != 2 {
		t.Errorf("after another change: %v", got)
	}
	// Without the first ("az ad app credential delete --cert"), and without any.
	w.do(admin, "PATCH", app, m{"keyCredentials": w.do(admin, "GET", app, nil).at("keyCredentials").([]any)[1:]}).is(204)
	if got := names(app); !cmp.Equal(got, []string{"CN=second"}) {
		t.Errorf("after the first was taken away: %v", got)
	}
	w.do(admin, "PATCH", app, m{"keyCredentials": []m{}}).is(204)
	if got := names(app); len(got) != 0 {
		t.Errorf("after all were taken away: %v", got)
	}
}

func TestKeysOfServicePrincipals(t *testing.T) { onEngines(t, testKeysOfServicePrincipals) }

func testKeysOfServicePrincipals(t *testing.T, w *world) {
	der := w.certificate(pkix.Name{CommonName: "CLI-Login"})
	_, appID := w.application(admin, "app")
	made := w.do(admin, "POST", "/servicePrincipals", m{"appId": appID, "keyCredentials": []m{azKey(firstKey, der)}}).is(201)
	sp := "/servicePrincipals/" + made.str("id")
	hidden, shown := keyWire(firstKey, "CN=CLI-Login", der, "null"), keyWire(firstKey, "CN=CLI-Login", der, `"`+base64.StdEncoding.EncodeToString(der)+`"`)
	for path, want := range map[string]string{sp: hidden, "/servicePrincipals?$select=keyCredentials": hidden, sp + "?$select=keyCredentials": shown} {
		if got := w.do(admin, "GET", path, nil).is(200); !strings.Contains(got.text, want) {
			t.Errorf("%s: no %s in %s", path, want, got.text)
		}
	}
	w.do(admin, "PATCH", sp, m{"tags": []string{"t"}}).is(204)
	if got := w.do(admin, "GET", sp, nil); !strings.Contains(got.text, hidden) {
		t.Errorf("after another change: %s", got.text)
	}
	w.do(admin, "PATCH", sp, m{"keyCredentials": []m{}}).is(204)
	if got := w.do(admin, "GET", sp, nil); len(got.at("keyCredentials").([]any)) != 0 {
		t.Errorf("after they were taken away: %s", got.text)
	}

	// Its own secrets ("az ad sp credential reset").
	secret := w.do(admin, "POST", sp+"/addPassword", m{"passwordCredential": m{"displayName": nil, "endDateTime": "2028-03-01T12:30:45Z", "startDateTime": "2027-03-01T12:30:45Z"}}).is(200)
	got := w.do(admin, "GET", sp, nil).is(200)
	if list := got.at("passwordCredentials").([]any); len(list) != 1 || list[0].(map[string]any)["keyId"] != secret.str("keyId") || strings.Contains(got.text, secret.str("secretText")) {
		t.Errorf("secrets: %s", got.text)
	}
	if list := w.do(admin, "GET", "/applications(appId='"+appID+"')", nil).at("passwordCredentials").([]any); len(list) != 0 {
		t.Errorf("the application has got them: %v", list)
	}
	w.do(admin, "PATCH", sp, m{"passwordCredentials": []m{}}).fails(400, "Request_BadRequest", "passwordCredentials cannot be set: use addPassword and removePassword.")
	w.do(admin, "POST", sp+"/removePassword", m{"keyId": strings.ToUpper(secret.str("keyId"))}).is(204)
	w.do(admin, "PATCH", sp, m{"passwordCredentials": []m{}}).is(204)
}

// TestKeyForms reads the forms of a key credential that clients write.
func TestKeyForms(t *testing.T) {
	w := newWorld(t)
	der := w.certificate(pkix.Name{CommonName: "x"})
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	flat := base64.StdEncoding.EncodeToString(der)
	for name, key := range map[string]m{
		"a key alone":                 {"key": flat},
		"az --cert":                   azKey(firstKey, der),
		"Terraform: PEM in base64":    {"key": base64.StdEncoding.EncodeToString(inPEM), "keyId": firstKey, "type": "AsymmetricX509Cert", "usage": "Verify"},
		"Terraform: without a type":   {"key": base64.StdEncoding.EncodeToString(inPEM), "keyId": firstKey, "type": "", "usage": "Verify"},
		"Terraform: with an end":      {"endDateTime": "2028-02-01T00:00:00Z", "key": base64.StdEncoding.EncodeToString(inPEM), "keyId": firstKey, "startDateTime": "2027-03-01T12:30:45+01:00", "type": "AsymmetricX509Cert", "usage": "Verify"},
		"a thumbprint in hexadecimal": {"key": flat, "customKeyIdentifier": thumbprint(der)},
		"a thumbprint in base64":      {"key": flat, "customKeyIdentifier": "Ui2bUDikeZ4uIZBxXMI4NZ1Pj3M="},
		"lines broken as in Windows":  {"key": strings.ReplaceAll(brokenLines(der), "\n", "\r\n")},
		"a name, and what beta adds":  {"key": flat, "displayName": "n", "hasExtendedValue": nil},
		"nulls":                       {"key": flat, "displayName": nil, "endDateTime": nil, "startDateTime": nil, "customKeyIdentifier": nil, "keyId": nil, "type": nil, "usage": nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.do(admin, "POST", "/applications", m{"displayName": "app", "keyCredentials": []m{key}})
			got.T = t
			id := got.is(201).str("id")
			stored := w.do(admin, "GET", "/applications/"+id+"?$select=keyCredentials", nil).is(200).at("keyCredentials").([]any)
			if len(stored) != 1 || stored[0].(map[string]any)["key"] != flat || stored[0].(map[string]any)["displayName"] == "" {
				t.Errorf("stored %v", stored)
			}
		})
	}
	if id := w.do(admin, "POST", "/applications", m{"displayName": "app", "keyCredentials": []m{{"key": flat, "customKeyIdentifier": "Ui2bUDikeZ4uIZBxXMI4NZ1Pj3M="}}}).is(201); !strings.Contains(id.text, `"customKeyIdentifier":"522D9B5038A4799E2E2190715CC238359D4F8F73"`) {
		t.Errorf("base64 is not shown in hexadecimal: %s", id.text)
	}
	long := w.certificate(pkix.Name{CommonName: "a\nb", Organization: []string{strings.Repeat("ü", 300)}})
	name := w.do(admin, "POST", "/applications", m{"displayName": "app", "keyCredentials": []m{{"key": base64.StdEncoding.EncodeToString(long)}}}).is(201).at("keyCredentials").([]any)[0].(map[string]any)["displayName"].(string)
	if !strings.HasPrefix(name, "CN=a") || len([]rune(name)) != 256 {
		t.Errorf("a long subject became %q", name)
	}
}

func TestKeyErrors(t *testing.T) {
	w := newWorld(t)
	der, other := w.certificate(pkix.Name{CommonName: "x"}), w.certificate(pkix.Name{CommonName: "y"})
	flat := base64.StdEncoding.EncodeToString(der)
	made := w.do(admin, "POST", "/applications", m{"displayName": "app", "keyCredentials": []m{azKey(firstKey, der)}}).is(201)
	app := "/applications/" + made.str("id")
	private, err := x509.MarshalPKCS8PrivateKey(key2048())
	w.must(err)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	const invalid = "Invalid value specified for property '%s' of resource 'KeyCredential'. %s"
	for _, c := range []struct {
		keys          any
		code, message string
	}{
		{[]m{{}}, "", fmt.Sprintf(invalid, "key", "Is required for a new certificate.")},
		{[]m{{"keyId": secondKey}}, "", fmt.Sprintf(invalid, "key", "Is required for a new certificate.")},
		{[]m{{"key": "no base64!"}}, "", fmt.Sprintf(invalid, "key", "It is not base64.")},
		{[]m{{"key": "AAAA"}}, "", fmt.Sprintf(invalid, "key", "Is not an X.509 certificate in DER.")},
		{[]m{{"key": base64.StdEncoding.EncodeToString(private)}}, "", fmt.Sprintf(invalid, "key", "Holds a private key, which must stay with its owner: …")},
		{[]m{{"key": base64.StdEncoding.EncodeToString(both)}}, "", fmt.Sprintf(invalid, "key", "Holds a private key, which must stay with its owner: …")},
		{[]m{{"key": flat, "type": "Symmetric"}}, "", fmt.Sprintf(invalid, "type", "Only AsymmetricX509Cert can be kept: it is a certificate without its private key.")},
		{[]m{{"key": flat, "type": "X509CertAndPassword", "usage": "Sign"}}, "", fmt.Sprintf(invalid, "type", "Only AsymmetricX509Cert can be kept: …")},
		{[]m{{"key": flat, "usage": "Sign"}}, "", fmt.Sprintf(invalid, "usage", "Only Verify can be kept.")},
		{[]m{{"key": flat, "keyId": "x"}}, "", fmt.Sprintf(invalid, "keyId", "\"x\" is not a GUID.")},
		{[]m{{"key": flat, "keyId": secondKey}, {"key": flat, "keyId": strings.ToUpper(secondKey)}}, "", fmt.Sprintf(invalid, "keyId", "…")},
		{[]m{{"key": flat, "customKeyIdentifier": "!"}}, "", fmt.Sprintf(invalid, "customKeyIdentifier", "It is neither hexadecimal nor base64.")},
		{[]m{{"key": flat, "displayName": strings.Repeat("x", 257)}}, "", fmt.Sprintf(invalid, "displayName", "…")},
		{[]m{{"key": flat, "startDateTime": "2000-01-01T00:00:00Z"}}, "", fmt.Sprintf(invalid, "startDateTime", "Is before 2027-02-28T12:30:45Z, when the certificate's time starts.")},
		{[]m{{"key": flat, "endDateTime": "2040-01-01T00:00:00Z"}}, "KeyCredentialsInvalidEndDate", "Key credential end date is invalid. It is after 2028-02-29T12:30:45Z, when the certificate expires."},
		{[]m{{"key": flat, "endDateTime": "tomorrow"}}, "", "Invalid value specified for property 'endDateTime': its type is not the one expected."},
		{[]m{azKey(firstKey, other)}, "", "Property 'key' of resource 'KeyCredential' cannot be changed."},
		{[]m{{"key": flat, "nonsense": 1}}, "", "Invalid property 'nonsense'."},
		{"x", "", "Invalid value specified for property 'keyCredentials': its type is not the one expected."},
		{[]any{nil}, "BadRequest", "Unable to read JSON request payload. …"},
		{[]any{"x"}, "BadRequest", "Unable to read JSON request payload. …"},
	} {
		if c.code == "" {
			c.code = "Request_BadRequest"
		}
		w.do(admin, "PATCH", app, m{"keyCredentials": c.keys}).fails(400, c.code, c.message)
		w.do(admin, "PATCH", app, m{"notes": "changed", "keyCredentials": c.keys}).is(400)
	}
	if after := w.do(admin, "GET", app, nil).is(200); after.at("notes") != nil || !strings.Contains(after.text, keyWire(firstKey, "CN=x", der, "null")) {
		t.Errorf("a refused change has changed something: %s", after.text)
	}
}
