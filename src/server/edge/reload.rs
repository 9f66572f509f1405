//! Loads what changed: configuration, exports, certificates and the API key for the feed; on SIGHUP, when a file
//! changes, at an interval, and when a presented key names an unknown version.

use std::{path::PathBuf, sync::Arc};

use bulla::keyring::{EdgeKey, Exports};
use tokio::{
    signal::unix::Signal,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{asking::Sources, exports::read_exports, follower::Follower, in_force::follow_of, open_sources};
use crate::{
    config::{Config, FollowConfig},
    deployment,
    server::{
        core::Core,
        file_watch::{ConfigFile, FileStamps, Watch, certificates},
        reload::FileLooks,
    },
};

/// The loop that reloads.
pub(super) struct Reload {
    what: Arc<What>,
    /// The files as they were before they were read.
    before: Arc<FileStamps>,
    hangup: Signal,
}

/// What is read, and where it goes.
struct What {
    core: Core,
    follower: Arc<Follower>,
    sources: Sources,
    key: EdgeKey,
    config: PathBuf,
}

impl Reload {
    pub(super) fn new(
        core: Core,
        follower: Arc<Follower>,
        sources: Sources,
        key: EdgeKey,
        config: ConfigFile,
        hangup: Signal,
    ) -> Self {
        let ConfigFile { path, before } = config;
        let what = Arc::new(What { core, follower, sources, key, config: path });
        Reload { what, before: Arc::new(before), hangup }
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let interval = self.what.core.config.keyring.refresh_interval.0;
        let mut next = Instant::now() + interval;
        let watch = Watch::start(&self.what, self.before, What::paths);
        let what = Arc::clone(&self.what);
        let mut looks = FileLooks::new(&self.what.core.metrics, &self.what.core.health, move || what.look());
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = looks.proceed() => continue,
                _ = self.hangup.recv() => {}
                () = self.what.core.verification.refresh.requested() => {}
                () = watch.changed() => {}
                () = sleep_until(next) => {}
            }
            looks.begin();
            next = Instant::now() + interval;
        }
    }
}

impl What {
    /// Reads everything again. A file that cannot be read stays as it was.
    fn look(&self) -> Result<(), String> {
        // No file is read while the follower is held up by it.
        let (parts, exports) = self.follower.parts();
        // Exports and credentials are read whatever the configuration looks like: without them the edge would hear of
        // no new version, and in the end of no revocation.
        let (config, error) = match self.changed_config() {
            Ok(config) => (config, None),
            Err(error) => (parts.config.clone(), Some(error)),
        };
        let follow = follow_of(&config).map_err(|error| error.to_string())?.clone();
        parts.config.warn_of_lost(&config);
        let (parts, failed) = parts.reload(config.clone());
        let mut failed: Vec<String> = error.into_iter().chain(failed).collect();
        match open_sources::open_all(&follow) {
            Ok(opened) => opened.into_iter().zip(self.sources.iter()).for_each(|(new, old)| old.store(Arc::new(new))),
            Err(error) => failed.push(error.to_string()),
        }
        self.core.metrics.certificates(parts.tls.expiries());
        self.follower.put(parts, read_exports(&config, &follow, &self.key, exports));
        self.core.check_certificates();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// The configuration as it is in its file now.
    fn changed_config(&self) -> Result<Config, String> {
        let running = &self.core.config;
        let mut config = deployment::load(&self.config).map_err(|error| error.to_string())?;
        config.listen_as(running);
        let before = follow_of(running).map_err(|error| error.to_string())?;
        let mut follow = follow_of(&config).map_err(|error| error.to_string())?.clone();
        // The command line may have named them.
        follow.sources.clone_from(&before.sources);
        let fixed = |follow: &FollowConfig| {
            (follow.keyring_id, follow.public_key, follow.realm, follow.key.clone(), follow.state.clone())
        };
        if fixed(&follow) != fixed(before) {
            return Err(
                "another keyring_id, public_key, realm, key or state of [follow] takes effect at the next start"
                    .to_owned(),
            );
        }
        config.follow = Some(follow);
        Ok(config)
    }

    /// The files whose content counts.
    fn paths(&self) -> Vec<PathBuf> {
        let snapshot = self.follower.live.load();
        [self.config.clone()].into_iter().chain(read_at_start(&snapshot.config)).collect()
    }
}

/// What an edge reads of the files that its configuration names, at its start and whenever one changes.
pub(super) fn read_at_start(config: &Config) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(follow) = &config.follow {
        // An export that is added changes the folder.
        paths.push(follow.exports.clone());
        paths.extend(Exports::files(&follow.exports));
        paths.extend(
            [&follow.api_key, &follow.roots, &follow.client_certificate, &follow.client_key]
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    paths.extend(certificates(config));
    paths
}
