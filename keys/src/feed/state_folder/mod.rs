//! A follower's last good state on disk, for a start without any source.
//!
//! ```text
//! state    "bulla edge state 1\n" ‖ generation ‖ the state ‖ MAC over all that
//! journal  "bulla edge journal 1\n" ‖ generation, then for each message since:
//!          length u32be ‖ the message as it came ‖ MAC over generation ‖ its number u64be ‖ the message
//! ```
//!
//! The MACs are under a key of the follower's own. A whole state replaces the one before atomically, with a new
//! generation; a journal of another generation is older than the state beside it, and does not count.

mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rand::{TryRng, rngs::SysRng};

pub use self::writer::StateWriter;
use super::{FeedError, FeedState, Message, VerifyingKey};
use crate::{keyring::EdgeMac, keyring_id::KeyringId, realm::Realm};

const STATE: &[u8] = b"bulla edge state 1\n";
const JOURNAL: &[u8] = b"bulla edge journal 1\n";
const TAG: usize = 32;

type Generation = [u8; 16];

/// The folder of a follower's last good state, which this process alone writes.
pub struct StateFolder {
    folder: PathBuf,
    _lock: Option<File>,
    mac: EdgeMac,
}

/// A folder that the state cannot be kept in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFolderError {
    /// It cannot be made, read or written.
    #[error("the folder {path} for the state cannot be used: {error}")]
    Unusable {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process writes it.
    #[error("another process has the state in {0}: each edge needs a folder of its own")]
    Locked(PathBuf),
}

/// What was in the folder.
#[derive(Debug, Default)]
pub struct KeptState {
    /// The state.
    pub state: Option<FeedState>,
    /// Why something in it was not used.
    pub trouble: Option<String>,
}

/// The journal that goes on from the state on disk.
struct Journal {
    file: File,
    generation: Generation,
    records: u64,
    bytes: u64,
}

impl StateFolder {
    /// Makes the folder where it is missing, and locks it.
    pub fn open(folder: impl Into<PathBuf>, mac: EdgeMac) -> Result<Self, StateFolderError> {
        let folder = folder.into();
        let failed = |error| StateFolderError::Unusable { path: folder.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(StateFolder { folder, _lock: Some(lock), mac }),
            Err(TryLockError::WouldBlock) => Err(StateFolderError::Locked(folder)),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The folder of a follower that may run, to look into.
    pub fn to_read(folder: impl Into<PathBuf>, mac: EdgeMac) -> Self {
        StateFolder { folder: folder.into(), _lock: None, mac }
    }

    /// What this edge is called: the name that was drawn at its first start.
    pub fn name(&self) -> Result<String, StateFolderError> {
        let path = self.folder.join("name");
        let failed = |error| StateFolderError::Unusable { path: path.clone(), error };
        match std::fs::read_to_string(&path) {
            Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut random = [0; 4];
        SysRng.try_fill_bytes(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("edge");
        let name = format!("{host}-{}", hex::encode(random));
        self.replace("name", &[name.as_bytes(), b"\n"]).map_err(failed)?;
        Ok(name)
    }

    /// The last good state, with everything that the journal has more. A file that was changed, torn or made by another
    /// edge is not used.
    pub fn load(&self, realm: Option<Realm>, trusted: (KeyringId, &VerifyingKey), now: u64) -> KeptState {
        let told = |what: &str| Some(format!("{}: {what}", self.folder.join("state").display()));
        let bytes = match std::fs::read(self.folder.join("state")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return KeptState::default(),
            Err(error) => return KeptState { trouble: told(&error.to_string()), ..KeptState::default() },
        };
        let Some((generation, saved)) = self.checked(&bytes) else {
            return KeptState {
                trouble: told("it was changed, or another edge made it; it is not used"),
                ..KeptState::default()
            };
        };
        let Ok(mut state) = FeedState::restore(realm, saved, now) else {
            let trouble = told("another version of bulla made it, or it is about other realms; it is not used");
            return KeptState { trouble, ..KeptState::default() };
        };
        let trouble = match std::fs::read(self.folder.join("journal")) {
            Ok(bytes) => self.replay(&bytes, generation, trusted, &mut state).err(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        KeptState { state: Some(state), trouble: trouble.and_then(|trouble| told(&format!("its journal: {trouble}"))) }
    }

    /// Generation and state, if the MAC holds.
    fn checked<'b>(&self, bytes: &'b [u8]) -> Option<(Generation, &'b [u8])> {
        let (signed, tag) = bytes.split_last_chunk::<TAG>()?;
        let rest = signed.strip_prefix(STATE).filter(|_| self.mac.verifies(signed, tag))?;
        rest.split_first_chunk().map(|(generation, saved)| (*generation, saved))
    }

    /// Applies each message as it was applied when it came: FEED.md.
    fn replay(
        &self,
        bytes: &[u8],
        generation: Generation,
        (keyring_id, public_key): (KeyringId, &VerifyingKey),
        state: &mut FeedState,
    ) -> Result<(), String> {
        let Some(mut rest) = bytes.strip_prefix(JOURNAL).and_then(|rest| rest.strip_prefix(&generation)) else {
            return Ok(());
        };
        let mut number = 0_u64;
        while let Some((length, more)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            // A crash tears off the end only what had not been confirmed.
            let Some((bytes, (tag, more))) =
                more.split_at_checked(length).and_then(|(bytes, more)| Some((bytes, more.split_first_chunk::<TAG>()?)))
            else {
                return Ok(());
            };
            if !self.mac.verifies(&record(&generation, number, bytes), tag) {
                return Err(format!("message {number} was changed; those behind it are not used"));
            }
            let message = Message::read(bytes, keyring_id, public_key);
            let message = message.map_err(|error| format!("message {number} is refused: {error}"))?;
            let at = message.head().this_update;
            let applied = match state.apply(&message, at) {
                Err(FeedError::OtherLog { .. }) => {
                    state.restart();
                    state.apply(&message, at)
                }
                applied => applied,
            };
            applied.map_err(|error| format!("message {number} is refused: {error}"))?;
            (rest, number) = (more, number + 1);
        }
        Ok(())
    }

    /// Puts a whole state in place, and an empty journal that goes on from it.
    fn put(&self, saved: &[u8]) -> io::Result<Journal> {
        let mut generation = Generation::default();
        SysRng.try_fill_bytes(&mut generation).map_err(io::Error::other)?;
        let mut signed = Vec::with_capacity(STATE.len() + generation.len() + saved.len());
        [STATE, &generation, saved].into_iter().for_each(|part| signed.extend_from_slice(part));
        let tag = self.mac.tag(&signed);
        self.replace("state", &[&signed, &tag])?;
        self.replace("journal", &[JOURNAL, &generation])?;
        let file = OpenOptions::new().append(true).open(self.folder.join("journal"))?;
        Ok(Journal { file, generation, records: 0, bytes: 0 })
    }

    /// Adds messages to the journal; they are on disk when this returns. After an error its end may be torn.
    fn append<'m>(&self, journal: &mut Journal, messages: impl Iterator<Item = &'m [u8]>) -> io::Result<()> {
        let mut records = Vec::new();
        for message in messages {
            let tag = self.mac.tag(&record(&journal.generation, journal.records, message));
            let length = u32::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes();
            [&length, message, &tag].into_iter().for_each(|part| records.extend_from_slice(part));
            journal.records += 1;
        }
        journal.file.write_all(&records)?;
        // Once for all of them: a disk is slower than the feed may be, and the fleet hears of no place that is not on
        // it.
        journal.file.sync_data()?;
        journal.bytes += records.len() as u64;
        Ok(())
    }

    /// Replaces a file: a reader sees the old one or the new one, also after a power failure.
    fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        // Always the same name, so that killed writers leave one file behind at most.
        let new = self.folder.join(format!("{name}.new"));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()?;
            std::fs::rename(&new, self.folder.join(name))
        })();
        if written.is_err() {
            // Its room is needed for the next try.
            let _gone_already = std::fs::remove_file(&new);
        }
        written.and_then(|()| sync_folder(&self.folder))
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn record(generation: &Generation, number: u64, message: &[u8]) -> Vec<u8> {
    [generation.as_slice(), &number.to_be_bytes(), message].concat()
}

impl std::fmt::Debug for StateFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateFolder").field("folder", &self.folder).finish_non_exhaustive()
    }
}
