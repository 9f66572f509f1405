//! Watches files for changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use bulla::keyring::SourceRecord;
use tokio::sync::Notify;

use super::Node;
use crate::config::Config;

/// Interval between checks of the files.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Tells a changed file from the one before.
type Stamp = (SystemTime, u64, u64);

/// Files as they were at one moment.
#[derive(Default, PartialEq)]
pub(super) struct FileStamps(BTreeMap<PathBuf, Option<Stamp>>);

impl FileStamps {
    /// Looks at these files, too.
    pub(super) fn and(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.0.extend(paths.into_iter().map(|path| {
            let found = stamp(&path);
            (path, found)
        }));
        self
    }

    /// Returns whether a file of both is another one in `now`.
    fn have_changed(&self, now: &FileStamps) -> bool {
        now.0.iter().any(|(path, stamp)| self.0.get(path).is_some_and(|before| before != stamp))
    }
}

/// The file of the configuration, looked at before it is read.
pub(crate) struct ConfigFile {
    pub(super) path: PathBuf,
    /// How the file was then.
    pub(super) before: FileStamps,
}

impl ConfigFile {
    /// Looks at the file. A change from now on is noticed, however long the start takes.
    pub(crate) fn look(path: &Path) -> Self {
        ConfigFile { path: path.to_owned(), before: FileStamps::default().and([path.to_owned()]) }
    }
}

/// Notifies of each change of some files.
pub(super) struct Watch(Arc<Notify>);

impl Watch {
    /// Looks at the files that `paths` names for as long as `owner` lives, on a thread of its own: a disk may hang.
    /// `before` is how they were before they were read: what changed since then counts as a change.
    pub(super) fn start<T: Send + Sync + 'static>(
        owner: &Arc<T>,
        before: Arc<FileStamps>,
        paths: impl Fn(&T) -> Vec<PathBuf> + Send + 'static,
    ) -> Self {
        let notify = Arc::new(Notify::new());
        let (told, weak) = (Arc::clone(&notify), Arc::downgrade(owner));
        let mut last = None::<FileStamps>;
        let look = move || {
            while let Some(paths) = weak.upgrade().map(|owner| paths(&owner)) {
                let now = FileStamps::default().and(paths);
                // Later a file that is watched from now on counts, too: it may have changed since it was read.
                if last.as_ref().map_or_else(|| before.have_changed(&now), |last| *last != now) {
                    told.notify_one();
                }
                last = Some(now);
                thread::sleep(POLL_INTERVAL);
            }
        };
        if let Err(error) = thread::Builder::new().name("watch".to_owned()).spawn(look) {
            tracing::warn!(%error, "files are not watched: a change is seen at the next interval");
        }
        Watch(notify)
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.0.notified().await;
    }
}

/// The configuration and the keyring.
pub(super) fn documents(node: &Node, config: &Path) -> Vec<PathBuf> {
    [config.to_owned()].into_iter().chain(keyring(&node.snapshot().config)).collect()
}

/// Key files and certificates. They may be on a disk that hangs, so they are looked at apart.
pub(super) fn keys(node: &Node) -> Vec<PathBuf> {
    let snapshot = node.snapshot();
    let folder = &snapshot.config.folder;
    let key_file = |source: &SourceRecord| (source.uri.scheme() == "file").then(|| folder.join(source.uri.rest()));
    let records = snapshot.document.versions().iter();
    let mut paths: Vec<PathBuf> = records.flat_map(|record| record.sources.iter().filter_map(key_file)).collect();
    paths.extend(certificates(&snapshot.config));
    paths
}

/// What a node reads at its start of the files that its configuration names and that are watched. The files of loaded
/// keys are not read again.
pub(super) fn read_at_start(config: &Config) -> impl Iterator<Item = PathBuf> + '_ {
    keyring(config).into_iter().chain(certificates(config))
}

/// The keyring's file.
fn keyring(config: &Config) -> Option<PathBuf> {
    let source = Some(&config.keyring.source).filter(|source| source.scheme() == "file");
    source.map(|source| config.folder.join(source.rest()))
}

/// The certificates of the listeners, with their keys.
pub(super) fn certificates(config: &Config) -> impl Iterator<Item = PathBuf> + '_ {
    let tls = config.listeners().into_iter().filter_map(|listener| listener.tls);
    tls.flat_map(|tls| tls.files().map(Path::to_owned))
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests;
