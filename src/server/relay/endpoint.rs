//! `GET /v1/revocations` of a relay: the same as a node's, without a key that signs.

use std::{convert::Infallible, fmt::Display, pin::pin, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use bulla::{
    ApiKeyId, Realm,
    feed::{FollowError, Format, LogId},
};
use futures_util::stream;
use tokio::{sync::mpsc, time::Instant};
use tower_http::compression::CompressionLayer;

use super::{
    parts::Part,
    reader::{Client, Purpose, Reader},
    reports::Reports,
    snapshots::{self, RelaySnapshots},
    stream::{FollowerPlace, Newest, Stream},
    streams::Streams,
};
use crate::{
    api::{
        feed::FeedQuery,
        followers::{FollowerReports, FollowerUses, MAX_FOLLOWERS, Noted},
        health::{Ready, is_same_keyring},
    },
    clock,
    server::{
        blocking,
        core::{Core, Door},
        data,
        extract::{Batch, JsonBody, Query},
        listener::Peer,
        problem::Problem,
        stream_credential::RECHECK_INTERVAL,
    },
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
    reader: Reader,
    after: u64,
    /// The log and the keyring that the follower is told of.
    log_id: LogId,
    keyring_serial: u64,
}

async fn revocations(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = state.authorize(Purpose::Read(query.realm), &headers, client, peer).await?;
    let RelayState { core, streams, .. } = state;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accepted.collect::<Vec<_>>().join(",");
    let format = Format::accepted(&accepted).ok_or_else(|| {
        Problem::bad_request("Accept names no format of the feed that this relay hands on: versions 1 and 2")
    })?;
    let (stream, newest) = streams.of(reader.realm(), format).await?;
    let (after, log_id, keyring_serial) = (query.after.unwrap_or_default(), newest.log_id, newest.keyring_serial);
    let mut asked = Subscription { stream, core, reader, after, log_id, keyring_serial };
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
        asked.wait(Instant::now() + wait.0.min(longest)).await?;
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
    state.authorize(Purpose::Report, &headers, client, peer).await?;
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

/// Sends uses of API keys on to a node: those of keys whose realm the follower may read.
async fn report_uses(
    State(state): State<RelayState>,
    peer: Peer,
    client: Client,
    headers: HeaderMap,
    body: JsonBody<FollowerUses, Batch>,
) -> Result<Json<Noted>, Problem> {
    let reader = state.authorize(Purpose::Report, &headers, client, peer).await?;
    let uses: FollowerUses = body.parse()?;
    for (at, one) in uses.uses.iter().enumerate() {
        let wrong = |error: &dyn Display| Problem::bad_request(format!("uses[{at}].api_key_id: {error}"));
        let id: ApiKeyId = one.api_key_id.parse().map_err(|error| wrong(&error))?;
        // As a node says it.
        if id.realm() == Realm::ADMIN {
            return Err(wrong(&"no follower verifies keys of the realm `bulla`"));
        }
        reader.needs_realm(id.realm())?;
    }
    let (noted, body) = (uses.uses.len(), serde_json::to_string(&uses).map_err(|_| Problem::internal())?);
    let passed = blocking::run(move || state.reports.pass_uses(&body)).await?;
    passed.map_err(|error| match error {
        FollowError::Status(400) => Problem::bad_request("the node that this relay follows refuses the report"),
        _ => Problem::unavailable("the node that this relay follows does not take the report at the moment"),
    })?;
    Ok(Json(Noted { noted }))
}

impl RelayState {
    /// Refuses a caller that may not read the feed of a realm, or report.
    pub(super) async fn authorize(
        &self,
        purpose: Purpose,
        headers: &HeaderMap,
        client: Client,
        peer: Peer,
    ) -> Result<Reader, Problem> {
        if self.open {
            return Ok(Reader::anybody(self.core.clone(), purpose, peer));
        }
        Reader::identify(self.core.clone(), purpose, headers, client, peer).await
    }
}

impl FromRef<RelayState> for Core {
    fn from_ref(state: &RelayState) -> Self {
        state.core.clone()
    }
}

impl Subscription {
    /// Waits for news behind the place, or for another keyring, until a deadline or the end of the service, and only
    /// while the follower may read. Returns whether there is something new.
    async fn wait(&mut self, until: Instant) -> Result<bool, Problem> {
        let (mut newest, mut stopping) = (self.stream.newest(), self.core.stopping.subscribe());
        let seen = FollowerPlace { log_id: self.log_id, seq: self.after, keyring_serial: self.keyring_serial };
        loop {
            let changed = tokio::select! {
                _ = newest.wait_for(|newest| newest.as_ref().is_some_and(|newest| newest.is_news(seen))) => true,
                _ = stopping.wait_for(|stopping| *stopping) => true,
                () = tokio::time::sleep_until(until.min(Instant::now() + RECHECK_INTERVAL)) => false,
            };
            self.reader.check().await?;
            self.stream.note_read();
            if changed || Instant::now() >= until {
                return Ok(changed);
            }
        }
    }

    /// Sends an event, and only while the follower may read. Returns whether it was sent.
    async fn send(&mut self, sender: &mpsc::Sender<Event>, event: Event) -> bool {
        let mut sending = pin!(sender.send(event));
        loop {
            match tokio::time::timeout(RECHECK_INTERVAL, sending.as_mut()).await {
                Ok(sent) => return sent.is_ok(),
                Err(_) if self.reader.check().await.is_ok() => {}
                Err(_) => return false,
            }
        }
    }

    /// The message that goes on from the place, and the end of the log, for a follower that may read still. The source
    /// may take its time.
    async fn message(&mut self) -> Result<(Part, Newest), Problem> {
        let Subscription { stream, reader, after, .. } = self;
        let mut asking = pin!(next(stream, *after));
        loop {
            let asked = tokio::time::timeout(RECHECK_INTERVAL, asking.as_mut()).await;
            reader.check().await?;
            if let Ok(message) = asked {
                return message;
            }
        }
    }

    /// Sends messages until the client goes, or may not read any more: the first one at once, then one for each change,
    /// and one without changes before the last one is stale. A comment is sent if the stream would be silent for too
    /// long.
    async fn subscribe(mut self) -> Result<Response, Problem> {
        let mut next = self.message().await?;
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(async move {
            let silence = MAX_SILENCE.min(self.core.config.server.idle_timeout.0 / 2);
            loop {
                let (Part { bytes, seq, .. }, newest) = next;
                let due = Instant::now() + newest.validity / 4;
                if !self.send(&sender, event(&bytes, seq)).await || *self.core.stopping.borrow() {
                    return;
                }
                (self.after, self.log_id, self.keyring_serial) = (seq, newest.log_id, newest.keyring_serial);
                loop {
                    let until = due.min(Instant::now() + silence);
                    match self.wait(until).await {
                        Ok(false) if until < due => {}
                        Ok(_) => break,
                        Err(_) => return,
                    }
                    if !self.send(&sender, Event::DEFAULT_KEEP_ALIVE).await {
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

/// The message that goes on from a place, and the end of the log.
async fn next(stream: &Stream, after: u64) -> Result<(Part, Newest), Problem> {
    let newest = stream.newest().borrow().clone();
    let newest = newest.ok_or_else(|| Problem::unavailable("this relay has no message of its source yet"))?;
    if after > newest.seq {
        return Err(Problem::ahead_of_log(after, newest.seq));
    }
    if after < newest.seq {
        let part = stream.part(newest.log_id, after, newest.seq).await;
        let part = part.map_err(|error| match error.is_behind() {
            // The source's log does not go on from there: the follower has to hear it, and begins again.
            true => Problem::ahead_of_log(after, newest.seq),
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

fn event(bytes: &[u8], seq: u64) -> Event {
    let text = String::from_utf8_lossy(bytes);
    Event::default().id(seq.to_string()).data(text.trim_end_matches('\n'))
}

/// Says whether followers get messages that count, and what does not work as it should.
async fn ready(State(state): State<RelayState>, uri: Uri) -> (StatusCode, Json<Ready>) {
    let (ready, degraded) = (state.streams.is_fresh(), state.core.health.all());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let same_keyring = is_same_keyring(uri.query(), Door::of(&state.core).look().document.id());
    (status, Json(Ready { ready, keyring_serial: 0, active_version: None, same_keyring, degraded }))
}
