CREATE TABLE api_keys (
    seq          INTEGER PRIMARY KEY,
    api_key_id   TEXT    NOT NULL UNIQUE,
    realm        TEXT    NOT NULL,
    app_id       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    name         TEXT,
    issued_at    INTEGER NOT NULL, -- Unix seconds
    expires_at   INTEGER,          -- Unix seconds, NULL for never
    scopes       TEXT    NOT NULL, -- joined by spaces
    meta         TEXT    NOT NULL, -- a JSON object of texts
    issued_by    TEXT    NOT NULL
) STRICT;
CREATE INDEX api_keys_by_app ON api_keys (app_id, seq);
CREATE INDEX api_keys_by_realm ON api_keys (realm, seq);

-- How many API keys each realm and key version has sealed: suite 1 has a budget.
CREATE TABLE seal_counts (
    realm   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (realm, version)
) STRICT, WITHOUT ROWID;

-- What is remembered of a keyring, so that an older document is recognized.
CREATE TABLE keyring_memory (
    keyring_id TEXT PRIMARY KEY,
    serial     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE keyring_burned (
    keyring_id TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (keyring_id, version)
) STRICT, WITHOUT ROWID;
