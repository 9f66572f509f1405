//! The escrow table. A key that ends is removed from it in the same transaction.

use bulla::{ApiKeyId, revocation::Change};
use jiff::Timestamp;

use super::{params::params, session::Session};
use crate::{
    clock::KeyTime,
    store::{EscrowRow, NewRevocation, StoreError, rows::damaged},
};

/// Stores a key.
pub(super) fn insert(session: &Session, row: &EscrowRow) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO bulla.escrow (api_key_id, recipient, ciphertext, ending, created_at, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &params![
            row.id.to_string(),
            row.recipient.as_str(),
            row.ciphertext.as_str(),
            row.ending.as_deref(),
            row.created_at.as_second(),
            row.ends_at.map(Timestamp::as_second),
        ],
    )?;
    Ok(())
}

/// One key, unless it has ended.
pub(super) fn find(session: &Session, id: &ApiKeyId, now: Timestamp) -> Result<Option<EscrowRow>, StoreError> {
    let row = session.first(
        "SELECT recipient, ciphertext, ending, created_at, ends_at FROM bulla.escrow
         WHERE api_key_id = $1 AND (ends_at IS NULL OR ends_at > $2)",
        &params![id.to_string(), now.as_second()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let (created_at, ends_at): (i64, Option<i64>) = (row.get(3), row.get(4));
    let times = Timestamp::from_second(created_at).ok().zip(ends_at.map(Timestamp::from_second).transpose().ok());
    let (created_at, ends_at) = times.ok_or_else(|| damaged("the escrow", id))?;
    let (recipient, ciphertext, ending) = (row.get(0), row.get(1), row.get(2));
    Ok(Some(EscrowRow { id: *id, recipient, ciphertext, ending, created_at, ends_at }))
}

/// Stores the text that replaced the key's ending.
pub(super) fn renew(session: &Session, id: &ApiKeyId, ending: &str) -> Result<(), StoreError> {
    session.execute("UPDATE bulla.escrow SET ending = $2 WHERE api_key_id = $1", &params![id.to_string(), ending])?;
    Ok(())
}

/// Ends the escrow of a key at `at`.
pub(super) fn end(session: &Session, id: &ApiKeyId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    let id = id.to_string();
    if at <= now {
        session.execute("DELETE FROM bulla.escrow WHERE api_key_id = $1", &params![id])?;
    } else {
        session.execute(
            "UPDATE bulla.escrow SET ends_at = least(ends_at, $2) WHERE api_key_id = $1",
            &params![id, at.as_second()],
        )?;
    }
    Ok(())
}

/// Ends the escrow of keys that a revocation ends.
pub(super) fn end_by(session: &Session, new: &NewRevocation) -> Result<(), StoreError> {
    match new.change {
        Change::Revoke { id, .. } => {
            let at = new.effective_at.map_or(new.recorded_at, KeyTime::timestamp);
            return end(session, &id, at, new.recorded_at);
        }
        Change::RevokeApp { app_id, realm, issued_before } => session.execute(
            "DELETE FROM bulla.escrow WHERE api_key_id IN (SELECT api_key_id FROM bulla.api_keys
             WHERE app_id = $1 AND realm = coalesce($2, realm) AND issued_at < $3)",
            &params![app_id.to_string(), realm.map(|realm| realm.to_string()), i64::from(issued_before)],
        )?,
        // A realm may have many keys without escrow.
        Change::RevokeRealm { realm, issued_before } => session.execute(
            "DELETE FROM bulla.escrow WHERE EXISTS (SELECT 1 FROM bulla.api_keys AS key
             WHERE key.api_key_id = escrow.api_key_id AND key.realm = $1 AND key.issued_at < $2)",
            &params![realm.as_str(), i64::from(issued_before)],
        )?,
        Change::Suspend { .. } | Change::Resume { .. } | Change::ForgetVersion { .. } => 0,
    };
    Ok(())
}

/// Drops what has ended.
pub(super) fn sweep(session: &Session, now: Timestamp) -> Result<(), StoreError> {
    session.execute("DELETE FROM bulla.escrow WHERE ends_at <= $1", &params![now.as_second()])?;
    Ok(())
}
