-- One-time links to the portal, and who is signed in there. digest is the SHA-256 of what opens it, in lower-case hex.
CREATE TABLE portal_links (
	id TEXT PRIMARY KEY,
	digest TEXT NOT NULL,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	principal_id TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX portal_links_digest ON portal_links (digest);
CREATE INDEX portal_links_principal ON portal_links (principal_id);
CREATE INDEX portal_links_expiry ON portal_links (expires_at);

-- principal_id is empty for a person of another provider, whose name and roles (JSON) stand here.
CREATE TABLE portal_sessions (
	id TEXT PRIMARY KEY,
	digest TEXT NOT NULL,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	principal_id TEXT NOT NULL,
	person TEXT NOT NULL,
	provider TEXT NOT NULL,
	roles TEXT NOT NULL,
	address TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX portal_sessions_digest ON portal_sessions (digest);
CREATE INDEX portal_sessions_tenant ON portal_sessions (tenant_id, created_at, id);
CREATE INDEX portal_sessions_principal ON portal_sessions (principal_id);
CREATE INDEX portal_sessions_expiry ON portal_sessions (expires_at);
CREATE INDEX portal_sessions_seen ON portal_sessions (seen_at);
