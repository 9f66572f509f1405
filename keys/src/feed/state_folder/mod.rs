//! A follower's last good state on disk, for a start without any source.
//!
//! ```text
//! state    "bulla edge state 2\n" ‖ generation ‖ the state ‖ MAC over all that
//! journal  "bulla edge journal 1\n" ‖ generation, then for each message since:
//!          length u32be ‖ the message as it came ‖ MAC over generation ‖ its number u64be ‖ the message
//! ```
//!
//! The MACs are under a key of the follower's own. A whole state replaces the one before atomically, with a new
//! generation; a journal of another generation is older than the state beside it, and does not count. The
//! anchor (`anchor.rs`) says what must be there: where state and journal come to less, neither is used. What a crash tore
//! off the journal's end was not confirmed yet, and is not missed. A state of version 1 has no anchor.

mod anchor;
mod held;
mod journal;
mod signed;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use rand::{TryRng, rngs::SysRng};

pub use self::writer::StateWriter;
use self::{anchor::Anchor, held::Held, journal::Journal, signed::Signed};
use super::{FeedState, VerifyingKey};
use crate::{
    keyring::EdgeMac,
    keyring_id::KeyringId,
    realm::Realm,
    source::{open_regular_file, read_regular_file},
};

const STATE: &[u8] = b"bulla edge state 2\n";
/// As it was before there was an anchor.
const STATE_1: &[u8] = b"bulla edge state 1\n";
const JOURNAL: &[u8] = b"bulla edge journal 1\n";
const TAG: usize = 32;
/// How much of a state is read at once.
const PIECE: usize = 1 << 16;
/// Longer than any name.
const MAX_NAME: u64 = 1 << 12;
/// How often the folder is read anew at most while another process writes it.
const MAX_LOOKS: usize = 8;

type Generation = [u8; 16];

/// The folder of a follower's last good state, which this process alone writes.
pub struct StateFolder {
    folder: PathBuf,
    /// None where it is only read.
    held: Mutex<Option<Held>>,
    mac: EdgeMac,
    /// What the edge is called, once it was asked.
    name: OnceLock<String>,
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

/// The state in its file.
struct Found {
    /// Whether it is of a version that has an anchor.
    has_anchor: bool,
    generation: Generation,
    state: FeedState,
}

impl StateFolder {
    /// Makes the folder where it is missing, and locks it.
    pub fn open(folder: impl Into<PathBuf>, mac: EdgeMac) -> Result<Self, StateFolderError> {
        let folder = folder.into();
        let failed = |error| StateFolderError::Unusable { path: folder.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let held = Held::lock(&folder)?;
        Ok(StateFolder { folder, held: Mutex::new(Some(held)), mac, name: OnceLock::new() })
    }

    /// The folder of a follower that may run, to look into.
    pub fn to_read(folder: impl Into<PathBuf>, mac: EdgeMac) -> Self {
        StateFolder { folder: folder.into(), held: Mutex::default(), mac, name: OnceLock::new() }
    }

    /// What this edge is called: the name that was drawn at its first start.
    pub fn name(&self) -> Result<String, StateFolderError> {
        let name = self.name_on_disk()?;
        Ok(self.name.get_or_init(|| name).clone())
    }

    fn name_on_disk(&self) -> Result<String, StateFolderError> {
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
        self.write_name(&name)?;
        Ok(name)
    }

    fn write_name(&self, name: &str) -> Result<(), StateFolderError> {
        let written = self.replace("name", |file| file.write_all(format!("{name}\n").as_bytes()));
        written.map_err(|error| StateFolderError::Unusable { path: self.folder.join("name"), error })
    }

    /// The last good state, with everything that the journal has more. What was changed, lacks something that was
    /// confirmed, or was made by another edge is not used.
    pub fn load(&self, realm: Option<Realm>, trusted: (KeyringId, &VerifyingKey), now: u64) -> KeptState {
        let mut anchor = self.anchor_bytes();
        let mut loaded = self.load_by(&anchor, realm, trusted, now);
        for _ in 1..MAX_LOOKS {
            // The process that has the folder may have replaced one file after another was read.
            let newer = self.anchor_bytes();
            if loaded.is_ok() || newer == anchor {
                break;
            }
            loaded = self.load_by(&newer, realm, trusted, now);
            anchor = newer;
        }
        match loaded {
            Ok(state) => KeptState { state, trouble: None },
            Err(trouble) => {
                let path = self.folder.join("state");
                KeptState { state: None, trouble: Some(format!("{}: {trouble}", path.display())) }
            }
        }
    }

    /// The same, where the anchor has these bytes. The anchor is read first: what it asks for stays in the files until
    /// it changes.
    fn load_by(
        &self,
        anchor: &Result<Vec<u8>, String>,
        realm: Option<Realm>,
        trusted: (KeyringId, &VerifyingKey),
        now: u64,
    ) -> Result<Option<FeedState>, String> {
        let read = |bytes: &Vec<u8>| Anchor::read(bytes, &self.mac);
        let Some(Found { has_anchor, generation, mut state }) = self.read_state(realm, now)? else {
            return match anchor.as_ref().ok().and_then(read).filter(|anchor| anchor.generation != Generation::default())
            {
                Some(_) => Err("it was there, and is gone".to_owned()),
                None => Ok(None),
            };
        };
        let required = if has_anchor {
            let anchor = read(anchor.as_ref().map_err(|error| format!("{error}; the state is not used without it"))?);
            let anchor = anchor.ok_or("its anchor was changed; it is not used")?;
            match generation {
                written if written == anchor.generation => Some(anchor.messages),
                // Nothing was added to it.
                written if written == anchor.next => Some(0),
                _ => return Err("it is not the one that was written last; it is not used".to_owned()),
            }
        } else {
            None
        };
        let failed = |why: String| format!("its journal was changed or lost its end ({why}); it is not used");
        let replayed = self.replay(generation, trusted, &mut state).map_err(|error| failed(error.to_string()))?;
        let found = replayed.messages.unwrap_or_default();
        let is_whole = required.map_or(replayed.trouble.is_none(), |required| found >= required);
        if is_whole {
            return Ok(Some(state));
        }
        let counted = || format!("it has {found} of {} messages", required.unwrap_or_default());
        Err(failed(replayed.trouble.unwrap_or_else(counted)))
    }

    /// The state as it is in its file. It is read and authenticated in one go and piece by piece, and used only if the
    /// MAC at its end is right.
    fn read_state(&self, realm: Option<Realm>, now: u64) -> Result<Option<Found>, String> {
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
        let has_anchor = beginning == *STATE;
        let is_state = begun.is_ok() && (has_anchor || beginning == *STATE_1);
        let state = is_state.then(|| FeedState::restore_from(realm, &mut signed, now));
        // What was not understood is authenticated, too.
        io::copy(&mut signed, &mut io::sink()).map_err(failed)?;
        let (mac, mut tag) = (signed.into_inner(), [0; TAG]);
        (&file).read_exact(&mut tag).map_err(failed)?;
        match state.filter(|_| mac.verifies(&tag)) {
            None => Err(CHANGED.to_owned()),
            Some(Ok(state)) => Ok(Some(Found { has_anchor, generation, state })),
            Some(Err(_)) => {
                Err("another version of bulla made it, or it is about other realms; it is not used".to_owned())
            }
        }
    }

    /// Puts a whole state in place, whose log is at its end, and an empty journal that goes on from it. Returns the
    /// state's size, too.
    fn put(&self, state: &FeedState) -> io::Result<(Journal, u64)> {
        let mut generation = Generation::default();
        SysRng.try_fill_bytes(&mut generation).map_err(io::Error::other)?;
        self.announce(generation)?;
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
        let anchor = self.settle(generation)?;
        Ok((Journal { file, anchor, generation, messages: 0, bytes: 0 }, size))
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

impl std::fmt::Debug for StateFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateFolder").field("folder", &self.folder).finish_non_exhaustive()
    }
}
