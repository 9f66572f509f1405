//! API keys that verify themselves.
//!
//! An API key is `nonce ‖ AES-GCM(app_id) ‖ tag` under a key derived from a master key in a KMS, an HSM or a file. Whoever
//! holds the derived key verifies locally: no database, no cache, no network.
//!
//! # Issue and verify
//!
//! ```
//! use bulla::{
//!     Claims, Expectations, Issuer, Keyring, KeyringDocument, KeyringId, Realm, Request, SourceRecord, Sources, Suite, Verifier,
//! };
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("master-1.key");
//! # std::fs::write(&file, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?;
//! # std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
//! # let now = 1_795_000_000u64;
//! // A keyring with one version, whose master key is in a file.
//! let sources = Sources::new(folder.path());
//! let mut document = KeyringDocument::new(KeyringId::random()?);
//! let source = SourceRecord { uri: "file:master-1.key".parse()?, wrapped: None };
//! let at = jiff::Timestamp::from_second(now as i64)?;
//! let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, at)?;
//! document.activate(version, at)?;
//!
//! // Loaded for the realms in use: here the sources are asked, and never again for an API key.
//! let live: Realm = "acme_live".parse()?;
//! let keyring = Keyring::load(&document, &sources, &[live])?;
//!
//! // Issue.
//! let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
//! let request = Request { realm: live, app_id, expires_at: Some(now + 90 * 86_400), claims: Claims::new() };
//! let api_key = Issuer::new(&keyring).issue(&request, now)?;
//!
//! // Verify: time and expectations are parameters.
//! let verifier = Verifier::new(&keyring);
//! let realms = [live];
//! let verified = verifier.verify(api_key.expose(), &Expectations::realms(&realms), now + 60)?;
//! assert_eq!(verified.app_id(), app_id);
//!
//! // With claims: the caller says which scopes it wants, and who and where it is.
//! let claims = Claims::new().with_scopes(["orders.read"]).with_audience(["shop"]);
//! let scoped = Issuer::new(&keyring).issue(&Request { claims, ..request }, now)?;
//! let expected = Expectations::realms(&realms).scopes(&["orders.read"]).audience("shop");
//! assert!(verifier.verify(scoped.expose(), &expected, now + 60).is_ok());
//!
//! // A changed keyring is loaded anew; what was sealed before still opens.
//! # std::fs::write(folder.path().join("master-2.key"), "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")?;
//! # std::fs::set_permissions(folder.path().join("master-2.key"), std::fs::Permissions::from_mode(0o600))?;
//! let source = SourceRecord { uri: "file:master-2.key".parse()?, wrapped: None };
//! let next = document.stage(Suite::Xaes256Gcm, vec![source], &sources, at)?;
//! document.activate(next, at)?;
//! let reloaded = Verifier::new(&Keyring::load(&document, &sources, &[live])?);
//! assert!(reloaded.verify(api_key.expose(), &Expectations::realms(&realms), now + 60).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api_key;
mod base62;
mod claims;
mod derive;
mod expectations;
mod issuer;
mod keyring;
mod payload;
mod realm;
mod rejection;
mod revocation;
mod seal;
mod source;
mod verifier;

pub use self::{
    api_key::{ApiKey, ApiKeyId, ApiKeyIdError},
    claims::{Cidr, CidrError, Claims, ClaimsError},
    derive::Expanded,
    expectations::Expectations,
    issuer::{IssueError, Issuer, Request},
    keyring::{
        KeyCheckValue, KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringId, KeyringIdError, KeyringMemory,
        MacKey, Served, SourceRecord, State, VersionRecord,
    },
    realm::{Realm, RealmError},
    rejection::{Rejection, VerifyError},
    revocation::Revocations,
    seal::Suite,
    source::{Binding, KeySource, Problem, SourceError, SourceUri, Sources},
    verifier::{Verified, Verifier},
};
