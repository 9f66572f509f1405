-- The API key that a member reported with last: what one registered that is revoked since does not count.
ALTER TABLE bulla.followers ADD COLUMN reported_by text NOT NULL DEFAULT '';
