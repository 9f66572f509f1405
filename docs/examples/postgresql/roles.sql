-- The roles of bulla's database. Run it in that database as a superuser, after `bulla store migrate` made or changed the tables:
--
--     psql --dbname=keys --file=roles.sql
--
-- It may be run again at any time. The role that ran `bulla store migrate` owns the tables; do not give it to a service.

\set ON_ERROR_STOP on
BEGIN;

-- The service. It can neither change nor delete a record of the audit, nor delete a key of the ledger, nor change a table. So
-- `bulla keys imports remove`, which takes a set of imported keys out of the ledger, is for the role that owns the tables.
-- Its password: `\password bulla`.
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bulla') THEN CREATE ROLE bulla LOGIN; END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bulla_reader') THEN CREATE ROLE bulla_reader LOGIN; END IF;
END $$;
REVOKE ALL ON ALL TABLES IN SCHEMA bulla FROM bulla, bulla_reader;
REVOKE ALL ON SCHEMA bulla FROM PUBLIC;
GRANT USAGE ON SCHEMA bulla TO bulla, bulla_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA bulla TO bulla;
GRANT INSERT ON bulla.audit, bulla.keyring_burned, bulla.imported_sets TO bulla;
GRANT INSERT, UPDATE ON bulla.api_keys, bulla.seal_counts, bulla.keyring_memory, bulla.imported_keys TO bulla;
GRANT INSERT, DELETE ON bulla.revocations, bulla.idempotency TO bulla;
GRANT INSERT, UPDATE, DELETE ON bulla.secret_hashes, bulla.escrow, bulla.followers TO bulla;
GRANT UPDATE (changes) ON bulla.imported_sets TO bulla;
GRANT UPDATE ON bulla.store TO bulla;

-- People and reports. They read the ledger, the revocations and the audit; not the hashes of secret halves or of imported keys,
-- and not what is in escrow. They write nothing.
GRANT SELECT ON bulla.api_keys, bulla.revocations, bulla.audit, bulla.seal_counts, bulla.keyring_memory, bulla.keyring_burned,
    bulla.schema_steps, bulla.followers TO bulla_reader;
ALTER ROLE bulla_reader SET default_transaction_read_only = on;

COMMIT;
