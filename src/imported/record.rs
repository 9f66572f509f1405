//! One parsed row: the key's app, how the key is found, and the hash to compare with.

use bulla::{ApiKey, ApiKeyId, claims::Claims};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    encoding::{SaltEncoding, fixed},
    key_layout::{BINARY_ID, KeyLayout, MAX_KEY, PublicPart},
    raw_row::RawRow,
    row_error::RowErrorKind,
    scheme::Check,
};
use crate::text;

const MAX_SALT: usize = 1024;
const MAX_NAME: usize = 200;

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
}

impl Record {
    pub(super) fn read(
        line: u64,
        fields: RawRow,
        layout: &KeyLayout,
        salts: SaltEncoding,
        now: Timestamp,
    ) -> Result<Self, RowErrorKind> {
        let app_id = fields.needed("app_id")?.parse().map_err(|_| RowErrorKind::AppId)?;
        let hash = fields.needed("hash")?;
        let salt = salt(layout, fields.text("salt"), salts)?;
        let public = public(layout, fields.text("public"))?;
        let check = layout.scheme.check(hash, salt)?;
        if !layout.sees_secret(public.as_deref()) {
            return Err(RowErrorKind::BcryptReach(layout.before_secret(public.as_deref())));
        }
        let name = fields.text("name").map(str::to_owned);
        if name.as_deref().is_some_and(|name| name.chars().count() > MAX_NAME || text::check(name).is_err()) {
            return Err(RowErrorKind::Name);
        }
        if fields
            .scopes
            .iter()
            .chain(fields.meta.keys())
            .chain(fields.meta.values())
            .any(|one| text::check(one).is_err())
        {
            return Err(RowErrorKind::Note);
        }
        let (issued_at, expires_at) = (time(&fields, "issued_at")?, time(&fields, "expires_at")?);
        if issued_at.is_some_and(|at| at > now) {
            return Err(RowErrorKind::Time("issued_at"));
        }
        if expires_at.is_some_and(|at| at <= now) {
            return Err(RowErrorKind::Expired);
        }
        let claims = Claims::new().with_scopes(fields.scopes).with_meta(fields.meta);
        claims.to_cbor().map_err(RowErrorKind::Claims)?;
        Ok(Record { line, public, check, app_id, name, issued_at, expires_at, claims })
    }

    /// What finds it: the public part, or the digest.
    pub(crate) fn found_by(&self) -> &[u8] {
        match (&self.public, &self.check) {
            (Some(public), _) => public,
            (None, Check::Fast { digest, .. }) => digest,
            (None, Check::Slow(_)) => &[],
        }
    }
}

fn salt(layout: &KeyLayout, text: Option<&str>, encoding: SaltEncoding) -> Result<Vec<u8>, RowErrorKind> {
    match (layout.scheme.has_salt(), text) {
        (false, None) => Ok(Vec::new()),
        (false, Some(_)) => Err(RowErrorKind::SaltSurplus),
        (true, None) => Err(RowErrorKind::Missing("salt")),
        (true, Some(text)) => {
            let salt = encoding.decode(text).filter(|salt| (1..=MAX_SALT).contains(&salt.len()));
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
            let id = text.parse::<Uuid>().ok().map(Uuid::into_bytes).or_else(|| fixed::<BINARY_ID>(text));
            id.map(|id| Some(id.into())).ok_or(RowErrorKind::Public)
        }
        (of, Some(text)) => {
            let sealed = |text: &str| ApiKey::is_within(text) || text.parse::<ApiKeyId>().is_ok();
            if sealed(text) || sealed(&format!("{}{text}", layout.prefix)) {
                return Err(RowErrorKind::PublicSealed);
            }
            let fits = match of {
                PublicPart::First(count) => text.chars().count() == *count,
                _ => text.len() < MAX_KEY,
            };
            if fits { Ok(Some(text.as_bytes().into())) } else { Err(RowErrorKind::Public) }
        }
    }
}

fn time(fields: &RawRow, name: &'static str) -> Result<Option<Timestamp>, RowErrorKind> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    let seconds = text.parse::<i64>().ok().map(|seconds| Timestamp::from_second(seconds).ok());
    let at = seconds.unwrap_or_else(|| text.parse().ok()).ok_or(RowErrorKind::Time(name))?;
    // Times inside keys are unsigned seconds of 32 bits.
    if u32::try_from(at.as_second()).is_ok() { Ok(Some(at)) } else { Err(RowErrorKind::Time(name)) }
}
