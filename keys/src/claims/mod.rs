//! Claims: the restrictions and notes that an API key carries under its seal.
//!
//! ```
//! use bulla::{Expectations, IssueRequest, Issuer, Rejection, Verifier, VerifyError, claims::Claims};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, app_id, keyring) = (fixture.live, fixture.app_id, &fixture.keyring);
//!
//! let claims = Claims::new().with_scopes(["orders.read"]).with_audience(["shop"]).with_cidr(["10.0.0.0/8".parse()?]);
//! let request = IssueRequest { realm: live, app_id, expires_at: None, claims };
//! let api_key = Issuer::new(keyring).issue(&request, now)?;
//!
//! // A bound key is refused unless the caller says who asks, and from where.
//! let (verifier, realms) = (Verifier::new(keyring), [live]);
//! let expected = Expectations::realms(&realms).audience("shop").address("10.1.2.3".parse()?);
//! assert!(verifier.verify(api_key.expose(), &expected.scopes(&["orders.read"]), now).is_ok());
//! let refused = verifier.verify(api_key.expose(), &expected.scopes(&["orders.write"]), now);
//! assert_eq!(refused, Err(VerifyError::Rejected(Rejection::Scope)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cbor;
mod cidr;
mod envoy;
mod view;

use std::collections::BTreeMap;

pub(crate) use self::view::View;
pub use self::{
    cidr::{Cidr, CidrError},
    envoy::append_envoy_metadata,
};
use crate::{payload::MAX_CLAIMS, rejection::Rejection};

/// What an API key carries beside app and times. Every kind of restriction fails closed: a verifier that does not
/// know it refuses the key.
///
/// ```
/// # use bulla::claims::Claims;
/// let claims = Claims::new().with_scopes(["orders.read", "orders.write"]).with_audience(["shop"]).with_cidr(["10.0.0.0/8".parse()?]);
/// assert_eq!(claims.scopes_text(), "orders.read orders.write");
/// # Ok::<(), bulla::claims::CidrError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    audience: Vec<String>,
    not_before: Option<u64>,
    scopes: Vec<String>,
    cidr: Vec<Cidr>,
    secret: bool,
    meta: BTreeMap<String, String>,
}

/// Claims that cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// A text is empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// Not a scope token of RFC 6749.
    #[error("scope number {0} is not a scope token of RFC 6749: printable ASCII without space, `\"` and `\\`")]
    Scope(usize),
    /// The encoding is too long.
    #[error("the claims take {0} bytes and may take {MAX_CLAIMS}: shorten scopes, audience, addresses or metadata")]
    TooLong(usize),
}

impl Claims {
    /// No claims.
    pub fn new() -> Self {
        Self::default()
    }

    /// The audiences the key is for; one of them must be the caller's.
    #[must_use]
    pub fn with_audience<T: Into<String>>(mut self, audience: impl IntoIterator<Item = T>) -> Self {
        self.audience = unique(audience);
        self
    }

    /// The time, in Unix seconds, before which the key is refused.
    #[must_use]
    pub fn with_not_before(mut self, time: u64) -> Self {
        self.not_before = Some(time);
        self
    }

    /// The scopes the key grants.
    #[must_use]
    pub fn with_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = unique(scopes);
        self
    }

    /// The address blocks the key may be used from.
    #[must_use]
    pub fn with_cidr(mut self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.cidr = blocks.into_iter().collect();
        self
    }

    /// The key gets a secret half: 32 random bytes beside the seal, which the issuer draws and of which only a hash is
    /// stored.
    #[must_use]
    pub fn with_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Notes in the key itself, readable by every verifier.
    #[must_use]
    pub fn with_meta<K: Into<String>, V: Into<String>>(mut self, meta: impl IntoIterator<Item = (K, V)>) -> Self {
        self.meta = meta.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// The audiences, none where the key is for any.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// The `nbf` time in Unix seconds.
    pub fn not_before(&self) -> Option<u64> {
        self.not_before
    }

    /// The scopes, in the order they were sealed.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The scopes as one text, joined by spaces.
    pub fn scopes_text(&self) -> String {
        self.scopes.join(" ")
    }

    /// The address blocks, none where the key is for any address.
    pub fn cidr(&self) -> &[Cidr] {
        &self.cidr
    }

    /// The notes.
    pub fn meta(&self) -> &BTreeMap<String, String> {
        &self.meta
    }

    /// Returns whether the key has a secret half.
    pub fn has_secret(&self) -> bool {
        self.secret
    }

    /// Returns whether a text is a scope token of RFC 6749, as every scope of a key that is issued is.
    ///
    /// ```
    /// # use bulla::claims::Claims;
    /// assert!(Claims::is_scope("orders.read") && !Claims::is_scope("orders read") && !Claims::is_scope(""));
    /// ```
    pub fn is_scope(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(is_scope_character)
    }

    /// Returns whether all of the `wanted` scopes are granted.
    pub fn grants<S: AsRef<str>>(&self, wanted: &[S]) -> bool {
        wanted.iter().all(|wanted| self.scopes.iter().any(|scope| scope == wanted.as_ref()))
    }

    /// The encoding to be sealed: no bytes for no claims, else one CBOR map in deterministic encoding (RFC 8949
    /// §4.2.1).
    pub fn to_cbor(&self) -> Result<Vec<u8>, ClaimsError> {
        self.check()?;
        if let Some(at) = self.scopes.iter().position(|scope| !Self::is_scope(scope)) {
            return Err(ClaimsError::Scope(at + 1));
        }
        let bytes = cbor::encode(self);
        if bytes.len() > MAX_CLAIMS { Err(ClaimsError::TooLong(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads what [`Claims::to_cbor`] wrote, or any other issuer. Everything that is not exactly as the format says is
    /// a [`Rejection::Claims`].
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, Rejection> {
        View::of(bytes).map(Claims::from).ok_or(Rejection::Claims)
    }

    fn check(&self) -> Result<(), ClaimsError> {
        let empty = |texts: &[String]| texts.iter().any(String::is_empty);
        if empty(&self.audience) {
            return Err(ClaimsError::Empty("an audience"));
        }
        if empty(&self.scopes) {
            return Err(ClaimsError::Empty("a scope"));
        }
        if self.meta.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
            return Err(ClaimsError::Empty("a name or value of the metadata"));
        }
        Ok(())
    }
}

impl From<View<'_>> for Claims {
    fn from(view: View<'_>) -> Self {
        Claims {
            audience: view.audience().map(str::to_owned).collect(),
            not_before: view.not_before(),
            scopes: view.scopes().map(str::to_owned).collect(),
            cidr: view.cidr().collect(),
            secret: view.has_secret(),
            meta: view.meta().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}

pub(crate) fn is_scope_character(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

fn unique<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        let text = text.into();
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}
