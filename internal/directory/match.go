package directory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
)

// Client is the service principal that asks for a token.
type Client struct {
	ClientID    string
	PrincipalID string
	Kind        credential.ParentKind
	DisplayName string
	Enabled     bool
	// ResourceID is the ARM id of a managed identity, empty for applications.
	ResourceID string

	parentID string
}

// Match is what the directory knows about a presented assertion.
type Match struct {
	Tenant     Tenant // zero: no such tenant
	Client     Client // zero: no such client in it
	Orphan     bool   // the client id is an application's that has no service principal
	Credential Credential
	Issuer     Issuer          // as it stands in this moment
	Miss       credential.Miss // what did not match; empty when Credential does
}

// matchText reads all that judging an assertion takes, in one row per tenant
// (so at most one): the cost of an exchange does not grow with the number of
// credentials, and a change counts on the next request.
const matchText = `SELECT t.id, t.display_name, t.domain_key, t.is_default, t.max_credentials, t.registered_issuers_only, t.created_at, coalesce(a.id, ''),
		coalesce(p.id, ''), coalesce(p.app_id, ''), coalesce(p.kind, ''), coalesce(p.display_name, ''), coalesce(p.enabled, 0), coalesce(p.parent_id, ''),
		coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, ''),
		coalesce(c.id, ''), coalesce(c.name, ''), coalesce(c.audience, ''),
		coalesce(i.id, ''), coalesce(i.tenant_id, ''), coalesce(i.name, ''), coalesce(i.url, ''), coalesce(i.key_source, ''), coalesce(i.jwks_uri, ''), coalesce(i.key_set, ''),
		coalesce(i.algorithms, ''), coalesce(i.ca_pem, ''), coalesce(i.many_audiences, 0), coalesce(i.implicit, 0), coalesce(i.revision, 0), coalesce(i.created_at, 0), coalesce(i.updated_at, 0)
	FROM tenants t
	LEFT JOIN applications a ON a.app_id = $2 AND a.tenant_id = t.id AND a.deleted_at = 0
	LEFT JOIN service_principals p ON p.tenant_id = t.id AND p.app_id = $2 AND p.deleted_at = 0
	LEFT JOIN managed_identities m ON m.id = p.parent_id
	LEFT JOIN credentials c ON c.parent_id = p.parent_id AND c.issuer = $3 AND c.subject = $4
	LEFT JOIN issuers i ON i.tenant_id = c.tenant_id AND i.url = c.issuer
	WHERE t.id = $1 OR t.domain_key = $1`

// match reads the tenant, the client and, for an assertion, its credential and issuer.
func (d *Directory) match(ctx context.Context, tenant, clientID, issuer, subject string) (Match, error) {
	if !storable(tenant) {
		return Match{}, nil
	}
	if !storable(clientID) {
		clientID = ""
	}
	if !storable(issuer, subject) {
		issuer, subject = "", "" // what no credential has
	}
	var m Match
	var isDefault, registeredOnly, createdAt, enabled int64
	var application, audience string
	var ref IdentityRef
	var f issuerFields
	err := d.DB.Read().QueryRowContext(ctx, matchText, fold(tenant), fold(clientID), issuer, subject).Scan(append([]any{
		&m.Tenant.ID, &m.Tenant.DisplayName, &m.Tenant.Domain, &isDefault, &m.Tenant.MaxCredentials, &registeredOnly, &createdAt, &application,
		&m.Client.PrincipalID, &m.Client.ClientID, &m.Client.Kind, &m.Client.DisplayName, &enabled, &m.Client.parentID,
		&ref.SubscriptionID, &ref.Group, &ref.Name,
		&m.Credential.ID, &m.Credential.Name, &audience}, f.dest()...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Match{}, nil
	}
	if err != nil {
		return Match{}, err
	}
	m.Tenant.Default, m.Tenant.RegisteredIssuersOnly, m.Tenant.CreatedAt, m.Client.Enabled = isDefault != 0, registeredOnly != 0, fromMillis(createdAt), enabled != 0
	m.Orphan = application != "" && m.Client.PrincipalID == ""
	if ref.Name != "" {
		m.Client.ResourceID = ref.ResourceID()
	}
	if m.Credential.ID == "" {
		return m, nil
	}
	m.Credential.Issuer, m.Credential.Subject, m.Credential.Audiences = issuer, subject, []string{audience}
	m.Issuer, err = f.issuer()
	return m, err
}

// MatchClient finds a tenant and a client of it, for which nothing is presented.
func (d *Directory) MatchClient(ctx context.Context, tenant, clientID string) (Match, error) {
	return d.match(ctx, tenant, clientID, "", "")
}

// MatchCredential finds the credential of a client that trusts an assertion,
// by exact issuer, subject and audience. It reads the database as it is now,
// and nothing else: no issuer is asked before a credential matched.
func (d *Directory) MatchCredential(ctx context.Context, tenant, clientID string, a credential.Assertion) (Match, error) {
	m, err := d.match(ctx, tenant, clientID, a.Issuer, a.Subject)
	if err != nil || m.Client.PrincipalID == "" {
		return m, err
	}
	c := m.Credential
	if c.ID == "" {
		m.Miss, err = d.missed(ctx, m.Client.parentID, a)
		return m, err
	}
	if m.Issuer.ID == "" { // every write of a credential sees to it
		return m, fmt.Errorf("match credential %q: its issuer %q is not there", c.ID, c.Issuer)
	}
	_, m.Miss = credential.Match([]credential.Trust{c.Trust()}, a, m.Issuer.ManyAudiences)
	return m, nil
}

// Trust is what of a credential is matched.
func (c Credential) Trust() credential.Trust {
	return credential.Trust{ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience()}
}

// nearMisses is how many of a parent's credentials are looked at to say what was wrong; a match costs the same however many there are.
const nearMisses = 100

// sameLengthText has its limit in the text, because SQLite parses a statement anew each time when that is a parameter.
var sameLengthText = fmt.Sprintf(`SELECT subject FROM (SELECT subject FROM credentials WHERE parent_id = $1 AND issuer = $2 ORDER BY subject LIMIT %d) AS first WHERE length(subject) = $3`, nearMisses)

// missed says what of an assertion no credential of a parent has. Strangers can
// have it asked as often as they like, so no more comes out of the database
// than can be another case of the subject.
func (d *Directory) missed(ctx context.Context, parentID string, a credential.Assertion) (credential.Miss, error) {
	if !storable(a.Issuer) {
		a.Issuer = ""
	}
	sameLength, err := query(ctx, d.DB.Read(), func(r row) (t credential.Trust, err error) {
		t.Issuer = a.Issuer
		err = r.Scan(&t.Subject)
		return t, err
	}, sameLengthText, parentID, a.Issuer, utf8.RuneCountInString(a.Subject))
	if err != nil {
		return "", err
	}
	if len(sameLength) > 0 {
		_, miss := credential.Match(sameLength, a, false)
		return miss, nil
	}
	far, err := count(ctx, d.DB.Read(), `SELECT CASE WHEN EXISTS (SELECT 1 FROM credentials WHERE parent_id = $1 AND issuer = $2) THEN 0 WHEN EXISTS (SELECT 1 FROM credentials WHERE parent_id = $1) THEN 1 ELSE 2 END`, parentID, a.Issuer)
	return [...]credential.Miss{credential.SubjectMiss, credential.IssuerMiss, credential.NoCredential}[far], err
}

// Nearest finds, for a match that missed, the credential that comes closest to
// the assertion; zero when there is none. It is for explaining, and costs more
// than matching.
func (d *Directory) Nearest(ctx context.Context, m Match, a credential.Assertion) (credential.Trust, error) {
	if m.Credential.ID != "" {
		return m.Credential.Trust(), nil
	}
	subject, issuer := a.Subject, a.Issuer
	if !storable(subject) {
		subject = "" // what no credential has
	}
	if !storable(issuer) {
		issuer = ""
	}
	trusts, err := query(ctx, d.DB.Read(), func(r row) (credential.Trust, error) {
		var t credential.Trust
		err := r.Scan(&t.ID, &t.Issuer, &t.Subject, &t.Audience)
		return t, err
	}, `SELECT id, issuer, subject, audience FROM credentials WHERE parent_id = $1 ORDER BY CASE WHEN subject = $2 THEN 0 WHEN issuer = $3 THEN 1 ELSE 2 END, issuer, subject LIMIT $4`,
		m.Client.parentID, subject, issuer, nearMisses)
	if err != nil || len(trusts) == 0 {
		return credential.Trust{}, err
	}
	nearest, _ := credential.Nearest(trusts, a)
	return nearest, nil
}

// SecretResult says how a client secret was judged.
type SecretResult string

// The judgements.
const (
	SecretOK      SecretResult = "ok"
	SecretWrong   SecretResult = "wrong"
	SecretExpired SecretResult = "expired"
)

// MatchSecret judges a client secret, of the application or of its service
// principal. An unknown client costs the same
// statements as a wrong secret, and the same comparison as that of a client
// with one secret.
func (d *Directory) MatchSecret(ctx context.Context, tenant, clientID, text string) (Match, SecretResult, error) {
	m, err := d.match(ctx, tenant, clientID, "", "")
	if err != nil {
		return m, SecretWrong, err
	}
	secrets, err := secretsOf(ctx, d.DB.Read(), []string{m.Client.parentID, m.Client.PrincipalID})
	if err != nil {
		return m, SecretWrong, err
	}
	return m, judge(slices.Concat(secrets[m.Client.parentID], secrets[m.Client.PrincipalID]), text, d.now(), subtle.ConstantTimeCompare), nil
}

// nobodys is the one secret of a client that has none. No text has its hash,
// and no time is within it.
var nobodys = []Secret{{hash: strings.Repeat("-", hex.EncodedLen(sha256.Size))}}

// judge compares a text with each of a client's secrets, or with nobody's. same
// is subtle.ConstantTimeCompare.
func judge(secrets []Secret, text string, now time.Time, same func(x, y []byte) int) SecretResult {
	if len(secrets) == 0 {
		secrets = nobodys
	}
	hash := []byte(hashSecret(text))
	found, valid := 0, 0
	for _, s := range secrets {
		equal := same([]byte(s.hash), hash)
		found |= equal
		if !now.Before(s.Start) && now.Before(s.End) {
			valid |= equal
		}
	}
	switch {
	case valid == 1:
		return SecretOK
	case found == 1:
		return SecretExpired
	}
	return SecretWrong
}

// CertificateResult says how the certificate that an assertion names was judged.
type CertificateResult string

// The judgements.
const (
	CertificateOK      CertificateResult = "ok"
	CertificateUnknown CertificateResult = "unknown"
	CertificateExpired CertificateResult = "expired" // or not valid yet
)

// matchCertificateText has one row at most, and none when no thumbprint is
// given. The same certificate may be there twice, of the application and of its
// service principal: one that counts comes first.
const matchCertificateText = `SELECT ` + certificateColumns + `, certificate FROM certificates
	WHERE holder_id IN ($1, $2) AND (sha1 = $3 OR $3 = '') AND (sha256 = $4 OR $4 = '') AND $3 <> $4
	ORDER BY CASE WHEN start_at <= $5 AND $5 < end_at THEN 0 ELSE 1 END, id LIMIT 1`

// MatchCertificate finds a client, as MatchSecret does, and the certificate of
// its application or service principal that thumbprints name: SHA-1, SHA-256
// or both, in lower-case hexadecimal. An unknown client costs the same statements.
func (d *Directory) MatchCertificate(ctx context.Context, tenant, clientID, sha1, sha256 string) (Match, Certificate, CertificateResult, error) {
	m, err := d.match(ctx, tenant, clientID, "", "")
	if err != nil {
		return m, Certificate{}, CertificateUnknown, err
	}
	now := d.now()
	found, err := query(ctx, d.DB.Read(), func(r row) (Certificate, error) {
		_, c, err := scanCertificate(r)
		return c, err
	}, matchCertificateText, m.Client.parentID, m.Client.PrincipalID, sha1, sha256, millis(now))
	switch {
	case err != nil || len(found) == 0:
		return m, Certificate{}, CertificateUnknown, err
	case !found[0].within(now):
		return m, found[0], CertificateExpired, nil
	}
	return m, found[0], CertificateOK, nil
}

// CertificatesOf lists all that a client could prove itself with, without
// their DER. It is for explaining.
func (d *Directory) CertificatesOf(ctx context.Context, m Match) ([]Certificate, error) {
	if m.Client.PrincipalID == "" {
		return nil, nil
	}
	of, err := certificatesOf(ctx, d.DB.Read(), []string{m.Client.parentID, m.Client.PrincipalID}, false)
	return slices.Concat(of[m.Client.parentID], of[m.Client.PrincipalID]), err
}

// Resource is an application as the audience of a token.
type Resource struct {
	AppID              string
	PrincipalID        string
	DisplayName        string
	Enabled            bool // its service principal is; nobody should get tokens for one that is not
	TokenVersion       int  // 1 or 2
	AssignmentRequired bool // only assigned clients get tokens
	Assigned           bool // the client holds at least one of its app roles
	Roles              []string
}

// LookupResource finds the application that has name as an identifier URI or
// client id (or api:// and its client id), with the roles that a client holds
// on it.
func (d *Directory) LookupResource(ctx context.Context, tenantID, principalID, name string) (Resource, error) {
	clientID := fold(name)
	if rest, ok := strings.CutPrefix(clientID, "api://"); ok && IsID(rest) {
		clientID = rest
	}
	var found *Resource
	var defined []AppRole
	granted, err := query(ctx, d.DB.Read(), func(row row) (string, error) {
		var r Resource
		var enabled, required int64
		var appRoles, role string
		if err := row.Scan(&r.AppID, &r.PrincipalID, &r.DisplayName, &enabled, &r.TokenVersion, &required, &appRoles, &role); err != nil {
			return "", err
		}
		if found != nil { // the same resource again, with one more role, or one whose URI is the other's client id
			if r.PrincipalID != found.PrincipalID {
				role = ""
			}
			return role, nil
		}
		r.Enabled, r.TokenVersion, r.AssignmentRequired = enabled != 0, max(r.TokenVersion, 1), required != 0
		found = &r
		return role, fromJSON(appRoles, &defined)
	}, `SELECT p.app_id, p.id, p.display_name, p.enabled, coalesce(a.token_version, 0), p.assignment_required, coalesce(a.app_roles, p.app_roles), coalesce(g.app_role_id, '')
		FROM service_principals p LEFT JOIN applications a ON a.id = p.parent_id LEFT JOIN app_role_assignments g ON g.resource_id = p.id AND g.principal_id = $4
		WHERE p.id IN (SELECT id FROM service_principals WHERE tenant_id = $1 AND app_id = $2 AND deleted_at = 0 AND kind = 'application'
			UNION SELECT s.id FROM application_uris u JOIN service_principals s ON s.parent_id = u.application_id WHERE u.tenant_id = $1 AND u.uri = $3 AND s.deleted_at = 0)
		ORDER BY CASE WHEN p.app_id = $2 THEN 0 ELSE 1 END, p.id, g.app_role_id`, tenantID, clientID, name, principalID)
	if err != nil {
		return Resource{}, err
	}
	if found == nil {
		return Resource{}, notFound(PrincipalObject, name)
	}
	for _, role := range defined {
		if role.Enabled && role.Value != "" && slices.Contains(granted, role.ID) {
			found.Roles = append(found.Roles, role.Value)
		}
	}
	found.Assigned = slices.ContainsFunc(granted, func(id string) bool { return id != "" })
	return *found, nil
}

// CallerOf checks that a token's principal is still there and enabled, and
// returns it as a caller.
func (d *Directory) CallerOf(ctx context.Context, tenantID, principalID string) (Caller, error) {
	gone := &Error{Kind: Unauthenticated, Object: PrincipalObject, ID: principalID}
	c := Caller{Kind: PrincipalCaller, TenantID: tenantID, PrincipalID: principalID}
	enabled, err := one(ctx, d.DB.Read(), gone, func(r row) (int, error) {
		var enabled int
		err := r.Scan(&c.AppID, &enabled)
		return enabled, err
	}, `SELECT app_id, enabled FROM service_principals WHERE id = $1 AND tenant_id = $2 AND deleted_at = 0`, principalID, tenantID)
	if err != nil {
		return Caller{}, err
	}
	if enabled == 0 {
		return Caller{}, gone
	}
	return c, nil
}
