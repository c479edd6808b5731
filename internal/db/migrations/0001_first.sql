-- Times are milliseconds since 1970 in UTC, booleans 0 or 1, lists and maps JSON text.
-- *_key columns are folded for look-up, *_sort columns are hex so that every collation orders them by bytes.

CREATE TABLE tenants (
	id TEXT PRIMARY KEY,
	display_name TEXT NOT NULL,
	domain_key TEXT NOT NULL UNIQUE,
	is_default BIGINT NOT NULL,
	max_credentials BIGINT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);

CREATE TABLE subscriptions (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	display_name TEXT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenants_default ON tenants (is_default) WHERE is_default = 1;
CREATE INDEX subscriptions_tenant ON subscriptions (tenant_id);

CREATE TABLE resource_groups (
	subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
	name_key TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	name TEXT NOT NULL,
	location TEXT NOT NULL,
	tags TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (subscription_id, name_key)
);

CREATE TABLE applications (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	app_id TEXT NOT NULL UNIQUE,
	display_name TEXT NOT NULL,
	name_sort TEXT NOT NULL,
	unique_name TEXT,
	description TEXT NOT NULL,
	notes TEXT NOT NULL,
	sign_in_audience TEXT NOT NULL,
	token_version BIGINT NOT NULL,
	app_roles TEXT NOT NULL,
	tags TEXT NOT NULL,
	extra TEXT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE INDEX applications_name ON applications (tenant_id, name_sort, id);
CREATE UNIQUE INDEX applications_unique_name ON applications (tenant_id, unique_name);

CREATE TABLE application_uris (
	tenant_id TEXT NOT NULL,
	uri TEXT NOT NULL,
	application_id TEXT NOT NULL REFERENCES applications (id),
	position BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, uri)
);
CREATE INDEX application_uris_application ON application_uris (application_id, position);

CREATE TABLE application_secrets (
	id TEXT PRIMARY KEY,
	application_id TEXT NOT NULL REFERENCES applications (id),
	display_name TEXT NOT NULL,
	hint TEXT NOT NULL,
	hash TEXT NOT NULL,
	start_at BIGINT NOT NULL,
	end_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX application_secrets_application ON application_secrets (application_id, created_at, id);

CREATE TABLE managed_identities (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	client_id TEXT NOT NULL UNIQUE,
	subscription_id TEXT NOT NULL,
	group_key TEXT NOT NULL,
	group_name TEXT NOT NULL,
	name_key TEXT NOT NULL,
	name TEXT NOT NULL,
	location TEXT NOT NULL,
	tags TEXT NOT NULL,
	isolation_scope TEXT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX managed_identities_name ON managed_identities (subscription_id, group_key, name_key);

-- A service principal of an application has its application's id as parent, one of a managed identity the identity's, one of a resource of Azure's own none.
CREATE TABLE service_principals (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	app_id TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	display_name TEXT NOT NULL,
	name_sort TEXT NOT NULL,
	enabled BIGINT NOT NULL,
	assignment_required BIGINT NOT NULL,
	app_roles TEXT NOT NULL,
	tags TEXT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX service_principals_app ON service_principals (tenant_id, app_id, deleted_at);
CREATE INDEX service_principals_name ON service_principals (tenant_id, name_sort, id);
CREATE INDEX service_principals_parent ON service_principals (parent_id);

CREATE TABLE owners (
	object_id TEXT NOT NULL,
	principal_id TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (object_id, principal_id)
);
CREATE INDEX owners_principal ON owners (principal_id);

CREATE TABLE credentials (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	parent_id TEXT NOT NULL,
	name_key TEXT NOT NULL,
	name TEXT NOT NULL,
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	audience TEXT NOT NULL,
	description TEXT,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX credentials_name ON credentials (parent_id, name_key);
CREATE UNIQUE INDEX credentials_pair ON credentials (parent_id, issuer, subject);
CREATE INDEX credentials_issuer ON credentials (tenant_id, issuer);

CREATE TABLE issuers (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	name_key TEXT NOT NULL,
	name TEXT NOT NULL,
	url TEXT NOT NULL,
	key_source TEXT NOT NULL,
	jwks_uri TEXT NOT NULL,
	key_set TEXT NOT NULL,
	algorithms TEXT NOT NULL,
	ca_pem TEXT NOT NULL,
	many_audiences BIGINT NOT NULL,
	implicit BIGINT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX issuers_url ON issuers (tenant_id, url);
CREATE UNIQUE INDEX issuers_name ON issuers (tenant_id, name_key);

CREATE TABLE app_role_assignments (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	principal_id TEXT NOT NULL,
	resource_id TEXT NOT NULL,
	app_role_id TEXT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX app_role_assignments_grant ON app_role_assignments (principal_id, resource_id, app_role_id);
CREATE INDEX app_role_assignments_resource ON app_role_assignments (resource_id);

CREATE TABLE role_assignments (
	tenant_id TEXT NOT NULL,
	scope_key TEXT NOT NULL,
	name TEXT NOT NULL,
	scope TEXT NOT NULL,
	definition_id TEXT NOT NULL,
	principal_id TEXT NOT NULL,
	principal_type TEXT NOT NULL,
	description TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, scope_key, name)
);
CREATE UNIQUE INDEX role_assignments_grant ON role_assignments (tenant_id, scope_key, definition_id, principal_id);
CREATE INDEX role_assignments_principal ON role_assignments (principal_id);

CREATE TABLE audit_events (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	actor_kind TEXT NOT NULL,
	actor_id TEXT NOT NULL,
	actor_app_id TEXT NOT NULL,
	actor_name TEXT NOT NULL,
	action TEXT NOT NULL,
	target_kind TEXT NOT NULL,
	target_id TEXT NOT NULL,
	target_name TEXT NOT NULL,
	detail TEXT NOT NULL,
	address TEXT NOT NULL,
	request_id TEXT NOT NULL
);
CREATE INDEX audit_events_at ON audit_events (tenant_id, at, id);

CREATE TABLE issuer_keys (
	tenant_id TEXT NOT NULL,
	issuer_id TEXT NOT NULL,
	revision BIGINT NOT NULL,
	jwks TEXT NOT NULL,
	jwks_uri TEXT NOT NULL,
	fetched_at BIGINT NOT NULL,
	fresh_until BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, issuer_id)
);

CREATE TABLE signing_keys (
	kid TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	alg TEXT NOT NULL,
	public_jwk TEXT NOT NULL,
	sealed TEXT NOT NULL,
	sealer TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	activate_at BIGINT NOT NULL,
	retire_at BIGINT NOT NULL
);
CREATE INDEX signing_keys_tenant ON signing_keys (tenant_id, activate_at);

CREATE TABLE sign_ins (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	client_id TEXT NOT NULL,
	principal_id TEXT NOT NULL,
	client_name TEXT NOT NULL,
	client_kind TEXT NOT NULL,
	credential_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	audience TEXT NOT NULL,
	resource TEXT NOT NULL,
	method TEXT NOT NULL,
	code BIGINT NOT NULL,
	reason TEXT NOT NULL,
	address TEXT NOT NULL,
	request_id TEXT NOT NULL,
	token_id TEXT NOT NULL
);
CREATE INDEX sign_ins_at ON sign_ins (tenant_id, at, id);
CREATE INDEX sign_ins_credential ON sign_ins (credential_id, at);
