//! Watches files for changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use bulla::keyring::SourceRecord;
use tokio::sync::Notify;

use super::Node;

/// Interval between checks of the files.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Tells a changed file from the one before.
type Stamp = (SystemTime, u64, u64);

/// Notifies of each change of some files.
pub(super) struct Watch(Arc<Notify>);

impl Watch {
    /// Looks at the files that `paths` names for as long as `owner` lives, on a thread of its own: a disk may hang.
    pub(super) fn start<T: Send + Sync + 'static>(
        owner: &Arc<T>,
        paths: impl Fn(&T) -> Vec<PathBuf> + Send + 'static,
    ) -> Self {
        let notify = Arc::new(Notify::new());
        let (told, weak) = (Arc::clone(&notify), Arc::downgrade(owner));
        let mut before = None;
        let look = move || {
            while let Some(paths) = weak.upgrade().map(|owner| paths(&owner)) {
                let now: Vec<_> = paths.iter().map(|path| stamp(path)).collect();
                if before.replace(now.clone()).is_some_and(|before| before != now) {
                    told.notify_one();
                }
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
    let snapshot = node.snapshot();
    let keyring = Some(&snapshot.config.keyring.source).filter(|source| source.scheme() == "file");
    let keyring = keyring.map(|source| snapshot.config.folder.join(source.rest()));
    [config.to_owned()].into_iter().chain(keyring).collect()
}

/// Key files and certificates. They may be on a disk that hangs, so they are looked at apart.
pub(super) fn keys(node: &Node) -> Vec<PathBuf> {
    let snapshot = node.snapshot();
    let folder = &snapshot.config.folder;
    let key_file = |source: &SourceRecord| (source.uri.scheme() == "file").then(|| folder.join(source.uri.rest()));
    let records = snapshot.document.versions().iter();
    let mut paths: Vec<PathBuf> = records.flat_map(|record| record.sources.iter().filter_map(key_file)).collect();
    let tls = snapshot.config.listeners().into_iter().filter_map(|listener| listener.tls);
    paths.extend(tls.flat_map(|tls| tls.files().map(Path::to_owned)));
    paths
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
