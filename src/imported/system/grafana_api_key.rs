//! Grafana's API keys of old, also those that became tokens of service accounts: base64 of a JSON object with `k`, the
//! secret, and `n`, the name of the key, which is its salt.

use super::{System, grafana};
use crate::imported::{Hashed, KeyLayout, PublicPart, RowErrorKind, Scheme, Written, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "grafana-api-key",
    about: "Grafana: API keys (eyJrIjoi…), also migrated ones",
    export: "sqlite3 -csv -header grafana.db 'SELECT key, name, created, expires, is_revoked, org_id FROM api_key' > keys.csv",
    layout: || KeyLayout {
        // Names are unique within an organization alone.
        shared: true,
        public: PublicPart::Member("n".to_owned(), "k".to_owned()),
        hashed: Hashed::Secret,
        written: Written::Base64,
        ..KeyLayout::new(Scheme::Pbkdf2)
    },
    read,
    ..grafana::SYSTEM
};

/// The name finds a row, salts its hash, and is the note for the ledger.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    let name = row.text("name").map(str::to_owned);
    row.put("public", name.clone());
    row.put("salt", name);
    Ok(())
}
