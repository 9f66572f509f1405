//! Secret halves: 32 random bytes beside the seal, of which only a hash is stored.
//!
//! A thief of a master key can seal API keys. Where a realm requires secret halves, no verifier accepts those: the
//! thief lacks the stored hashes, and the pepper that they are made under, whose source is another one.
//!
//! ```
//! use bulla::{
//!     Expectations, IssueRequest, Issuer, Opened, Rejection, Verifier,
//!     claims::Claims,
//!     keyring::KeyVersion,
//!     secret::{Ceilings, Pepper, SecretHash, SecretScheme},
//! };
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, app_id, keyring, sources) = (fixture.live, fixture.app_id, &fixture.keyring, &fixture.sources);
//!
//! // The pepper is loaded like a keyring: its source is asked here, and never for an API key.
//! let pepper = Pepper::open(&"file:pepper-1.key".parse()?, sources, keyring.id(), KeyVersion::FIRST)?;
//!
//! // Issue, and store the hash under the API-key id.
//! let request = IssueRequest { realm: live, app_id, expires_at: None, claims: Claims::new().with_secret() };
//! let api_key = Issuer::new(keyring).issue(&request, now)?;
//! let digest = api_key.secret_digest(&pepper).ok_or("it has a secret half")?;
//! let stored = SecretHash::new(SecretScheme::HmacSha256, &digest)?.to_phc();
//!
//! // Verify in two steps: the seal and all checks before the secret half, then the hash.
//! let (verifier, realms) = (Verifier::new(keyring).requiring_secrets(&[live]), [live]);
//! let expected = Expectations::realms(&realms);
//! let Opened::Secret(check) = verifier.open(api_key.expose(), &expected, now)? else { panic!("it has a secret half") };
//! let hash = SecretHash::parse(&stored, &Ceilings::default())?;
//! let verified = match hash.matches(&check.digest(&pepper))? {
//!     // The hash may have taken time: the key has to hold by the verifier and the clock of this moment, too.
//!     true => check.accept(&verifier, &expected, now)?,
//!     false => return Err(Rejection::SecretWrong.into()),
//! };
//! assert_eq!(verified.id(), api_key.id());
//!
//! // A key without a secret half, as a thief of the master key would make it.
//! let forged = Issuer::new(keyring).issue(&IssueRequest { claims: Claims::new(), ..request }, now)?;
//! assert_eq!(verifier.open(forged.expose(), &expected, now).err(), Some(Rejection::SecretRequired.into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg_attr(not(feature = "argon2"), path = "argon2_disabled.rs")]
mod argon2;
mod binding;
mod digest;
mod error;
mod hash;
mod new_secret;
mod pepper;
mod phc;
mod scheme;

pub use self::{
    argon2::HashMemory,
    binding::{SealBinding, SealBindingError},
    digest::SecretDigest,
    error::SecretHashError,
    hash::SecretHash,
    new_secret::NewSecret,
    pepper::Pepper,
    scheme::{Argon2id, Ceilings, SecretScheme},
};
