-- extra holds the members of a service principal that only the wire reads, as those of applications do.
ALTER TABLE service_principals ADD COLUMN extra TEXT NOT NULL DEFAULT '{}';
