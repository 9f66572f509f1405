//! Flowise, by the hashes that stand beside its keys: scrypt, `HEX.SALT`, of which the salt is a text. The keys
//! themselves need not leave its database: their first 8 characters find the rows.

use super::{PLAIN, System};
use crate::imported::{Cost, KeyLayout, PublicPart, RowErrorKind, Scheme, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "flowise-scrypt",
    about: "Flowise: API keys by their hashes, so that no key is in the file",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT left(\"apiKey\", 8) AS public, \"apiSecret\", \"keyName\" FROM apikey) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("apiSecret", "hash"),
        ("keyName", "name"),
        ("permissions", ""),
        ("updatedDate", ""),
        ("workspaceId", ""),
    ],
    layout: || KeyLayout { public: PublicPart::First(8), ..KeyLayout::new(Scheme::Scrypt) },
    cost: Some(Cost::Scrypt { log_n: 14, r: 8, p: 1 }),
    read,
    ..PLAIN
};

fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    let parts = row.text("hash").and_then(|text| text.split_once('.'));
    let (hash, salt) =
        parts.map(|(hash, salt)| (hash.to_owned(), salt.to_owned())).ok_or(RowErrorKind::HashString(None))?;
    row.put("hash", Some(hash));
    row.put("salt", Some(salt));
    Ok(())
}
