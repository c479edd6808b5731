package directory

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
)

// Issuer is an OpenID Connect issuer that credentials of a tenant may name,
// with where its keys come from. One URL is one issuer of a tenant, so that
// two clusters that claim the same URL cannot speak for each other.
type Issuer struct {
	ID        string
	TenantID  string
	Name      string
	URL       string // exactly as in the iss claim
	KeySource KeySource
	JWKSURI   string          // of JWKSURIKeys
	KeySet    json.RawMessage // of UploadedKeys: a JSON Web Key Set (RFC 7517 §5), as it was uploaded
	// Algorithms are the accepted signature algorithms (RFC 7518 §3.1); empty means RS256.
	Algorithms []string
	CAPEM      string // certificates to trust, besides the system's, when fetching
	// ManyAudiences accepts assertions with several audiences, of which one matches.
	ManyAudiences bool
	// Implicit issuers were made because a credential named their URL, and nobody has set anything.
	Implicit             bool
	Revision             int64 // grows with every change
	CreatedAt, UpdatedAt time.Time
}

// KeySource says where an issuer's keys come from.
type KeySource string

// The sources of keys.
const (
	DiscoveredKeys KeySource = "Discovery" // {issuer}/.well-known/openid-configuration
	JWKSURIKeys    KeySource = "JwksUri"   // a given address
	UploadedKeys   KeySource = "KeySet"    // kept here; nothing is ever fetched
)

// issuerAlgorithms are those that an issuer may be allowed.
var issuerAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"}

const (
	maxKeySet = 512 << 10
	maxCA     = 64 << 10
)

const issuerColumns = `id, tenant_id, name, url, key_source, jwks_uri, key_set, algorithms, ca_pem, many_audiences, implicit, revision, created_at, updated_at`

// issuerFields are the destinations of issuerColumns.
type issuerFields struct {
	i                    Issuer
	keySet, algorithms   string
	many, implicit       int64
	createdAt, updatedAt int64
}

func (f *issuerFields) dest() []any {
	return []any{&f.i.ID, &f.i.TenantID, &f.i.Name, &f.i.URL, &f.i.KeySource, &f.i.JWKSURI, &f.keySet, &f.algorithms, &f.i.CAPEM, &f.many, &f.implicit, &f.i.Revision, &f.createdAt, &f.updatedAt}
}

func (f *issuerFields) issuer() (Issuer, error) {
	i := f.i
	i.ManyAudiences, i.Implicit, i.CreatedAt, i.UpdatedAt = f.many != 0, f.implicit != 0, fromMillis(f.createdAt), fromMillis(f.updatedAt)
	if f.keySet != "" {
		i.KeySet = json.RawMessage(f.keySet)
	}
	if f.algorithms == "" || f.algorithms == "[]" {
		return i, nil
	}
	return i, fromJSON(f.algorithms, &i.Algorithms)
}

func scanIssuer(r row) (Issuer, error) {
	var f issuerFields
	if err := r.Scan(f.dest()...); err != nil {
		return Issuer{}, err
	}
	return f.issuer()
}

// issuersScope is the scope of all issuers. A right on one of them does not
// reach URLs that it does not hold yet.
const issuersScope = "/providers/Entente.Federation/issuers"

func issuerScope(name string) string { return issuersScope + "/" + name }

// Issuers lists those of the caller's tenant, by name. A search is in the name and the URL.
func (d *Directory) Issuers(ctx context.Context, c Caller, page Page) (Paged[Issuer], error) {
	if err := d.permitRead(ctx, c, federation("issuers/read", issuersScope)); err != nil {
		return Paged[Issuer]{}, err
	}
	w := where{}
	w.add(`tenant_id = ?`, c.TenantID)
	w.named(d.DB, page.Search, `name_key`, []string{`url`}, `id`)
	all := w
	w.past(page, `name_key`)
	items, err := query(ctx, d.DB.Read(), scanIssuer, `SELECT `+issuerColumns+` FROM issuers WHERE `+w.text()+` ORDER BY `+page.order(`name_key`)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Issuer]{}, err
	}
	found := paged(items, page, func(i Issuer) string { return fold(i.Name) })
	return found, total(ctx, d.DB.Read(), &found, page, "issuers", all)
}

// Issuer reads one by its name.
func (d *Directory) Issuer(ctx context.Context, c Caller, name string) (Issuer, error) {
	if err := d.permitRead(ctx, c, federation("issuers/read", issuerScope(name))); err != nil {
		return Issuer{}, err
	}
	return one(ctx, d.DB.Read(), notFound(IssuerObject, name), scanIssuer, `SELECT `+issuerColumns+` FROM issuers WHERE tenant_id = $1 AND name_key = $2`, c.TenantID, fold(name))
}

// lockIssuer finds an issuer by its name_key or url and locks its row, which orders the writes on it.
func (a *act) lockIssuer(column, value string) (Issuer, error) {
	return one(a, a.tx, notFound(IssuerObject, value), scanIssuer, `UPDATE issuers SET name = name WHERE tenant_id = $1 AND `+column+` = $2 RETURNING `+issuerColumns, a.c.TenantID, value)
}

// PutIssuer makes an issuer or replaces what was set for the one of that name.
// Whoever may do this can mint every subject of the issuer, so it is a right
// of its own. One that exists only because a credential named its URL is
// adopted; an URL that another issuer holds is refused.
func (d *Directory) PutIssuer(ctx context.Context, c Caller, i Issuer) (put Issuer, created bool, err error) {
	if i.KeySource == "" {
		i.KeySource = DiscoveredKeys
	}
	if err := i.validate(); err != nil {
		return Issuer{}, false, err
	}
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: IssuerObject}
		t.issuer(i)
		if err := a.permit(federation("issuers/write", issuerScope(i.Name)), t); err != nil {
			return err
		}
		old, err := a.lockIssuer("name_key", fold(i.Name))
		if created = isNotFound(err); created {
			old, err = a.adoptIssuer(i)
		}
		if err != nil {
			return err
		}
		if old.URL != i.URL {
			return &Error{Kind: Immutable, Object: IssuerObject, ID: old.Name, Field: "issuer", Detail: old.URL}
		}
		if err := a.checkClusters(old, i.KeySource); err != nil {
			return err
		}
		put = i
		put.ID, put.TenantID, put.Implicit, put.CreatedAt, put.UpdatedAt = old.ID, c.TenantID, false, old.CreatedAt, a.at
		put.Revision, t.id = old.Revision+1, old.ID
		return a.updateIssuer(old, put)
	})
	if err != nil {
		return Issuer{}, false, err
	}
	return put, created, nil
}

// checkClusters refuses a source of keys that the clusters of an issuer cannot
// have: one that the service hosts is not fetched from itself, and uploaded
// keys are one cluster's.
func (a *act) checkClusters(i Issuer, s KeySource) error {
	host, err := a.hostedBy(i.URL)
	switch {
	case err != nil || s == i.KeySource:
		return err
	case host != "":
		return &Error{Kind: Immutable, Object: IssuerObject, ID: i.Name, Field: "keySource", Detail: string(i.KeySource)}
	case s != UploadedKeys:
		return nil
	}
	having, err := a.clustersWith(i.URL, "")
	if err == nil && len(having) > 1 {
		err = &Error{Kind: InUse, Object: IssuerObject, ID: i.Name, Field: "keySource", Detail: "the clusters " + strings.Join(having, " and ") + " have it, and uploaded keys are one cluster's"}
	}
	return err
}

// adoptIssuer locks the implicit issuer of i's URL, for which it is to be set,
// and makes it first when there is none.
func (a *act) adoptIssuer(i Issuer) (Issuer, error) {
	if err := a.rights.authorise(a, a.tx, federation("issuers/write", issuersScope)); err != nil {
		return Issuer{}, err
	}
	if err := a.issuerFor(IssuerObject, "issuer", a.c.TenantID, i.URL); err != nil {
		return Issuer{}, err
	}
	old, err := a.lockIssuer("url", i.URL)
	if err == nil && !old.Implicit {
		err = &Error{Kind: Exists, Object: IssuerObject, ID: i.Name, Field: "issuer", Detail: "the issuer " + old.Name + " has this URL"}
	}
	return old, err
}

// ensureAttempts is how often an issuer may be removed under the hands of whoever needs it.
const ensureAttempts = 10

// implicitPrefix begins the names of implicit issuers; nobody else's.
const implicitPrefix = "auto-"

func implicitName(url string) string {
	sum := sha256.Sum256([]byte(url))
	return implicitPrefix + base64.RawURLEncoding.EncodeToString(sum[:15])
}

// ensureIssuer makes the object of an issuer that a credential names, with
// discovery, if it is not there, and locks it if it is: it cannot go away
// before the credential is there.
func (a *act) ensureIssuer(tenantID, url string) error {
	return a.issuerFor(CredentialObject, "issuer", tenantID, url)
}

// makeIssuer is ensureIssuer for any URL.
//
// The conflict names no index: with the one on URLs alone, two that make the
// same issuer at once meet on PostgreSQL at the one on names.
func (a *act) makeIssuer(tenantID, url string) error {
	for range ensureAttempts {
		made, err := exec(a, a.tx, `INSERT INTO issuers (id, tenant_id, name_key, name, url, key_source, jwks_uri, key_set, algorithms, ca_pem, many_audiences, implicit, revision, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, '', '', '[]', '', 0, 1, 1, $7, $7) ON CONFLICT DO NOTHING`,
			newID(), tenantID, fold(implicitName(url)), implicitName(url), url, string(DiscoveredKeys), millis(a.at))
		if err != nil || made > 0 {
			return err
		}
		locked, err := exec(a, a.tx, `UPDATE issuers SET name = name WHERE tenant_id = $1 AND url = $2`, tenantID, url)
		if err != nil || locked > 0 {
			return err
		} // else it went away between the two
	}
	return fmt.Errorf("the issuer %q comes and goes", url)
}

// updateIssuer stores what a locked issuer becomes. What was assigned on a name
// that it leaves goes: the next issuer of that name is another one.
func (a *act) updateIssuer(was, i Issuer) error {
	if fold(was.Name) != fold(i.Name) {
		if err := a.removeAssignmentsAt(issuerScope(was.Name)); err != nil {
			return err
		}
	}
	algorithms, err := toJSON(notNil(i.Algorithms))
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE issuers SET name_key = $1, name = $2, key_source = $3, jwks_uri = $4, key_set = $5, algorithms = $6, ca_pem = $7, many_audiences = $8, implicit = 0, revision = $9, updated_at = $10 WHERE id = $11`,
		fold(i.Name), i.Name, string(i.KeySource), i.JWKSURI, string(i.KeySet), algorithms, i.CAPEM, bit(i.ManyAudiences), i.Revision, millis(i.UpdatedAt), i.ID)
	if db.IsUnique(err) {
		return exists(IssuerObject, i.Name, "name")
	}
	return err
}

// RemoveIssuer removes what was set for an issuer, and what was assigned on it:
// the next issuer of the name is another one. Credentials that name its URL
// stay; the URL falls back to an implicit issuer with discovery, or to nothing
// when no credential and no cluster names it. A hosted issuer is removed with
// its cluster.
func (d *Directory) RemoveIssuer(ctx context.Context, c Caller, name string) error {
	return d.removeIssuer(ctx, c, name, false)
}

func (d *Directory) removeIssuer(ctx context.Context, c Caller, name string, implicitOnly bool) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: IssuerObject}
		if err := a.permit(federation("issuers/delete", issuerScope(name)), t); err != nil {
			return err
		}
		i, err := a.lockIssuer("name_key", fold(name))
		if err != nil {
			return err
		}
		if host, err := a.hostedBy(i.URL); err != nil {
			return err
		} else if host != "" {
			return &Error{Kind: InUse, Object: IssuerObject, ID: i.Name, Detail: "it is the hosted issuer of the cluster " + host + ", with which it goes"}
		}
		named, err := count(a, a.tx, `SELECT count(*) FROM (SELECT id FROM credentials WHERE tenant_id = $1 AND issuer = $2 UNION ALL SELECT id FROM clusters WHERE tenant_id = $1 AND issuer_url = $2 LIMIT 1) n`, c.TenantID, i.URL)
		if err != nil {
			return err
		}
		if implicitOnly && (!i.Implicit || named > 0) {
			return notFound(IssuerObject, name)
		}
		t.id, t.name = i.ID, i.Name
		t.note("issuer", i.URL)
		if err := a.removeAssignmentsAt(issuerScope(i.Name)); err != nil {
			return err
		}
		if err := a.removeAll(i.ID, `DELETE FROM issuer_keys WHERE issuer_id = $1`, `DELETE FROM issuers WHERE id = $1`); err != nil || named == 0 {
			return err
		}
		return a.ensureIssuer(c.TenantID, i.URL)
	})
}

func (i Issuer) validate() error {
	const o = IssuerObject
	if !issuerName.MatchString(i.Name) {
		return invalid(o, "name", "%q: 3 to 120 letters, digits, - and _, the first a letter or digit", i.Name)
	}
	if err := credential.ValidateIssuer(i.URL); err != nil {
		return &Error{Kind: Invalid, Object: o, ID: i.Name, Field: "issuer", Err: err}
	}
	if name := fold(i.Name); strings.HasPrefix(name, implicitPrefix) && name != fold(implicitName(i.URL)) {
		return invalid(o, "name", "%q: names that begin with %s are those of issuers that credentials name", i.Name, implicitPrefix)
	}
	for _, alg := range i.Algorithms {
		if !slices.Contains(issuerAlgorithms, alg) {
			return invalid(o, "algorithms", "%q is none of %q", alg, issuerAlgorithms)
		}
	}
	if (i.KeySource == JWKSURIKeys) != (i.JWKSURI != "") {
		return invalid(o, "jwksUri", "belongs to the key source %s, and only to it", JWKSURIKeys)
	}
	if (i.KeySource == UploadedKeys) != (len(i.KeySet) > 0) {
		return invalid(o, "keySet", "belongs to the key source %s, and only to it", UploadedKeys)
	}
	switch i.KeySource {
	case DiscoveredKeys, UploadedKeys:
	case JWKSURIKeys:
		if err := checkText(o, "jwksUri", i.JWKSURI, maxText); err != nil {
			return err
		}
		if u, err := url.Parse(i.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return invalid(o, "jwksUri", "%q is not an https URL", i.JWKSURI)
		}
	default:
		return invalid(o, "keySource", "%q is none of %s, %s and %s", i.KeySource, DiscoveredKeys, JWKSURIKeys, UploadedKeys)
	}
	if err := checkKeySet(i.KeySet); err != nil {
		return err
	}
	return checkCA(i.CAPEM)
}

// privateMembers are the members of a JSON Web Key that hold private or
// symmetric key material (RFC 7518 §6.2.2, §6.3.2, §6.4).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// checkKeySet refuses what is no key set, and key sets with secrets in them,
// which whoever may read an issuer would see. Whether a key can be used is
// judged key by key when a token comes.
func checkKeySet(data []byte) error {
	const o, field = IssuerObject, "keySet"
	if len(data) == 0 {
		return nil
	}
	if len(data) > maxKeySet || !utf8.Valid(data) {
		return invalid(o, field, "is larger than %d bytes, or not UTF-8", maxKeySet)
	}
	// Maps, because names are compared exactly in them. That no name stands
	// twice is the wire's to check, as in every body.
	var set map[string]json.RawMessage
	if err := json.Unmarshal(data, &set); err != nil {
		return &Error{Kind: Invalid, Object: o, Field: field, Err: err}
	}
	var keys []map[string]json.RawMessage
	if err := json.Unmarshal(set["keys"], &keys); err != nil || len(keys) == 0 {
		return invalid(o, field, "holds no keys")
	}
	for n, key := range keys {
		for _, member := range privateMembers {
			if _, ok := key[member]; ok {
				return invalid(o, field, "key %d holds the private member %q", n+1, member)
			}
		}
	}
	return nil
}

func checkCA(text string) error {
	if text == "" {
		return nil
	}
	if err := checkText(IssuerObject, "caCertificate", text, maxCA); err != nil {
		return err
	}
	n := 0
	for rest := []byte(text); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return invalid(IssuerObject, "caCertificate", "PEM block %d is not a certificate", n+1)
		}
	}
	if n == 0 {
		return invalid(IssuerObject, "caCertificate", "holds no PEM certificate")
	}
	return nil
}
