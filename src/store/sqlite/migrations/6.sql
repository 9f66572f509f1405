-- The time that sweeps go by, in Unix seconds. It goes on with the running time of services, and never beyond their clocks, so
-- that a clock that is ahead for a while makes nobody forget a revocation. It begins no later than what was done last.
CREATE TABLE sweep_clock (at INTEGER NOT NULL) STRICT;
INSERT INTO sweep_clock
SELECT min(now.at, coalesce((SELECT at FROM audit ORDER BY seq DESC LIMIT 1), now.at))
FROM (SELECT CAST(strftime('%s', 'now') AS INTEGER) AS at) AS now;

-- 1 once the time of a revocation with a grace period has come: a clock that is set back does not undo that.
ALTER TABLE revocations ADD COLUMN in_effect INTEGER NOT NULL DEFAULT 0;
CREATE INDEX revocations_waiting ON revocations (effective_at)
    WHERE kind = 'revoke' AND in_effect = 0 AND effective_at > recorded_at;

-- What the ledger has of revocations is held against the log.
CREATE INDEX api_keys_revoked ON api_keys (seq) WHERE revoked_at IS NOT NULL OR suspended_at IS NOT NULL;
