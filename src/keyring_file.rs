//! The keyring document as a file: read without waiting, locked for a change, and replaced in one step.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;
use tempfile::{NamedTempFile, TempPath};

use crate::deployment::DeploymentError;

/// More than a keyring of ten thousand versions has.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// How long another process may hold the lock: it takes milliseconds, for no source is asked meanwhile.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The text of the document.
pub(crate) fn read(path: &Path) -> Result<String, DeploymentError> {
    let failed = |error| DeploymentError::KeyringRead { path: path.to_owned(), error };
    let text = bulla::source::read_regular_file(path, MAX_FILE).map_err(failed)?;
    String::from_utf8(text).map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))
}

/// The document, held off from other processes that would change it, until this is dropped. The document itself is replaced,
/// so a file beside it is locked.
pub(crate) struct Held {
    path: PathBuf,
    beside: PathBuf,
    lock: File,
    sync_folder: fn(&Path) -> io::Result<()>,
}

/// How a replacement ended.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// The new document stands, also after a power failure.
    Durably,
    /// The new document stands, and the disk did not confirm that it stays: after a power failure the old one may be back.
    Unconfirmed(io::Error),
}

impl Held {
    /// Waits for the lock as long as another process may need it. A link stays a link: what it leads to is held.
    pub(crate) fn lock(path: &Path) -> Result<Self, DeploymentError> {
        let named = path.to_owned();
        let path = path.canonicalize().map_err(|error| DeploymentError::KeyringRead { path: named, error })?;
        if path.metadata().is_ok_and(|metadata| metadata.permissions().readonly()) {
            return Err(DeploymentError::KeyringReadOnly(path));
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                DeploymentError::KeyringReadOnly(path.clone())
            }
            _ => DeploymentError::KeyringWrite { path: path.clone(), error },
        };
        let beside = path.with_extension("lock");
        let deadline = Instant::now() + LOCK_LIMIT;
        loop {
            // Anew each time: after somebody removes the file, others lock another one of the same name.
            let file = for_writing().truncate(false).open(&beside).map_err(failed)?;
            give_to_owner_of(&path, &file).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&beside, &file) => {
                    return Ok(Held { path, beside, lock: file, sync_folder });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL),
                Err(TryLockError::WouldBlock) => {
                    return Err(DeploymentError::KeyringLocked { lock: beside, limit: LOCK_LIMIT });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Replaces the document in one step: a reader sees the old document or the new one, also after a crash. An error is of a
    /// document that was not replaced.
    pub(crate) fn replace(&self, content: &[u8]) -> Result<Replaced, DeploymentError> {
        let failed = |error| DeploymentError::KeyringWrite { path: self.path.clone(), error };
        self.write(content).map_err(failed)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok((self.sync_folder)(folder).map_or_else(Replaced::Unconfirmed, |()| Replaced::Durably))
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        // Then another process may be changing the document as well.
        if !is_at(&self.beside, &self.lock) {
            let told = format!("{} was removed meanwhile: leave it there, and try again", self.beside.display());
            return Err(io::Error::other(told));
        }
        // Always of this name, so that a change that was killed leaves one file behind and not many.
        let new = self.path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(&new)?);
        file.write_all(content)?;
        file.as_file().set_permissions(self.path.metadata()?.permissions())?;
        give_to_owner_of(&self.path, file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map(drop).map_err(|failed| match failed.error.kind() {
            io::ErrorKind::ResourceBusy => io::Error::new(
                failed.error.kind(),
                "it is mounted without its folder, so no other can be put in its place: mount the folder",
            ),
            _ => failed.error,
        })
    }

    /// Has the disk confirm no replacement.
    #[cfg(test)]
    pub(crate) fn unconfirmed(self) -> Self {
        Held { sync_folder: |_| Err(io::ErrorKind::StorageFull.into()), ..self }
    }
}

/// Has a renamed file of this folder stay renamed after a power failure.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether the path still leads to this file.
fn is_at(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    path.metadata().ok().map(identity) == file.metadata().ok().map(identity)
}

/// Opens without waiting: a named pipe in the place of the file would wait for its reader.
fn for_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// An administrator who changes the keyring as root leaves it with the user of the service. Others cannot give files away,
/// and need not.
fn give_to_owner_of(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, given) = (path.metadata()?, file.metadata()?);
    if (owner.uid(), owner.gid()) == (given.uid(), given.gid()) {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file that must not exist yet, durably.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_removed_holds_nobody_off_and_lets_nobody_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring.toml");
        std::fs::write(&path, "old").expect("written");
        let first = Held::lock(&path).expect("locked");
        std::fs::remove_file(folder.path().join("keyring.lock")).expect("removed");
        let second = Held::lock(&path).expect("another file of the same name");
        let refused = first.replace(b"first").expect_err("it no longer holds the others off").to_string();
        assert!(refused.contains("keyring.lock was removed"), "{refused}");
        second.replace(b"second").expect("replaced");
        assert_eq!(read(&path).expect("the document"), "second");
    }
}
