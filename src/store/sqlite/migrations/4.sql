-- Keys that were issued elsewhere. A set is what is the same for all of its keys.
CREATE TABLE imported_sets (
    set_id INTEGER PRIMARY KEY,
    realm  TEXT    NOT NULL,
    rule   TEXT    NOT NULL, -- JSON: scheme, prefix, public part, what was hashed
    id_key BLOB    NOT NULL, -- 16 random bytes, from which the ids of its keys come
    UNIQUE (realm, rule)
) STRICT;

-- What an imported key is found by and held against; the rest of it is a row of api_keys.
CREATE TABLE imported_keys (
    seq         INTEGER PRIMARY KEY, -- of its row in api_keys
    set_id      INTEGER NOT NULL REFERENCES imported_sets,
    public      BLOB,                -- NULL where the digest is what finds it
    hash        BLOB    NOT NULL,    -- a digest, or the bytes of a PHC or crypt string
    salt        BLOB,
    replaced_by TEXT                 -- the API-key id of the sealed key that was handed out for it
) STRICT;
CREATE INDEX imported_keys_replaced ON imported_keys (replaced_by) WHERE replaced_by IS NOT NULL;
