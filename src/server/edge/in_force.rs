//! Puts the state in force, and shows how it is.

use std::{collections::BTreeMap, sync::Arc};

use bulla::Realm;

use super::follower::{Follower, State};
use crate::{clock, config::FollowConfig, server::snapshot::Loaded};

impl Follower {
    /// The caller holds the state, so that no older list wins over a newer one.
    pub(super) fn put_revocations(&self, state: &State) {
        self.live.put_revocations(&Arc::new(state.feed.revocations().clone()));
    }

    /// Puts exports, versions and configuration in force, with the revocations that are.
    pub(super) fn put_loaded(&self, state: &State) {
        self.live.put_loaded(Loaded::of_edge(&state.parts, &state.keyring, &state.feed, &self.metrics));
    }

    /// Shows the state in metrics and `/readyz`.
    pub(super) fn show(&self, state: &State, now: u64) {
        let at = clock::timestamp(now);
        self.shown.state(state.age(now), state.feed.seq(), state.feed.keyring_serial());
        let failing: Vec<String> = state
            .sources
            .iter()
            .filter_map(|source| source.error.as_ref().map(|error| format!("{}: {error}", source.name)))
            .collect();
        self.shown.sources_failing(failing.len());
        let overdue = state.feed.is_stale(now).then(|| match state.current {
            None => "no feed message yet: no key is accepted".to_owned(),
            Some(current) => {
                format!("no feed message since {}: later revocations are unknown here", clock::timestamp(current))
            }
        });
        self.note("follow", overdue, at);
        self.note("follow source", Some(failing.join("; ")).filter(|messages| !messages.is_empty()), at);
        self.note("key export", state.export_trouble(), at);
    }

    fn note(&self, what: &'static str, trouble: Option<String>, at: jiff::Timestamp) {
        if self.health.note(what, trouble.clone(), at) {
            match trouble {
                Some(error) => tracing::warn!(what, error, "edge is degraded"),
                None => tracing::info!(what, "edge works again"),
            }
        }
    }
}

impl State {
    /// What is wrong with the exports, and what to do.
    fn export_trouble(&self) -> Option<String> {
        let mut messages = self.exports.failed().to_vec();
        let mut missing = BTreeMap::<Realm, Vec<String>>::new();
        for (realm, version) in self.keyring.missing(self.feed.versions()) {
            missing.entry(realm).or_default().push(version.to_string());
        }
        for (realm, versions) in missing {
            messages.push(format!(
                "the export of the realm {realm} lacks key version {}, so its API keys cannot be verified: make another one where \
                 the keyring is, with `bulla keyring export`, and put it into follow.exports",
                versions.join(", ")
            ));
        }
        Some(messages.join("; ")).filter(|messages| !messages.is_empty())
    }
}

/// The table that makes a configuration an edge's.
pub(in crate::server) fn follow_of(config: &crate::config::Config) -> Result<&FollowConfig, super::EdgeError> {
    config.follow.as_ref().ok_or(super::EdgeError::NoFollow)
}
