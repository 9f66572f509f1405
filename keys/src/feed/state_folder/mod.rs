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

mod signed;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rand::{TryRng, rngs::SysRng};

use self::signed::Signed;
pub use self::writer::StateWriter;
use super::{FeedError, FeedState, Message, VerifyingKey};
use crate::{
    keyring::EdgeMac,
    keyring_id::KeyringId,
    realm::Realm,
    source::{open_regular_file, read_regular_file},
};

const STATE: &[u8] = b"bulla edge state 1\n";
const JOURNAL: &[u8] = b"bulla edge journal 1\n";
const TAG: usize = 32;
/// How much of a state is read at once.
const PIECE: usize = 1 << 16;
/// Longer than any name.
const MAX_NAME: u64 = 1 << 12;

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
        let read = read_regular_file(&path, MAX_NAME);
        match read.and_then(|name| String::from_utf8(name).map_err(io::Error::other)) {
            Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut random = [0; 4];
        SysRng.try_fill_bytes(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("edge");
        let name = format!("{host}-{}", hex::encode(random));
        self.replace("name", |file| file.write_all(format!("{name}\n").as_bytes())).map_err(failed)?;
        Ok(name)
    }

    /// The last good state, with everything that the journal has more. A file that was changed, torn or made by another
    /// edge is not used.
    pub fn load(&self, realm: Option<Realm>, trusted: (KeyringId, &VerifyingKey), now: u64) -> KeptState {
        let told = |what: &str| Some(format!("{}: {what}", self.folder.join("state").display()));
        let (generation, mut state) = match self.read_state(realm, now) {
            Ok(Some(found)) => found,
            Ok(None) => return KeptState::default(),
            Err(trouble) => return KeptState { trouble: told(&trouble), ..KeptState::default() },
        };
        let trouble = match self.read_journal() {
            Ok(bytes) => self.replay(&bytes, generation, trusted, &mut state).err(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        KeptState { state: Some(state), trouble: trouble.and_then(|trouble| told(&format!("its journal: {trouble}"))) }
    }

    /// The state as it is in its file. It is read and authenticated in one go and piece by piece, and used only if the
    /// MAC at its end is right.
    fn read_state(&self, realm: Option<Realm>, now: u64) -> Result<Option<(Generation, FeedState)>, String> {
        const CHANGED: &str = "it was changed, or another edge made it; it is not used";
        let failed = |error: io::Error| error.to_string();
        let file = match open_regular_file(&self.folder.join("state")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let length = file.metadata().map_err(failed)?.len().checked_sub(TAG as u64).ok_or(CHANGED)?;
        let mut signed = BufReader::with_capacity(PIECE, Signed::new((&file).take(length), &self.mac));
        let (mut beginning, mut generation) = ([0; STATE.len()], Generation::default());
        let begun = signed.read_exact(&mut beginning).and_then(|()| signed.read_exact(&mut generation));
        let is_state = begun.is_ok() && beginning == *STATE;
        let state = is_state.then(|| FeedState::restore_from(realm, &mut signed, now));
        // What was not understood is authenticated, too.
        io::copy(&mut signed, &mut io::sink()).map_err(failed)?;
        let (mac, mut tag) = (signed.into_inner(), [0; TAG]);
        (&file).read_exact(&mut tag).map_err(failed)?;
        match state.filter(|_| mac.verifies(&tag)) {
            None => Err(CHANGED.to_owned()),
            Some(Ok(state)) => Ok(Some((generation, state))),
            Some(Err(_)) => {
                Err("another version of bulla made it, or it is about other realms; it is not used".to_owned())
            }
        }
    }

    fn read_journal(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_regular_file(&self.folder.join("journal"))?.read_to_end(&mut bytes)?;
        Ok(bytes)
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

    /// Puts a whole state in place, whose log is at its end, and an empty journal that goes on from it. Returns the
    /// state's size, too.
    fn put(&self, state: &FeedState) -> io::Result<(Journal, u64)> {
        let mut generation = Generation::default();
        SysRng.try_fill_bytes(&mut generation).map_err(io::Error::other)?;
        let size = self.replace("state", |file| {
            let mut signed = Signed::new(&mut *file, &self.mac);
            signed.write_all(STATE)?;
            signed.write_all(&generation)?;
            if !state.save_to(&mut signed)? {
                return Err(io::Error::other("the end of the log is not reached"));
            }
            let tag = signed.tag();
            file.write_all(&tag)?;
            Ok(file.metadata()?.len())
        })?;
        self.replace("journal", |file| {
            file.write_all(JOURNAL)?;
            file.write_all(&generation)
        })?;
        let file = OpenOptions::new().append(true).open(self.folder.join("journal"))?;
        Ok((Journal { file, generation, records: 0, bytes: 0 }, size))
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
    fn replace<T>(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        // Always the same name, so that killed writers leave one file behind at most.
        let new = self.folder.join(format!("{name}.new"));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            let written = write(&mut file)?;
            file.sync_all()?;
            std::fs::rename(&new, self.folder.join(name))?;
            Ok(written)
        })();
        if written.is_err() {
            // Its room is needed for the next try.
            let _gone_already = std::fs::remove_file(&new);
        }
        written.and_then(|written| sync_folder(&self.folder).map(|()| written))
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
