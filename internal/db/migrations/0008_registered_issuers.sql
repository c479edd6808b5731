-- 1: new credentials of the tenant name only issuers that somebody registered.
ALTER TABLE tenants ADD COLUMN registered_issuers_only BIGINT NOT NULL DEFAULT 0;
