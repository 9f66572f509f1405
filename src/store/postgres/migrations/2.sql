-- How often rows of a set were changed or removed: who has read them reads all again then.
ALTER TABLE bulla.imported_sets ADD COLUMN changes bigint NOT NULL DEFAULT 0;
