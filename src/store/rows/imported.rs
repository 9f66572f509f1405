//! A row of an imported key.

use std::collections::BTreeMap;

use bulla::claims::Claims;

use crate::imported::{Check, ImportedRow};

/// Its columns, as the store has them.
pub(in crate::store) struct ImportedColumns<'a> {
    pub(in crate::store) place: i64,
    pub(in crate::store) set: i64,
    pub(in crate::store) id: &'a str,
    pub(in crate::store) app_id: &'a str,
    pub(in crate::store) issued_at: i64,
    pub(in crate::store) expires_at: Option<i64>,
    pub(in crate::store) scopes: &'a str,
    pub(in crate::store) meta: &'a str,
    pub(in crate::store) public: Option<&'a [u8]>,
    pub(in crate::store) hash: &'a [u8],
    pub(in crate::store) salt: &'a [u8],
    pub(in crate::store) replaced: bool,
}

impl ImportedColumns<'_> {
    /// The key, in a set whose hashes are strings or digests; `None` where it is damaged.
    pub(in crate::store) fn row(self, is_text: bool) -> Option<ImportedRow> {
        let check = if is_text {
            Check::Text(std::str::from_utf8(self.hash).ok()?.into())
        } else {
            if !(16..=64).contains(&self.hash.len()) {
                return None;
            }
            Check::Fast { digest: self.hash.into(), salt: self.salt.into() }
        };
        let mut claims = Claims::new().with_scopes(self.scopes.split_whitespace());
        if self.meta != "{}" {
            claims = claims.with_meta(serde_json::from_str::<BTreeMap<String, String>>(self.meta).ok()?);
        }
        Some(ImportedRow {
            place: self.place,
            set: self.set,
            id: self.id.parse().ok()?,
            app_id: self.app_id.parse().ok()?,
            issued_at: u32::try_from(self.issued_at).ok()?,
            expires_at: self.expires_at.map(u32::try_from).transpose().ok()?,
            claims,
            public: self.public.map(Into::into),
            check,
            replaced: self.replaced,
        })
    }
}

/// What an imported key is held against, as two columns: hash and salt.
pub(in crate::store) fn check_columns(check: &Check) -> (&[u8], Option<&[u8]>) {
    match check {
        Check::Fast { digest, salt } => (digest, Some(&**salt).filter(|salt| !salt.is_empty())),
        Check::Text(text) => (text.as_bytes(), None),
    }
}
