//! A follower's state as bytes, for one that survives a restart without its server. Their owner authenticates them:
//! unlike messages they carry no proof of their own. Bytes are written and read piece by piece: a list of millions of
//! keys is not in memory twice.

use std::io::{self, BufRead, Write};

use uuid::Uuid;

use super::{FeedState, LogId};
use crate::{
    api_key::ApiKeyId,
    key_version::KeyVersion,
    keyring::VersionState,
    realm::Realm,
    revocation::{Change, RevocationLog},
};

const FORMAT: u8 = 1;
/// How much is written at once.
const PIECE: usize = 1 << 16;
/// More than one statement has.
const STATEMENT: usize = 64;

/// Bytes that are no saved state of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a follower's state that this version reads")]
pub struct SavedStateError;

impl FeedState {
    /// The state as bytes, once the end of the log was reached; before that there is nothing to go on from.
    pub fn save(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.save_to(&mut bytes).is_ok_and(|saved| saved).then_some(bytes)
    }

    /// Writes the bytes of [`FeedState::save`] in small pieces. Returns whether there was something to write.
    pub fn save_to(&self, to: &mut dyn Write) -> io::Result<bool> {
        let Some((log_id, fresh_until)) = self.at_end() else { return Ok(false) };
        let mut out = Out { to, piece: Vec::with_capacity(PIECE + STATEMENT), failed: None };
        out.byte(FORMAT);
        out.realm(self.realm);
        out.bytes(log_id.as_bytes());
        for number in [self.log.seq(), self.this_update, fresh_until, self.keyring_serial] {
            out.number(number);
        }
        out.number(self.versions.len() as u64);
        for (version, state) in &self.versions {
            out.time(version.number());
            out.byte(state_number(*state));
        }
        out.number(self.refused.len() as u64);
        self.refused.iter().for_each(|version| out.time(version.number()));
        let mut realm = None;
        self.log.for_each(&mut |change, effective_at| out.change(change, effective_at, &mut realm));
        out.byte(tag::MORE);
        for (change, effective_at) in self.log.more() {
            out.change(change, effective_at, &mut realm);
        }
        out.finish().map(|()| true)
    }

    /// Returns whether there is something to go on from.
    #[cfg(unix)]
    pub(super) fn can_save(&self) -> bool {
        self.at_end().is_some()
    }

    /// The log, and until when it is fresh, if its end was reached.
    fn at_end(&self) -> Option<(LogId, u64)> {
        self.log_id.filter(|_| self.log.at_end()).zip(self.fresh_until)
    }

    /// The state of these bytes, for a follower of this realm or of every realm; `now` is in Unix seconds.
    pub fn restore(realm: Option<Realm>, mut bytes: &[u8], now: u64) -> Result<Self, SavedStateError> {
        Self::restore_from(realm, &mut bytes, now)
    }

    /// The same, read to the end. Bytes that cannot be read are no saved state either.
    pub fn restore_from(realm: Option<Realm>, from: &mut impl BufRead, now: u64) -> Result<Self, SavedStateError> {
        let mut rest = In(from);
        if rest.byte()? != FORMAT || rest.realm()? != realm {
            return Err(SavedStateError);
        }
        let mut state = FeedState::new(realm);
        state.log_id = Some(LogId::from_bytes(rest.take()?));
        let [seq, this_update, fresh_until, keyring_serial] = [(); 4].map(|()| rest.number());
        (state.this_update, state.fresh_until, state.keyring_serial) =
            (this_update?, Some(fresh_until?), keyring_serial?);
        state.fresh_by = state.this_update;
        for _ in 0..rest.number()? {
            let version = rest.version()?;
            let number = usize::from(rest.byte()?);
            state.versions.push((version, *VersionState::ALL.get(number).ok_or(SavedStateError)?));
        }
        for _ in 0..rest.number()? {
            state.refused.push(rest.version()?);
        }
        let (mut realm, mut broken) = (None, false);
        let statements = std::iter::from_fn(|| {
            rest.change(&mut realm).unwrap_or_else(|_| {
                broken = true;
                None
            })
        });
        state.log = RevocationLog::restored(seq?, statements, now);
        let mut more = Vec::new();
        while !broken && !rest.is_empty()? {
            more.push(rest.change(&mut realm)?.ok_or(SavedStateError)?);
        }
        state.log.keep(more, now);
        if broken { Err(SavedStateError) } else { Ok(state) }
    }
}

fn state_number(state: VersionState) -> u8 {
    // All of them are listed, and fewer than 256.
    VersionState::ALL.iter().take_while(|one| **one != state).count() as u8
}

/// What a statement is about.
mod tag {
    pub(super) const REALM: u8 = 0;
    pub(super) const REVOKE: u8 = 1;
    pub(super) const REVOKE_LATER: u8 = 2;
    pub(super) const SUSPEND: u8 = 3;
    pub(super) const APP_EVERYWHERE: u8 = 4;
    pub(super) const APP: u8 = 5;
    pub(super) const RULE: u8 = 6;
    /// The entries behind it are in force, and the log does not have them.
    pub(super) const MORE: u8 = 7;
}

struct Out<'w> {
    to: &'w mut dyn Write,
    piece: Vec<u8>,
    /// Nothing is written after an error.
    failed: Option<io::Error>,
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.to.write_all(&self.piece).err();
        }
        self.piece.clear();
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.failed.map_or(Ok(()), Err)
    }

    fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    fn time(&mut self, time: u32) {
        self.bytes(&time.to_be_bytes());
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn realm(&mut self, realm: Option<Realm>) {
        let name = realm.as_ref().map(Realm::as_slice).unwrap_or_default();
        // A name has 24 bytes at most.
        self.byte(name.len() as u8);
        self.bytes(name);
    }

    fn change(&mut self, change: Change, effective_at: Option<u32>, current: &mut Option<Realm>) {
        let of = match change {
            Change::Revoke { id, .. } | Change::Suspend { id, .. } | Change::Resume { id } => Some(id.realm()),
            Change::RevokeApp { realm, .. } => realm,
            Change::RevokeRealm { realm, .. } => Some(realm),
            Change::ForgetVersion { .. } => None,
        };
        if of.is_some() && of != *current {
            self.byte(tag::REALM);
            self.realm(of);
            *current = of;
        }
        let (tag, key, time): (u8, &[u8], u32) = match (&change, effective_at) {
            (Change::Revoke { id, expires_at }, None) => (tag::REVOKE, id.bytes(), expires_at.unwrap_or_default()),
            (Change::Revoke { id, expires_at }, Some(at)) => {
                self.byte(tag::REVOKE_LATER);
                self.time(at);
                self.bytes(id.bytes());
                return self.time(expires_at.unwrap_or_default());
            }
            (Change::Suspend { id, expires_at }, _) => (tag::SUSPEND, id.bytes(), expires_at.unwrap_or_default()),
            (Change::RevokeApp { app_id, realm, issued_before }, _) => {
                (if realm.is_some() { tag::APP } else { tag::APP_EVERYWHERE }, app_id.as_bytes(), *issued_before)
            }
            (Change::RevokeRealm { issued_before, .. }, _) => (tag::RULE, &[], *issued_before),
            (Change::Resume { .. } | Change::ForgetVersion { .. }, _) => return,
        };
        self.byte(tag);
        self.bytes(key);
        self.time(time);
    }
}

struct In<'r, R>(&'r mut R);

impl<R: BufRead> In<'_, R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SavedStateError> {
        let mut taken = [0; N];
        self.fill(&mut taken)?;
        Ok(taken)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SavedStateError> {
        self.0.read_exact(bytes).map_err(|_| SavedStateError)
    }

    fn is_empty(&mut self) -> Result<bool, SavedStateError> {
        self.0.fill_buf().map(<[u8]>::is_empty).map_err(|_| SavedStateError)
    }

    fn byte(&mut self) -> Result<u8, SavedStateError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn time(&mut self) -> Result<u32, SavedStateError> {
        self.take().map(u32::from_be_bytes)
    }

    fn number(&mut self) -> Result<u64, SavedStateError> {
        self.take().map(u64::from_be_bytes)
    }

    fn version(&mut self) -> Result<KeyVersion, SavedStateError> {
        KeyVersion::new(self.time()?).ok_or(SavedStateError)
    }

    fn realm(&mut self) -> Result<Option<Realm>, SavedStateError> {
        let (length, mut name) = (usize::from(self.byte()?), [0; u8::MAX as usize]);
        let name = &mut name[..length];
        self.fill(name)?;
        if name.is_empty() {
            return Ok(None);
        }
        let name = std::str::from_utf8(name).map_err(|_| SavedStateError)?;
        name.parse().map(Some).map_err(|_| SavedStateError)
    }

    /// The next statement, and when it takes effect; none at the end of what the log says.
    fn change(&mut self, current: &mut Option<Realm>) -> Result<Option<(Change, Option<u32>)>, SavedStateError> {
        loop {
            let tag = self.byte()?;
            if tag == tag::REALM {
                *current = self.realm()?;
                continue;
            }
            if tag == tag::MORE {
                return Ok(None);
            }
            if tag == tag::APP_EVERYWHERE {
                let app_id = Uuid::from_bytes(self.take()?);
                return Ok(Some((Change::RevokeApp { app_id, realm: None, issued_before: self.time()? }, None)));
            }
            let realm = current.ok_or(SavedStateError)?;
            let expiry = |time: u32| Some(time).filter(|time| *time != 0);
            return Ok(Some(match tag {
                tag::REVOKE | tag::REVOKE_LATER => {
                    let effective_at = (tag == tag::REVOKE_LATER).then(|| self.time()).transpose()?;
                    let id = ApiKeyId::new(realm, self.take()?);
                    (Change::Revoke { id, expires_at: expiry(self.time()?) }, effective_at)
                }
                tag::SUSPEND => {
                    let id = ApiKeyId::new(realm, self.take()?);
                    (Change::Suspend { id, expires_at: expiry(self.time()?) }, None)
                }
                tag::APP => {
                    let app_id = Uuid::from_bytes(self.take()?);
                    (Change::RevokeApp { app_id, realm: Some(realm), issued_before: self.time()? }, None)
                }
                tag::RULE => (Change::RevokeRealm { realm, issued_before: self.time()? }, None),
                _ => return Err(SavedStateError),
            }));
        }
    }
}
