//! `GET /v1/revocations/snapshot` and `/v1/revocations/snapshots/NAME` of a relay: snapshots of its nodes, as they
//! came.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use bulla::{
    Realm,
    feed::{FollowError, Format, HttpSource, LogId, VerifyingKey},
    keyring::KeyringId,
};

use super::{
    endpoint::RelayState,
    reader::{Client, Purpose},
};
use crate::{
    api::feed::SnapshotQuery,
    config::FollowConfig,
    server::{
        blocking,
        data::feed_snapshot::{body_of, manifest_of},
        edge::{self, EdgeError},
        extract::{PathParam, Query},
        feed::snapshots::{Snapshots, Written},
        listener::Peer,
        problem::Problem,
    },
};

/// The snapshots that the relay has fetched, and from where it fetches others.
pub(super) struct RelaySnapshots {
    kept: Snapshots,
    follow: FollowConfig,
}

/// Sources that are nodes, and the keyring that they are asked about, with what signs its feed.
type Nodes = (Vec<Arc<HttpSource>>, (KeyringId, VerifyingKey));

impl RelaySnapshots {
    pub(super) fn new(follow: FollowConfig) -> Self {
        RelaySnapshots { kept: Snapshots::default(), follow }
    }

    /// Forgets those that nobody has asked for lately.
    pub(super) fn forget(&self) {
        self.kept.forget();
    }

    /// What is asked for: the realm, or the one that the relay's API key is for.
    fn about(&self, realm: Option<Realm>) -> Option<Realm> {
        realm.or(self.follow.realm)
    }

    /// Fetches one from the first node that has it. It blocks.
    fn fetch(&self, realm: Option<Realm>, log_id: LogId) -> Result<Written, Problem> {
        let (nodes, trusted) = self.nodes(realm).map_err(|error| {
            tracing::error!(%error, "the sources of snapshots cannot be opened");
            Problem::internal()
        })?;
        let mut failed = FollowError::Status(404);
        for node in nodes {
            match node.snapshot_bytes((trusted.0, &trusted.1)) {
                // A snapshot of another log than followers read here is of no use to them.
                Ok(made) if made.snapshot.head().realm == realm && made.snapshot.head().log_id == log_id => {
                    let (log_id, seq) = (log_id.to_string(), made.snapshot.seq());
                    let (name, manifest, body) = (made.snapshot.name(), made.manifest.into(), made.body.into());
                    return Ok(Written { realm, log_id, seq, name, manifest, body });
                }
                Ok(_) => {}
                Err(error) => failed = error,
            }
        }
        Err(match failed {
            FollowError::Status(404) => Problem::no_snapshot(),
            error => {
                tracing::warn!(%error, "no snapshot could be fetched");
                Problem::unavailable(
                    "this relay cannot fetch a snapshot from its source at the moment: read the log itself",
                )
            }
        })
    }

    fn nodes(&self, realm: Option<Realm>) -> Result<Nodes, EdgeError> {
        let opened = edge::open_sources(&FollowConfig { realm, ..self.follow.clone() })?;
        let nodes = opened.into_iter().filter_map(|opened| opened.node).collect();
        Ok((nodes, (self.follow.keyring_id, self.follow.public_key)))
    }
}

/// Reads the manifest of a snapshot.
pub(super) async fn manifest(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    Query(SnapshotQuery { realm }): Query<SnapshotQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = state.authorize(Purpose::Read(realm), &headers, client, peer).await?;
    let realm = state.snapshots.about(reader.realm());
    let (_, newest) = state.streams.of(realm, Format::NEWEST).await?;
    let (log_id, seq) = (newest.log_id, newest.seq);
    let fetch = || {
        let snapshots = Arc::clone(&state.snapshots);
        async move { blocking::run(move || snapshots.fetch(realm, log_id)).await? }
    };
    state.snapshots.kept.newest(realm, (&log_id.to_string(), seq), fetch).await.map(|written| manifest_of(&written))
}

/// Reads the body of a snapshot.
pub(super) async fn body(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    PathParam(name): PathParam<String>,
    Query(SnapshotQuery { realm }): Query<SnapshotQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = state.authorize(Purpose::Read(realm), &headers, client, peer).await?;
    let written =
        state.snapshots.kept.named(state.snapshots.about(reader.realm()), &name).ok_or_else(Problem::no_snapshot)?;
    Ok(body_of(&written, &headers))
}
