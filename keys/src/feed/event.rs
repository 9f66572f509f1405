//! The lines of a message that take something back, or give it back.

use std::{fmt::Write, num::NonZeroU64};

use super::{FeedError, line::Line};
use crate::{
    api_key::ApiKeyId,
    revocation::{Change, ChangeKind, RevocationEvent},
};

const SEQ: &str = "an integer from 1 to 9007199254740991";
const ID: &str = "an API-key id";
const REALM: &str = "a realm";
const SECONDS: &str = "an integer from 0 to 4294967295, in Unix seconds";
/// There is one way to say that a key never expires, or that nobody knows: not to say anything.
const EXPIRY: &str = "an integer from 1 to 4294967295, in Unix seconds";

pub(super) fn read(mut line: Line) -> Result<RevocationEvent, FeedError> {
    let kind = line.only(ChangeKind::ALL, ChangeKind::name)?;
    let name = kind.name();
    let seq = line.number("seq", SEQ)?.map(NonZeroU64::get);
    let seq = line.present("seq", seq)?;
    let mut effective_at = None;
    let change = match kind {
        ChangeKind::Revoke => {
            effective_at = line.number("effective_at", SECONDS)?;
            Change::Revoke { id: id(&mut line, name)?, expires_at: expiry(&mut line)? }
        }
        ChangeKind::Suspend => Change::Suspend { id: id(&mut line, name)?, expires_at: expiry(&mut line)? },
        ChangeKind::Resume => Change::Resume { id: id(&mut line, name)? },
        ChangeKind::RevokeApp => {
            let app_id = line.text(name, "a UUID with hyphens, in lower case")?;
            let app_id = line.present(name, app_id)?;
            Change::RevokeApp { app_id, realm: line.text("realm", REALM)?, issued_before: before(&mut line)? }
        }
        ChangeKind::RevokeRealm => {
            let realm = line.text(name, REALM)?;
            Change::RevokeRealm { realm: line.present(name, realm)?, issued_before: before(&mut line)? }
        }
    };
    line.end()?;
    Ok(RevocationEvent { seq, change, effective_at })
}

pub(super) fn write(event: &RevocationEvent, text: &mut String) -> Result<(), FeedError> {
    let seq = event.seq;
    let at = |field: &str, time: Option<u32>| time.map(|time| format!(r#","{field}":{time}"#)).unwrap_or_default();
    let expiry = |expires_at: Option<u32>| at("expires_at", expires_at.filter(|expires_at| *expires_at != 0));
    if event.effective_at.is_some() && !matches!(event.change, Change::Revoke { .. }) {
        return Err(FeedError::NoEvent { seq });
    }
    let kind = event.change.kind().ok_or(FeedError::NoEvent { seq })?.name();
    let what = match event.change {
        Change::Revoke { id, expires_at } | Change::Suspend { id, expires_at } => {
            format!(r#""{kind}":"{id}"{}"#, expiry(expires_at))
        }
        Change::Resume { id } => format!(r#""{kind}":"{id}""#),
        Change::RevokeApp { app_id, realm, issued_before } => {
            let realm = realm.map(|realm| format!(r#","realm":"{realm}""#)).unwrap_or_default();
            format!(r#""{kind}":"{app_id}"{realm},"issued_before":{issued_before}"#)
        }
        Change::RevokeRealm { realm, issued_before } => {
            format!(r#""{kind}":"{realm}","issued_before":{issued_before}"#)
        }
        Change::ForgetVersion { .. } => return Err(FeedError::NoEvent { seq }),
    };
    let _infallible = write!(text, r#"{{"seq":{seq},{what}{}}}"#, at("effective_at", event.effective_at));
    Ok(())
}

fn id(line: &mut Line, name: &'static str) -> Result<ApiKeyId, FeedError> {
    let id = line.text(name, ID)?;
    line.present(name, id)
}

fn expiry(line: &mut Line) -> Result<Option<u32>, FeedError> {
    match line.number("expires_at", EXPIRY)? {
        Some(0) => Err(line.wrong("expires_at", EXPIRY)),
        expires_at => Ok(expires_at),
    }
}

fn before(line: &mut Line) -> Result<u32, FeedError> {
    let before = line.number("issued_before", SECONDS)?;
    line.present("issued_before", before)
}
