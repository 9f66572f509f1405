-- Times are Unix seconds. Every number is assigned under the lock on the one row of `store`, which is held to the commit: numbers
-- become visible in their order, and go on over a logical failover, over which sequences are not carried.
-- What is looked up or ordered is compared byte by byte, as in SQLite, whatever the database's collation is.
CREATE TABLE bulla.store (
    id             smallint PRIMARY KEY CHECK (id = 1),
    mark           text   NOT NULL, -- 16 random bytes in hex: tells this store from every other
    log_id         text   NOT NULL, -- tells this revocation log from every other
    needs          bigint NOT NULL, -- the number of steps that a bulla must know to work on this store
    key_seq        bigint NOT NULL, -- the latest numbers of the tables below
    revocation_seq bigint NOT NULL,
    secret_seq     bigint NOT NULL,
    era            text,            -- the cluster and its timeline at the last write: era.rs
    log_begun      bigint NOT NULL DEFAULT 0, -- the number behind which this revocation log began
    ends           bigint[] NOT NULL DEFAULT '{}', -- where the revocation log ended in each era before
    audit_seq      bigint NOT NULL,
    sweep_clock    bigint NOT NULL  -- the time that sweeps go by: src/store/sqlite/migrations/6.sql says why it is not the clock
) WITH (fillfactor = 10);
INSERT INTO bulla.store (id, mark, log_id, needs, key_seq, revocation_seq, secret_seq, audit_seq, sweep_clock)
VALUES (1, replace(gen_random_uuid()::text, '-', ''), replace(gen_random_uuid()::text, '-', ''), 0, 0, 0, 0, 0,
        floor(extract(epoch FROM clock_timestamp()))::bigint);

CREATE TABLE bulla.api_keys (
    seq           bigint PRIMARY KEY,
    api_key_id    text COLLATE "C" NOT NULL UNIQUE,
    realm         text COLLATE "C" NOT NULL,
    app_id        text COLLATE "C" NOT NULL,
    version       bigint NOT NULL,
    name          text,
    issued_at     bigint NOT NULL,
    expires_at    bigint,                    -- NULL for never
    scopes        text   NOT NULL,           -- joined by spaces
    audience      text,                      -- JSON arrays; NULL where a key was issued before this was recorded
    cidr          text,
    meta          text   NOT NULL,           -- a JSON object of texts
    issued_by     text   NOT NULL,
    rerolled_from text COLLATE "C",
    revoked_at    bigint,                    -- may lie ahead
    revoke_reason text,
    suspended_at  bigint,
    last_used_at  bigint,
    use_count     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE INDEX api_keys_by_app ON bulla.api_keys (app_id, seq);
CREATE INDEX api_keys_by_realm ON bulla.api_keys (realm, seq);
CREATE INDEX api_keys_revoked ON bulla.api_keys (seq) WHERE revoked_at IS NOT NULL OR suspended_at IS NOT NULL;

-- How many API keys each realm and key version has sealed: suite 1 has a budget.
CREATE TABLE bulla.seal_counts (
    realm   text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (realm, version)
);

-- What is remembered of a keyring, so that an older document is recognized.
CREATE TABLE bulla.keyring_memory (
    keyring_id text COLLATE "C" PRIMARY KEY,
    serial     bigint NOT NULL
);
CREATE TABLE bulla.keyring_burned (
    keyring_id text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (keyring_id, version)
);

-- The log that every verifier follows. Numbers are never used twice. A row goes when a later one says all it said, or when
-- nobody needs it any more: its key has expired, or its key version is destroyed.
CREATE TABLE bulla.revocations (
    seq           bigint PRIMARY KEY,
    kind          text   NOT NULL,          -- revoke, suspend, resume, revoke_app, revoke_realm
    api_key_id    text COLLATE "C",                     -- of the first three kinds
    version       bigint,                   -- the id's
    app_id        text COLLATE "C",                     -- of revoke_app
    realm         text COLLATE "C",                     -- of revoke_realm, and of revoke_app unless it means every realm
    issued_before bigint,                   -- of the last two kinds
    expires_at    bigint,                   -- the key's expiry; NULL where it never expires or nobody knows
    effective_at  bigint NOT NULL,
    reason        text,
    recorded_at   bigint NOT NULL,
    recorded_by   text   NOT NULL,
    in_effect     bigint NOT NULL DEFAULT 0 -- 1 once the time of a revocation with a grace period has come
);
CREATE INDEX revocations_by_id ON bulla.revocations (api_key_id) WHERE api_key_id IS NOT NULL;
CREATE INDEX revocations_by_app ON bulla.revocations (app_id) WHERE app_id IS NOT NULL;
CREATE INDEX revocations_of_realm ON bulla.revocations (realm) WHERE kind = 'revoke_realm';
CREATE INDEX revocations_by_expiry ON bulla.revocations (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX revocations_waiting ON bulla.revocations (effective_at)
    WHERE kind = 'revoke' AND in_effect = 0 AND effective_at > recorded_at;

-- Who did what. Numbered without gaps: a transaction that is rolled back takes its number with it.
CREATE TABLE bulla.audit (
    seq     bigint PRIMARY KEY,
    at      bigint NOT NULL,
    actor   text   NOT NULL, -- an API-key id, `cli:` and a user's name, or `service`
    address text,            -- where the actor called from
    action  text   NOT NULL,
    target  text,
    detail  text   NOT NULL  -- a JSON object
);
CREATE FUNCTION bulla.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.seq = (SELECT coalesce(max(seq), 0) + 1 FROM bulla.audit) THEN RETURN NEW; END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_has_no_gap BEFORE INSERT ON bulla.audit
    FOR EACH ROW EXECUTE FUNCTION bulla.audit_is_append_only();
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE ON bulla.audit
    FOR EACH ROW EXECUTE FUNCTION bulla.audit_is_append_only();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON bulla.audit
    FOR EACH STATEMENT EXECUTE FUNCTION bulla.audit_is_append_only();

-- What was answered to a request that may come again.
CREATE TABLE bulla.idempotency (
    caller      text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    request     text   NOT NULL, -- SHA-256 of endpoint and body, in hex
    api_key_ids text   NOT NULL, -- a JSON array, in the order of the request
    at          bigint NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_by_time ON bulla.idempotency (at);

-- Hashes of secret halves: two for a key while its owner changes over. A changed hash is a new row, so that the numbers tell what
-- changed.
CREATE TABLE bulla.secret_hashes (
    seq        bigint PRIMARY KEY,
    api_key_id text COLLATE "C" NOT NULL,
    phc        text   NOT NULL, -- a PHC string with the version of the pepper
    mac        text   NOT NULL, -- over id, hash and binding, under the same version of the pepper
    binding    text   NOT NULL, -- of the sealed text, in base64: lets a new secret half be drawn without the key
    created_at bigint NOT NULL,
    retires_at bigint           -- NULL for the one that stays
);
CREATE INDEX secret_hashes_by_id ON bulla.secret_hashes (api_key_id);
CREATE INDEX secret_hashes_by_retirement ON bulla.secret_hashes (retires_at) WHERE retires_at IS NOT NULL;

-- Keys that were issued elsewhere. A set is what is the same for all of its keys.
CREATE TABLE bulla.imported_sets (
    set_id bigint PRIMARY KEY,
    realm  text COLLATE "C" NOT NULL,
    rule   text   NOT NULL, -- JSON: scheme, prefix, public part, what was hashed
    id_key bytea  NOT NULL, -- 16 random bytes, from which the ids of its keys come
    UNIQUE (realm, rule)
);
-- What an imported key is found by and held against; the rest of it is a row of api_keys.
CREATE TABLE bulla.imported_keys (
    seq         bigint PRIMARY KEY, -- of its row in api_keys
    set_id      bigint NOT NULL REFERENCES bulla.imported_sets,
    public      bytea,              -- NULL where the digest is what finds it
    hash        bytea  NOT NULL,    -- a digest, or the bytes of a PHC or crypt string
    salt        bytea,
    replaced_by text COLLATE "C"                -- the API-key id of the sealed key that was handed out for it
);
CREATE INDEX imported_keys_replaced ON bulla.imported_keys (replaced_by) WHERE replaced_by IS NOT NULL;

-- API keys that can be shown again: age files in ASCII armor, for a recipient whose identity the service does not have.
CREATE TABLE bulla.escrow (
    api_key_id text COLLATE "C" PRIMARY KEY,
    recipient  text   NOT NULL, -- `age1…`: whose identity opens it
    ciphertext text   NOT NULL, -- the API key as it was issued
    ending     text,            -- what took the place of its last 51 characters since
    created_at bigint NOT NULL,
    ends_at    bigint           -- from when on it is of no use; NULL for never
);
CREATE INDEX escrow_by_end ON bulla.escrow (ends_at) WHERE ends_at IS NOT NULL;

-- The nodes on this store and the followers of the feed, as they reported last.
CREATE TABLE bulla.followers (
    name           text COLLATE "C" PRIMARY KEY,
    role           text   NOT NULL, -- node, edge, relay, library
    owner          text   NOT NULL, -- the app of the API key that registered the name; `node` for nodes
    address        text,
    version        text   NOT NULL, -- of the program
    formats        text   NOT NULL, -- a JSON array: the formats of the feed that it reads
    log_id         text,
    seq            bigint NOT NULL, -- its place in that log
    this_update    bigint NOT NULL, -- when the newest message that it applied was signed
    keyring_serial bigint NOT NULL,
    versions       text   NOT NULL, -- a JSON array: the key versions that it opens with
    realms         text   NOT NULL, -- a JSON array
    refused        bigint NOT NULL, -- messages that it refused
    last_error     text,
    started_at     bigint NOT NULL,
    last_contact   bigint NOT NULL
) WITH (fillfactor = 50);
