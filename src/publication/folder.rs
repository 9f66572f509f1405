//! A folder as a place to publish in: a web server hands out what is in it, or something copies it elsewhere.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::place::{Caching, Place, PlaceError, Replaced, Tag};
use crate::input::regular_file;

/// How long to wait for the lock, which is held for the time of one write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between attempts to lock.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Names that web servers do not hand out, and that listings skip.
const LOCK: &str = ".lock";
const HALF_WRITTEN: &str = ".new-";

/// How far the time of change of an object may run ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// Everybody who reaches the web server may read what is published.
const MODE: u32 = 0o644;

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder, which is made if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Self, PlaceError> {
        fs::create_dir_all(path).map_err(failed("make the folder", path))?;
        Ok(Folder { path: path.to_owned() })
    }

    /// Writes a file whole, under its name, and through to the disk.
    fn write(&self, name: &str, bytes: &[u8], overwrite: bool) -> Result<(), PlaceError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let written = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new().prefix(HALF_WRITTEN).tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().set_permissions(Permissions::from_mode(MODE))?;
            if overwrite {
                set_changed(file.as_file(), &path)?;
            }
            file.as_file().sync_all()?;
            put(file, &path, overwrite)?;
            File::open(folder)?.sync_all()
        };
        written().map_err(failed("write", &path))
    }

    /// Keeps other publishers out of this folder until it is dropped.
    fn lock(&self) -> Result<File, PlaceError> {
        let path = self.path.join(LOCK);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let opened = regular_file::open(&path, OpenOptions::new().create(true).truncate(false).write(true));
        let file = opened.map_err(failed("open", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL_INTERVAL),
                Err(TryLockError::WouldBlock) => return Err(PlaceError::Locked(path)),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
            }
        }
    }
}

impl Place for Folder {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Tag)>, PlaceError> {
        let path = self.path.join(name);
        match regular_file::read(&path) {
            Ok(bytes) => {
                let tag = tag(&bytes);
                Ok(Some((bytes, tag)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), PlaceError> {
        self.write(name, bytes, false)
    }

    fn replace(&self, name: &str, bytes: &[u8], _: Caching, from: Option<&Tag>) -> Result<Replaced, PlaceError> {
        let _until_written = self.lock()?;
        let now = self.read(name)?;
        if now.as_ref().map(|(_, tag)| tag) != from {
            return Ok(Replaced::Changed);
        }
        self.write(name, bytes, true)?;
        Ok(Replaced::Done(tag(bytes)))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, PlaceError> {
        let path = self.path.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &path)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("list", &path))?.file_name();
            names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<(), PlaceError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

fn put(file: NamedTempFile, path: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return file.persist(path).map(drop).map_err(|failed| failed.error);
    }
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => Ok(()),
    }
}

/// Gives a file a time of change that is a second later than that of the one it replaces, at least: nginx makes its
/// ETag of the second and the length, and would answer 304 to somebody who read another object of the same second.
fn set_changed(file: &File, before: &Path) -> io::Result<()> {
    let Ok(before) = fs::metadata(before).and_then(|metadata| metadata.modified()) else { return Ok(()) };
    let now = file.metadata()?.modified()?;
    let next = before + Duration::from_secs(1);
    if next > now && next < now + AHEAD { file.set_modified(next) } else { Ok(()) }
}

fn tag(bytes: &[u8]) -> Tag {
    Tag(hex::encode(Sha256::digest(bytes)))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaceError {
    let path = path.to_owned();
    move |error| PlaceError::Folder { what, path, error }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_stays_and_an_object_is_replaced_only_in_the_state_that_was_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Folder::open(&folder.path().join("feed")).expect("made");
        assert_eq!(place.read("head").expect("readable"), None);
        place.create("files/one", b"one").expect("written");
        place.create("files/one", b"two").expect("it stays");
        assert_eq!(place.list("files").expect("listed"), ["one"]);
        assert_eq!(place.read("files/one").expect("readable").expect("there").0, b"one");
        let replace = |bytes: &[u8], from| place.replace("head", bytes, Caching::Briefly, from).expect("answered");
        let Replaced::Done(first) = replace(b"first", None) else { panic!("nobody was first") };
        assert_eq!(replace(b"late", None), Replaced::Changed);
        let Replaced::Done(second) = replace(b"second", Some(&first)) else { panic!("it is as it was") };
        assert_eq!(replace(b"late", Some(&first)), Replaced::Changed);
        assert_eq!(place.read("head").expect("readable"), Some((b"second".to_vec(), second)));
        let mode = fs::metadata(folder.path().join("feed/head")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, MODE, "a web server has another user");
        place.remove("files/one").expect("removed");
        place.remove("files/one").expect("gone already");
        // Nobody waits for the other end of a named pipe.
        for name in ["head", LOCK] {
            let path = folder.path().join("feed").join(name);
            fs::remove_file(&path).expect("removed");
            mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
            assert_eq!(place.read("head").is_err(), name == "head");
            place.replace("head", b"late", Caching::Briefly, None).expect_err("it is no file");
            fs::remove_file(&path).expect("removed");
            fs::write(&path, "").expect("written");
        }
        assert!(place.list("files").expect("listed").is_empty());
    }
}
