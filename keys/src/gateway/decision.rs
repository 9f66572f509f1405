//! What a gate decides, before it is put into the form in which a gateway wants it.

use super::Requirements;
use crate::rejection::{Rejection, VerifyError};

/// What becomes of a request. An accepted one comes with what the caller made of its key.
pub(crate) enum Decision<R> {
    Accepted(R),
    Refused(Refused),
}

/// A request that does not go on.
#[derive(Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) challenge: Option<Challenge>,
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

impl Refused {
    pub(super) fn by(error: VerifyError) -> Self {
        let (status, challenge) = match error {
            VerifyError::Rejected(Rejection::Scope) => (403, Some(Challenge::Scope)),
            // A client that tries keys hears the same as one without a key.
            VerifyError::Rejected(_) => (401, Some(Challenge::Unauthorized)),
            VerifyError::SecretUnchecked | VerifyError::Stale => (503, None),
        };
        Refused { status, reason: error.code(), challenge }
    }

    /// A request without a credential, or with several.
    pub(super) fn unpresented(several: bool) -> Self {
        let (reason, challenge) = match several {
            true => ("several_credentials", Challenge::Several),
            false => ("no_credential", Challenge::Unauthorized),
        };
        Refused { status: 401, reason, challenge: Some(challenge) }
    }

    /// A process without the threads that keep it current.
    pub(super) const FORKED: Refused = Refused { status: 503, reason: "forked", challenge: None };

    /// The challenge's text, where there is one.
    pub(super) fn challenge_text(self, wanted: &Requirements) -> &str {
        self.challenge.map_or("", |challenge| wanted.challenge(challenge))
    }
}
