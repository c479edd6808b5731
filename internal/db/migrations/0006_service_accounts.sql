-- The service accounts of a cluster, as its agent has reported them last. client_id is that of the annotation, or empty.
CREATE TABLE service_accounts (
	cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	client_id TEXT NOT NULL,
	PRIMARY KEY (cluster_id, namespace, name)
);
-- When that was; 0: never.
ALTER TABLE clusters ADD COLUMN reported_at BIGINT NOT NULL DEFAULT 0;
