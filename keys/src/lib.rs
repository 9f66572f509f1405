//! API keys that verify themselves.
//!
//! An API key is `nonce ‖ AES-GCM(app_id) ‖ tag` under a key derived from a master key in a KMS, an HSM or a file. A
//! program that holds the derived key verifies locally: no database, no cache, no network. Time and randomness are
//! parameters. Times are Unix seconds: `u64` where they are compared with the time of now, and `u32` in
//! [`revocation`], whose times stand in 32 bits inside keys and in the log.
//!
//! # Verify
//!
//! ```
//! use bulla::{Expectations, Verifier};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, app_id, keyring, api_key) = (fixture.live, fixture.app_id, &fixture.keyring, fixture.issue());
//! # let header = api_key.expose();
//!
//! // Once: a verifier for the realms that the keyring was loaded for.
//! let verifier = Verifier::new(keyring);
//!
//! // For every request: the header's text, what the caller expects, and the time.
//! let realms = [live];
//! let verified = verifier.verify(header, &Expectations::realms(&realms), now + 60)?;
//! assert_eq!(verified.app_id(), app_id);
//!
//! // A forged key is rejected, without any I/O.
//! assert!(verifier.verify(&header.replace('a', "b"), &Expectations::realms(&realms), now + 60).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Issue
//!
//! ```
//! use bulla::{IssueRequest, Issuer, claims::Claims};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, app_id, keyring) = (fixture.live, fixture.app_id, &fixture.keyring);
//!
//! let issuer = Issuer::new(keyring);
//! let request = IssueRequest { realm: live, app_id, expires_at: Some(now + 90 * 86_400), claims: Claims::new() };
//! let api_key = issuer.issue(&request, now)?;
//!
//! // The id is public and a literal prefix; the text is shown to its owner once.
//! assert!(api_key.expose().starts_with(&api_key.id().to_string()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | what is in it |
//! |---|---|
//! | [`keyring`] | key versions, their states, the document that lists them, and the loaded keys |
//! | [`source`] | where master keys live: a file, a program, a KMS, an HSM |
//! | [`claims`] | what an API key is restricted to: scopes, audience, addresses |
//! | [`secret`] | secret halves, which a thief of a master key cannot forge |
//! | [`revocation`] | which API keys are revoked or suspended |
//! | `feed` (feature `follow`) | the signed revocation feed, and a follower that keeps a verifier current |
//! | `gateway` (feature `gateway`) | what a gateway's module needs: opened once, current by itself, with ready answers |
//! | `layer` (feature `tower`) | a `tower` layer that verifies in process |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `argon2` | Argon2id for the hashes of secret halves |
//! | `aws-kms`, `pkcs11`, `vault-transit` | key sources |
//! | `capi` | the functions of `include/bulla.h`, for programs in other languages |
//! | `follow` | the module `feed`: the signed revocation feed, and a follower that keeps a verifier current |
//! | `gateway` | the module `gateway`: settings, follower, credentials and answers for modules inside gateways |
//! | `tower` | the module `layer`: a `tower` layer that verifies in process, required scopes, an axum extractor |

#[cfg(any(feature = "follow", feature = "vault-transit"))]
mod agent;
mod api_key;
mod base62;
mod base62_digits;
#[cfg(feature = "capi")]
mod capi;
pub mod claims;
mod clock_difference;
mod derive;
mod expectations;
#[cfg(feature = "follow")]
pub mod feed;
#[cfg(feature = "follow")]
mod feed_key;
#[doc(hidden)]
pub mod forged;
#[cfg(feature = "gateway")]
pub mod gateway;
#[cfg(any(feature = "follow", feature = "vault-transit"))]
mod interrupt;
mod issuer;
mod key_version;
pub mod keyring;
mod keyring_id;
mod labels;
#[cfg(any(feature = "gateway", feature = "tower"))]
pub mod layer;
mod payload;
#[cfg(any(feature = "aws-kms", feature = "follow", feature = "vault-transit"))]
mod proxy;
mod random;
mod realm;
mod rejection;
pub mod revocation;
mod seal;
pub mod secret;
#[cfg(any(feature = "follow", feature = "tower"))]
mod shared;
pub mod source;
mod suite;
#[cfg(any(feature = "follow", feature = "vault-transit"))]
mod tcp;
mod vector;
mod verifier;

/// The traits of [`Issuer::issue_with`] come from this version of the crate.
#[doc(no_inline)]
pub use rand;

#[cfg(any(feature = "follow", feature = "tower"))]
pub use self::shared::SharedVerifier;
pub use self::{
    api_key::{ApiKey, ApiKeyId, ApiKeyIdError},
    clock_difference::CLOCK_DIFFERENCE,
    expectations::{Expectations, OwnedExpectations, Scopes},
    issuer::{IssueError, IssueRequest, Issuer},
    random::RandomError,
    realm::{Realm, RealmError},
    rejection::{Rejection, VerifyError},
    verifier::{Opened, SecretCheck, Verified, Verifier},
};

/// The README's example, compiled with the other documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
