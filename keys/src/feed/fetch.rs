//! One question to the feed's server, and its answer: the transport of `docs/FEED.md`.

use std::{fmt, io::Read, sync::OnceLock, time::Duration};

use ureq::{
    Agent,
    http::{HeaderValue, StatusCode},
    tls::{Certificate, ClientCert},
};

use super::{Answer, FollowError, FollowerError, LogId, Message, MessageSource};
use crate::{agent, api_key::ApiKey, realm::Realm, source::endpoint};

/// How much longer than the requested wait the server may take.
const EXTRA_TIME: Duration = Duration::from_secs(30);
/// Timeout of one report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

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
    realm: Option<Realm>,
    /// Marked as sensitive.
    authorization: HeaderValue,
    roots: Option<Vec<Certificate<'static>>>,
    identity: Option<ClientCert>,
}

impl HttpSource {
    /// The feed at `address`, which ends in `/v1/revocations`, with an API key of the realm `bulla` and the scope `feed`. The address
    /// is https, or on this machine.
    pub fn new(address: &str, api_key: &ApiKey) -> Result<Self, FollowerError> {
        let wrong = |fault| FollowerError::Address { address: address.to_owned(), fault };
        if let Some(fault) = endpoint::fault(address) {
            return Err(wrong(fault));
        }
        if address.contains(['?', '#']) {
            return Err(wrong("has a query: the follower writes that itself"));
        }
        let text = zeroize::Zeroizing::new(format!("Bearer {}", api_key.expose()));
        let mut authorization = HeaderValue::from_str(&text)
            .map_err(|_| wrong("cannot be asked with this API key: it fits in no header"))?;
        authorization.set_sensitive(true);
        let (agent, address) = (OnceLock::new(), address.to_owned());
        Ok(HttpSource { agent, address, realm: None, authorization, roots: None, identity: None })
    }

    /// Asks for the messages about one realm, with an API key of the scope `feed:REALM` (or `feed`).
    #[must_use]
    pub fn realm(self, realm: Option<Realm>) -> Self {
        HttpSource { realm, ..self }
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
        let request = self.agent().post(self.followers()).header("Authorization", self.authorization.clone());
        let request = request.header("Content-Type", "application/json");
        let answer = request.config().timeout_global(Some(REPORT_TIMEOUT)).build().send(body);
        let answer = answer.map_err(|error| FollowError::Unreachable(error.to_string().into()))?;
        if answer.status().is_success() { Ok(()) } else { Err(FollowError::Status(answer.status().as_u16())) }
    }

    /// Where followers report: beside the feed.
    fn followers(&self) -> String {
        format!("{}/v1/followers", self.address.strip_suffix("/v1/revocations").unwrap_or(&self.address))
    }

    fn agent(&self) -> &Agent {
        let new = || agent::build(agent::new(&self.address, self.roots.clone(), self.identity.clone()).build());
        self.agent.get_or_init(new)
    }

    fn url(&self, Question { after, wait, .. }: &Question) -> String {
        let mut url = format!("{}?after={after}", self.address);
        if let Some(realm) = self.realm {
            url += &format!("&realm={realm}");
        }
        if *wait > 0 {
            url += &format!("&wait={wait}s");
        }
        url
    }
}

impl MessageSource for HttpSource {
    fn name(&self) -> &str {
        &self.address
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let failed = |error: &dyn fmt::Display| FollowError::Unreachable(error.to_string().into());
        let limit = EXTRA_TIME + Duration::from_secs(question.wait);
        let request = self.agent().get(self.url(question)).header("Authorization", self.authorization.clone());
        let asked = request.config().timeout_global(Some(limit)).build().call();
        let mut response = asked.map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FollowError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        // One more than may be, so that too many are seen to be.
        let body = response.body_mut().as_reader().take(Message::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
        body.map_err(|error| failed(&error))?;
        Ok(Answer::Next(bytes))
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HttpSource");
        shown.field("address", &self.address).field("realm", &self.realm).finish_non_exhaustive()
    }
}
