//! The files that a store has open: checks that its path still leads to them.
//!
//! SQLite finds the write-ahead log and its index by name, and the database by an open descriptor. When one of the
//! three files is exchanged, two processes may write the same log for different databases: acknowledged writes of one
//! are lost, or damage the other's.

use std::{
    fs::Metadata,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    foreign_wal::{self, Fit},
    mark::Mark,
};
use crate::{input::regular_file, store::StoreError};

/// What to do about an exchanged file.
const CURE: &str = "nothing is written any more, so that nothing is lost: stop every bulla that has this store open, put the \
                    right files in place (docs/RECOVERY.md, \"A restored backup\"), and start again";

/// Device and inode of a file.
type Identity = (u64, u64);
/// Changes with each write to a file: its length, and the times of its content and of its inode.
type Stamp = (u64, (i64, i64), (i64, i64));

pub(super) struct Files {
    /// As configured; a link may lead elsewhere later.
    path: PathBuf,
    database: Identity,
    /// The log and its index; empty in a read-only store, for which SQLite keeps none.
    beside: Vec<(PathBuf, Identity)>,
    content: Mutex<Content>,
}

/// What is known of the database's content.
struct Content {
    stamp: Option<Stamp>,
    /// Why the log no longer belongs to the content. This is final: anything may have been read meanwhile.
    overwritten: Option<String>,
}

/// Where the paths lead.
enum Whereabouts {
    Ours,
    /// All three lead elsewhere, or nowhere: the open files can be read, and no other process reaches them.
    Apart(String),
    /// Some lead elsewhere: writes of another process mix with the open files.
    Mixed(String),
}

/// The database's path without links: SQLite keeps its other files there.
pub(super) fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Refuses to open a database beside the log of another one. SQLite must not open them before, as it would mix them.
pub(super) fn refuse_foreign_log(path: &Path) -> Result<(), StoreError> {
    let database = resolved(path);
    let (log, index) = (foreign_wal::beside(&database, "-wal"), foreign_wal::beside(&database, "-shm"));
    let journal = foreign_wal::beside(&database, "-journal");
    // SQLite would wait for the other end of a named pipe.
    for path in [&database, &log, &index, &journal] {
        regular_file::require(path).map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
    }
    let (database, log, index) = (database.display(), log.display(), index.display());
    match foreign_wal::fit(&resolved(path), &|| None) {
        Ok(Fit::Fits) => Ok(()),
        Ok(Fit::Foreign) => Err(StoreError::Exchanged(format!(
            "{log} is not the write-ahead log of {database}, but of another file that was there, or of another state of it; \
             opened together they would be damaged. If {database} was put there from a backup, stop every bulla on it, and \
             move {log} and {index} to another folder; keep them until you know that nothing in them is missed. \
             Otherwise put the file back that the log belongs to"
        ))),
        Ok(Fit::Removed) => Err(StoreError::Exchanged(format!(
            "{log} is missing, and {index} is there, so somebody removed the write-ahead log, and with it the latest changes. \
             Stop every bulla on this store first: one that still has the log open writes it into {database} when it stops. \
             Otherwise put {log} back, or, if it is lost for good, move {index} away and do again what was lost \
             (docs/RECOVERY.md, \"A restored backup\")"
        ))),
        Err(error) => Err(StoreError::Failed(format!("{log}: {error}"))),
    }
}

/// The device and inode of the file at this path, if there is one.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.len(), (metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()))
}

impl Files {
    /// Notes the files that were just opened. `before` is the file that the path led to before.
    pub(super) fn opened(path: &Path, before: Option<Identity>, read_only: bool) -> Result<Self, StoreError> {
        let resolved = resolved(path);
        let name = if read_only { &[][..] } else { &["-wal", "-shm"][..] };
        let beside = name.iter().map(|ending| {
            let path = foreign_wal::beside(&resolved, ending);
            identity(&path).map(|identity| (path, identity))
        });
        let beside: Option<Vec<_>> = beside.collect();
        let (Some(database), Some(beside)) = (identity(path), beside) else {
            return Err(moved(format!("{} was removed while it was opened", path.display())));
        };
        if before.is_some_and(|before| before != database) {
            return Err(moved(format!("{} was replaced while it was opened", path.display())));
        }
        // The content was checked before it was opened; the first check from here on uses the open connection.
        let content = Content { stamp: None, overwritten: None };
        Ok(Files { path: path.to_owned(), database, beside, content: Mutex::new(content) })
    }

    fn whereabouts(&self) -> Whereabouts {
        let (mut ours, mut others) = (0, None);
        let all = [(&self.path, self.database)].into_iter().chain(self.beside.iter().map(|(path, id)| (path, *id)));
        for (path, identity) in all {
            match path.metadata().map(|metadata| (metadata.dev(), metadata.ino())) {
                Ok(now) if now == identity => ours += 1,
                // Without permission nothing is known.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => ours += 1,
                Ok(_) => {
                    others = others.or(Some(format!("{} is another file than the one that is open", path.display())))
                }
                Err(_) => others = others.or(Some(format!("{} was removed while it is open", path.display()))),
            }
        }
        match others {
            None => Whereabouts::Ours,
            Some(reason) if ours == 0 => Whereabouts::Apart(reason),
            Some(reason) => Whereabouts::Mixed(reason),
        }
    }

    /// Checks that every path leads to the open file: otherwise a write is lost.
    pub(super) fn ours(&self) -> Result<(), StoreError> {
        self.not_overwritten()?;
        match self.whereabouts() {
            Whereabouts::Ours => Ok(()),
            Whereabouts::Apart(reason) | Whereabouts::Mixed(reason) => Err(moved(reason)),
        }
    }

    /// Checks that the open files can still be read.
    pub(super) fn readable(&self) -> Result<(), StoreError> {
        self.not_overwritten()?;
        match self.whereabouts() {
            Whereabouts::Ours | Whereabouts::Apart(_) => Ok(()),
            Whereabouts::Mixed(reason) => Err(moved(reason)),
        }
    }

    /// Checks the database's content after something was written to it: SQLite moves the log into it, but a copy over
    /// it brings another state. `seen` is the mark that an open connection sees.
    pub(super) fn check_content(&self, seen: &dyn Fn() -> Option<Mark>) -> Result<(), StoreError> {
        let Ok(metadata) = self.path.metadata() else { return Ok(()) };
        let now = Some(stamp(&metadata));
        if self.beside.is_empty() || self.content().stamp == now {
            return Ok(());
        }
        match foreign_wal::fit(&resolved(&self.path), seen) {
            Ok(Fit::Foreign) => {
                let reason = format!("{} was overwritten while it is open", self.path.display());
                self.content().overwritten = Some(reason.clone());
                Err(moved(reason))
            }
            Ok(Fit::Fits) => {
                self.content().stamp = now;
                Ok(())
            }
            // The paths show that.
            Ok(Fit::Removed) => Ok(()),
            Err(error) => Err(StoreError::Failed(format!("{}: {error}", self.path.display()))),
        }
    }

    /// Returns whether SQLite may move the log into the database on close: the log belongs to the database, and no
    /// other process used the log since the last check. This saves a log that was only removed.
    pub(super) fn may_be_closed(&self) -> bool {
        let unchanged = self.path.metadata().is_ok_and(|metadata| {
            (metadata.dev(), metadata.ino()) == self.database && self.content().stamp == Some(stamp(&metadata))
        });
        let untouched = |path: &Path, ours: Identity| identity(path).is_none_or(|now| now == ours);
        unchanged && self.not_overwritten().is_ok() && self.beside.iter().all(|(path, ours)| untouched(path, *ours))
    }

    fn not_overwritten(&self) -> Result<(), StoreError> {
        self.content().overwritten.clone().map_or(Ok(()), |reason| Err(moved(reason)))
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved(reason: String) -> StoreError {
    StoreError::Exchanged(format!("{reason}: {CURE}"))
}
