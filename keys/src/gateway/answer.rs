//! The answer to one request, ready for a gateway: the same status, challenge and identity headers as forward
//! authentication has.

use std::fmt;

use super::{
    Requirements,
    decision::Decision,
    hyphenated::{HYPHENATED, hyphenated},
    rfc3339::{TIME, rfc_3339},
};
use crate::{api_key::id::MAX_ID_CHARS, claims::View, layer::all_bytes, payload::MAX_CLAIMS, verifier::Accepted};

/// The identity headers. A gateway removes the client's own of these names from every request, and sets all of them on
/// one that it lets through, empty if need be.
pub const HEADERS: [&str; 6] = [
    "x-bulla-app-id",
    "x-bulla-api-key-id",
    "x-bulla-realm",
    "x-bulla-scopes",
    "x-bulla-expires-at",
    "x-bulla-assertion",
];

/// The answer to one request. It is made once and reused: a request then allocates nothing.
pub struct Answer {
    status: u16,
    reason: &'static str,
    challenge: String,
    /// Each text stays where it was written: what is written in parts and read as a whole right behind that takes long.
    app_id: [u8; HYPHENATED],
    api_key_id: [u8; MAX_ID_CHARS],
    expires: [u8; TIME],
    scopes: String,
    lengths: Lengths,
    /// The claims' bytes, where audiences or notes are among them.
    claims: Vec<u8>,
}

/// How many characters the texts have, all of them none where no key was accepted.
#[derive(Clone, Copy, Default)]
struct Lengths {
    app_id: usize,
    api_key_id: usize,
    /// Which the API-key id begins with.
    realm: usize,
    expires: usize,
}

impl Answer {
    /// An answer that lets nothing through.
    pub fn new() -> Self {
        Answer {
            status: 503,
            reason: "unanswered",
            challenge: String::with_capacity(128),
            app_id: [0; HYPHENATED],
            api_key_id: [0; MAX_ID_CHARS],
            expires: [0; TIME],
            scopes: String::with_capacity(MAX_CLAIMS),
            lengths: Lengths::default(),
            claims: Vec::with_capacity(MAX_CLAIMS),
        }
    }

    /// The status: 200, 401, 403, 503 where it could not tell, or 500 for a key whose texts fit into no header.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the request may go on. Nothing else is a yes.
    pub fn is_accepted(&self) -> bool {
        self.status == 200
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
        let values = [self.app_id(), self.api_key_id(), self.realm(), self.scopes(), self.expires(), ""];
        HEADERS.into_iter().zip(values).take(if self.is_accepted() { HEADERS.len() } else { 0 })
    }

    /// The app that the key belongs to.
    pub fn app_id(&self) -> &str {
        text(&self.app_id, self.lengths.app_id)
    }

    /// The API key's id.
    pub fn api_key_id(&self) -> &str {
        text(&self.api_key_id, self.lengths.api_key_id)
    }

    /// Its realm.
    pub fn realm(&self) -> &str {
        text(&self.api_key_id, self.lengths.realm)
    }

    /// Its scopes, with spaces between them.
    pub fn scopes(&self) -> &str {
        &self.scopes
    }

    /// When it expires (RFC 3339); empty for never.
    pub fn expires(&self) -> &str {
        text(&self.expires, self.lengths.expires)
    }

    /// Its audiences.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.claims().audience()
    }

    /// The notes in it.
    pub fn meta(&self) -> impl Iterator<Item = (&str, &str)> {
        self.claims().meta()
    }

    fn claims(&self) -> View<'_> {
        View::of(&self.claims).unwrap_or_default()
    }

    /// Begins an answer, so that one which a panic leaves half written lets nothing through.
    #[inline]
    pub(super) fn begin(&mut self) {
        (self.status, self.reason, self.lengths) = (503, "unanswered", Lengths::default());
        self.scopes.clear();
        self.claims.clear();
    }

    /// Ends an answer. If the key was accepted its texts are in place, unless no header can carry them: such a key is
    /// refused, as by the service.
    pub(super) fn end(&mut self, decision: Decision<bool>, wanted: &Requirements) {
        match decision {
            Decision::Accepted(true) => {
                (self.status, self.reason) = (200, "");
                self.challenge.clear();
            }
            Decision::Accepted(false) => self.refuse(500, "does_not_fit", ""),
            Decision::Refused(refused) => self.refuse(refused.status, refused.reason, refused.challenge_text(wanted)),
        }
    }

    fn refuse(&mut self, status: u16, reason: &'static str, challenge: &str) {
        self.begin();
        (self.status, self.reason) = (status, reason);
        self.challenge.clear();
        self.challenge.push_str(challenge);
    }

    /// Writes what an accepted key has, and returns whether it fits into headers.
    #[inline(always)]
    pub(super) fn accept(&mut self, key: &Accepted<'_>) -> bool {
        hyphenated(key.app_id(), &mut self.app_id);
        self.lengths.app_id = HYPHENATED;
        self.lengths.api_key_id = key.write_id(&mut self.api_key_id);
        self.lengths.realm = key.id().realm().as_slice().len();
        if key.expires_at() != 0 {
            rfc_3339(key.expires_at(), &mut self.expires);
            self.lengths.expires = TIME;
        }
        if key.claims().has_lists() {
            self.claims.extend_from_slice(key.sealed());
        }
        let scopes = key.claims().scopes_text();
        self.scopes.push_str(scopes);
        // The key's issuer wrote them; everything else is bulla's own.
        all_bytes(scopes.as_bytes(), |byte| !byte.is_ascii_control())
    }
}

impl Default for Answer {
    fn default() -> Self {
        Answer::new()
    }
}

/// The first so many characters.
fn text(room: &[u8], length: usize) -> &str {
    room.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Answer");
        shown
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("api_key_id", &self.api_key_id())
            .finish()
    }
}
