-- One row once `bulla store copy` moved this store: no bulla works on it any more.
CREATE TABLE store_moved (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    target TEXT    NOT NULL, -- the URL of the copy
    mark   TEXT    NOT NULL, -- the copy's mark, which tells it from every other store
    at     INTEGER NOT NULL  -- Unix seconds
) STRICT;
