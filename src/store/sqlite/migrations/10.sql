-- How often rows of a set were changed or removed: who has read them reads all again then.
ALTER TABLE imported_sets ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
