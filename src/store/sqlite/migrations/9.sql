-- The nodes on this store and the followers of the feed, as they reported last.
CREATE TABLE followers (
    name           TEXT    PRIMARY KEY,
    role           TEXT    NOT NULL, -- node, edge, relay, library
    owner          TEXT    NOT NULL, -- the app of the API key that registered the name; `node` for nodes
    address        TEXT,
    version        TEXT    NOT NULL, -- of the program
    formats        TEXT    NOT NULL, -- a JSON array: the formats of the feed that it reads
    log_id         TEXT,
    seq            INTEGER NOT NULL, -- its place in that log
    this_update    INTEGER NOT NULL, -- Unix seconds: when the newest message that it applied was signed
    keyring_serial INTEGER NOT NULL,
    versions       TEXT    NOT NULL, -- a JSON array: the key versions that it opens with
    realms         TEXT    NOT NULL, -- a JSON array
    refused        INTEGER NOT NULL, -- messages that it refused
    last_error     TEXT,
    started_at     INTEGER NOT NULL, -- Unix seconds
    last_contact   INTEGER NOT NULL  -- Unix seconds
) STRICT, WITHOUT ROWID;
