-- Client secrets and certificates belong to an application or to a service principal.
CREATE TABLE secrets (
	id TEXT PRIMARY KEY,
	holder_id TEXT NOT NULL,
	display_name TEXT NOT NULL,
	hint TEXT NOT NULL,
	hash TEXT NOT NULL,
	start_at BIGINT NOT NULL,
	end_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX secrets_holder ON secrets (holder_id, created_at, id);
INSERT INTO secrets (id, holder_id, display_name, hint, hash, start_at, end_at, created_at)
	SELECT id, application_id, display_name, hint, hash, start_at, end_at, created_at FROM application_secrets;
DROP TABLE application_secrets;

-- certificate is DER in base64, sha1 and sha256 are its thumbprints in lower-case hex, identifier is hex as its writer gave it.
-- Writers choose the id, so that it says nothing about other holders.
CREATE TABLE certificates (
	holder_id TEXT NOT NULL,
	id TEXT NOT NULL,
	display_name TEXT NOT NULL,
	identifier TEXT NOT NULL,
	certificate TEXT NOT NULL,
	sha1 TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	start_at BIGINT NOT NULL,
	end_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (holder_id, id)
);

-- Assertions by certificate count once: digest is what may not come again before expires_at.
CREATE TABLE used_assertions (
	client_id TEXT NOT NULL,
	digest TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (client_id, digest)
);
CREATE INDEX used_assertions_expiry ON used_assertions (expires_at);
