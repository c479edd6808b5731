-- The credentials that trust an issuer, in the order of their list.
DROP INDEX credentials_issuer;
CREATE INDEX credentials_issuer ON credentials (tenant_id, issuer, subject, id);
