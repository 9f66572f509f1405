//! `GET /v1/revocations`: the revocation feed of `docs/FEED.md`: at once, after a wait, or as server-sent events.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use bulla::{Realm, feed::Format};
use futures_util::stream;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    api::{
        feed::FeedQuery,
        responses::{AheadOfLog, BadRequest, Credential, Internal, Unavailable},
    },
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{Query, known_realm},
        feed::{Question, Signed},
        listener::Peer,
        problem::Problem,
        stream_credential::{RECHECK_INTERVAL, StreamCredential},
    },
};

/// The longest wait. Proxies close an upstream connection after 30 or 60 seconds of silence by default.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// The longest silence of a stream, for the same reason.
const MAX_SILENCE: Duration = Duration::from_secs(10);
/// How long a follower waits for this node to get to a place that it reached at another one.
const LONGEST_LAG: Duration = Duration::from_secs(1);
/// Tells nginx, which buffers an answer until it ends or fills 4 KiB, to send each piece at once.
pub(in crate::server) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Reads the revocation feed.
///
/// For verifiers elsewhere, with an API key of the realm `bulla` that has the scope `feed`, or `feed:REALM` for one
/// realm. Each message is signed, and of the newest format that `Accept` names and this server writes: the first, if it
/// names none. With `Accept: text/event-stream` the answer goes on, an event for each message; `Last-Event-ID`, which
/// clients of events send by themselves, then goes before `after`.
#[utoipa::path(
    get, path = "/v1/revocations",
    params(FeedQuery),
    responses(
        (status = 200, description = "A message of the feed.", headers(("Cache-Control" = String)),
            content((String = "application/x-ndjson"), (String = "application/vnd.bulla.feed+ndjson"),
                (String = "text/event-stream"))),
        BadRequest, Credential, AheadOfLog, Internal, Unavailable,
    )
)]
pub(super) async fn revocations(
    State(app): State<Arc<App>>,
    peer: Peer,
    caller: Caller,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut credential = StreamCredential::of(&app, &headers, peer).await.ok_or_else(Problem::unauthorized)?;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accepted.collect::<Vec<_>>().join(",");
    let format = Format::accepted(&accepted).ok_or_else(|| {
        Problem::bad_request("Accept names no format of the feed that this server writes: it writes versions 1 and 2")
    })?;
    let mut asked =
        Question { format, realm: granted(&app, &caller, query.realm).await?, after: query.after.unwrap_or_default() };
    let is_stream = accepted.contains("text/event-stream");
    if is_stream {
        let mut last = headers.get_all("last-event-id").iter();
        if let Some(value) = last.next() {
            let value = value.to_str().ok().filter(|_| last.next().is_none());
            let last = value.and_then(|last| last.parse().ok());
            asked.after = last.ok_or_else(|| Problem::bad_request("Last-Event-ID has to be one number"))?;
        }
    }
    // Another node may be ahead of this one for a moment.
    if asked.after > 0 {
        app.log_beyond(asked.after - 1, LONGEST_LAG).await;
    }
    if is_stream {
        return subscribe(app, asked, credential).await;
    }
    if let Some(wished) = query.wait.map(|wait| wait.0).filter(|wished| !wished.is_zero()) {
        let until = Instant::now() + longest_wait(&app).min(wished);
        if wait(&app, &mut credential, asked.after, until).await == Waited::Unauthorized {
            return Err(refused(&app));
        }
    }
    let signed = message(&app, &mut credential, asked).await?;
    Ok(([(header::CONTENT_TYPE, format.content_type()), (header::CACHE_CONTROL, "no-store")], signed.bytes.clone())
        .into_response())
}

/// The realm that the messages are about: the one asked for, or the only one that the caller has the scope for, or all.
/// A follower of a mistyped realm would never hear of a revocation.
pub(super) async fn granted(app: &Arc<App>, caller: &Caller, realm: Option<Realm>) -> Result<Option<Realm>, Problem> {
    if let Some(realm) = realm {
        caller.needs(app, Permission::in_realm(Scope::Feed, realm))?;
    }
    let Some(realm) = realm.or_else(|| caller.only_realm(Scope::Feed)) else {
        return caller.needs(app, Permission::anywhere(Scope::Feed)).map(|()| None);
    };
    known_realm(app, caller.snapshot(), realm).await.map(|()| Some(realm))
}

/// The message, and only while the follower's key is accepted: a store takes its time where many ask.
async fn message(
    app: &Arc<App>,
    credential: &mut StreamCredential,
    question: Question,
) -> Result<Arc<Signed>, Problem> {
    let feed = app.feed.as_ref().ok_or_else(Problem::no_feed)?;
    if let Some(signed) = feed.recent(&question) {
        return Ok(signed);
    }
    let read = || {
        let app = Arc::clone(app);
        async move { blocking::run(move || app.feed.as_ref().ok_or_else(Problem::no_feed)?.read(question)).await? }
    };
    let mut asking = pin!(feed.message(question, read));
    loop {
        match tokio::time::timeout(RECHECK_INTERVAL, asking.as_mut()).await {
            Ok(message) => return message,
            Err(_) if credential.holds(app).await => {}
            Err(_) => return Err(refused(app)),
        }
    }
}

fn refused(app: &App) -> Problem {
    app.metrics.admin_refused.inc();
    Problem::unauthorized()
}

/// How a wait ended.
#[derive(PartialEq)]
enum Waited {
    /// There is something new, or the service stops.
    Changed,
    Nothing,
    /// The follower's API key is not accepted any more.
    Unauthorized,
}

/// Waits for entries behind `seq`, or for another keyring, until a deadline, and only while the follower's key is
/// accepted.
async fn wait(app: &Arc<App>, credential: &mut StreamCredential, seq: u64, until: Instant) -> Waited {
    let mut keyrings = app.keyrings();
    loop {
        // A compromise is news, too.
        let changed = tokio::select! {
            changed = app.log_beyond(seq, RECHECK_INTERVAL.min(until - Instant::now())) => changed,
            changed = keyrings.changed() => changed.is_ok(),
        };
        match credential.holds(app).await {
            false => return Waited::Unauthorized,
            true if changed => return Waited::Changed,
            true if Instant::now() >= until => return Waited::Nothing,
            true => {}
        }
    }
}

/// Sends an event, and only while the follower's key is accepted. Returns whether it was sent.
async fn send(app: &Arc<App>, credential: &mut StreamCredential, sender: &mpsc::Sender<Event>, event: Event) -> bool {
    let mut sending = pin!(sender.send(event));
    loop {
        match tokio::time::timeout(RECHECK_INTERVAL, sending.as_mut()).await {
            Ok(sent) => return sent.is_ok(),
            Err(_) if credential.holds(app).await => {}
            Err(_) => return false,
        }
    }
}

/// The longest wait of a follower: its message must come before the last one is stale, and before this server or a
/// proxy closes a silent connection.
fn longest_wait(app: &App) -> Duration {
    MAX_WAIT.min(app.config.feed.valid_for.0 / 2).min(app.config.server.idle_timeout.0 / 2)
}

/// Sends messages until the follower's API key ends: the first one at once, then one for each change, and one without
/// changes before the last one is stale. A comment is sent if the stream would be silent for too long.
async fn subscribe(app: Arc<App>, asked: Question, mut credential: StreamCredential) -> Result<Response, Problem> {
    let first = message(&app, &mut credential, asked).await?;
    let (sender, events) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut next = first;
        let (interval, silence) =
            (app.config.feed.valid_for.0 / 2, MAX_SILENCE.min(app.config.server.idle_timeout.0 / 2));
        loop {
            let (seq, due) = (next.seq, Instant::now() + interval);
            if !send(&app, &mut credential, &sender, event(&next)).await || *app.stopping.borrow() {
                return;
            }
            loop {
                let until = due.min(Instant::now() + silence);
                match wait(&app, &mut credential, seq, until).await {
                    Waited::Unauthorized => return,
                    Waited::Nothing if until < due => {}
                    Waited::Changed | Waited::Nothing => break,
                }
                if !send(&app, &mut credential, &sender, Event::DEFAULT_KEEP_ALIVE).await {
                    return;
                }
            }
            next = match message(&app, &mut credential, Question { after: seq, ..asked }).await {
                Ok(message) if !*app.stopping.borrow() => message,
                // The client connects again, and gets the error then.
                _ => return,
            };
        }
    });
    let events = stream::unfold(events, |mut events| async move {
        events.recv().await.map(|event| (Ok::<_, Infallible>(event), events))
    });
    Ok(([(header::CACHE_CONTROL, "no-store"), (X_ACCEL_BUFFERING, "no")], Sse::new(events)).into_response())
}

fn event(message: &Signed) -> Event {
    let text = String::from_utf8_lossy(&message.bytes);
    Event::default().id(message.seq.to_string()).data(text.trim_end_matches('\n'))
}
