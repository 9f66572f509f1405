-- What tells which write-ahead log belongs to the file: src/store/sqlite/mark.rs.
CREATE TABLE store_mark (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    mark BLOB NOT NULL
) STRICT;
INSERT INTO store_mark VALUES (1, zeroblob(52));
