-- What a key is restricted to, as JSON arrays; NULL where it was issued before this was recorded.
ALTER TABLE api_keys ADD COLUMN audience TEXT;
ALTER TABLE api_keys ADD COLUMN cidr TEXT;
ALTER TABLE api_keys ADD COLUMN rerolled_from TEXT;
ALTER TABLE api_keys ADD COLUMN revoked_at INTEGER;     -- Unix seconds; may lie ahead
ALTER TABLE api_keys ADD COLUMN revoke_reason TEXT;
ALTER TABLE api_keys ADD COLUMN suspended_at INTEGER;   -- Unix seconds
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;   -- Unix seconds
ALTER TABLE api_keys ADD COLUMN use_count INTEGER NOT NULL DEFAULT 0;

-- The log that every verifier follows. Numbers are never used twice. A row goes when a later one says all it said, or when
-- nobody needs it any more: its key has expired, or its key version is destroyed.
CREATE TABLE revocations (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL, -- revoke, suspend, resume, revoke-app, revoke-realm
    api_key_id    TEXT,             -- of the first three kinds
    version       INTEGER,          -- the id's
    app_id        TEXT,             -- of revoke-app
    realm         TEXT,             -- of revoke-realm, and of revoke-app unless it means every realm
    issued_before INTEGER,          -- of the last two kinds, Unix seconds
    expires_at    INTEGER,          -- the key's expiry in Unix seconds; NULL where it never expires or nobody knows
    effective_at  INTEGER NOT NULL, -- Unix seconds
    reason        TEXT,
    recorded_at   INTEGER NOT NULL, -- Unix seconds
    recorded_by   TEXT    NOT NULL
) STRICT;
CREATE INDEX revocations_by_id ON revocations (api_key_id) WHERE api_key_id IS NOT NULL;
CREATE INDEX revocations_by_app ON revocations (app_id) WHERE app_id IS NOT NULL;
CREATE INDEX revocations_by_realm ON revocations (realm) WHERE kind = 'revoke-realm';
CREATE INDEX revocations_by_expiry ON revocations (expires_at) WHERE expires_at IS NOT NULL;

-- Tells this log from every other, so that nobody takes the numbers of one for those of another.
CREATE TABLE revocation_log (log_id TEXT NOT NULL) STRICT;
INSERT INTO revocation_log VALUES (lower(hex(randomblob(16))));

-- Who did what. Numbered without gaps: a transaction that is rolled back takes its number with it.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL, -- Unix seconds
    actor   TEXT    NOT NULL, -- an API-key id, `cli:` and a user's name, or `service`
    address TEXT,             -- where the actor called from
    action  TEXT    NOT NULL,
    target  TEXT,
    detail  TEXT    NOT NULL  -- a JSON object
) STRICT;
-- REPLACE deletes without asking the trigger for that.
CREATE TRIGGER audit_has_no_gap BEFORE INSERT ON audit WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

-- What was answered to a request that may come again.
CREATE TABLE idempotency (
    caller      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    request     TEXT    NOT NULL, -- SHA-256 of endpoint and body, in hex
    api_key_ids TEXT    NOT NULL, -- a JSON array, in the order of the request
    at          INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (at);
