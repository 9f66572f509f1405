//! `GET /v1/revocations` of a relay: the same as a node's, without a key that signs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Extension, FromRef, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use bulla::{
    Realm,
    feed::{FollowError, Format},
};
use futures_util::stream;
use tokio::{sync::mpsc, time::Instant};
use tower_http::compression::CompressionLayer;

use super::{
    parts::Part,
    reports::Reports,
    snapshots::{self, RelaySnapshots},
    stream::{Newest, Stream},
    streams::Streams,
};
use crate::{
    api::{
        feed::FeedQuery,
        followers::{FollowerReports, FollowerUses, MAX_FOLLOWERS, Noted},
        health::Ready,
    },
    clock,
    scope::Scope,
    server::{
        auth::Permission,
        blocking,
        core::{Core, Door},
        data,
        extract::{Batch, JsonBody, Query},
        listener::Peer,
        problem::Problem,
    },
    tls::ClientCertificate,
};

/// The longest wait, as on a node.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// The longest silence of a stream, as on a node.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// What the endpoints work on.
#[derive(Clone)]
pub(super) struct RelayState {
    pub(super) core: Core,
    pub(super) streams: Arc<Streams>,
    pub(super) reports: Arc<Reports>,
    pub(super) snapshots: Arc<RelaySnapshots>,
    /// Whether everybody may read who reaches the listener.
    pub(super) open: bool,
}

/// The certificate of the client, where it showed one.
pub(super) type Client = Option<Extension<Arc<ClientCertificate>>>;

/// The data plane of a relay.
pub(super) fn router(state: RelayState) -> Router {
    let router = Router::new()
        .route("/v1/revocations", get(revocations).layer(CompressionLayer::new()))
        .route("/v1/revocations/snapshot", get(snapshots::manifest))
        .route("/v1/revocations/snapshots/{name}", get(snapshots::body))
        .route("/v1/followers", post(report))
        .route("/v1/followers/uses", post(report_uses))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    data::with_fallbacks(router, state)
}

/// The question of a follower.
struct Subscription {
    stream: Arc<Stream>,
    core: Core,
    after: u64,
}

async fn revocations(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(query.realm, &headers, client, peer).await?;
    let RelayState { core, streams, .. } = state;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accepted.collect::<Vec<_>>().join(",");
    let format = Format::accepted(&accepted).ok_or_else(|| {
        Problem::bad_request("Accept names no format of the feed that this relay hands on: versions 1 and 2")
    })?;
    let (stream, newest) = streams.of(query.realm, format).await?;
    let mut asked = Subscription { stream, core, after: query.after.unwrap_or_default() };
    if accepted.contains("text/event-stream") {
        let mut last = headers.get_all("last-event-id").iter();
        if let Some(value) = last.next() {
            let value = value.to_str().ok().filter(|_| last.next().is_none());
            let last = value.and_then(|last| last.parse().ok());
            asked.after = last.ok_or_else(|| Problem::bad_request("Last-Event-ID has to be one number"))?;
        }
        return asked.subscribe().await;
    }
    if let Some(wait) = query.wait {
        let longest = MAX_WAIT.min(newest.validity / 2).min(asked.core.config.server.idle_timeout.0 / 2);
        asked.wait(Instant::now() + wait.0.min(longest)).await;
    }
    let (message, _) = asked.message().await?;
    let headers = [(header::CONTENT_TYPE, message.format.content_type()), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, message.bytes).into_response())
}

/// Takes reports of followers, which go on to a node a moment later.
async fn report(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    headers: HeaderMap,
    body: JsonBody<FollowerReports, Batch>,
) -> Result<Json<Noted>, Problem> {
    state.authorize(None, &headers, client, peer).await?;
    let FollowerReports { mut followers } = body.parse()?;
    let (now, from, noted) = (clock::now(), peer.0.map(|peer| peer.ip().to_string()), followers.len());
    for (at, report) in followers.iter_mut().enumerate() {
        report.address = report.address.take().or_else(|| from.clone());
        let checked = report.clone().row("", None, now);
        checked.map_err(|error| Problem::bad_request(format!("followers[{at}].{error}")))?;
    }
    match noted {
        0 => Err(Problem::bad_request("`followers` is empty")),
        count if count > MAX_FOLLOWERS || !state.reports.add(followers) => {
            Err(Problem::unavailable("too many followers report to this relay, or in one request"))
        }
        _ => Ok(Json(Noted { noted })),
    }
}

/// Sends uses of API keys on to a node.
async fn report_uses(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    headers: HeaderMap,
    body: JsonBody<FollowerUses, Batch>,
) -> Result<Json<Noted>, Problem> {
    state.authorize(None, &headers, client, peer).await?;
    let uses: FollowerUses = body.parse()?;
    let (noted, body) = (uses.uses.len(), serde_json::to_string(&uses).map_err(|_| Problem::internal())?);
    let passed = blocking::run(move || state.reports.pass_uses(&body)).await?;
    passed.map_err(|error| match error {
        FollowError::Status(400) => Problem::bad_request("the node that this relay follows refuses the report"),
        _ => Problem::unavailable("the node that this relay follows does not take the report at the moment"),
    })?;
    Ok(Json(Noted { noted }))
}

impl RelayState {
    /// Returns whether the caller may read the feed of a realm, or report.
    pub(super) async fn authorize(
        &self,
        realm: Option<Realm>,
        headers: &HeaderMap,
        client: Client,
        peer: Peer,
    ) -> Result<(), Problem> {
        if self.open {
            return Ok(());
        }
        let client = client.as_deref().map(|client| &**client);
        let caller =
            self.core.callers.identify(&self.core, Door::of(&self.core).enter(), headers, client, peer).await?;
        let may = |scope| caller.needs(&self.core, permission(scope, realm));
        // A listed token has this scope; a certificate has those that it was given.
        may(Scope::Read).or_else(|_| may(Scope::Feed))
    }
}

impl FromRef<RelayState> for Core {
    fn from_ref(state: &RelayState) -> Self {
        state.core.clone()
    }
}

fn permission(scope: Scope, realm: Option<Realm>) -> Permission {
    realm.map_or_else(|| Permission::anywhere(scope), |realm| Permission::in_realm(scope, realm))
}

impl Subscription {
    /// Waits for news behind the place, until a deadline or the end of the service. Returns whether there is something
    /// new.
    async fn wait(&self, until: Instant) -> bool {
        let (mut newest, mut stopping) = (self.stream.newest(), self.core.stopping.subscribe());
        tokio::select! {
            _ = newest.wait_for(|newest| newest.as_ref().is_some_and(|newest| newest.seq > self.after)) => true,
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = tokio::time::sleep_until(until) => false,
        }
    }

    /// The message that goes on from the place, and the end of the log.
    async fn message(&self) -> Result<(Part, Newest), Problem> {
        let newest = self.stream.newest().borrow().clone();
        let newest = newest.ok_or_else(|| Problem::unavailable("this relay has no message of its source yet"))?;
        if self.after > newest.seq {
            return Err(Problem::ahead_of_log(self.after, newest.seq));
        }
        if self.after < newest.seq {
            let part = self.stream.part(newest.log_id, self.after, newest.seq).await;
            let part = part.map_err(|error| match error.is_behind() {
                // The source's log does not go on from there: the follower has to hear it, and begins again.
                true => Problem::ahead_of_log(self.after, newest.seq),
                false => Problem::unavailable("this relay cannot reach its source at the moment"),
            })?;
            return Ok((part, newest));
        }
        if !newest.is_fresh() {
            return Err(Problem::unavailable("this relay has heard nothing of its source for too long"));
        }
        let (bytes, format, seq) = (newest.bytes.clone(), newest.format, newest.seq);
        Ok((Part { bytes, format, seq, is_end: true }, newest))
    }

    /// Sends messages until the client goes: the first one at once, then one for each change, and one without changes
    /// before the last one is stale. A comment is sent if the stream would be silent for too long.
    async fn subscribe(mut self) -> Result<Response, Problem> {
        let mut next = self.message().await?;
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(async move {
            let silence = MAX_SILENCE.min(self.core.config.server.idle_timeout.0 / 2);
            loop {
                let (Part { bytes, seq, .. }, newest) = next;
                let due = Instant::now() + newest.validity / 4;
                if sender.send(event(&bytes, seq)).await.is_err() || *self.core.stopping.borrow() {
                    return;
                }
                self.after = seq;
                loop {
                    let until = due.min(Instant::now() + silence);
                    if self.wait(until).await || until >= due {
                        break;
                    }
                    if sender.send(Event::DEFAULT_KEEP_ALIVE).await.is_err() {
                        return;
                    }
                }
                next = match self.message().await {
                    Ok(message) if !*self.core.stopping.borrow() => message,
                    // The client connects again, and gets the error then.
                    _ => return,
                };
            }
        });
        let events = stream::unfold(events, |mut events| async move {
            events.recv().await.map(|event| (Ok::<_, Infallible>(event), events))
        });
        Ok(([(header::CACHE_CONTROL, "no-store"), (data::feed::X_ACCEL_BUFFERING, "no")], Sse::new(events))
            .into_response())
    }
}

fn event(bytes: &[u8], seq: u64) -> Event {
    let text = String::from_utf8_lossy(bytes);
    Event::default().id(seq.to_string()).data(text.trim_end_matches('\n'))
}

/// Says whether followers get messages that count, and what does not work as it should.
async fn ready(State(state): State<RelayState>) -> (StatusCode, Json<Ready>) {
    let (ready, degraded) = (state.streams.is_fresh(), state.core.health.all());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, keyring_serial: 0, active_version: None, degraded }))
}
