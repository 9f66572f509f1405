//! What a gate decides, before it is put into the form in which a gateway wants it.

use super::Requirements;
use crate::{
    rejection::{Rejection, VerifyError},
    verifier::Verified,
};

/// What becomes of a request.
#[expect(clippy::large_enum_variant, reason = "a box would allocate for every request that is accepted")]
pub(crate) enum Decision {
    Accepted(Verified, IdText),
    Refused { status: u16, reason: &'static str, challenge: Option<Challenge> },
}

/// The text of an API key's id, which the key begins with: nothing is encoded anew.
#[derive(Clone, Copy)]
pub(crate) struct IdText {
    room: [u8; IdText::SIZE],
    length: usize,
}

impl IdText {
    /// The longest realm, `_`, and 22 digits of 16 bytes.
    const SIZE: usize = 48;
    const DIGITS: usize = 22;

    /// Of a key that was accepted.
    pub(super) fn of(api_key: &str, verified: &Verified) -> Self {
        let length = verified.id().realm().as_str().len() + 1 + Self::DIGITS;
        let mut id = IdText { room: [0; Self::SIZE], length };
        if let (Some(text), Some(room)) = (api_key.as_bytes().get(..length), id.room.get_mut(..length)) {
            room.copy_from_slice(text);
        }
        id
    }

    pub(crate) fn as_str(&self) -> &str {
        self.room.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Which of a route's challenges goes with a refusal.
#[derive(Clone, Copy)]
pub(crate) enum Challenge {
    /// Of a 401.
    Unauthorized,
    /// Of a 401 for more than one credential.
    Several,
    /// Of a 403.
    Scope,
}

impl Challenge {
    pub(crate) const ALL: [Challenge; 3] = [Challenge::Unauthorized, Challenge::Several, Challenge::Scope];
}

impl Decision {
    pub(super) fn by(error: VerifyError) -> Self {
        let (status, challenge) = match error {
            VerifyError::Rejected(Rejection::Scope) => (403, Some(Challenge::Scope)),
            // A client that tries keys hears the same as one without a key.
            VerifyError::Rejected(_) => (401, Some(Challenge::Unauthorized)),
            VerifyError::SecretUnchecked | VerifyError::Stale => (503, None),
        };
        Decision::Refused { status, reason: error.code(), challenge }
    }

    /// A request without a credential, or with several.
    pub(super) fn unpresented(several: bool) -> Self {
        let (reason, challenge) = match several {
            true => ("several_credentials", Challenge::Several),
            false => ("no_credential", Challenge::Unauthorized),
        };
        Decision::Refused { status: 401, reason, challenge: Some(challenge) }
    }

    /// A process without the threads that keep it current.
    pub(super) const FORKED: Decision = Decision::Refused { status: 503, reason: "forked", challenge: None };

    /// The challenge's text, where there is one.
    pub(super) fn text(challenge: Option<Challenge>, wanted: &Requirements) -> &str {
        challenge.map_or("", |challenge| wanted.challenge(challenge))
    }
}
