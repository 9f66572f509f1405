//! One parsed row: the key's app, how the key is found, and the hash to compare with.

use bulla::{ApiKey, ApiKeyId, claims::Claims};
use jiff::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    KeyLayout, PublicPart, Reading, SaltEncoding, encoding,
    key_layout::{BINARY_ID, MAX_KEY},
    raw_row::RawRow,
    row_error::RowErrorKind,
    row_state::RowState,
    scheme::{Check, HashString},
    set::found_by,
};
use crate::input::text;

const MAX_SALT: usize = 1024;
const MAX_NAME: usize = 200;
/// Bits that a hash and a key have in common, of which it is no chance any more.
const NO_CHANCE: usize = 30;

/// A key that may be imported.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The line that its row begins on, from 1.
    pub(crate) line: u64,
    /// The public part, unless it is found by its digest.
    pub(crate) public: Option<Box<[u8]>>,
    pub(crate) check: Check,
    pub(crate) app_id: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    /// Scopes and metadata, within what a sealed key can hold: it may be replaced by one.
    pub(crate) claims: Claims,
    pub(crate) state: RowState,
    /// Whether the hash is written as keys often are: in base64url without padding.
    pub(super) written_like_a_key: bool,
    /// KiB of memory that a check takes.
    pub(super) memory_kib: u32,
}

impl Record {
    pub(super) fn read(line: u64, mut row: RawRow, reading: &Reading<'_>) -> Result<Self, RowErrorKind> {
        if let Some(system) = reading.columns.system {
            (system.read)(&mut row)?;
        }
        let layout = &reading.set.layout;
        let (app_id, old_app) = reading.app(&row)?;
        let public = public(layout, row.text("public"))?;
        let written_like_a_key = row.text("hash").is_some_and(|hash| {
            !reading.plain && hash.len() == 43 && hash.contains(['-', '_']) && !layout.scheme.is_text()
        });
        let check = match reading.plain {
            true => hashed_here(&mut row, reading)?,
            false => check(&row, public.as_deref(), reading)?,
        };
        let (sees_all, memory_kib) = match &check {
            Check::Text(text) => {
                let hash = HashString::parse(layout.scheme, text)?;
                (hash.sees_all(), hash.memory_kib())
            }
            Check::Fast { .. } => (true, 0),
        };
        if !sees_all && !layout.shows_secret(public.as_deref()) {
            return Err(RowErrorKind::BcryptReach(layout.before_secret(public.as_deref())));
        }
        let name = row.text("name").map(str::to_owned);
        if name.as_deref().is_some_and(|name| name.chars().count() > MAX_NAME || text::check_for_record(name).is_err())
        {
            return Err(RowErrorKind::Name);
        }
        let state = RowState::read(&row, reading)?;
        let (issued_at, expires_at) = (row.time("issued_at", reading.zone.as_ref())?, expiry(&row, reading)?);
        let (scopes, mut meta) = (reading.scopes(std::mem::take(&mut row.scopes))?, row.meta);
        if let Some((column, old)) = old_app {
            meta.entry(column).or_insert(old);
        }
        if scopes.iter().chain(meta.keys()).chain(meta.values()).any(|one| text::check_for_record(one).is_err()) {
            return Err(RowErrorKind::Note);
        }
        if issued_at.is_some_and(|at| at > reading.now) {
            return Err(RowErrorKind::Time("issued_at"));
        }
        if expires_at.is_some_and(|at| at <= reading.now) {
            return Err(RowErrorKind::Expired);
        }
        let claims = Claims::new().with_scopes(scopes).with_meta(meta);
        claims.to_cbor().map_err(RowErrorKind::Claims)?;
        Ok(Record {
            line,
            public,
            check,
            app_id,
            name,
            issued_at,
            expires_at,
            claims,
            state,
            written_like_a_key,
            memory_kib,
        })
    }

    /// What finds it: the public part, or the digest.
    pub(crate) fn found_by(&self) -> &[u8] {
        found_by(self.public.as_deref(), &self.check)
    }
}

fn check(row: &RawRow, public: Option<&[u8]>, reading: &Reading<'_>) -> Result<Check, RowErrorKind> {
    let layout = &reading.set.layout;
    if row.text("key").is_some() {
        return Err(RowErrorKind::KeySurplus);
    }
    let hash = row.needed("hash")?;
    if ApiKey::is_within(hash) {
        return Err(RowErrorKind::Plaintext);
    }
    let salt = salt(layout, row.text("salt"), reading)?;
    let begins = |begin: &str| begin.len() >= 3 && hash.starts_with(begin);
    match stored(hash, salt, reading) {
        // A hash may begin as the keys do by chance, so it is read first.
        Ok(_) if reads_as_key(layout, hash, public) => Err(RowErrorKind::Plaintext),
        Err(RowErrorKind::Digest(..) | RowErrorKind::HashString(_))
            if begins(&layout.prefix) || row.text("public").is_some_and(begins) =>
        {
            Err(RowErrorKind::Plaintext)
        }
        read => read,
    }
}

/// Returns whether a text that can be read as a hash is the key of its row: it has the prefix and the public part in
/// their places, and no hash has as much in common with a key by chance.
fn reads_as_key(layout: &KeyLayout, hash: &str, public: Option<&[u8]>) -> bool {
    let bits = if hash.bytes().all(|byte| byte.is_ascii_hexdigit()) { 4 } else { 6 };
    let shared = layout.prefix.len() + public.map_or(0, <[u8]>::len);
    shared * bits >= NO_CHANCE && layout.split(hash).is_some_and(|key| key.public.as_deref() == public)
}

fn stored(hash: &str, salt: Vec<u8>, reading: &Reading<'_>) -> Result<Check, RowErrorKind> {
    let layout = &reading.set.layout;
    if !layout.scheme.is_text() {
        return Ok(Check::Fast { digest: layout.scheme.read_digest(hash)?, salt: salt.into() });
    }
    match reading.cost.or(layout.cost) {
        None => {
            let hash = encoding::text(hash.trim());
            HashString::parse(layout.scheme, &hash)?;
            Ok(Check::Text(hash.trim().into()))
        }
        Some(cost) => {
            let bytes = encoding::either(hash.trim()).ok_or(RowErrorKind::HashString(None))?;
            if layout.has_one_salt() {
                let len = layout.digest_len();
                return match bytes.len() == len {
                    true => Ok(Check::Fast { digest: bytes.into(), salt: [].into() }),
                    false => Err(RowErrorKind::Digest(len, None)),
                };
            }
            Ok(Check::Text(cost.text(&bytes, &salt)?.into()))
        }
    }
}

/// The hash of a key that the row holds in plaintext. The key itself goes nowhere.
fn hashed_here(row: &mut RawRow, reading: &Reading<'_>) -> Result<Check, RowErrorKind> {
    if row.text("hash").is_some() || row.text("salt").is_some() {
        return Err(RowErrorKind::HashSurplus);
    }
    let key = Zeroizing::new(row.needed("key")?.to_owned());
    row.put("key", None);
    if key.len() > MAX_KEY {
        return Err(RowErrorKind::KeyTooLong(MAX_KEY));
    }
    if ApiKey::is_within(&key) {
        return Err(RowErrorKind::PublicSealed);
    }
    if is_masked(&key) {
        return Err(RowErrorKind::KeyMasked);
    }
    // The layout takes the text as it stands, and a header never carries such blanks.
    if key.trim() != *key {
        return Err(RowErrorKind::KeyBlank);
    }
    let split = reading.set.layout.split(&key).ok_or(RowErrorKind::KeyForm)?;
    let prepared = reading.set.prepared(split.hashed.bytes()).ok_or(RowErrorKind::KeyForm)?;
    let digest = reading.set.digest(&prepared, &[], reading.set.layout.digest_len()).ok_or(RowErrorKind::KeyForm)?;
    Ok(Check::Fast { digest: (*digest).into(), salt: [].into() })
}

/// Returns whether a text is what a system shows in place of a key: everyone could present that.
fn is_masked(key: &str) -> bool {
    ["****", "••••", "…"].iter().any(|mask| key.contains(mask))
}

fn salt(layout: &KeyLayout, text: Option<&str>, reading: &Reading<'_>) -> Result<Vec<u8>, RowErrorKind> {
    match (layout.has_salts(reading.cost.is_some()), text) {
        (false, None) => Ok(Vec::new()),
        (false, Some(_)) => Err(RowErrorKind::SaltSurplus),
        (true, None) => Err(RowErrorKind::Missing("salt")),
        (true, Some(text)) if reading.salts == SaltEncoding::Text && text.trim() != text => {
            Err(RowErrorKind::SaltBlank)
        }
        (true, Some(text)) => {
            let salt = reading.salts.decode(text).filter(|salt| (1..=MAX_SALT).contains(&salt.len()));
            salt.ok_or(RowErrorKind::Salt)
        }
    }
}

fn public(layout: &KeyLayout, text: Option<&str>) -> Result<Option<Box<[u8]>>, RowErrorKind> {
    match (&layout.public, text) {
        (PublicPart::None, None) => Ok(None),
        (PublicPart::None, Some(_)) => Err(RowErrorKind::PublicSurplus),
        (_, None) => Err(RowErrorKind::Missing("public")),
        (PublicPart::Id, Some(text)) => {
            let id = text.parse::<Uuid>().ok().map(Uuid::into_bytes).map(Vec::from);
            let id = id.or_else(|| encoding::of_length(text, BINARY_ID));
            id.map(|id| Some(id.into())).ok_or(RowErrorKind::Public)
        }
        (of, Some(text)) => {
            let sealed = |text: &str| ApiKey::is_within(text) || text.parse::<ApiKeyId>().is_ok();
            if sealed(text) || sealed(&format!("{}{text}", layout.prefix)) {
                return Err(RowErrorKind::PublicSealed);
            }
            if text.trim() != text {
                return Err(RowErrorKind::PublicBlank);
            }
            // A public part of a fixed length has no room for the prefix.
            let is_open = matches!(of, PublicPart::Before(_) | PublicPart::BeforeFirst(_));
            if is_open && layout.prefix.len() >= 2 && text.starts_with(&layout.prefix) {
                return Err(RowErrorKind::PublicPrefixed);
            }
            let fits = match of {
                PublicPart::First(count) | PublicPart::Last(count) => text.chars().count() == *count,
                PublicPart::Ends(first, last) => text.chars().count() == first + last,
                PublicPart::BeforeFirst(separator) => text.len() < MAX_KEY && !text.contains(separator),
                _ => text.len() < MAX_KEY,
            };
            if fits { Ok(Some(text.as_bytes().into())) } else { Err(RowErrorKind::Public) }
        }
    }
}

/// The end of a key. Where old systems must write something for "never", it is 0, or `infinity` in PostgreSQL.
fn expiry(row: &RawRow, reading: &Reading<'_>) -> Result<Option<Timestamp>, RowErrorKind> {
    match row.text("expires_at").map(str::trim) {
        Some("0" | "infinity") => Ok(None),
        _ => row.time("expires_at", reading.zone.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_masked;

    #[test]
    fn what_is_shown_in_place_of_a_key_is_none() {
        // Of Directus, of n8n, and as pages show keys.
        for shown in ["**********", "******x1yZ", "••••••••", "sk-…4f2a"] {
            assert!(is_masked(shown), "{shown}");
        }
        for key in ["RE3oqBmCbwwNSFB5cS4UEZOXICvLACyd", "a*b**c***d", "e30.e30.c2ln", "schlüssel•", "a...b"] {
            assert!(!is_masked(key), "{key}");
        }
    }
}
