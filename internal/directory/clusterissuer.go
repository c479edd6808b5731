package directory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
)

// ClusterIssuer is the issuer of a cluster's service-account tokens.
type ClusterIssuer struct {
	URL  string
	Keys ClusterKeys // as they are found now
	Name string      // of the issuer object; empty: the URL has none yet
	// KeyIDs are the ids of uploaded keys, in their order; a key may have none. Lists leave them out.
	KeyIDs []string
	KeysAt time.Time // when uploaded keys were set
}

// ClusterKeys says where the keys of a cluster's issuer are found.
type ClusterKeys string

// Where keys are found. The last one is never chosen for a cluster: somebody
// has set the issuer of its URL so.
const (
	ClusterDiscovery ClusterKeys = "Discovery" // at the issuer's URL
	ClusterKeySet    ClusterKeys = "KeySet"    // uploaded; the URL is the cluster's own
	HostedKeys       ClusterKeys = "Hosted"    // uploaded, and published here, below a URL of this service
	clusterJWKSURI   ClusterKeys = "JwksUri"
)

func (k ClusterKeys) uploaded() bool { return k == ClusterKeySet || k == HostedKeys }

func clusterKeys(hosted bool, s KeySource) ClusterKeys {
	switch {
	case hosted:
		return HostedKeys
	case s == UploadedKeys:
		return ClusterKeySet
	case s == JWKSURIKeys:
		return clusterJWKSURI
	}
	return ClusterDiscovery
}

// ClusterIssuerSpec chooses an issuer. With neither URL nor Keys it keeps the one that is there.
type ClusterIssuerSpec struct {
	URL    string          // of ClusterDiscovery and ClusterKeySet; that of HostedKeys is made here
	Keys   ClusterKeys     // empty: the one that is there, or ClusterDiscovery
	KeySet json.RawMessage // of ClusterKeySet and HostedKeys; empty: keys come later
}

func (s *ClusterIssuerSpec) validate() error {
	const o = ClusterObject
	if s == nil {
		return nil
	}
	switch s.Keys {
	case "", ClusterDiscovery:
		if len(s.KeySet) > 0 {
			return invalid(o, "keySet", "belongs to the key sources %s and %s, and only to them", ClusterKeySet, HostedKeys)
		}
	case ClusterKeySet, HostedKeys, clusterJWKSURI:
	default:
		return invalid(o, "keySource", "%q is none of %s, %s and %s", s.Keys, ClusterDiscovery, ClusterKeySet, HostedKeys)
	}
	if s.URL != "" {
		if err := credential.ValidateIssuer(s.URL); err != nil {
			return &Error{Kind: Invalid, Object: o, Field: "issuerURL", Err: err}
		}
	}
	return checkKeySet(s.KeySet)
}

// emptyKeySet is what an issuer has whose keys nobody has set yet.
const emptyKeySet = `{"keys":[]}`

// chooseIssuer gives a cluster the issuer that was asked for. A hosted issuer,
// and one with uploaded keys, belongs to one cluster, so that no other cluster
// speaks for it. One that is read by discovery may be several clusters': the
// keys are what its URL publishes, whoever registers it, and if it could not be
// registered twice, whoever may write in any group could keep a URL from
// everybody else's.
func (a *act) chooseIssuer(c *Cluster, s *ClusterIssuerSpec) error {
	had := c.Issuer
	switch {
	case had == nil && s == nil:
		return nil
	case had == nil:
		return a.newIssuer(c, *s)
	case s == nil:
		return fixed(c, "oidcIssuerProfile", had.URL)
	case s.URL != "" && s.URL != had.URL:
		return fixed(c, "issuerURL", had.URL)
	case s.Keys == ClusterKeySet && (had.Keys == ClusterDiscovery || had.Keys == ClusterKeySet && len(s.KeySet) > 0):
		return a.keyedIssuer(c, had.URL, s.KeySet)
	case s.Keys != "" && s.Keys != had.Keys:
		return fixed(c, "keySource", string(had.Keys))
	case len(s.KeySet) > 0: // of a hosted one
		return a.keyedIssuer(c, had.URL, s.KeySet)
	}
	return nil
}

func fixed(c *Cluster, field, is string) *Error {
	return &Error{Kind: Immutable, Object: ClusterObject, ID: c.Name, Group: c.Group, Field: field, Detail: is}
}

// newIssuer gives a cluster its first issuer.
func (a *act) newIssuer(c *Cluster, s ClusterIssuerSpec) error {
	const o = ClusterObject
	switch {
	case s.Keys == HostedKeys && s.URL != "":
		return invalid(o, "issuerURL", "of a hosted issuer is made by the service")
	case s.Keys == HostedKeys && a.d.IssuerURL == "":
		return invalid(o, "keySource", "this service hosts no issuers")
	case s.Keys == HostedKeys:
		c.Issuer = &ClusterIssuer{Keys: HostedKeys}
		return a.keyedIssuer(c, a.d.hostedPrefix(c.TenantID)+c.ID+"/", s.KeySet)
	case s.Keys == clusterJWKSURI:
		return invalid(o, "keySource", "%q is none of %s, %s and %s", s.Keys, ClusterDiscovery, ClusterKeySet, HostedKeys)
	case s.URL == "" && s.Keys == "":
		return invalid(o, "oidcIssuerProfile", "names neither an issuerURL nor a keySource")
	case s.URL == "":
		return invalid(o, "issuerURL", "is required")
	case s.Keys == ClusterKeySet:
		return a.keyedIssuer(c, s.URL, s.KeySet)
	}
	if err := a.issuerFor(o, "issuerURL", c.TenantID, s.URL); err != nil {
		return err
	}
	i, err := a.lockIssuer("url", s.URL)
	if err != nil {
		return err
	}
	if i.KeySource == UploadedKeys {
		return &Error{Kind: Exists, Object: o, ID: c.Name, Field: "issuerURL", Detail: "the keys of this issuer are uploaded: whoever may set them registers its cluster"}
	}
	c.Issuer = &ClusterIssuer{URL: s.URL, Keys: clusterKeys(false, i.KeySource), Name: i.Name}
	return nil
}

// keyedIssuer gives a cluster an issuer of uploaded keys, or new keys to the one that it has.
func (a *act) keyedIssuer(c *Cluster, url string, set json.RawMessage) error {
	hosted := c.Issuer != nil && c.Issuer.Keys == HostedKeys
	var err error
	if hosted && c.Issuer.URL == "" {
		err = a.makeIssuer(c.TenantID, url)
	} else {
		err = a.issuerFor(ClusterObject, "issuerURL", c.TenantID, url)
	}
	if err != nil {
		return err
	}
	i, err := a.lockIssuer("url", url) // which orders all that use the URL
	if err != nil {
		return err
	}
	t, err := a.permitKeys(i, c)
	if err != nil {
		return err
	}
	if err := a.alone(c, i); err != nil {
		return err
	}
	was := i
	changed := i.Implicit || len(set) > 0 && string(set) != string(i.KeySet)
	switch {
	case i.Implicit:
		if i.Name, err = a.issuerNameFor(c); err != nil {
			return err
		}
		i.KeySource, i.KeySet, i.Implicit = UploadedKeys, json.RawMessage(emptyKeySet), false
	case i.KeySource != UploadedKeys:
		return &Error{Kind: Exists, Object: ClusterObject, ID: c.Name, Field: "issuerURL", Detail: fmt.Sprintf("the issuer %s has this URL and finds its keys by %s", i.Name, i.KeySource)}
	}
	if len(set) > 0 {
		i.setKeys(set)
	}
	if changed {
		i.Revision, i.UpdatedAt = i.Revision+1, a.at
		if err := a.updateIssuer(was, i); err != nil {
			return err
		}
	}
	t.issuer(i)
	c.Issuer = &ClusterIssuer{URL: url, Keys: clusterKeys(hosted, UploadedKeys), Name: i.Name, KeyIDs: keyIDs(i.KeySet), KeysAt: i.UpdatedAt}
	return nil
}

// alone refuses uploaded keys for the issuer of another cluster.
func (a *act) alone(c *Cluster, i Issuer) error {
	others, err := a.clustersWith(i.URL, c.ID)
	if err != nil || len(others) == 0 {
		return err
	}
	return &Error{Kind: Exists, Object: ClusterObject, ID: c.Name, Field: "issuerURL", Detail: "the cluster " + others[0] + " has this issuer, and with uploaded keys only one can have it"}
}

// clustersWith names some of the clusters, but one, that have a locked issuer.
func (a *act) clustersWith(url, butID string) ([]string, error) {
	return query(a, a.tx, scanString, `SELECT group_name || '/' || name FROM clusters WHERE tenant_id = $1 AND issuer_url = $2 AND id <> $3 ORDER BY group_key, name_key LIMIT 3`, a.c.TenantID, url, butID)
}

// permitKeys permits setting the keys of a locked issuer, which is recorded as
// what it is: whoever does it can mint every subject of the issuer.
func (a *act) permitKeys(i Issuer, c *Cluster) (*target, error) {
	n := federation("issuers/write", issuersScope)
	if own := issuerScope(i.Name); !i.Implicit && a.rights.can(n.action, own) {
		n.scope = own
	}
	t := &target{object: IssuerObject, id: i.ID, name: i.Name, detail: map[string]string{"cluster": c.ResourceID()}}
	return t, a.permit(n, t)
}

// issuer notes what an issuer became.
func (t *target) issuer(i Issuer) {
	t.id, t.name = i.ID, i.Name
	t.note("issuer", i.URL)
	t.note("keySource", string(i.KeySource))
	t.note("jwksUri", i.JWKSURI)
	if len(i.KeySet) > 0 {
		sum := sha256.Sum256(i.KeySet)
		t.note("keySetSha256", base64.RawURLEncoding.EncodeToString(sum[:]))
	}
}

// issuerNameFor is a name for the issuer object of a cluster: the cluster's, if it is free and fits.
func (a *act) issuerNameFor(c *Cluster) (string, error) {
	base := c.Name
	if !issuerName.MatchString(base) || strings.HasPrefix(fold(base), implicitPrefix) {
		base = "cluster-" + base
	}
	for _, name := range []string{base, base + "-" + c.ID[:8]} {
		taken, err := count(a, a.tx, `SELECT count(*) FROM issuers WHERE tenant_id = $1 AND name_key = $2`, c.TenantID, fold(name))
		if err != nil || taken == 0 {
			return name, err
		}
	}
	return base + "-" + c.ID, nil
}

// isTaken says that the name of an issuer was taken at the same moment.
func isTaken(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Exists && e.Object == IssuerObject && e.Field == "name"
}

// errUnchanged ends a write that changes nothing, and leaves no event.
var errUnchanged = errors.New("nothing changes")

// SetClusterKeys replaces the uploaded keys of a cluster's issuer. The next
// exchange, and the next reader of a hosted issuer, has the new ones. The keys
// that are there change nothing. Whoever may do this can mint every subject of
// the cluster, so it needs the right to set the issuer; of the cluster itself
// only that it may be read.
func (d *Directory) SetClusterKeys(ctx context.Context, c Caller, ref ClusterRef, set json.RawMessage) (put Cluster, err error) {
	if len(set) == 0 {
		return Cluster{}, invalid(IssuerObject, "keySet", "is required")
	}
	if err := checkKeySet(set); err != nil {
		return Cluster{}, err
	}
	err = d.change(ctx, c, func(a *act) error {
		if _, err := a.rights.inGroup(a, a.tx, ref.SubscriptionID, ref.Group, onCluster("read", ref)); err != nil {
			return err
		}
		if put, err = a.lockCluster(ref); err != nil {
			return err
		}
		i := Issuer{Implicit: true}
		if put.Issuer != nil {
			if i, err = a.lockIssuer("url", put.Issuer.URL); err != nil && !isNotFound(err) {
				return err
			}
		}
		t, err := a.permitKeys(i, &put)
		switch {
		case err != nil:
			return err
		case put.Issuer == nil:
			return fixed(&put, "oidcIssuerProfile", "none")
		case !put.Issuer.Keys.uploaded():
			return fixed(&put, "keySource", string(put.Issuer.Keys))
		case string(i.KeySet) == string(set):
			return errUnchanged
		}
		was := i
		i.setKeys(set)
		i.Revision, i.UpdatedAt = i.Revision+1, a.at
		put.Issuer.KeyIDs, put.Issuer.KeysAt = keyIDs(set), a.at
		t.issuer(i)
		return a.updateIssuer(was, i)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return Cluster{}, err
	}
	return put, nil
}

// key is what the directory reads of a JSON Web Key.
type key struct{ kid, alg, kty, crv string }

func keysOf(set json.RawMessage) []key {
	var parsed struct {
		Keys []map[string]json.RawMessage `json:"keys"` // maps, because names are compared exactly in them
	}
	_ = json.Unmarshal(set, &parsed) // what was stored was checked
	keys := make([]key, len(parsed.Keys))
	for n, members := range parsed.Keys {
		for name, to := range map[string]*string{"kid": &keys[n].kid, "alg": &keys[n].alg, "kty": &keys[n].kty, "crv": &keys[n].crv} {
			_ = json.Unmarshal(members[name], to)
		}
	}
	return keys
}

func keyIDs(set json.RawMessage) []string {
	ids := []string{}
	for _, k := range keysOf(set) {
		ids = append(ids, k.kid)
	}
	return ids
}

// algorithm is what a key signs with: its own word, or what its type is for in
// Kubernetes (RFC 7518 §3.1, RFC 8037 §3.1).
func (k key) algorithm() string {
	if k.alg != "" {
		return k.alg
	}
	return map[string]string{"RSA": "RS256", "EC P-256": "ES256", "EC P-384": "ES384", "OKP Ed25519": "EdDSA"}[strings.TrimSpace(k.kty+" "+k.crv)]
}

// setKeys sets uploaded keys, and accepts the algorithms that they are for and no other.
func (i *Issuer) setKeys(set json.RawMessage) {
	i.KeySet, i.Algorithms = set, nil
	for _, k := range keysOf(set) {
		if alg := k.algorithm(); slices.Contains(issuerAlgorithms, alg) && !slices.Contains(i.Algorithms, alg) {
			i.Algorithms = append(i.Algorithms, alg)
		}
	}
}

// hostedPath stands between the service's URL and the ids in a hosted issuer's URL.
const hostedPath = "/oic/"

// hostedPrefix is how the URLs of a tenant's hosted issuers begin.
func (d *Directory) hostedPrefix(tenantID string) string {
	return d.IssuerURL + hostedPath + tenantID + "/"
}

// issuerFor makes the object of an issuer if it is not there, and locks it if
// it is. A URL that only a hosted issuer of the tenant could have, and that
// none has, is refused as the given field: it is a mistake in writing one, and
// nothing would ever answer there.
func (a *act) issuerFor(o Object, field, tenantID, url string) error {
	if a.d.IssuerURL == "" || !strings.HasPrefix(fold(url)+"/", fold(a.d.hostedPrefix(tenantID))) {
		return a.makeIssuer(tenantID, url)
	}
	locked, err := exec(a, a.tx, `UPDATE issuers SET name = name WHERE tenant_id = $1 AND url = $2`, tenantID, url)
	if err != nil || locked > 0 {
		return err
	}
	return &Error{Kind: Invalid, Object: o, Field: field, Err: &credential.Violation{Field: credential.Issuer, Rule: credential.Forbidden, Value: url,
		Detail: "is below this service's own address, and no cluster has it: the issuer of a cluster ends in a slash"}}
}

// hostedBy names the cluster whose hosted issuer a URL is; empty: none.
func (a *act) hostedBy(url string) (string, error) {
	names, err := query(a, a.tx, scanString, `SELECT name FROM clusters WHERE tenant_id = $1 AND issuer_url = $2 AND hosted = 1`, a.c.TenantID, url)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// maxNamed is how many names an error holds.
const maxNamed = 10

// named is a credential in an error, with the managed identity that it is of, if it is of one.
type named struct {
	text     string
	identity IdentityRef
}

func scanNamed(r row) (n named, err error) {
	err = r.Scan(&n.text, &n.identity.SubscriptionID, &n.identity.Group, &n.identity.Name)
	return n, err
}

// names names those of the credentials that the caller could read.
func (r rights) names(list []named) string {
	var names []string
	hidden := false
	for n, c := range list {
		see := r.has(mayRead...)
		if c.identity.Name != "" {
			need := onIdentity("federatedIdentityCredentials/read", c.identity)
			see = r.can(need.action, need.scope)
		}
		switch {
		case n == maxNamed:
			names = append(names, "…")
		case see:
			names = append(names, c.text)
		default:
			hidden = true
		}
	}
	if hidden {
		names = append(names, "some that the caller may not read")
	}
	return strings.Join(names, ", ")
}

// removeHosted removes the hosted issuer of a cluster, and what was assigned
// on it, unless a credential names it.
func (a *act) removeHosted(c Cluster) error {
	i, err := a.lockIssuer("url", c.Issuer.URL)
	if err != nil {
		return err
	}
	named, err := query(a, a.tx, scanNamed, `SELECT coalesce(m.name, a.display_name, '') || '/' || c.name || CASE WHEN a.deleted_at > 0 THEN ' (of a deleted application)' ELSE '' END,
			coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, '')
		FROM credentials c LEFT JOIN applications a ON a.id = c.parent_id LEFT JOIN managed_identities m ON m.id = c.parent_id
		WHERE c.tenant_id = $1 AND c.issuer = $2 ORDER BY 1 LIMIT $3`, c.TenantID, i.URL, maxNamed+1)
	if err != nil {
		return err
	}
	if len(named) > 0 {
		return &Error{Kind: InUse, Object: ClusterObject, ID: c.Name, Group: c.Group, Field: "issuer", Detail: a.rights.names(named)}
	}
	if err := a.removeAssignmentsAt(issuerScope(i.Name)); err != nil {
		return err
	}
	return a.removeAll(i.ID, `DELETE FROM issuer_keys WHERE issuer_id = $1`, `DELETE FROM issuers WHERE id = $1`)
}

// HostedIssuer finds the issuer that this service publishes for a cluster, as
// it is now. Anybody may ask: it is how the world learns to trust the cluster.
func (d *Directory) HostedIssuer(ctx context.Context, tenantID, clusterID string) (Issuer, error) {
	return one(ctx, d.DB.Read(), notFound(IssuerObject, clusterID), scanIssuer, `SELECT `+issuerColumns+` FROM issuers
		WHERE tenant_id = $1 AND url = (SELECT issuer_url FROM clusters WHERE id = $2 AND tenant_id = $1 AND hosted = 1)`, fold(tenantID), fold(clusterID))
}
