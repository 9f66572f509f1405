-- Which process reports under a name, those that it took the name over from, and when one of these reported again: two run then.
ALTER TABLE bulla.followers ADD COLUMN instance   text   NOT NULL DEFAULT '';
ALTER TABLE bulla.followers ADD COLUMN earlier    text   NOT NULL DEFAULT '';
ALTER TABLE bulla.followers ADD COLUMN doubled_at bigint NOT NULL DEFAULT 0;
