package directory

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"regexp"
	"slices"
	"time"

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

func issuerScope(name string) string { return "/providers/Entente.Federation/issuers/" + name }

// Issuers lists those of the caller's tenant, by name.
func (d *Directory) Issuers(ctx context.Context, c Caller, page Page) (Paged[Issuer], error) {
	if _, err := d.permitRead(ctx, c, administer("Entente.Federation/issuers/read", "/")); err != nil {
		return Paged[Issuer]{}, err
	}
	items, err := query(ctx, d.DB.Read(), scanIssuer, `SELECT `+issuerColumns+` FROM issuers WHERE tenant_id = $1 AND name_key > $2 ORDER BY name_key LIMIT $3`, c.TenantID, page.After, page.limit()+1)
	return paged(items, page, func(i Issuer) string { return fold(i.Name) }), err
}

// Issuer reads one by its name.
func (d *Directory) Issuer(ctx context.Context, c Caller, name string) (Issuer, error) {
	if _, err := d.permitRead(ctx, c, administer("Entente.Federation/issuers/read", issuerScope(name))); err != nil {
		return Issuer{}, err
	}
	return findIssuer(ctx, d.DB.Read(), c.TenantID, name)
}

func findIssuer(ctx context.Context, q db.Querier, tenantID, name string) (Issuer, error) {
	return one(q.QueryRowContext(ctx, `SELECT `+issuerColumns+` FROM issuers WHERE tenant_id = $1 AND name_key = $2`, tenantID, fold(name)), scanIssuer, notFound(IssuerObject, name))
}

func findIssuerByURL(ctx context.Context, q db.Querier, tenantID, url string) (Issuer, error) {
	return one(q.QueryRowContext(ctx, `SELECT `+issuerColumns+` FROM issuers WHERE tenant_id = $1 AND url = $2`, tenantID, url), scanIssuer, notFound(IssuerObject, url))
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
		t := &target{object: IssuerObject, name: i.Name, detail: map[string]string{"issuer": i.URL, "keySource": string(i.KeySource), "jwksUri": i.JWKSURI}}
		if len(i.KeySet) > 0 {
			sum := sha256.Sum256(i.KeySet)
			t.detail["keySetSha256"] = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		if err := a.permit(administer("Entente.Federation/issuers/write", issuerScope(i.Name)), t); err != nil {
			return err
		}
		old, err := findIssuer(a, a.tx, c.TenantID, i.Name)
		if created = isNotFound(err); err != nil && !created {
			return err
		}
		same, err := findIssuerByURL(a, a.tx, c.TenantID, i.URL)
		if err != nil && !isNotFound(err) {
			return err
		}
		switch {
		case same.ID != "" && same.ID != old.ID && (!same.Implicit || !created):
			return &Error{Kind: Exists, Object: IssuerObject, ID: i.Name, Field: "issuer", Detail: "the issuer " + same.Name + " has this URL"}
		case same.ID != "" && created:
			old, created = same, false
		case !created && old.URL != i.URL:
			return &Error{Kind: Immutable, Object: IssuerObject, ID: i.Name, Field: "issuer", Detail: old.URL}
		}
		put = i
		put.TenantID, put.Implicit, put.UpdatedAt = c.TenantID, false, a.at
		put.ID, put.CreatedAt, put.Revision = old.ID, old.CreatedAt, old.Revision+1
		if created {
			put.ID, put.CreatedAt = newID(), a.at
		}
		t.id = put.ID
		if created {
			return a.insertIssuer(put)
		}
		return a.updateIssuer(put)
	})
	if err != nil {
		return Issuer{}, false, err
	}
	return put, created, nil
}

// ensureIssuer makes the object of an issuer that a credential names, with discovery, if it is not there.
func (a *act) ensureIssuer(tenantID, url string) error {
	sum := sha256.Sum256([]byte(url))
	i := Issuer{ID: newID(), TenantID: tenantID, Name: "auto-" + base64.RawURLEncoding.EncodeToString(sum[:15]), URL: url, KeySource: DiscoveredKeys, Implicit: true, Revision: 1, CreatedAt: a.at, UpdatedAt: a.at}
	return a.insertIssuer(i)
}

func (a *act) insertIssuer(i Issuer) error {
	algorithms, err := toJSON(i.Algorithms)
	if err != nil {
		return err
	}
	text := `INSERT INTO issuers (id, tenant_id, name_key, name, url, key_source, jwks_uri, key_set, algorithms, ca_pem, many_audiences, implicit, revision, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
	if i.Implicit {
		text += ` ON CONFLICT DO NOTHING`
	}
	_, err = exec(a, a.tx, text, i.ID, i.TenantID, fold(i.Name), i.Name, i.URL, string(i.KeySource), i.JWKSURI, string(i.KeySet), algorithms, i.CAPEM, bit(i.ManyAudiences), bit(i.Implicit), i.Revision, millis(i.CreatedAt), millis(i.UpdatedAt))
	if db.IsUnique(err) {
		return exists(IssuerObject, i.Name, "issuer")
	}
	return err
}

func (a *act) updateIssuer(i Issuer) error {
	algorithms, err := toJSON(i.Algorithms)
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE issuers SET name_key = $1, name = $2, key_source = $3, jwks_uri = $4, key_set = $5, algorithms = $6, ca_pem = $7, many_audiences = $8, implicit = 0, revision = revision + 1, updated_at = $9 WHERE id = $10`,
		fold(i.Name), i.Name, string(i.KeySource), i.JWKSURI, string(i.KeySet), algorithms, i.CAPEM, bit(i.ManyAudiences), millis(i.UpdatedAt), i.ID)
	if db.IsUnique(err) {
		return exists(IssuerObject, i.Name, "name")
	}
	return err
}

// RemoveIssuer removes what was set for an issuer. Credentials that name its
// URL stay; the URL falls back to an implicit issuer with discovery, or to
// nothing when no credential names it.
func (d *Directory) RemoveIssuer(ctx context.Context, c Caller, name string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: IssuerObject, name: name, detail: map[string]string{}}
		if err := a.permit(administer("Entente.Federation/issuers/delete", issuerScope(name)), t); err != nil {
			return err
		}
		i, err := findIssuer(a, a.tx, c.TenantID, name)
		if err != nil {
			return err
		}
		t.id, t.detail["issuer"] = i.ID, i.URL
		for _, text := range []string{`DELETE FROM issuer_keys WHERE issuer_id = $1`, `DELETE FROM issuers WHERE id = $1`} {
			if _, err := exec(a, a.tx, text, i.ID); err != nil {
				return err
			}
		}
		var named int
		if err := a.tx.QueryRowContext(a, `SELECT count(*) FROM credentials WHERE tenant_id = $1 AND issuer = $2`, c.TenantID, i.URL).Scan(&named); err != nil || named == 0 {
			return err
		}
		return a.ensureIssuer(c.TenantID, i.URL)
	})
}

var issuerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`)

func (i Issuer) validate() error {
	const o = IssuerObject
	if !issuerName.MatchString(i.Name) {
		return invalid(o, "name", "%q: 3 to 120 letters, digits, - and _, the first a letter or digit", i.Name)
	}
	probe := credential.Spec{Name: "issuer", Issuer: i.URL, Subject: "subject", Audiences: []string{credential.DefaultAudience}}
	if err := probe.Validate(credential.Application); err != nil {
		return &Error{Kind: Invalid, Object: o, ID: i.Name, Field: "issuer", Err: err}
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
		if u, err := url.Parse(i.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return invalid(o, "jwksUri", "%q is not an https URL", i.JWKSURI)
		}
	default:
		return invalid(o, "keySource", "%q is none of %s, %s and %s", i.KeySource, DiscoveredKeys, JWKSURIKeys, UploadedKeys)
	}
	if len(i.KeySet) > maxKeySet {
		return invalid(o, "keySet", "is larger than %d bytes", maxKeySet)
	}
	return checkCA(i.CAPEM)
}

func checkCA(text string) error {
	if text == "" {
		return nil
	}
	if len(text) > maxCA {
		return invalid(IssuerObject, "caCertificate", "is larger than %d bytes", maxCA)
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
