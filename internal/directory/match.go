package directory

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"slices"
	"strings"

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
	Nearest    credential.Trust
}

const matchText = `SELECT t.id, t.display_name, t.domain_key, t.is_default, t.max_credentials, t.created_at,
		coalesce(p.id, ''), coalesce(p.app_id, ''), coalesce(p.kind, ''), coalesce(p.display_name, ''), coalesce(p.enabled, 0), coalesce(p.parent_id, ''),
		coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, ''),
		coalesce(c.id, ''), coalesce(c.name, ''), coalesce(c.audience, '')
	FROM tenants t
	LEFT JOIN service_principals p ON p.tenant_id = t.id AND p.app_id = $2 AND p.deleted_at = 0
	LEFT JOIN managed_identities m ON m.id = p.parent_id
	LEFT JOIN credentials c ON c.parent_id = p.parent_id AND c.issuer = $3 AND c.subject = $4
	WHERE t.id = $1 OR t.domain_key = $1`

// client reads the tenant, the client and, for an assertion, its credential in one statement.
func (d *Directory) client(ctx context.Context, tenant, clientID, issuer, subject string) (Match, error) {
	var m Match
	var isDefault, createdAt, enabled int64
	var ref IdentityRef
	var audience string
	err := d.DB.Read().QueryRowContext(ctx, matchText, fold(tenant), fold(clientID), issuer, subject).Scan(
		&m.Tenant.ID, &m.Tenant.DisplayName, &m.Tenant.Domain, &isDefault, &m.Tenant.MaxCredentials, &createdAt,
		&m.Client.PrincipalID, &m.Client.ClientID, &m.Client.Kind, &m.Client.DisplayName, &enabled, &m.Client.parentID,
		&ref.SubscriptionID, &ref.Group, &ref.Name,
		&m.Credential.ID, &m.Credential.Name, &audience)
	if errors.Is(err, sql.ErrNoRows) {
		return Match{}, nil
	}
	if err != nil {
		return Match{}, err
	}
	m.Tenant.Default, m.Tenant.CreatedAt, m.Client.Enabled = isDefault != 0, fromMillis(createdAt), enabled != 0
	if ref.Name != "" {
		m.Client.ResourceID = ref.ResourceID()
	}
	if m.Credential.ID != "" {
		m.Credential.Issuer, m.Credential.Subject, m.Credential.Audiences = issuer, subject, []string{audience}
	}
	if m.Client.PrincipalID == "" {
		var n int
		if err := d.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM applications WHERE tenant_id = $1 AND app_id = $2 AND deleted_at = 0`, m.Tenant.ID, fold(clientID)).Scan(&n); err != nil {
			return Match{}, err
		}
		m.Orphan, m.Client = n > 0, Client{}
	}
	return m, nil
}

// nearMisses is how many of a parent's credentials are looked at to say what was wrong; a match costs the same however many there are.
const nearMisses = 100

// MatchCredential finds the credential of a client that trusts an assertion,
// by exact issuer, subject and audience. It reads the database as it is now,
// and nothing else: no issuer is asked before a credential matched.
func (d *Directory) MatchCredential(ctx context.Context, tenant, clientID string, a credential.Assertion) (Match, error) {
	m, err := d.client(ctx, tenant, clientID, a.Issuer, a.Subject)
	if err != nil || m.Client.PrincipalID == "" {
		return m, err
	}
	if m.Credential.ID == "" {
		return m, d.explainMiss(ctx, &m, a)
	}
	if m.Issuer, err = findIssuerByURL(ctx, d.DB.Read(), m.Tenant.ID, a.Issuer); err != nil {
		return m, err
	}
	c := m.Credential
	trust := credential.Trust{ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience()}
	_, m.Miss = credential.Match([]credential.Trust{trust}, a, m.Issuer.ManyAudiences)
	if m.Miss != credential.Hit {
		m.Nearest = trust
	}
	return m, nil
}

// explainMiss says what of an assertion no credential has.
func (d *Directory) explainMiss(ctx context.Context, m *Match, a credential.Assertion) error {
	scan := func(r row) (credential.Trust, error) {
		var t credential.Trust
		return t, r.Scan(&t.ID, &t.Issuer, &t.Subject, &t.Audience)
	}
	trusts, err := query(ctx, d.DB.Read(), scan, `SELECT id, issuer, subject, audience FROM credentials WHERE parent_id = $1 AND issuer = $2 ORDER BY subject LIMIT $3`, m.Client.parentID, a.Issuer, nearMisses)
	if err != nil {
		return err
	}
	if len(trusts) == 0 {
		if trusts, err = query(ctx, d.DB.Read(), scan, `SELECT id, issuer, subject, audience FROM credentials WHERE parent_id = $1 ORDER BY issuer, subject LIMIT $2`, m.Client.parentID, nearMisses); err != nil {
			return err
		}
	}
	_, m.Miss = credential.Match(trusts, a, false)
	if len(trusts) > 0 {
		m.Nearest, _ = credential.Nearest(trusts, a)
	}
	return nil
}

// SecretResult says how a client secret was judged.
type SecretResult string

// The judgements.
const (
	SecretOK      SecretResult = "ok"
	SecretWrong   SecretResult = "wrong"
	SecretExpired SecretResult = "expired"
)

// MatchSecret judges a client secret. An unknown client costs the same work as a wrong secret.
func (d *Directory) MatchSecret(ctx context.Context, tenant, clientID, text string) (Match, SecretResult, error) {
	m, err := d.client(ctx, tenant, clientID, "", "")
	if err != nil {
		return m, SecretWrong, err
	}
	secrets, err := secretsOf(ctx, d.DB.Read(), m.Client.parentID)
	if err != nil {
		return m, SecretWrong, err
	}
	hash := hashSecret(text)
	found, valid := 0, 0
	now := d.now()
	for _, s := range secrets {
		same := subtle.ConstantTimeCompare([]byte(s.hash), []byte(hash))
		found |= same
		if !now.Before(s.Start) && now.Before(s.End) {
			valid |= same
		}
	}
	switch {
	case valid == 1:
		return m, SecretOK, nil
	case found == 1:
		return m, SecretExpired, nil
	}
	return m, SecretWrong, nil
}

// Resource is an application as the audience of a token.
type Resource struct {
	AppID              string
	PrincipalID        string
	DisplayName        string
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
	var r Resource
	var required int64
	var appRoles string
	_, err := one(d.DB.Read().QueryRowContext(ctx, `SELECT p.app_id, p.id, p.display_name, coalesce(a.token_version, 0), p.assignment_required, coalesce(a.app_roles, p.app_roles)
		FROM service_principals p LEFT JOIN applications a ON a.id = p.parent_id
		WHERE p.tenant_id = $1 AND p.deleted_at = 0 AND p.kind = 'application' AND (p.app_id = $2 OR p.parent_id IN (SELECT application_id FROM application_uris WHERE tenant_id = $1 AND uri = $3))
		ORDER BY CASE WHEN p.app_id = $2 THEN 0 ELSE 1 END LIMIT 1`, tenantID, clientID, name),
		func(row row) (Resource, error) {
			return r, row.Scan(&r.AppID, &r.PrincipalID, &r.DisplayName, &r.TokenVersion, &required, &appRoles)
		}, notFound(PrincipalObject, name))
	if err != nil {
		return Resource{}, err
	}
	r.TokenVersion, r.AssignmentRequired = max(r.TokenVersion, 1), required != 0
	granted, err := query(ctx, d.DB.Read(), scanString, `SELECT app_role_id FROM app_role_assignments WHERE principal_id = $1 AND resource_id = $2 ORDER BY app_role_id`, principalID, r.PrincipalID)
	if err != nil || len(granted) == 0 {
		return r, err
	}
	r.Assigned = true
	var defined []AppRole
	if err := fromJSON(appRoles, &defined); err != nil {
		return r, err
	}
	for _, role := range defined {
		if role.Enabled && role.Value != "" && slices.Contains(granted, role.ID) {
			r.Roles = append(r.Roles, role.Value)
		}
	}
	return r, nil
}

// CallerOf checks that a token's principal is still there and enabled, and
// returns it as a caller.
func (d *Directory) CallerOf(ctx context.Context, tenantID, principalID string) (Caller, error) {
	c := Caller{Kind: PrincipalCaller, TenantID: tenantID, PrincipalID: principalID}
	var enabled int64
	err := d.DB.Read().QueryRowContext(ctx, `SELECT app_id, enabled FROM service_principals WHERE id = $1 AND tenant_id = $2 AND deleted_at = 0`, principalID, tenantID).Scan(&c.AppID, &enabled)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Caller{}, err
	}
	if enabled == 0 {
		return Caller{}, &Error{Kind: Unauthenticated, Object: PrincipalObject, ID: principalID}
	}
	return c, nil
}
