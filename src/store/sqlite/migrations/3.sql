-- Hashes of secret halves: two for a key while its owner changes over. In a table of their own, so that a role that may read
-- the ledger need not read these. A changed hash is a new row, so that the numbers tell what changed.
CREATE TABLE secret_hashes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    api_key_id TEXT    NOT NULL,
    phc        TEXT    NOT NULL, -- a PHC string with the version of the pepper
    mac        TEXT    NOT NULL, -- over id, hash and binding, under the same version of the pepper
    binding    TEXT    NOT NULL, -- of the sealed text, in base64: lets a new secret half be drawn without the key
    created_at INTEGER NOT NULL, -- Unix seconds
    retires_at INTEGER           -- Unix seconds; NULL for the one that stays
) STRICT;
CREATE INDEX secret_hashes_by_id ON secret_hashes (api_key_id);
CREATE INDEX secret_hashes_by_retirement ON secret_hashes (retires_at) WHERE retires_at IS NOT NULL;
