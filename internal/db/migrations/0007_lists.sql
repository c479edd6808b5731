-- Lists: in each order of theirs, of what is there, and of all that a tenant has.
DROP INDEX applications_name;
CREATE INDEX applications_name ON applications (tenant_id, deleted_at, name_sort, id);
CREATE INDEX applications_created ON applications (tenant_id, deleted_at, created_at, id, name_sort);
DROP INDEX service_principals_name;
CREATE INDEX service_principals_name ON service_principals (tenant_id, deleted_at, name_sort, id);
CREATE INDEX service_principals_created ON service_principals (tenant_id, deleted_at, created_at, id, name_sort);
CREATE INDEX resource_groups_tenant ON resource_groups (tenant_id, name_key, subscription_id);
CREATE INDEX managed_identities_tenant ON managed_identities (tenant_id, name_key, group_key, subscription_id);
CREATE INDEX clusters_tenant ON clusters (tenant_id, name_key, group_key, subscription_id);
CREATE INDEX sign_ins_client ON sign_ins (tenant_id, client_id, at, id, code);
CREATE INDEX sign_ins_refused ON sign_ins (tenant_id, at, id, code) WHERE code <> 0;
DROP INDEX sign_ins_credential;
CREATE INDEX sign_ins_credential ON sign_ins (tenant_id, credential_id, at, id, code);
