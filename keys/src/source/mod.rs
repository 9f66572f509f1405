//! Key sources: where master keys live. [`KeySource`] is the one interface; each kind of source is one file or folder.
//!
//! ```
//! use bulla::source::{SourceErrorKind, SourceUri, Sources};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let fixture = fixture::Fixture::new();
//! # let folder = fixture.folder.path();
//! # let context = bulla::source::EncryptionContext { keyring: fixture.keyring.id(), version: None, wrapped: None };
//!
//! // Relative paths begin at this folder; a source that no entry of the list covers is not opened.
//! let sources = Sources::new(folder).trusting(["file:master-1.key"]);
//! let trusted: SourceUri = "file:master-1.key".parse()?;
//! assert!(sources.open(&trusted, context)?.expand(b"a label").is_ok());
//!
//! let other: SourceUri = "file:master-2.key".parse()?;
//! let error = sources.open(&other, context).err().ok_or("it is not trusted")?;
//! assert_eq!(error.kind(), SourceErrorKind::Untrusted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abandonable;
#[cfg(feature = "aws-kms")]
mod aws_kms;
#[cfg(any(feature = "pkcs11", feature = "vault-transit"))]
mod credential;
#[cfg(any(feature = "vault-transit", feature = "aws-kms", feature = "follow"))]
pub(crate) mod endpoint;
mod error;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod exec_process;
mod file;
#[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "only gateways hand files over"))]
mod handed_files;
#[cfg(any(feature = "pkcs11", feature = "vault-transit", feature = "aws-kms"))]
mod parameters;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod regular_file;
#[cfg(unix)]
mod running_programs;
mod secret_file;
mod trust;
mod uri;
#[cfg(feature = "vault-transit")]
mod vault_transit;
#[cfg_attr(not(feature = "aws-kms"), allow(dead_code, unused_variables, reason = "no other source wraps keys"))]
mod wrap;

use std::{fmt, path::PathBuf, time::Duration};

#[cfg(feature = "aws-kms")]
pub use self::aws_kms::{AwsRequest, AwsSigner, AwsSignerError};
pub(crate) use self::handed_files::HandedFiles;
#[cfg(feature = "follow")]
pub(crate) use self::regular_file::open_regular_file;
pub use self::{
    error::{SourceError, SourceErrorKind},
    regular_file::read_regular_file,
    secret_file::{SecretFileError, read_secret_file},
    uri::{SourceUri, SourceUriError},
};
#[cfg(unix)]
pub use self::{
    exec_process::{FinishedProgram, run_program},
    running_programs::end_programs,
};
pub use crate::derive::DerivedKey;
use crate::{key_version::KeyVersion, keyring_id::KeyringId};

/// A place that holds one 32-byte master key and expands it.
///
/// A device that keeps its key to itself computes `HMAC-SHA256(master, info ‖ 01)`, which is the same.
pub trait KeySource: Send + Sync {
    /// `HKDF-Expand-SHA256(master, info, 32)` (RFC 5869).
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError>;

    /// The same for several `info`s, in their order. A source that is far away, or wants a login, is asked for all of
    /// them at once where it can.
    fn expand_all(&self, infos: &[Vec<u8>]) -> Result<Vec<DerivedKey>, SourceError> {
        infos.iter().map(|info| self.expand(info)).collect()
    }

    /// How many `info`s it takes in one question at most, at least one. A caller with more asks again, and keeps the
    /// answers so far.
    fn at_once(&self) -> usize {
        1
    }

    /// What makes the key weaker than it could be, one sentence each, as far as the source says it; for administrators.
    fn remarks(&self) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

/// What a source is asked to open: which key of which keyring, and the wrapped key where the source keeps none itself.
#[derive(Clone, Copy)]
pub struct EncryptionContext<'a> {
    /// The keyring.
    pub keyring: KeyringId,
    /// The key version; none for a key that is not a master key.
    pub version: Option<KeyVersion>,
    /// The key as the source wrapped it, for sources that unwrap.
    pub wrapped: Option<&'a [u8]>,
}

/// How source URIs are opened: where relative paths start, which URIs are trusted, and how long an answer may take.
#[derive(Clone, Debug)]
pub struct Sources {
    base: PathBuf,
    trusted: Option<Vec<String>>,
    time_limit: Duration,
    handed: HandedFiles,
}

/// How long a source may take to answer, unless [`Sources::time_limit`] says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How many values a PKCS#11 token is asked for at once: few enough for a slow one to keep to its time.
#[cfg(feature = "pkcs11")]
const PKCS11_BATCH: usize = 32;

impl Sources {
    /// Sources whose relative paths start at `base`, as a rule the folder of the configuration. Every URI is trusted.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Sources { base: base.into(), trusted: None, time_limit: TIME_LIMIT, handed: HandedFiles::default() }
    }

    /// Opens only what one of these entries covers, so that someone who can change the keyring cannot choose the key.
    ///
    /// An entry is a URI, or its beginning up to a boundary (`:` behind the scheme, `/`, `;`, `?`): `file:keys` covers
    /// `file:keys/a` and neither `file:keys-b` nor `file:keys/../b`; a program is covered with exactly its arguments.
    /// Parameters that decide who answers (`endpoint`, `module-path`, `ca-source`, `namespace`) have to stand in the
    /// entry.
    pub fn trusting(self, trusted: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Sources { trusted: Some(trusted.into_iter().map(Into::into).collect()), ..self }
    }

    /// How long a source may take to answer one question: 30 seconds unless said otherwise. Whatever it is, a file on a
    /// disk or a driver that hangs too, it is not waited for any longer.
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Sources { time_limit, ..self }
    }

    /// Has `file:NAME` be what was handed over under this name.
    #[cfg(feature = "gateway")]
    pub(crate) fn handing(self, handed: HandedFiles) -> Self {
        Sources { handed, ..self }
    }

    /// How long an answer may take.
    pub(crate) fn limit(&self) -> Duration {
        self.time_limit
    }

    /// Opens the source that `uri` names, if it is trusted.
    pub fn open(&self, uri: &SourceUri, context: EncryptionContext<'_>) -> Result<Box<dyn KeySource>, SourceError> {
        self.check_trust(uri)?;
        self.open_configured(uri, context)
    }

    fn check_trust(&self, uri: &SourceUri) -> Result<(), SourceError> {
        self.trusted.as_ref().map_or(Ok(()), |trusted| trust::check(uri, trusted))
    }

    /// Opens a source that the configuration itself names, which makes it trusted.
    #[cfg_attr(not(feature = "aws-kms"), allow(unused_variables, reason = "no other source wraps keys"))]
    pub(crate) fn open_configured(
        &self,
        uri: &SourceUri,
        context: EncryptionContext<'_>,
    ) -> Result<Box<dyn KeySource>, SourceError> {
        let (own, base, limit) = (uri.clone(), self.base.clone(), self.time_limit);
        match uri.scheme() {
            "file" => Ok(Box::new(self.open_file(uri)?)),
            #[cfg(unix)]
            "exec" => {
                abandonable::source(uri, limit, 1, move || Ok(Box::new(exec::ExecSource::open(&own, &base, limit)?)))
            }
            #[cfg(feature = "pkcs11")]
            "pkcs11" => abandonable::source(uri, limit, PKCS11_BATCH, move || {
                Ok(Box::new(pkcs11::Pkcs11Source::open(&own, &base, limit)?))
            }),
            #[cfg(feature = "vault-transit")]
            "vault-transit" => abandonable::source(uri, limit, vault_transit::MAX_BATCH, move || {
                Ok(Box::new(vault_transit::VaultTransit::open(&own, &base, limit)?))
            }),
            #[cfg(feature = "aws-kms")]
            "aws-kms" => {
                let wrapped = context.wrapped.map(<[u8]>::to_vec);
                let (keyring, version) = (context.keyring, context.version);
                abandonable::source(uri, limit, 1, move || {
                    aws_kms::open(&own, EncryptionContext { keyring, version, wrapped: wrapped.as_deref() }, limit)
                })
            }
            _ => Err(SourceError::new(uri, SourceErrorKind::Unsupported, unsupported(uri.scheme()))),
        }
    }

    /// A file may be on a disk that hangs.
    fn open_file(&self, uri: &SourceUri) -> Result<file::FileSource, SourceError> {
        if let Some(text) = self.handed.get(uri.rest()) {
            return file::FileSource::of_bytes(uri, uri.rest().as_ref(), text);
        }
        let (own, base) = (uri.clone(), self.base.clone());
        abandonable::once(uri, self.time_limit, move || file::FileSource::open(&own, &base))
    }
}

impl Sources {
    /// The 32 bytes of a key that is used as it is and derives nothing, such as the seed of a key that signs. Only a
    /// file gives them out: `file:PATH`, one line of base64, mode 0600. The configuration names it, which makes it
    /// trusted.
    pub fn signing_seed(&self, uri: &SourceUri) -> Result<zeroize::Zeroizing<[u8; 32]>, SourceError> {
        match uri.scheme() {
            "file" => self.open_file(uri).map(file::FileSource::into_key),
            _ => Err(SourceError::new(
                uri,
                SourceErrorKind::Unsupported,
                "this key must be in a file: `file:PATH`".to_owned(),
            )),
        }
    }
}

fn unsupported(scheme: &str) -> String {
    match scheme {
        "aws-kms" | "pkcs11" | "vault-transit" => {
            format!("this build leaves it out: build the library with the feature `{scheme}`")
        }
        _ => "there is no such kind of source; known: file, exec, pkcs11, aws-kms, vault-transit".to_owned(),
    }
}

/// What a device computes HMAC-SHA256 over, to make the one block of HKDF-Expand (RFC 5869, section 2.3).
#[cfg(any(feature = "pkcs11", feature = "vault-transit", feature = "aws-kms"))]
fn one_block(info: &[u8]) -> Vec<u8> {
    [info, &[1]].concat()
}

/// What a program or a server said, fit to be shown: bounded, and without control characters.
fn printable(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let mut shown: String = text.chars().filter(|char| !char.is_control()).take(MAX_CHARS).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Debug for EncryptionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionContext({} {:?})", self.keyring, self.version)
    }
}
