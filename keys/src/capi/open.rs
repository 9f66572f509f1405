//! Opening a verifier from a keyring, and giving it back.

use std::{
    ffi::{c_char, c_int},
    io,
    path::{Path, PathBuf},
};

use super::{ACCEPTED, FAILED, Misuse, caught, text};
use crate::{
    keyring::{Keyring, KeyringDocument, KeyringError},
    realm::{Realm, RealmError},
    source::{SourceUri, Sources},
    verifier::Verifier,
};

/// More than a keyring of ten thousand versions has.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// `bulla_keyring`.
#[repr(C)]
pub(super) struct KeyringArguments {
    pub(super) keyring: *const c_char,
    pub(super) mac_source: *const c_char,
    pub(super) folder: *const c_char,
    pub(super) realms: *const *const c_char,
    pub(super) realms_len: usize,
    pub(super) secret_realms: *const *const c_char,
    pub(super) secret_realms_len: usize,
    pub(super) trusted_sources: *const *const c_char,
    pub(super) trusted_sources_len: usize,
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Misuse(#[from] Misuse),
    #[error("{0:?} is not a realm: {1}")]
    Realm(String, RealmError),
    #[error("secret_realms has {0}, which is not among the realms")]
    SecretRealm(Realm),
    #[error("cannot read the keyring {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("mac_source: {0}")]
    MacSource(String),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error("the library panicked: this is a mistake in it")]
    Panic,
}

/// # Safety
///
/// As the header says: `keyring` is NULL or leads to a structure whose texts end in NUL and whose arrays have their lengths;
/// `verifier` is NULL or may be written; `error` is NULL or has room for `error_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla_verifier_open(
    keyring: *const KeyringArguments,
    verifier: *mut *mut Verifier,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let open = || {
        // SAFETY: it is NULL, or leads to a structure as the caller promises.
        let arguments = unsafe { keyring.as_ref() }.ok_or(Misuse::NullPointer)?;
        // SAFETY: its texts and arrays are as the caller promises.
        unsafe { open(arguments) }
    };
    let opened = match verifier.is_null() {
        true => Err(Misuse::NullPointer.into()),
        false => caught(open).unwrap_or(Err(OpenError::Panic)),
    };
    let (status, opened) = match opened {
        Ok(opened) => (ACCEPTED, Box::into_raw(Box::new(opened))),
        Err(why) => {
            if !error.is_null() && error_size > 0 {
                // SAFETY: zero is a right `c_char`, and the caller promises that there is room for so many.
                let room = unsafe {
                    error.write_bytes(0, error_size);
                    std::slice::from_raw_parts_mut(error, error_size)
                };
                text::write_cut(room, &why.to_string());
            }
            (FAILED, std::ptr::null_mut())
        }
    };
    if !verifier.is_null() {
        // SAFETY: it is not NULL, and may be written, as the caller promises.
        unsafe { verifier.write(opened) };
    }
    status
}

/// # Safety
///
/// As the header says: `verifier` is NULL or came from `bulla_verifier_open`, and is not used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla_verifier_free(verifier: *mut Verifier) {
    if !verifier.is_null() {
        // SAFETY: `bulla_verifier_open` made it with `Box::into_raw`, and the caller gives it back once.
        let verifier = unsafe { Box::from_raw(verifier) };
        caught(|| drop(verifier));
    }
}

/// # Safety
///
/// The texts of `arguments` are NULL or end in NUL, and its arrays are NULL or have their lengths.
unsafe fn open(arguments: &KeyringArguments) -> Result<Verifier, OpenError> {
    // SAFETY: all of them are as the caller promises.
    let (path, mac_source, folder, realms, secret_realms, trusted) = unsafe {
        (
            text::required(arguments.keyring)?,
            text::required(arguments.mac_source)?,
            text::optional(arguments.folder)?.unwrap_or_default(),
            text::list(arguments.realms, arguments.realms_len)?,
            text::list(arguments.secret_realms, arguments.secret_realms_len)?,
            text::list(arguments.trusted_sources, arguments.trusted_sources_len)?,
        )
    };
    let (realms, secret_realms) = (parse(&realms)?, parse(&secret_realms)?);
    // A slip of the pen there would leave the realm that was meant without what it requires.
    if let Some(other) = secret_realms.iter().find(|realm| !realms.contains(realm)) {
        return Err(OpenError::SecretRealm(*other));
    }
    let mac_source = mac_source.parse::<SourceUri>().map_err(|error| OpenError::MacSource(error.to_string()))?;
    let mut sources = Sources::new(folder);
    if !arguments.trusted_sources.is_null() {
        sources = sources.trusting(trusted);
    }
    let path = Path::new(folder).join(path);
    let document = crate::source::read_regular_file(&path, MAX_DOCUMENT)
        .and_then(|text| String::from_utf8(text).map_err(io::Error::other))
        .map_err(|error| OpenError::Read { path, error })?;
    let document = KeyringDocument::parse(&document, &mac_source, &sources)?;
    Ok(Verifier::new(&Keyring::load(&document, &sources, &realms)?).requiring_secrets(&secret_realms))
}

fn parse(realms: &[&str]) -> Result<Vec<Realm>, OpenError> {
    let parse = |text: &&str| text.parse().map_err(|error| OpenError::Realm((*text).to_owned(), error));
    realms.iter().map(parse).collect()
}
