//! The lines of a message that revoke, suspend or resume.

use std::num::NonZeroU64;

use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};

use super::{FeedError, line::Line};
use crate::{
    api_key::ApiKeyId,
    revocation::{Change, ChangeKind, RevocationEvent},
};

const SEQ: &str = "an integer from 1 to 9007199254740991";
const ID: &str = "an API-key id";
const REALM: &str = "a realm";
const SECONDS: &str = "an integer from 0 to 4294967295, in Unix seconds";
/// The field is absent for a key that never expires, or whose expiry is not known.
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

pub(super) fn write(event: &RevocationEvent) -> Result<String, FeedError> {
    let no_event = || FeedError::NoEvent { seq: event.seq };
    let kind = event.change.kind().ok_or_else(no_event)?;
    if event.effective_at.is_some() && kind != ChangeKind::Revoke {
        return Err(no_event());
    }
    serde_json::to_string(&EventText { event, kind: kind.name() }).map_err(|_| no_event())
}

/// The line, its fields in their order: the number, the kind with what it concerns, and the rest.
struct EventText<'a> {
    event: &'a RevocationEvent,
    kind: &'static str,
}

impl Serialize for EventText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("seq", &self.event.seq)?;
        match self.event.change {
            Change::Revoke { id, expires_at } | Change::Suspend { id, expires_at } => {
                line.serialize_entry(self.kind, &id.to_string())?;
                if let Some(expires_at) = expires_at.filter(|expires_at| *expires_at != 0) {
                    line.serialize_entry("expires_at", &expires_at)?;
                }
            }
            Change::Resume { id } => line.serialize_entry(self.kind, &id.to_string())?,
            Change::RevokeApp { app_id, realm, issued_before } => {
                line.serialize_entry(self.kind, &app_id.to_string())?;
                if let Some(realm) = &realm {
                    line.serialize_entry("realm", realm.as_str())?;
                }
                line.serialize_entry("issued_before", &issued_before)?;
            }
            Change::RevokeRealm { realm, issued_before } => {
                line.serialize_entry(self.kind, realm.as_str())?;
                line.serialize_entry("issued_before", &issued_before)?;
            }
            Change::ForgetVersion { .. } => return Err(S::Error::custom("a feed does not carry it")),
        }
        if let Some(effective_at) = self.event.effective_at {
            line.serialize_entry("effective_at", &effective_at)?;
        }
        line.end()
    }
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
