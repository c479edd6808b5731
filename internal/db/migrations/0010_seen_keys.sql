-- Since when each of an issuer's keys has been seen: JSON of key ids and milliseconds.
ALTER TABLE issuer_keys ADD COLUMN seen TEXT NOT NULL DEFAULT '{}';
