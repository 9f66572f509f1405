-- Which process reports under a name, those that it took the name over from, and when one of these reported again: two run then.
ALTER TABLE followers ADD COLUMN instance   TEXT    NOT NULL DEFAULT '';
ALTER TABLE followers ADD COLUMN earlier    TEXT    NOT NULL DEFAULT '';
ALTER TABLE followers ADD COLUMN doubled_at INTEGER NOT NULL DEFAULT 0; -- Unix seconds
