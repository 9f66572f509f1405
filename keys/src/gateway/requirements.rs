//! What one route requires, ready for requests.

use std::fmt;

use http::HeaderName;

use super::{Required, decision::Challenge};
use crate::{
    expectations::{Expectations, OwnedExpectations},
    layer::{CredentialRules, Refusal},
    realm::Realm,
};

/// What one route requires: realms, scopes, audience, and where the key is read from. Cheap to keep, and made by
/// [`Gate::requirements`](super::Gate::requirements).
pub struct Requirements {
    expected: OwnedExpectations,
    rules: CredentialRules,
    headers: Vec<HeaderName>,
    challenges: [String; 3],
}

impl Requirements {
    pub(super) fn new(required: Required, realms: Vec<Realm>, rules: CredentialRules) -> Self {
        let challenge = |refusal: &Refusal| {
            let challenge = refusal.challenge(&rules);
            challenge.and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default()
        };
        let challenges = Challenge::ALL.map(|one| match one {
            Challenge::Unauthorized => challenge(&Refusal::NoCredential),
            Challenge::Several => challenge(&Refusal::SeveralCredentials),
            Challenge::Scope => challenge(&Refusal::InsufficientScope(required.scopes.join(" ").into())),
        });
        let mut expected = OwnedExpectations::new(realms);
        (expected.scopes, expected.audience) = (required.scopes, required.audience);
        let headers = rules.headers().cloned().collect();
        Requirements { expected, headers, rules, challenges }
    }

    /// The names of the headers that the key is read from, in lower case. A gateway hands them over, and removes them
    /// from the request that goes on.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(HeaderName::as_str)
    }

    /// Returns whether the key is read from this header, whose name may have any case.
    pub fn is_read(&self, name: &[u8]) -> bool {
        self.header(name).is_some()
    }

    pub(super) fn header(&self, name: &[u8]) -> Option<&HeaderName> {
        self.headers.iter().find(|header| header.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// `Authorization`, or the first other header, if the key is read from it.
    #[cfg(feature = "capi")]
    #[inline]
    pub(crate) fn header_that(&self, is_authorization: bool) -> Option<&HeaderName> {
        self.headers.iter().find(|header| (**header == http::header::AUTHORIZATION) == is_authorization)
    }

    pub(super) fn rules(&self) -> &CredentialRules {
        &self.rules
    }

    pub(super) fn expected(&self) -> Expectations<'_> {
        self.expected.borrow()
    }

    /// The text of a challenge.
    pub(crate) fn challenge(&self, challenge: Challenge) -> &str {
        &self.challenges[challenge as usize]
    }
}

impl fmt::Debug for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Requirements");
        shown.field("expected", &self.expected).field("headers", &self.headers).finish_non_exhaustive()
    }
}
