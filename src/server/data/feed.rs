//! `GET /v1/revocations`: the revocation feed, as `docs/FEED.md` has it: at once, after a wait, or as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Extension, RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bulla::Realm;
use http_body_util::channel::Channel;

use crate::{
    config::parse_span,
    schema,
    server::{
        App,
        admin::auth::{self, Caller, Permission},
        blocking,
        feed::Signed,
        listener::Peer,
        openapi::problems::{AheadOfLog, BadRequest, Credential, Internal, Unavailable},
        problem::Problem,
    },
};

/// The scope that opens the feed.
const FEED: &str = "feed";
/// The longest wait that is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a follower asks for.
#[derive(Default)]
struct Asked {
    realm: Option<Realm>,
    after: u64,
    wait: Duration,
}

/// Reads the revocation feed.
///
/// For verifiers elsewhere, with an API key of the realm `bulla` that has the scope `feed`, or `feed:REALM` for one realm.
/// Each message is signed. With `Accept: text/event-stream` the answer goes on, an event for each message; `Last-Event-ID`,
/// which clients of events send by themselves, then goes before `after`.
#[utoipa::path(
    get, path = "/v1/revocations",
    params(
        ("after" = Option<schema::Seq>, Query, description = "What the follower has read up to; 0 if not said."),
        ("wait" = Option<schema::Span>, Query, description = "How long to wait where there is nothing new, 60 s at most."),
        ("realm" = Option<schema::Realm>, Query, description = "This realm alone."),
    ),
    responses(
        (status = 200, description = "A message of the feed.", headers(("Cache-Control" = String)),
            content((String = "application/x-ndjson"), (String = "text/event-stream"))),
        BadRequest, Credential, AheadOfLog, Internal, Unavailable,
    )
)]
pub(super) async fn revocations(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = auth::identify(&app, &headers, peer).await?;
    let mut asked = Asked::read(query.as_deref().unwrap_or_default())?;
    asked.realm = granted(&app, &caller, asked.realm)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream")) {
        if let Some(last) = headers.get("last-event-id") {
            let last = last.to_str().ok().and_then(|last| last.parse().ok());
            asked.after = last.ok_or_else(|| Problem::bad_request("Last-Event-ID has to be a number"))?;
        }
        return stream(app, asked).await;
    }
    if !asked.wait.is_zero() {
        app.log_beyond(asked.after, asked.wait).await;
    }
    let signed = message(&app, asked.realm, asked.after).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], signed.bytes)
        .into_response())
}

impl Asked {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut asked = Asked::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let wrong = |what: &str| Problem::bad_request(format!("`{name}` {what}"));
            match &*name {
                "after" => asked.after = value.parse().map_err(|_| wrong("has to be a number"))?,
                "realm" => asked.realm = Some(value.parse().map_err(|_| wrong("is no realm"))?),
                "wait" => {
                    let wait = parse_span(&value).map_err(|error| wrong(&error))?;
                    asked.wait = wait.0.min(LONGEST_WAIT);
                }
                _ => return Err(Problem::bad_request("the query has `after`, `wait` and `realm`, and nothing else")),
            }
        }
        Ok(asked)
    }
}

/// The realm that the messages are about: the one asked for, or all, or the one that the caller has the scope for.
fn granted(app: &App, caller: &Caller, realm: Option<Realm>) -> Result<Option<Realm>, Problem> {
    if let Some(realm) = realm {
        caller.needs(app, Permission::in_realm(FEED, realm))?;
        return Ok(Some(realm));
    }
    match caller.only_realm(FEED) {
        Some(realm) => Ok(Some(realm)),
        None => caller.needs(app, Permission::anywhere(FEED)).map(|()| None),
    }
}

async fn message(app: &Arc<App>, realm: Option<Realm>, after: u64) -> Result<Signed, Problem> {
    let app = Arc::clone(app);
    blocking::run(move || app.feed_message(realm, after)).await?
}

/// Messages without an end: at once what there is, then each change as it comes, and one without changes in time before
/// the last is stale.
async fn stream(app: Arc<App>, asked: Asked) -> Result<Response, Problem> {
    let first = message(&app, asked.realm, asked.after).await?;
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        let (mut next, silence) = (first, app.config.feed.valid_for.0 / 2);
        loop {
            let seq = next.seq;
            if sender.send_data(event(&next).into()).await.is_err() || *app.stopping.borrow() {
                return;
            }
            app.log_beyond(seq, silence).await;
            next = match message(&app, asked.realm, seq).await {
                Ok(message) if !*app.stopping.borrow() => message,
                // The client connects again, and hears then what is wrong.
                _ => return,
            };
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}

fn event(message: &Signed) -> Vec<u8> {
    let mut event = format!("id: {}\n", message.seq).into_bytes();
    for line in message.bytes.split_inclusive(|byte| *byte == b'\n') {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line);
    }
    event.push(b'\n');
    event
}
