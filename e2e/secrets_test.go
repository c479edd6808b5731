package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
)

// A canary is a secret that may be seen in one answer at most: the one that
// gives it.
type canary struct {
	value string
	given string // name of that answer
}

// forms are the spellings in which a secret would still be one.
func (c canary) forms() []string {
	forms := []string{c.value, url.QueryEscape(c.value), hex.EncodeToString([]byte(c.value))}
	// base64 of it in the middle of something, at each of the three offsets.
	for skip := range 3 {
		text := c.value[skip : len(c.value)-(len(c.value)-skip)%3]
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// aviary remembers every secret and every answer.
type aviary struct {
	t    *testing.T
	next http.RoundTripper

	mu       sync.Mutex
	canaries map[string]canary
	answers  map[string]string // status, header and body, by the number and line of the request
	statuses map[int]int
}

// secret makes one of 32 random characters.
func (a *aviary) secret(name string) string {
	value := "canary" + rand.Text()
	a.keep(name, value, "")
	return value
}

func (a *aviary) keep(name, value, given string) {
	a.t.Helper()
	if len(value) < 16 {
		a.t.Fatalf("the canary %s is too short to be told from chance", name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.canaries {
		if c.value == value {
			return // used again, by somebody who was given it
		}
	}
	a.canaries[name] = canary{value, given}
}

// keepToken keeps what a token is made of, since half of it must not be seen
// either; the header is no secret.
func (a *aviary) keepToken(name, token, given string) string {
	a.t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		a.t.Fatalf("%s is no token", name)
	}
	a.keep(name+", payload", parts[1], given)
	a.keep(name+", signature", parts[2], given)
	return token
}

// RoundTrip is a client's transport that remembers the answers, and what secrets they give.
func (a *aviary) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	head, err := httputil.DumpResponse(answer, false)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	name := fmt.Sprintf("%d: %s %s", len(a.answers)+1, r.Method, r.URL.Path)
	a.answers[name] = string(head) + string(body)
	a.statuses[answer.StatusCode]++
	a.mu.Unlock()
	var gives struct {
		Token      string `json:"access_token"`
		Secret     string `json:"secretText"`
		Properties struct {
			Administrator struct {
				Secret string `json:"clientSecret"`
			} `json:"administrator"`
		} `json:"properties"`
	}
	if json.Unmarshal(body, &gives) != nil || answer.StatusCode >= 300 {
		return answer, nil
	}
	if gives.Token != "" {
		a.keepToken("access token of "+name, gives.Token, name)
	}
	for _, secret := range []string{gives.Secret, gives.Properties.Administrator.Secret} {
		if secret != "" {
			a.keep("secret of "+name, secret, name)
		}
	}
	return answer, nil
}

// search reports every secret that can be seen in a text.
func (a *aviary) search(where, text string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.canaries)) {
		c := a.canaries[name]
		if c.given == where {
			continue
		}
		for _, form := range c.forms() {
			if i := strings.Index(text, form); i >= 0 {
				a.t.Errorf("%s can be seen in %s: …%.300s…", name, where, text[max(0, i-80):])
				break
			}
		}
	}
}

// TestNoSecretIsTold does all that a client can do with secrets, right and
// wrong, and looks for them in everything that the service says and keeps.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) { testNoSecretIsTold(t, format) })
	}
}

func testNoSecretIsTold(t *testing.T, format string) {
	ctx := t.Context()
	a := &aviary{t: t, canaries: map[string]canary{}, answers: map[string]string{}, statuses: map[int]int{}}
	issuer, flags := cluster(t)
	kek := make([]byte, keys.SealerSize)
	rand.Read(kek)
	kekFile := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(kekFile, []byte(base64.StdEncoding.EncodeToString(kek)), 0o600); err != nil {
		t.Fatal(err)
	}
	a.keep("key-encryption key", string(kek), "")

	s := serve(t, t.TempDir(), append(flags, "--log-level", "debug", "--log-format", format, "--key-encryption-key", kekFile)...)
	a.keep("administrator's secret", s.ClientSecret, "")
	caKey, err := os.ReadFile(filepath.Join(s.Dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a.keep("private key of the local CA", string(privateOf(t, caKey)), "")
	a.next = s.HTTP.Transport
	s.HTTP.Transport = a
	admin := s.AsAdmin(t)
	app, w := application(t, admin, "workload", issuer.URL())
	secret := withSecret(t, admin, app)
	_, m := identity(t, s, admin, "pets", "cat", issuer.URL())
	if _, _, err := admin.PutHostedTenant(ctx, "99999999-0000-4000-8000-000000000001", client.HostedTenantSpec{DisplayName: "hosted"}); err != nil {
		t.Fatal(err)
	}
	if err := admin.RotateSigningKey(ctx); err != nil {
		t.Fatal(err)
	}

	// send sends a request and returns its body.
	send := func(method, path, body string, headers ...string) []byte {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, s.Authority+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const form = "application/x-www-form-urlencoded"
	endpoint := "/" + s.TenantID + "/oauth2/v2.0/token"
	fields := func(changes ...string) string {
		f := url.Values{"client_id": {w.clientID}, "grant_type": {"client_credentials"}, "scope": {s.Authority + "/.default"}}
		for i := 0; i < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
			if strings.HasPrefix(changes[i+1], "-") {
				f.Del(changes[i])
			}
		}
		return f.Encode()
	}
	const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	ask := func(changes ...string) []byte {
		t.Helper()
		return send("POST", endpoint, fields(changes...), "Content-Type", form)
	}
	presented := 0
	assert := func(assertion string, changes ...string) []byte {
		t.Helper()
		if presented++; strings.Count(assertion, ".") == 2 && len(assertion) < 16<<10 && assertion[len(assertion)-1] != '.' {
			a.keepToken(fmt.Sprint("assertion ", presented), assertion, "")
		}
		return ask(append([]string{"client_assertion_type", jwtBearer, "client_assertion", assertion}, changes...)...)
	}
	tokenOf := func(body []byte) string {
		t.Helper()
		var o struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &o); err != nil || o.Token == "" {
			t.Fatalf("no token: %s (%v)", body, err)
		}
		return o.Token
	}
	with := func(change func(*localissuer.Token)) string {
		t.Helper()
		return mint(t, issuer, func(token *localissuer.Token) {
			token.Extra = map[string]any{"jti": a.secret(fmt.Sprint("jti ", presented)), "private": a.secret(fmt.Sprint("private claim ", presented))}
			if change != nil {
				change(token)
			}
		})
	}

	// What succeeds.
	token := tokenOf(assert(with(nil)))
	tokenOf(assert(with(nil), "client_id", m.clientID))
	tokenOf(ask("client_secret", secret))
	tokenOf(send("POST", "/"+s.TenantID+"/oauth2/token", fields("scope", "-", "resource", s.Authority, "client_secret", secret), "Content-Type", form))
	tokenOf(send("POST", endpoint, fields("client_id", "-"), "Content-Type", form, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(w.clientID+":"+secret))))

	// Assertions that are refused.
	past, future, unknown, elsewhere := time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "unknown", "https://elsewhere.example.test/"
	for _, change := range []func(*localissuer.Token){
		func(token *localissuer.Token) { token.ServiceAccount = "other" },
		func(token *localissuer.Token) { token.ServiceAccount = "Workload-Identity-SA" },
		func(token *localissuer.Token) { token.Audiences = []string{"https://kubernetes.default.svc"} },
		func(token *localissuer.Token) { token.Issuer = &elsewhere },
		func(token *localissuer.Token) { token.Expiry = &past },
		func(token *localissuer.Token) { token.NotBefore = &future },
		func(token *localissuer.Token) { token.BadSignature = true },
		func(token *localissuer.Token) { token.Header = map[string]any{"alg": "HS256"} },
		func(token *localissuer.Token) { token.Header = map[string]any{"crit": []string{"x"}} },
		func(token *localissuer.Token) { token.Issuer, token.Subject = &w.clientID, &w.clientID },
		func(token *localissuer.Token) { token.Extra["exp"] = a.secret("exp that is no number") },
		func(token *localissuer.Token) { token.KeyID = &unknown },
		func(token *localissuer.Token) { token.KeyID = &unknown },
	} {
		assert(with(change))
	}
	assert(token)
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := strings.Split(with(nil), ".")
	for _, broken := range []string{
		a.secret("no JWT"),
		a.secret("part of five") + ".b.c.d.e",
		good[0] + "." + good[1] + ".",
		good[0] + "." + part(`{"iss":"`+a.secret("claims that end early")) + "." + good[2],
		good[0] + "." + part(`{"a":1,"a":"`+a.secret("claim twice")+`"}`) + "." + good[2],
		part(`{"alg":"RS256","x":"`+a.secret("header that ends early")) + "." + good[1] + "." + good[2],
		good[0] + "." + good[1] + "." + a.secret("signature that is no base64") + "!!",
		good[0] + "." + strings.Repeat(a.secret("token of 40 KB"), 1200) + "." + good[2],
	} {
		assert(broken)
	}

	// Secrets that are refused, and requests that cannot be read.
	ask("client_secret", a.secret("wrong secret"))
	ask("client_secret", secret, "client_id", m.clientID)
	ask("client_secret", secret, "client_id", s.TenantID)
	ask("client_secret", a.secret("secret of nobody"), "client_id", s.TenantID)
	ask("client_secret", secret, "scope", "nonsense")
	ask("client_secret", a.secret("secret of another grant"), "grant_type", "password", "password", a.secret("password"))
	ask("client_secret", secret, "client_assertion", a.secret("second proof"), "client_assertion_type", jwtBearer)
	ask("client_secret", a.secret("secret with NUL")+"\x00")
	ask("client_secret", secret, "claims", `{"access_token":"`+a.secret("claims request"))
	for _, body := range []string{
		fields("client_secret", a.secret("first of two secrets")) + "&client_secret=" + a.secret("second of two secrets"),
		fields() + "&client_secret=" + a.secret("secret with a bad escape") + "%zz",
		fields() + "&client_secret=" + a.secret("secret with a semicolon") + ";a=b",
		"{\"client_secret\":\"" + a.secret("secret in JSON") + "\"}",
		strings.Repeat(a.secret("secret without a name")+"&", 2),
		fields() + "&client_secret=" + strings.Repeat(a.secret("secret of 100 KB"), 3000),
	} {
		send("POST", endpoint, body, "Content-Type", form)
		send("POST", endpoint, body, "Content-Type", "application/json")
		send("POST", endpoint, body, "Content-Type", form, "Content-Encoding", "gzip")
		send("PUT", endpoint, body, "Content-Type", form)
	}
	query := url.Values{"client_secret": {a.secret("secret in the query")}, "access_token": {token}}.Encode()
	send("POST", endpoint+"?"+query, fields(), "Content-Type", form)
	for _, header := range []string{
		"Basic " + base64.StdEncoding.EncodeToString([]byte(w.clientID+":"+a.secret("wrong secret in a header"))),
		"Basic " + base64.StdEncoding.EncodeToString([]byte(w.clientID+":"+a.secret("secret with a bad escape in a header")+"%zz")),
		"Basic " + base64.StdEncoding.EncodeToString([]byte(a.secret("header without a colon"))),
		"Basic " + a.secret("header that is no base64") + "!",
		"Bearer " + a.secret("bearer that is no token"),
		"Negotiate " + a.secret("another scheme"),
		"Bearer " + token[:len(token)-10],
		"Bearer " + a.keepToken("foreign bearer", with(nil), ""),
		"Bearer " + token,
	} {
		send("POST", endpoint, fields("client_id", "-"), "Content-Type", form, "Authorization", header)
		for _, path := range []string{
			"/v1.0/applications", "/v1.0/nonsense", "/v1.0/applications/" + s.TenantID, "/v1.0/applications?" + query, "/v1.0/applications?$top=1&$filter=displayName+eq+'" + a.secret("filter") + "'",
			"/subscriptions", "/subscriptions?api-version=2022-12-01", "/subscriptions/x?api-version=1&" + query, "/tenants?api-version=2022-12-01&" + query,
			"/providers/Entente.Federation/signIns?api-version=2026-11-01", "/", "/" + s.TenantID + "/v2.0/.well-known/openid-configuration?" + query,
		} {
			send("GET", path, "", "Authorization", header)
		}
	}

	// Bodies with secrets that nobody should send.
	adminToken := "Bearer " + tokenOf(ask("client_id", s.ClientID, "client_secret", s.ClientSecret))
	foreignKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	d := base64.RawURLEncoding.EncodeToString(foreignKey.D.Bytes())
	a.keep("private key of an issuer", d, "")
	n := base64.RawURLEncoding.EncodeToString(foreignKey.N.Bytes())
	object := "/v1.0/applications/" + app.ID
	for _, c := range []struct{ method, path, body string }{
		{"POST", object + "/addPassword", `{"passwordCredential":{"secretText":"` + a.secret("chosen secret") + `"}}`},
		{"POST", object + "/addPassword", `{"passwordCredential":{"endDateTime":"` + a.secret("time that is none") + `"}}`},
		{"POST", "/v1.0/applications/" + s.TenantID + "/addPassword", `{"passwordCredential":{"displayName":"` + a.secret("secret for nothing that is there") + `"}}`},
		{"PATCH", object, `{"passwordCredentials":[{"secretText":"` + a.secret("secret in an update") + `"}]}`},
		{"PATCH", object, `{"passwordCredentials":[{"secretText":"` + a.secret("secret in a body that ends early")},
		{"POST", object + "/removePassword", `{"keyId":"` + a.secret("secret instead of its id") + `"}`},
		{"PUT", "/providers/Entente.Federation/issuers/mine?api-version=2026-11-01", `{"properties":{"issuer":"https://mine.example.test/","keySource":"KeySet","keySet":{"keys":[{"kty":"RSA","kid":"a","n":"` + n + `","e":"AQAB","d":"` + d + `"}]}}}`},
		{"PUT", "/providers/Entente.Federation/issuers/mine?api-version=2026-11-01", `{"properties":{"issuer":"https://mine.example.test/","caCertificate":` + fmt.Sprintf("%q", caKey) + `}}`},
		{"PUT", "/providers/Entente.Federation/issuers/mine?api-version=2026-11-01", `{"properties":{"issuer":"https://mine.example.test/","keySet":"` + a.secret("key set that ends early")},
	} {
		send(c.method, c.path, c.body, "Content-Type", "application/json", "Authorization", adminToken)
	}
	// What HTTP itself cannot read.
	address := strings.TrimPrefix(s.Authority, "https://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, dial := range []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("tcp", "127.0.0.1:"+port) },
		func() (net.Conn, error) {
			return tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: "localhost", RootCAs: s.HTTP.Transport.(*aviary).next.(*http.Transport).TLSClientConfig.RootCAs})
		},
	} {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nno header\r\n\r\n", "POST %s HTTP/9.9\r\n\r\n", "%s\r\n\r\n"} {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(c, request, a.secret("raw request"))
			data, _ := io.ReadAll(c) // an answer, or the end
			a.search("an answer to a raw request", string(data))
			c.Close()
		}
	}

	// What is kept of it all, as it can be read.
	// Sign-ins are written behind the answer.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		signIns, err := admin.Records(ctx, client.SignIns, 0)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d sign-ins (%v)", len(signIns), err)
		}
		if len(signIns) > presented {
			break
		}
	}
	events, err := admin.Records(ctx, client.AuditEvents, 0)
	if err != nil || len(events) == 0 {
		t.Errorf("%d audit events (%v)", len(events), err)
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz"} {
		answer, err := http.Get(s.Health + path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes (%v)", path, len(data), err)
		}
		a.search(path, string(data))
	}
	for _, status := range []int{200, 201, 400, 401, 403, 404, 405, 413, 503} {
		if a.statuses[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, a.statuses)
		}
	}
	a.searchFiles("while it runs", s.Dir)
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, os.DirFS(s.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	a.openSealed(filepath.Join(copied, "entente.db"), kek)
	a.searchFiles("in a copy, with a backup", copied)
	a.searchFiles("after it", s.Dir)
	log := s.Log()
	if strings.Count(log, "\n") < len(a.answers) {
		t.Errorf("%d answers, and a log of %d lines", len(a.answers), strings.Count(log, "\n"))
	}
	a.search("the log", log)
	for name, text := range a.answers {
		a.search(name, text)
	}
}

// privateOf is the secret number of an EC key in a PEM file.
func privateOf(t *testing.T, file []byte) []byte {
	t.Helper()
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			continue
		}
		d, err := key.(*ecdsa.PrivateKey).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Fatal("no private key in the file")
	return nil
}

// searchFiles looks into every file of a data directory but the two that are
// secret as a whole.
func (a *aviary) searchFiles(when, dir string) {
	a.t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "admin.json" || entry.Name() == "ca-key.pem" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), "entente.db") {
			seen++
		}
		a.search(entry.Name()+" "+when, string(data))
		for _, marker := range []string{"PRIVATE KEY", `"d":"`, `"p":"`, `"q":"`, `"dp":"`, `"qi":"`} {
			if bytes.Contains(data, []byte(marker)) {
				a.t.Errorf("%s, %s, holds %s", entry.Name(), when, marker)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		a.t.Errorf("%s: %d files of the database (%v)", when, seen, err)
	}
}

// openSealed makes a backup of a database beside it, as its operator would, and
// keeps as canaries what the signing keys in it are made of.
func (a *aviary) openSealed(path string, kek []byte) {
	a.t.Helper()
	sealer, err := keys.NewSealer(kek)
	if err != nil {
		a.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`VACUUM INTO ?`, path+".backup"); err != nil {
		a.t.Fatal(err)
	}
	rows, err := db.Query(`SELECT kid, tenant_id, sealed FROM signing_keys`)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	opened := 0
	for rows.Next() {
		var kid, tenant, text string
		if err := rows.Scan(&kid, &tenant, &text); err != nil {
			a.t.Fatal(err)
		}
		sealed, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			a.t.Fatal(err)
		}
		der, err := sealer.Decrypt(sealed, []byte(tenant+"/"+kid))
		if err != nil {
			a.t.Fatalf("the key %s of %s does not open: %v", kid, tenant, err)
		}
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			a.t.Fatal(err)
		}
		private := key.(*rsa.PrivateKey)
		for name, number := range map[string][]byte{"d": private.D.Bytes(), "p": private.Primes[0].Bytes(), "q": private.Primes[1].Bytes(), "PKCS #8": der} {
			a.keep(fmt.Sprintf("%s of the signing key %s", name, kid), string(number), "")
		}
		opened++
	}
	if err := rows.Err(); err != nil || opened < 2 {
		a.t.Errorf("%d signing keys (%v)", opened, err)
	}
}
