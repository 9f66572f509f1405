//! The answer to one request, ready for a gateway: the same status, challenge and identity headers as forward authentication has.

use std::fmt;

use uuid::Uuid;

use super::{Requirements, decision::Decision, rfc3339::rfc_3339};
use crate::verifier::Verified;

/// The identity headers. A gateway removes the client's own of these names from every request, and sets all of them on one that it
/// lets through, empty if need be.
pub const HEADERS: [&str; 6] = [
    "x-bulla-app-id",
    "x-bulla-api-key-id",
    "x-bulla-realm",
    "x-bulla-scopes",
    "x-bulla-expires-at",
    "x-bulla-assertion",
];

/// The answer to one request. It is made once and reused: a request then allocates nothing.
#[derive(Default)]
pub struct Answer {
    status: u16,
    reason: &'static str,
    challenge: String,
    /// The identity headers' values one behind the other, and where each ends.
    text: String,
    ends: [usize; HEADERS.len()],
    verified: Option<Verified>,
}

impl Answer {
    /// An answer that lets nothing through.
    pub fn new() -> Self {
        Answer {
            status: 503,
            reason: "unanswered",
            challenge: String::with_capacity(128),
            text: String::with_capacity(512),
            ..Answer::default()
        }
    }

    /// The status: 200, 401, 403, 503 where it could not tell, or 500 for a key whose texts fit into no header.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the request may go on. Nothing else is a yes.
    pub fn is_accepted(&self) -> bool {
        self.status == 200 && self.verified.is_some()
    }

    /// Why the request is refused, for logs and metrics and never for the client. Empty where it is not.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The value of `WWW-Authenticate`, where there is one.
    pub fn challenge(&self) -> Option<&str> {
        (!self.challenge.is_empty()).then_some(&self.challenge)
    }

    /// Names and values of the identity headers: all of [`HEADERS`] where the key is accepted, else none.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = if self.is_accepted() { HEADERS.len() } else { 0 };
        (0..all).map(|at| (HEADERS[at], self.value(at)))
    }

    /// The app that the key belongs to.
    pub fn app_id(&self) -> &str {
        self.value(0)
    }

    /// The API key's id.
    pub fn api_key_id(&self) -> &str {
        self.value(1)
    }

    /// Its realm.
    pub fn realm(&self) -> &str {
        self.value(2)
    }

    /// Its scopes, with spaces between them.
    pub fn scopes(&self) -> &str {
        self.value(3)
    }

    /// When it expires (RFC 3339); empty for never.
    pub fn expires(&self) -> &str {
        self.value(4)
    }

    /// Everything that is known of an accepted key.
    pub fn verified(&self) -> Option<&Verified> {
        self.verified.as_ref()
    }

    /// Its audiences.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.verified.iter().flat_map(Verified::audiences)
    }

    /// The notes in it.
    pub fn meta(&self) -> impl Iterator<Item = (&str, &str)> {
        self.verified.iter().flat_map(Verified::meta)
    }

    fn value(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    /// Puts a decision in the place of the one before.
    pub(super) fn put(&mut self, decision: Decision, wanted: &Requirements) {
        match decision {
            Decision::Accepted(verified, id) => self.accept(verified, id.as_str()),
            Decision::Refused { status, reason, challenge } => {
                self.refuse(status, reason, Decision::text(challenge, wanted));
            }
        }
    }

    fn refuse(&mut self, status: u16, reason: &'static str, challenge: &str) {
        (self.status, self.reason, self.verified) = (status, reason, None);
        self.text.clear();
        self.ends = [0; HEADERS.len()];
        self.challenge.clear();
        self.challenge.push_str(challenge);
    }

    /// Accepts. A key whose texts fit into no header is refused, as by the service.
    fn accept(&mut self, verified: Verified, id: &str) {
        self.refuse(500, "does_not_fit", "");
        if self.write(&verified, id) {
            (self.status, self.reason, self.verified) = (200, "", Some(verified));
        } else {
            self.text.clear();
            self.ends = [0; HEADERS.len()];
        }
    }

    /// Returns whether they fit into headers.
    fn write(&mut self, verified: &Verified, id: &str) -> bool {
        let text = &mut self.text;
        text.push_str(verified.app_id().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        self.ends[0] = text.len();
        text.push_str(id);
        self.ends[1] = text.len();
        text.push_str(verified.id().realm().as_str());
        self.ends[2] = text.len();
        text.push_str(verified.scopes_text());
        self.ends[3] = text.len();
        // The key's issuer wrote them; everything else is bulla's own.
        if text[self.ends[2]..].bytes().any(|byte| byte.is_ascii_control()) {
            return false;
        }
        if let Some(time) = verified.expires_at() {
            text.push_str(rfc_3339(time, &mut [0; 20]));
        }
        self.ends[4] = text.len();
        self.ends[5] = text.len();
        true
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Answer");
        shown.field("status", &self.status).field("reason", &self.reason).field("verified", &self.verified).finish()
    }
}
