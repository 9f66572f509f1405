-- Where `bulla store copy` moved this store to, the mark of the copy, and when. `needs` keeps everybody off then.
ALTER TABLE bulla.store ADD COLUMN moved_to   text;
ALTER TABLE bulla.store ADD COLUMN moved_mark text;
ALTER TABLE bulla.store ADD COLUMN moved_at   bigint; -- Unix seconds
