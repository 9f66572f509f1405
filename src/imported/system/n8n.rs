//! n8n: keys in plaintext, of which bulla stores the hashes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use zeroize::Zeroizing;

use super::{PLAIN, System, Times};
use crate::imported::{RowErrorKind, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "n8n",
    about: "n8n: public API keys, which are JWTs",
    header: "X-N8N-API-KEY: KEY",
    export: "\\copy (SELECT \"apiKey\", label, \"createdAt\", \"userId\" FROM user_api_keys WHERE audience = 'public-api') TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("apiKey", "key"),
        ("label", "name"),
        ("createdAt", "issued_at"),
        ("updatedAt", ""),
        ("lastUsedAt", ""),
        ("scopes", ""),
        ("audience", "=public-api"),
    ],
    // SQLite.
    times: Times::Utc,
    plain: true,
    read,
    ..PLAIN
};

/// No column says when a key ends: the JWT does.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    if let Some(at) = row.text("key").and_then(expiry) {
        // 0 would say "never" there, and a key that ended long ago has ended.
        row.put("expires_at", Some(at.max(1).to_string()));
    }
    Ok(())
}

/// `exp` of a JWT. Older keys, `n8n_api_…`, are none and do not end.
fn expiry(key: &str) -> Option<i64> {
    let claims = Zeroizing::new(BASE64URL.decode(key.split('.').nth(1)?).ok()?);
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_when_its_jwt_does() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", BASE64URL.encode(claims));
        let read = |key: String| {
            let mut row = RawRow::default();
            row.put("key", Some(key));
            super::read(&mut row).expect("a row");
            row.text("expires_at").map(str::to_owned)
        };
        assert_eq!(read(jwt(r#"{"sub":"7","exp":4102444800}"#)).as_deref(), Some("4102444800"));
        for endless in [jwt(r#"{"sub":"7"}"#), jwt("7"), "n8n_api_0123".to_owned(), "a.b.c".to_owned()] {
            assert_eq!(read(endless.clone()), None, "{endless}");
        }
    }
}
