//! The decision about a request.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use bulla::{
    claims::append_envoy_metadata,
    gateway::{Answer, GateError, Presented, Requirements},
};
use bulla_gateways_shared::now;

use crate::{
    abi::{self, Level, Room, Status, Stream},
    config::{Config, Metadata},
};

/// The namespace of the dynamic metadata.
const NAMESPACE: &str = "bulla";

const JSON: (&str, &str) = ("content-type", "application/problem+json");

/// As the service answers at `/v1/authorize`.
const COULD_NOT_TELL: &str = r#"{"type":"urn:bulla:problem:could-not-tell","title":"The API key could not be verified","status":503,"detail":"the API key could not be verified just now: try again"}"#;
const MISCONFIGURED: &str = r#"{"type":"urn:bulla:problem:misconfigured-route","title":"The gateway's route is misconfigured","status":500,"detail":"the requirements of the gateway's route are missing, or do not parse: its log says more"}"#;

/// What one request after the other uses.
struct Scratch {
    answer: Answer,
    metadata: Vec<u8>,
}

thread_local! {
    /// A worker's own. A panic drops it.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many requests ended in a panic since the last call.
pub(crate) fn take_panics() -> u64 {
    PANICS.swap(0, Ordering::Relaxed)
}

/// Lets the request through, with the key's identity in place of its credential, or answers it.
pub(crate) fn decide(config: &Config, stream: &mut Stream<'_>) -> Status {
    let new = || Box::new(Scratch { answer: Answer::new(), metadata: Vec::new() });
    let mut scratch = SCRATCH.take().unwrap_or_else(new);
    let status = by_route(config, stream, &mut scratch);
    SCRATCH.set(Some(scratch));
    status
}

fn by_route(config: &Config, stream: &mut Stream<'_>, scratch: &mut Scratch) -> Status {
    let Some(route) = stream.route() else { return misconfigured(stream, None) };
    route.with(&config.opened, |requirements| match requirements {
        Ok(requirements) => by_key(config, requirements, stream, scratch),
        Err(error) => misconfigured(stream, Some(error)),
    })
}

fn by_key(config: &Config, requirements: &Requirements, stream: &mut Stream<'_>, scratch: &mut Scratch) -> Status {
    let Scratch { answer, metadata } = scratch;
    let mut room = Room::new();
    let mut found = Found::default();
    let address = stream.address();
    let headers = stream.headers(&mut room);
    let mut presented = Presented::new(requirements);
    for (name, value) in headers.iter() {
        // Envoy's names are in lower case.
        match requirements.headers().position(|read| read.as_bytes() == name) {
            Some(at) => {
                presented.add(name, value);
                found.credentials |= 1 << at;
            }
            None => found.note(name, requirements),
        }
    }
    config.opened.gate.check(requirements, &presented, address, now(), answer);
    if !answer.is_accepted() {
        return refuse(stream, answer);
    }
    if !config.keep_credential {
        let found = requirements.headers().enumerate().filter(|(at, _)| found.credentials & 1 << at != 0);
        found.for_each(|(_, name)| stream.remove(name.as_bytes()));
    }
    found.others.iter().for_each(|name| stream.remove(name));
    // An empty header means the same as a missing one.
    answer.headers().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| stream.add(name, value));
    match &config.metadata {
        Metadata::None => {}
        Metadata::Texts(names) => stream.describe(NAMESPACE, names.iter().map(|name| (name.text(), name.of(answer)))),
        Metadata::All => {
            metadata.clear();
            let scopes = answer.scopes().split(' ').filter(|scope| !scope.is_empty());
            let (app_id, id, realm) = (answer.app_id(), answer.api_key_id(), answer.realm());
            append_envoy_metadata(metadata, app_id, id, realm, scopes, answer.meta());
            stream.describe_by_struct(NAMESPACE, metadata);
        }
    }
    Status::Continue
}

/// Headers that must not get through.
#[derive(Default)]
struct Found {
    /// A bit for each header that the route reads, in their order.
    credentials: u8,
    /// The client's own identity headers, and names that an application may take for one of them or for a credential's.
    others: Vec<Vec<u8>>,
}

impl Found {
    fn note(&mut self, name: &[u8], requirements: &Requirements) {
        let credential = |wanted: &str| name.len() == wanted.len() && begins_alike(name, wanted.as_bytes());
        if begins_alike(name, IDENTITY) || requirements.headers().any(credential) {
            self.others.push(name.to_owned());
        }
    }
}

/// What the names of all identity headers begin with.
const IDENTITY: &[u8] = b"x-bulla-";

/// Whether `name` begins as `wanted` does, to those who do not tell `_` and `.` from `-`.
fn begins_alike(name: &[u8], wanted: &[u8]) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() >= wanted.len() && name.iter().zip(wanted).all(|(one, other)| plain(*one) == *other)
}

fn refuse(stream: &mut Stream<'_>, answer: &Answer) -> Status {
    let details = ["bulla_", answer.reason()].concat();
    match (answer.status(), answer.challenge()) {
        (503, _) => could_not_tell(stream, &details),
        (status, Some(challenge)) => stream.respond(status, &[("www-authenticate", challenge)], "", &details),
        (status, None) => stream.respond(status, &[], "", &details),
    }
    Status::StopIteration
}

fn could_not_tell(stream: &mut Stream<'_>, details: &str) {
    stream.respond(503, &[JSON, ("retry-after", "1")], COULD_NOT_TELL, details);
}

/// A mistake of the gateway's operator. A line a second says so.
fn misconfigured(stream: &mut Stream<'_>, error: Option<GateError>) -> Status {
    static LINE: AtomicU64 = AtomicU64::new(0);
    let now = now();
    if LINE.swap(now, Ordering::Relaxed) != now {
        let error = error.map_or("it has no requirements".to_owned(), |error| error.to_string());
        abi::log(Level::Error, &format!("bulla: a route refuses every request: {error}"));
    }
    stream.respond(500, &[JSON], MISCONFIGURED, "bulla_misconfigured_route");
    Status::StopIteration
}

/// Answers in place of a hook that panicked.
pub(crate) fn refuse_after_panic(stream: &mut Stream<'_>) -> Status {
    PANICS.fetch_add(1, Ordering::Relaxed);
    could_not_tell(stream, "bulla_panic");
    Status::StopIteration
}

#[cfg(test)]
mod tests {
    use bulla::gateway::HEADERS;

    use super::*;

    #[test]
    fn names_that_an_application_may_take_for_an_identity_are_found() {
        for name in HEADERS.iter().chain(&["x_bulla_app_id", "x.bulla.app.id", "X-Bulla_Other", "x!bulla~app-id"]) {
            assert!(begins_alike(name.as_bytes(), IDENTITY), "{name}");
        }
        for name in ["x-bulla", "x-bullaapp", "bulla-app-id", "x-forwarded-for", ":path", ""] {
            assert!(!begins_alike(name.as_bytes(), IDENTITY), "{name}");
        }
        assert!(begins_alike(b"X_API_Key", b"x-api-key"));
    }
}
