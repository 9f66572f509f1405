//! The tables as every store has them, for a copy row by row.

/// A table: its columns, of which the first ones are its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    pub(crate) key: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// A value of a row. The order of keys is that of their integers and of the bytes of their texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of one row, in the order of the table's columns.
pub(crate) type RawRow = Vec<Value>;

impl Table {
    /// The names of all columns, as SQL lists them.
    pub(crate) fn names(&self) -> String {
        Self::list(self.columns)
    }

    /// The names of the key's columns.
    pub(crate) fn key_names(&self) -> String {
        Self::list(&self.columns[..self.key])
    }

    fn list(columns: &[(&str, Kind)]) -> String {
        columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

use Kind::{Bytes, Integer, Text};

/// All of them; one that others refer to comes first.
pub(crate) const TABLES: [Table; 11] = [
    Table {
        name: "api_keys",
        columns: &[
            ("seq", Integer),
            ("api_key_id", Text),
            ("realm", Text),
            ("app_id", Text),
            ("version", Integer),
            ("name", Text),
            ("issued_at", Integer),
            ("expires_at", Integer),
            ("scopes", Text),
            ("audience", Text),
            ("cidr", Text),
            ("meta", Text),
            ("issued_by", Text),
            ("rerolled_from", Text),
            ("revoked_at", Integer),
            ("revoke_reason", Text),
            ("suspended_at", Integer),
            ("last_used_at", Integer),
            ("use_count", Integer),
        ],
        key: 1,
    },
    Table { name: "seal_counts", columns: &[("realm", Text), ("version", Integer), ("count", Integer)], key: 2 },
    Table { name: "keyring_memory", columns: &[("keyring_id", Text), ("serial", Integer)], key: 1 },
    Table { name: "keyring_burned", columns: &[("keyring_id", Text), ("version", Integer)], key: 2 },
    Table {
        name: "revocations",
        columns: &[
            ("seq", Integer),
            ("kind", Text),
            ("api_key_id", Text),
            ("version", Integer),
            ("app_id", Text),
            ("realm", Text),
            ("issued_before", Integer),
            ("expires_at", Integer),
            ("effective_at", Integer),
            ("reason", Text),
            ("recorded_at", Integer),
            ("recorded_by", Text),
            ("in_effect", Integer),
        ],
        key: 1,
    },
    Table {
        name: "audit",
        columns: &[
            ("seq", Integer),
            ("at", Integer),
            ("actor", Text),
            ("address", Text),
            ("action", Text),
            ("target", Text),
            ("detail", Text),
        ],
        key: 1,
    },
    Table {
        name: "idempotency",
        columns: &[("caller", Text), ("key", Text), ("request", Text), ("api_key_ids", Text), ("at", Integer)],
        key: 2,
    },
    Table {
        name: "secret_hashes",
        columns: &[
            ("seq", Integer),
            ("api_key_id", Text),
            ("phc", Text),
            ("mac", Text),
            ("binding", Text),
            ("created_at", Integer),
            ("retires_at", Integer),
        ],
        key: 1,
    },
    Table {
        name: "imported_sets",
        columns: &[("set_id", Integer), ("realm", Text), ("rule", Text), ("id_key", Bytes), ("changes", Integer)],
        key: 1,
    },
    Table {
        name: "imported_keys",
        columns: &[
            ("seq", Integer),
            ("set_id", Integer),
            ("public", Bytes),
            ("hash", Bytes),
            ("salt", Bytes),
            ("replaced_by", Text),
        ],
        key: 1,
    },
    Table {
        name: "escrow",
        columns: &[
            ("api_key_id", Text),
            ("recipient", Text),
            ("ciphertext", Text),
            ("ending", Text),
            ("created_at", Integer),
            ("ends_at", Integer),
        ],
        key: 1,
    },
];
