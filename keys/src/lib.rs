//! API keys that verify themselves.
//!
//! An API key is `nonce ‖ AES-GCM(app_id) ‖ tag` under a key derived from a master key in a KMS, an HSM or a file. Whoever
//! holds the derived key verifies locally: no database, no cache, no network. Time and randomness are parameters; times are
//! Unix seconds; those in a keyring document, which people read, are `jiff::Timestamp`s.
//!
//! # Verify
//!
//! ```
//! use bulla::{Expectations, Verifier};
//! # use bulla::*;
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # for (name, key) in [("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")] {
//! #     std::fs::write(folder.path().join(name), key)?;
//! #     std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600))?;
//! # }
//! # let now = 1_795_000_000u64;
//! # let at = jiff::Timestamp::from_second(now as i64)?;
//! # let sources = Sources::new(folder.path());
//! # let mut document = KeyringDocument::new(KeyringId::random()?);
//! # let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! # let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! # document.activate(version, at)?;
//! # let live: Realm = "acme_live".parse()?;
//! # let keyring = Keyring::load(&document, &sources, &[live])?;
//! # let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//! # let request = Request { realm: live, app_id, expires_at: Some(now + 90 * 86_400), claims: Claims::new() };
//! # let api_key = Issuer::new(&keyring).issue(&request, now)?;
//! # let header = api_key.expose();
//!
//! // Once: a verifier for the realms that the keyring was loaded for.
//! let verifier = Verifier::new(&keyring);
//!
//! // For every request: the header's text, what the caller expects, and the time.
//! let realms = [live];
//! let verified = verifier.verify(header, &Expectations::realms(&realms), now + 60)?;
//! assert_eq!(verified.app_id(), app_id);
//!
//! // A forged key is rejected before any I/O, because there is none.
//! assert!(verifier.verify(&header.replace('a', "b"), &Expectations::realms(&realms), now + 60).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Issue
//!
//! ```
//! use bulla::{Claims, Issuer, Request};
//! # use bulla::*;
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # for (name, key) in [("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")] {
//! #     std::fs::write(folder.path().join(name), key)?;
//! #     std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600))?;
//! # }
//! # let now = 1_795_000_000u64;
//! # let at = jiff::Timestamp::from_second(now as i64)?;
//! # let sources = Sources::new(folder.path());
//! # let mut document = KeyringDocument::new(KeyringId::random()?);
//! # let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! # let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! # document.activate(version, at)?;
//! # let live: Realm = "acme_live".parse()?;
//! # let keyring = Keyring::load(&document, &sources, &[live])?;
//! # let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//!
//! let issuer = Issuer::new(&keyring);
//! let request = Request { realm: live, app_id, expires_at: Some(now + 90 * 86_400), claims: Claims::new() };
//! let api_key = issuer.issue(&request, now)?;
//!
//! // The id is public and a literal prefix; the text is shown to its owner once.
//! assert!(api_key.expose().starts_with(&api_key.id().to_string()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # With claims
//!
//! ```
//! use bulla::{Claims, Expectations, Rejection, VerifyError};
//! # use bulla::*;
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # for (name, key) in [("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")] {
//! #     std::fs::write(folder.path().join(name), key)?;
//! #     std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600))?;
//! # }
//! # let now = 1_795_000_000u64;
//! # let at = jiff::Timestamp::from_second(now as i64)?;
//! # let sources = Sources::new(folder.path());
//! # let mut document = KeyringDocument::new(KeyringId::random()?);
//! # let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! # let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! # document.activate(version, at)?;
//! # let live: Realm = "acme_live".parse()?;
//! # let keyring = Keyring::load(&document, &sources, &[live])?;
//! # let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//!
//! let claims = Claims::new().with_scopes(["orders.read"]).with_audience(["shop"]).with_cidr(["10.0.0.0/8".parse()?]);
//! let request = Request { realm: live, app_id, expires_at: None, claims };
//! let api_key = Issuer::new(&keyring).issue(&request, now)?;
//!
//! // A bound key is refused unless the caller says who, and from where.
//! let (verifier, realms) = (Verifier::new(&keyring), [live]);
//! let expected = Expectations::realms(&realms).audience("shop").address("10.1.2.3".parse()?);
//! assert!(verifier.verify(api_key.expose(), &expected.scopes(&["orders.read"]), now).is_ok());
//! let refused = verifier.verify(api_key.expose(), &expected.scopes(&["orders.write"]), now);
//! assert_eq!(refused, Err(VerifyError::Rejected(Rejection::Scope)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # With a secret half
//!
//! Whoever steals a master key can seal keys of his own. Where a realm requires secret halves he gets none of them
//! accepted: of 32 random bytes beside the seal only a hash is stored, under a pepper from a source of its own.
//!
//! ```
//! use bulla::{Ceilings, Claims, Expectations, KeyVersion, Opened, Pepper, Rejection, SecretHash, SecretScheme, Verifier};
//! # use bulla::*;
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # for (name, key) in [("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")] {
//! #     std::fs::write(folder.path().join(name), key)?;
//! #     std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600))?;
//! # }
//! # let now = 1_795_000_000u64;
//! # let at = jiff::Timestamp::from_second(now as i64)?;
//! # let sources = Sources::new(folder.path());
//! # let mut document = KeyringDocument::new(KeyringId::random()?);
//! # let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! # let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! # document.activate(version, at)?;
//! # let live: Realm = "acme_live".parse()?;
//! # let keyring = Keyring::load(&document, &sources, &[live])?;
//! # let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//! # std::fs::copy(folder.path().join("master-2.key"), folder.path().join("pepper-1.key"))?;
//!
//! // The pepper is loaded like a keyring: its source is asked here, and never for an API key.
//! let pepper = Pepper::open(&"file:pepper-1.key".parse()?, &sources, keyring.id(), KeyVersion::FIRST)?;
//!
//! // Issue, and store the hash under the API-key id.
//! let request = Request { realm: live, app_id, expires_at: None, claims: Claims::new().with_secret() };
//! let api_key = Issuer::new(&keyring).issue(&request, now)?;
//! let digest = api_key.secret_digest(&pepper).expect("asked for");
//! let stored = SecretHash::new(SecretScheme::HmacSha256, &digest)?.to_phc();
//!
//! // Verify in two steps: the seal and all that stands before the secret half, and then the hash.
//! let (verifier, realms) = (Verifier::new(&keyring).requiring_secrets(&[live]), [live]);
//! let expected = Expectations::realms(&realms);
//! let Opened::Secret(check) = verifier.open(api_key.expose(), &expected, now)? else { panic!("it has a secret half") };
//! let hash = SecretHash::parse(&stored, &Ceilings::default())?;
//! let verified = match hash.matches(&check.digest(&pepper))? {
//!     // The hash may have taken its time: by the verifier and the clock of this moment the key has to hold, too.
//!     true => check.accept(&verifier, &expected, now)?,
//!     false => return Err(Rejection::SecretWrong.into()),
//! };
//! assert_eq!(verified.id(), api_key.id());
//!
//! // A key without a secret half, as a thief of the master key would make it.
//! let forged = Issuer::new(&keyring).issue(&Request { claims: Claims::new(), ..request }, now)?;
//! assert_eq!(verifier.open(forged.expose(), &expected, now).err(), Some(Rejection::SecretRequired.into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # With a keyring that changes
//!
//! ```
//! use bulla::{Keyring, SourceRecord, Suite, Verifier};
//! # use bulla::*;
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # for (name, key) in [("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")] {
//! #     std::fs::write(folder.path().join(name), key)?;
//! #     std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600))?;
//! # }
//! # let now = 1_795_000_000u64;
//! # let at = jiff::Timestamp::from_second(now as i64)?;
//! # let sources = Sources::new(folder.path());
//! # let mut document = KeyringDocument::new(KeyringId::random()?);
//! # let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! # let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! # document.activate(version, at)?;
//! # let live: Realm = "acme_live".parse()?;
//! # let keyring = Keyring::load(&document, &sources, &[live])?;
//! # let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//! # let request = Request { realm: live, app_id, expires_at: Some(now + 90 * 86_400), claims: Claims::new() };
//! # let api_key = Issuer::new(&keyring).issue(&request, now)?;
//! # let header = api_key.expose();
//!
//! // The next version is staged first, so that every verifier opens with it before anything is sealed with it.
//! let source = SourceRecord { uri: "file:master-2.key".parse()?, wrapped: None };
//! let next = document.stage(Suite::Xaes256Gcm, vec![source], &sources, at)?;
//! document.activate(next, at)?;
//!
//! // A changed document is loaded anew: the sources are asked here, and never for an API key.
//! let keyring = Keyring::load(&document, &sources, &[live])?;
//! let verifier = Verifier::new(&keyring);
//!
//! // What was sealed before still opens.
//! let realms = [live];
//! assert!(verifier.verify(header, &Expectations::realms(&realms), now + 60).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `aws-kms`, `pkcs11`, `vault-transit` | key sources |
//! | `capi` | the functions of `include/bulla.h`, for programs in other languages |
//! | `follow` | the module `feed`: signed messages of what was taken back, and a follower that keeps a verifier current |
//! | `tower` | the module `layer`: a `tower` layer that verifies in process, required scopes, an axum extractor |

#[cfg(any(feature = "follow", feature = "vault-transit"))]
mod agent;
mod api_key;
mod base62;
#[cfg(feature = "capi")]
mod capi;
mod claims;
mod clock;
mod derive;
mod expectations;
#[cfg(feature = "follow")]
pub mod feed;
mod hex;
mod issuer;
mod keyring;
#[cfg(feature = "tower")]
pub mod layer;
mod payload;
#[cfg(any(feature = "aws-kms", feature = "follow", feature = "vault-transit"))]
mod proxy;
mod realm;
mod rejection;
mod revocation;
mod seal;
mod secret;
#[cfg(any(feature = "follow", feature = "tower"))]
mod shared;
mod source;
mod verifier;

#[cfg(any(feature = "follow", feature = "tower"))]
pub use self::shared::{SharedVerifier, SharedVerifyError};
#[cfg(unix)]
pub use self::source::end_programs;
pub use self::{
    api_key::{ApiKey, ApiKeyId, ApiKeyIdError},
    claims::{Cidr, CidrError, Claims, ClaimsError},
    clock::CLOCK_DIFFERENCE,
    derive::Expanded,
    expectations::Expectations,
    issuer::{IssueError, Issuer, Request},
    keyring::{
        Ask, KeyCheckValue, KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringId, KeyringIdError,
        KeyringMemory, MacKey, Served, SourceRecord, State, VersionRecord,
    },
    realm::{Realm, RealmError},
    rejection::{Rejection, VerifyError},
    revocation::{Change, ChangeKind, RevocationEvent, RevocationLog, RevocationLogError, Revocations, SweepClock},
    seal::Suite,
    secret::{
        Argon2id, Ceilings, HashMemory, NewSecret, Opened, Pepper, SealBinding, SealBindingError, SecretCheck,
        SecretDigest, SecretHash, SecretHashError, SecretScheme,
    },
    source::{
        Binding, KeySource, Problem, SecretFileError, SourceError, SourceUri, Sources, read_regular_file,
        read_secret_file,
    },
    verifier::{Verified, Verifier},
};
