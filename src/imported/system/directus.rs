//! Directus: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};
use crate::imported::{RowErrorKind, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "directus",
    about: "Directus: static tokens of users",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT token, status, id FROM directus_users WHERE token IS NOT NULL) TO keys.csv CSV HEADER",
    columns: &[
        ("token", "key"),
        ("status", "enabled"),
        // Of the user.
        ("title", ""),
        ("email", ""),
        ("email_notifications", ""),
        ("last_access", ""),
        ("auth_data", ""),
        ("external_identifier", ""),
        ("role", ""),
        ("policies", ""),
        // Of the policies, or of the role before Directus 11, where somebody joins them.
        ("ip_access", "!"),
    ],
    plain: true,
    read,
    ..PLAIN
};

/// Users of every other status have no access: draft, invited, unverified, suspended, archived, inactive-license, and
/// what a deployment adds.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    if let Some(status) = row.text("enabled") {
        let enabled = (status == "active").to_string();
        row.put("enabled", Some(enabled));
    }
    Ok(())
}
