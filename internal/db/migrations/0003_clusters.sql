-- A Kubernetes cluster. Its issuer is an URL of issuers, or none; hosted is 1 when this service publishes its keys.
CREATE TABLE clusters (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL REFERENCES tenants (id),
	subscription_id TEXT NOT NULL,
	group_key TEXT NOT NULL,
	group_name TEXT NOT NULL,
	name_key TEXT NOT NULL,
	name TEXT NOT NULL,
	location TEXT NOT NULL,
	tags TEXT NOT NULL,
	issuer_url TEXT NOT NULL,
	hosted BIGINT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX clusters_name ON clusters (subscription_id, group_key, name_key);
CREATE INDEX clusters_issuer ON clusters (tenant_id, issuer_url);
