-- API keys that can be shown again: age files in ASCII armor, for a recipient whose identity the service does not have. In a
-- table of their own, so that a role that may read the ledger need not read these.
CREATE TABLE escrow (
    api_key_id TEXT    PRIMARY KEY,
    recipient  TEXT    NOT NULL, -- `age1…`: whose identity opens it
    ciphertext TEXT    NOT NULL, -- the API key as it was issued
    ending     TEXT,             -- what took the place of its last 51 characters since
    created_at INTEGER NOT NULL, -- Unix seconds
    ends_at    INTEGER           -- Unix seconds, from when on it is of no use; NULL for never
) STRICT, WITHOUT ROWID;
CREATE INDEX escrow_by_end ON escrow (ends_at) WHERE ends_at IS NOT NULL;
