//! An accepted key.

use std::{fmt, sync::OnceLock};

use uuid::Uuid;

use crate::{
    api_key::{ApiKeyId, text::ID_BYTES},
    claims::{Claims, View},
    expectations::Expectations,
    payload::{MAX_CLAIMS, Payload},
    realm::Realm,
    rejection::{Rejection, VerifyError},
};

/// An API key that holds: genuine, in time, not revoked, and as the caller expects.
#[derive(Clone)]
pub struct Verified {
    pub(super) realm: Realm,
    pub(super) id: [u8; ID_BYTES],
    pub(super) payload: Payload,
    pub(super) claims: Option<SealedClaims>,
}

/// Checked claims as they lay under the seal, read when someone asks for them.
#[derive(Clone, Debug)]
pub(super) struct SealedClaims {
    bytes: [u8; MAX_CLAIMS],
    length: u8,
    read: OnceLock<Box<Claims>>,
}

impl SealedClaims {
    /// Of bytes that a [`View`] was read from; none of no bytes.
    #[inline(always)]
    pub(super) fn new(sealed: &[u8]) -> Option<Self> {
        let length = sealed.len().min(MAX_CLAIMS);
        if length == 0 {
            return None;
        }
        let mut bytes = [0; MAX_CLAIMS];
        bytes[..length].copy_from_slice(&sealed[..length]);
        Some(SealedClaims { bytes, length: length as u8, read: OnceLock::new() })
    }

    fn view(&self) -> View<'_> {
        View::of(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    pub(super) fn not_before(&self) -> Option<u64> {
        self.view().not_before()
    }

    fn claims(&self) -> &Claims {
        self.read.get_or_init(|| Box::new(Claims::from(self.view())))
    }
}

impl Verified {
    /// The API-key id.
    pub fn id(&self) -> ApiKeyId {
        ApiKeyId::new(self.realm, self.id)
    }

    /// The app the key belongs to.
    pub fn app_id(&self) -> Uuid {
        self.payload.app_id
    }

    /// When it was issued, in Unix seconds.
    pub fn issued_at(&self) -> u64 {
        self.payload.issued_at.into()
    }

    /// When it expires, in Unix seconds; `None` is never.
    pub fn expires_at(&self) -> Option<u64> {
        (self.payload.expires_at != 0).then(|| self.payload.expires_at.into())
    }

    /// The claims, where it has any. The first call allocates them.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref().map(SealedClaims::claims)
    }

    /// The scopes, none where it has none. The first call allocates them; [`Verified::scopes_text`] does not.
    pub fn scopes(&self) -> &[String] {
        self.claims().map_or(&[], Claims::scopes)
    }

    /// The scopes as one text, joined by spaces; empty where it has none.
    pub fn scopes_text(&self) -> &str {
        self.view().scopes_text()
    }

    /// The audiences of its claims.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.view().audience()
    }

    /// The notes of its claims, shorter names first.
    pub fn meta(&self) -> impl Iterator<Item = (&str, &str)> {
        self.view().meta()
    }

    fn view(&self) -> View<'_> {
        self.claims.as_ref().map_or_else(View::default, SealedClaims::view)
    }

    /// The last step: only a key that passes every other check gets an answer about scopes.
    pub(crate) fn granting(self, expected: &Expectations<'_>) -> Result<Self, VerifyError> {
        let granted = expected.scopes.are_granted_by(&self.view());
        if granted { Ok(self) } else { Err(Rejection::Scope.into()) }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { payload, claims, .. } = self;
        f.debug_struct("Verified").field("id", &self.id()).field("payload", payload).field("claims", claims).finish()
    }
}

impl PartialEq for Verified {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.payload == other.payload && self.claims() == other.claims()
    }
}

impl Eq for Verified {}
