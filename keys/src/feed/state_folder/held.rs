//! The folder that a process holds: whether the path still leads to it, and to what was written there. A restart finds
//! what is at the path, which may be a restored copy by then, or another file system.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::{MutexGuard, PoisonError},
};

use rustix::fs::OFlags;

use super::{JOURNAL, StateFolder, StateFolderError, anchor::Anchor, journal::Journal};

const LOCK: &str = "lock";

/// Device and inode of a file.
type Identity = (u64, u64);

/// A folder that was locked, and its lock.
pub(super) struct Held {
    folder: Identity,
    lock: File,
}

impl Held {
    /// Locks the folder, which has to be there.
    pub(super) fn lock(folder: &Path) -> Result<Self, StateFolderError> {
        let failed = |error| StateFolderError::Unusable { path: folder.to_owned(), error };
        let of_folder = identity(&folder.metadata().map_err(failed)?);
        let mut options = OpenOptions::new();
        // A named pipe in its place is an error, and nothing to wait for.
        let options =
            options.write(true).create(true).truncate(false).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let lock = options.mode(0o600).open(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Held { folder: of_folder, lock }),
            Err(TryLockError::WouldBlock) => Err(StateFolderError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Returns whether the path leads to the folder and its lock.
    fn is_at(&self, folder: &Path) -> io::Result<bool> {
        let lock = identity(&self.lock.metadata()?);
        Ok(identity(&folder.metadata()?) == self.folder && identity(&folder.join(LOCK).metadata()?) == lock)
    }
}

impl StateFolder {
    /// Fails where the path leads elsewhere than to the folder that is held, or the files there are not those that were
    /// written, of which this is the journal.
    pub(super) fn check_path(&self, journal: Option<&Journal>) -> Result<(), String> {
        let path = self.folder.display();
        let held = self.held();
        let Some(held) = &*held else { return Ok(()) };
        match held.is_at(&self.folder) {
            Ok(true) => {}
            Ok(false) => return Err(format!("{path} is another folder than the one that is open")),
            Err(_) => return Err(format!("{path} was removed while it is open, or cannot be read")),
        }
        match journal.map_or(Ok(true), |journal| self.has_written(journal)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(format!("the files in {path} are not those that were written last")),
        }
    }

    /// Holds the folder that the path leads to now, if it is another one. It is not made: somebody may be about to put
    /// one in its place.
    pub(super) fn take_up(&self) -> Result<(), StateFolderError> {
        let mut held = self.held();
        let Some(before) = &*held else { return Ok(()) };
        if before.is_at(&self.folder).is_ok_and(|is_at| is_at) {
            return Ok(());
        }
        *held = Some(Held::lock(&self.folder)?);
        drop(held);
        // A restart goes by the same name.
        match self.name.get() {
            Some(name) if !self.folder.join("name").exists() => self.write_name(name),
            _ => Ok(()),
        }
    }

    /// Returns whether the files at the path are the state and the journal, up to its last message, and the anchor says
    /// so.
    fn has_written(&self, journal: &Journal) -> io::Result<bool> {
        let at_path = self.folder.join("journal").metadata()?;
        let length = (JOURNAL.len() + journal.generation.len()) as u64 + journal.bytes;
        let anchor = Anchor::settled(journal.generation, journal.messages).to_bytes(&self.mac);
        Ok(identity(&at_path) == identity(&journal.file.metadata()?)
            && at_path.len() == length
            && self.generation() == Some(journal.generation)
            && self.anchor_bytes().map_err(io::Error::other)? == anchor)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}
