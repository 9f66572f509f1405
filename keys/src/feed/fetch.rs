//! One question to the feed's server, and its answer: the transport of `docs/FEED.md`.

use std::{fmt, io::Read, sync::OnceLock, time::Duration};

use ureq::{
    Agent, Body,
    http::{HeaderValue, Response, StatusCode},
    tls::{Certificate, ClientCert},
};

use super::{
    Answer, FollowError, FollowerError, Format, LoadedSnapshot, LogId, Message, MessageSource, Snapshot, SnapshotLoad,
    VerifyingKey, snapshot,
};
use crate::{agent, api_key::ApiKey, interrupt::Interrupt, keyring_id::KeyringId, realm::Realm, source::endpoint};

/// How much longer than the requested wait the server may take.
const EXTRA_TIME: Duration = Duration::from_secs(30);
/// Timeout of a verification, for which a request waits.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than any verdict, in bytes.
const MAX_VERDICT: u64 = 64 << 10;
/// Timeout of one report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for what a snapshot has; then it goes on in another answer.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(600);
/// The pause before what was cut off goes on.
const PAUSE: Duration = Duration::from_millis(500);

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The place in the log behind which to begin.
    pub after: u64,
    /// The log of this place; none before the first message.
    pub log_id: Option<LogId>,
    /// How long the source may wait for news, in seconds.
    pub wait: u64,
}

/// A node or a relay, asked over HTTP.
#[derive(Clone)]
pub struct HttpSource {
    /// Made at the first question: the system's roots are read for it.
    agent: OnceLock<Agent>,
    address: String,
    pub(super) realm: Option<Realm>,
    /// The one format that is asked for; without it the newest that the server writes.
    format: Option<Format>,
    /// Marked as sensitive.
    pub(super) authorization: HeaderValue,
    roots: Option<Vec<Certificate<'static>>>,
    identity: Option<ClientCert>,
    interrupt: Interrupt,
}

/// Where the feed is on a node and on a relay.
const FEED: &str = "/v1/revocations";

impl HttpSource {
    /// The feed at `address`, with `/v1/revocations` at its end or without, and an API key of the realm `bulla` and the
    /// scope `feed`. The address is https, or on this machine.
    pub fn new(address: &str, api_key: &ApiKey) -> Result<Self, FollowerError> {
        Self::with_token(address, api_key.expose())
    }

    /// The feed at a relay, which knows its followers by tokens of its own.
    pub fn with_token(address: &str, token: &str) -> Result<Self, FollowerError> {
        let wrong = |fault| FollowerError::Address { address: address.to_owned(), fault };
        if let Some(fault) = endpoint::fault(address) {
            return Err(wrong(fault));
        }
        if address.contains(['?', '#']) {
            return Err(wrong("has a query: the follower writes that itself"));
        }
        let text = zeroize::Zeroizing::new(format!("Bearer {token}"));
        let mut authorization = HeaderValue::from_str(&text)
            .map_err(|_| wrong("cannot be asked with this API key or token: it fits in no header"))?;
        authorization.set_sensitive(true);
        Ok(HttpSource {
            agent: OnceLock::new(),
            address: whole(address),
            realm: None,
            format: None,
            authorization,
            roots: None,
            identity: None,
            interrupt: Interrupt::default(),
        })
    }

    /// Asks for the messages about one realm, with an API key of the scope `feed:REALM` (or `feed`).
    #[must_use]
    pub fn realm(self, realm: Option<Realm>) -> Self {
        HttpSource { realm, ..self }
    }

    /// Asks for messages of this format alone.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        HttpSource { format: Some(format), ..self }
    }

    /// Trusts servers whose certificate comes from one of these, in PEM, in the place of the system's.
    pub fn trusting_roots(self, pem: &[u8]) -> Result<Self, FollowerError> {
        match agent::certificates(pem) {
            none if none.is_empty() => Err(FollowerError::NoCertificate),
            roots => Ok(HttpSource { roots: Some(roots), ..self }),
        }
    }

    /// Shows a client certificate: its chain and its key, both in PEM.
    pub fn showing(self, chain: &[u8], key: &[u8]) -> Result<Self, FollowerError> {
        let identity = Some(agent::identity(chain, key).ok_or(FollowerError::NoIdentity)?);
        Ok(HttpSource { identity, ..self })
    }

    /// Posts reports of followers to it, in the form of [`FollowerReport::body`](super::FollowerReport::body).
    pub fn report(&self, body: &str) -> Result<(), FollowError> {
        self.post("/v1/followers", body)
    }

    /// Posts uses of API keys at a follower to it: `POST /v1/followers/uses` of `docs/FEED.md`.
    pub fn report_uses(&self, body: &str) -> Result<(), FollowError> {
        self.post("/v1/followers/uses", body)
    }

    /// Returns whether it accepts an API key: `POST /v1/verify` with this body. It needs no credential.
    pub fn verify(&self, body: &str) -> Result<bool, FollowError> {
        let failed = |error: &dyn fmt::Display| FollowError::Unreachable(error.to_string().into());
        let request = self.agent().post(self.beside("/v1/verify")).header("Content-Type", "application/json");
        let answer = request.config().timeout_global(Some(VERIFY_TIMEOUT)).build().send(body);
        let mut answer = answer.map_err(|error| failed(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(FollowError::Status(answer.status().as_u16()));
        }
        let text = answer.body_mut().with_config().limit(MAX_VERDICT).read_to_string();
        let verdict: serde_json::Value =
            serde_json::from_str(&text.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
        verdict["active"].as_bool().ok_or_else(|| failed(&"it answers something else than a verdict"))
    }

    pub(super) fn beside(&self, path: &str) -> String {
        format!("{}{path}", self.address.strip_suffix(FEED).unwrap_or(&self.address))
    }

    /// Posts to an endpoint beside the feed.
    fn post(&self, path: &str, body: &str) -> Result<(), FollowError> {
        let request = self.agent().post(self.beside(path)).header("Authorization", self.authorization.clone());
        let request = request.header("Content-Type", "application/json");
        let answer = request.config().timeout_global(Some(REPORT_TIMEOUT)).build().send(body);
        let answer = answer.map_err(|error| FollowError::Unreachable(error.to_string().into()))?;
        if answer.status().is_success() { Ok(()) } else { Err(FollowError::Status(answer.status().as_u16())) }
    }

    pub(super) fn agent(&self) -> &Agent {
        let new = || {
            let config = agent::new(&self.address, self.roots.clone(), self.identity.clone()).build();
            agent::build(config, &self.interrupt)
        };
        self.agent.get_or_init(new)
    }

    fn url(&self, path: &str, query: &str) -> String {
        let realm = self.realm.map(|realm| format!("realm={realm}")).unwrap_or_default();
        let (before, between) = match (query, realm.as_str()) {
            ("", "") => ("", ""),
            ("", _) | (_, "") => ("?", ""),
            _ => ("?", "&"),
        };
        format!("{}{path}{before}{query}{between}{realm}", self.address)
    }

    pub(super) fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        limit: Duration,
    ) -> Result<Response<Body>, FollowError> {
        let mut request = self.agent().get(url).header("Authorization", self.authorization.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.config().timeout_global(Some(limit)).build().call().map_err(unreachable)?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(FollowError::Status(status.as_u16())),
        }
    }

    /// The newest snapshot in the server's bytes, to be handed on, and checked by the keyring's id and its feed's
    /// public key.
    pub fn snapshot_bytes(&self, by: (KeyringId, &VerifyingKey)) -> Result<SnapshotBytes, FollowError> {
        let mut body = Vec::new();
        let (loaded, manifest) = self.download(by, |chunk| body.extend_from_slice(chunk))?;
        Ok(SnapshotBytes { snapshot: loaded.snapshot, manifest, body })
    }

    fn download(
        &self,
        (keyring_id, key): (KeyringId, &VerifyingKey),
        checked: impl FnMut(&[u8]),
    ) -> Result<(LoadedSnapshot, Vec<u8>), FollowError> {
        let manifest = read_whole(self.get(&self.url("/snapshot", ""), &[], EXTRA_TIME)?)?;
        let mut load = SnapshotLoad::new(Snapshot::read(&manifest, keyring_id, key)?);
        let url = self.url(&format!("/snapshots/{}", load.snapshot().name()), "");
        snapshot::download(&BodyAt { source: self, url }, &mut load, checked)?;
        Ok((load.finish()?, manifest))
    }
}

/// A snapshot in bytes that were checked.
#[derive(Clone, Debug)]
pub struct SnapshotBytes {
    /// What its manifest says.
    pub snapshot: Snapshot,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// The body of a snapshot at a node.
struct BodyAt<'s> {
    source: &'s HttpSource,
    url: String,
}

impl snapshot::Body for BodyAt<'_> {
    fn begin_at(&self, byte: usize) -> Result<(Box<dyn Read + '_>, bool), FollowError> {
        let response = self.source.get(&self.url, &[("Range", &format!("bytes={byte}-"))], LONGEST_DOWNLOAD)?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        Ok((Box::new(response.into_body().into_reader()), is_part))
    }

    fn pause(&self) -> Result<(), FollowError> {
        self.source.interrupt.pause(PAUSE).map_err(unreachable)
    }
}

impl MessageSource for HttpSource {
    fn name(&self) -> &str {
        &self.address
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let (mut query, wait) = (format!("after={}", question.after), question.wait);
        if wait > 0 {
            query += &format!("&wait={wait}s");
        }
        let limit = EXTRA_TIME + Duration::from_secs(wait);
        let accept = self.format.map_or(Format::ACCEPT, Format::content_type);
        read_whole(self.get(&self.url("", &query), &[("Accept", accept)], limit)?).map(Answer::Next)
    }

    fn snapshot(&self, by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        self.download(by, |_| {}).map(|(loaded, _)| loaded)
    }

    fn stop(&self) {
        self.interrupt.stop();
    }
}

/// The feed's address at a server that is named with it or without.
fn whole(address: &str) -> String {
    let bare = address.trim_end_matches('/');
    if bare.ends_with(FEED) { bare.to_owned() } else { format!("{bare}{FEED}") }
}

/// The body, as far as a message may be long, and one byte more, so that a longer one is seen to be.
fn read_whole(mut response: Response<Body>) -> Result<Vec<u8>, FollowError> {
    let mut bytes = Vec::new();
    let body = response.body_mut().as_reader().take(Message::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    body.map_err(unreachable)?;
    Ok(bytes)
}

fn unreachable(error: impl fmt::Display) -> FollowError {
    FollowError::Unreachable(error.to_string().into())
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HttpSource");
        shown.field("address", &self.address).field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_the_feed_s_path_or_without() {
        for url in
            ["https://a:8181", "https://a:8181/", "https://a:8181/v1/revocations", "https://a:8181/v1/revocations/"]
        {
            assert_eq!(whole(url), "https://a:8181/v1/revocations");
        }
        assert_eq!(whole("https://a/bulla"), "https://a/bulla/v1/revocations");
    }
}
