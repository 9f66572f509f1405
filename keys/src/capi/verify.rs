//! Verifying one API key, and reading its id.

use std::ffi::{c_char, c_int};

use super::{
    ACCEPTED, COULD_NOT_TELL, FAILED, Misuse, REJECTED, caught,
    text::{self, API_KEY_ID_SIZE, REALM_SIZE, REASON_SIZE, SCOPES_SIZE},
};
use crate::{
    api_key::ApiKey,
    expectations::Expectations,
    realm::Realm,
    rejection::{Rejection, VerifyError},
    verifier::{Verified, Verifier},
};

/// `bulla_expected`.
#[repr(C)]
pub(super) struct ExpectedArguments {
    pub(super) realms: *const *const c_char,
    pub(super) realms_len: usize,
    pub(super) scopes: *const *const c_char,
    pub(super) scopes_len: usize,
    pub(super) audience: *const c_char,
    pub(super) address: *const c_char,
}

/// `bulla_verified`.
#[repr(C)]
pub(super) struct VerifiedResult {
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
    pub(super) version: u32,
    pub(super) app_id: [u8; 16],
    pub(super) api_key_id: [c_char; API_KEY_ID_SIZE],
    pub(super) realm: [c_char; REALM_SIZE],
    pub(super) scopes: [c_char; SCOPES_SIZE],
    pub(super) reason: [c_char; REASON_SIZE],
}

impl VerifiedResult {
    const EMPTY: Self = VerifiedResult {
        issued_at: 0,
        expires_at: 0,
        version: 0,
        app_id: [0; 16],
        api_key_id: [0; API_KEY_ID_SIZE],
        realm: [0; REALM_SIZE],
        scopes: [0; SCOPES_SIZE],
        reason: [0; REASON_SIZE],
    };

    fn of(verified: &Verified) -> Result<Self, Misuse> {
        let mut result = VerifiedResult {
            issued_at: verified.issued_at(),
            expires_at: verified.expires_at().unwrap_or(0),
            version: verified.id().version(),
            app_id: verified.app_id().into_bytes(),
            ..Self::EMPTY
        };
        text::write(&mut result.api_key_id, &verified.id().to_string())?;
        text::write(&mut result.realm, verified.id().realm().as_str())?;
        text::write(&mut result.scopes, &verified.scopes().join(" "))?;
        Ok(result)
    }

    fn because(reason: &str) -> Self {
        let mut result = Self::EMPTY;
        text::write_cut(&mut result.reason, reason);
        result
    }
}

/// # Safety
///
/// As the header says: `verifier` is NULL or came from `bulla_verifier_open` and was not given back; `api_key` is NULL or leads
/// to so many bytes; `expected` is NULL or leads to a structure whose texts end in NUL and whose arrays have their lengths;
/// `verified` is NULL or may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla_verify(
    verifier: *const Verifier,
    api_key: *const c_char,
    api_key_len: usize,
    expected: *const ExpectedArguments,
    now: u64,
    verified: *mut VerifiedResult,
) -> c_int {
    if verified.is_null() {
        return FAILED;
    }
    let verify = || {
        // SAFETY: each is NULL, or as the caller promises.
        let (verifier, api_key, expected) =
            unsafe { (verifier.as_ref(), text::bytes(api_key, api_key_len)?, expected.as_ref()) };
        let (verifier, expected) = verifier.zip(expected).ok_or(Misuse::NullPointer)?;
        // SAFETY: its texts and arrays are as the caller promises.
        unsafe { verify(verifier, api_key, expected, now) }
    };
    let (status, result) = match caught(verify) {
        Some(Ok(Ok(result))) => (ACCEPTED, result),
        Some(Ok(Err(error @ VerifyError::Rejected(_)))) => (REJECTED, VerifiedResult::because(error.code())),
        Some(Ok(Err(error @ (VerifyError::SecretUnchecked | VerifyError::Stale)))) => {
            (COULD_NOT_TELL, VerifiedResult::because(error.code()))
        }
        Some(Err(misuse)) => (FAILED, VerifiedResult::because(misuse.code())),
        None => (FAILED, VerifiedResult::because("panic")),
    };
    // SAFETY: it is not NULL, and may be written, as the caller promises.
    unsafe { verified.write(result) };
    status
}

/// # Safety
///
/// The texts of `expected` are NULL or end in NUL, and its arrays are NULL or have their lengths.
unsafe fn verify(
    verifier: &Verifier,
    api_key: &[u8],
    expected: &ExpectedArguments,
    now: u64,
) -> Result<Result<VerifiedResult, VerifyError>, Misuse> {
    // SAFETY: all of them are as the caller promises.
    let (realms, scopes, audience, address) = unsafe {
        (
            text::list(expected.realms, expected.realms_len)?,
            text::list(expected.scopes, expected.scopes_len)?,
            text::optional(expected.audience)?,
            text::optional(expected.address)?,
        )
    };
    let realms = realms.iter().map(|realm| realm.parse().map_err(|_| Misuse::NotARealm));
    let realms: Vec<Realm> = realms.collect::<Result<_, _>>()?;
    let mut expectations = Expectations::realms(&realms).scopes(&scopes);
    if let Some(audience) = audience {
        expectations = expectations.audience(audience);
    }
    if let Some(address) = address {
        expectations = expectations.address(address.parse().map_err(|_| Misuse::NotAnAddress)?);
    }
    let Ok(api_key) = std::str::from_utf8(api_key) else { return Ok(Err(Rejection::Malformed.into())) };
    match verifier.verify(api_key, &expectations, now) {
        Ok(verified) => VerifiedResult::of(&verified).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// # Safety
///
/// As the header says: `api_key` is NULL or leads to so many bytes; `id` is NULL or has room for `BULLA_API_KEY_ID_SIZE`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla_api_key_id(api_key: *const c_char, api_key_len: usize, id: *mut c_char) -> c_int {
    if id.is_null() {
        return FAILED;
    }
    let mut room = [0; API_KEY_ID_SIZE];
    let read = || {
        // SAFETY: it is NULL, or leads to so many bytes, as the caller promises.
        let api_key = unsafe { text::bytes(api_key, api_key_len) }?;
        let api_key = std::str::from_utf8(api_key).ok().and_then(|text| text.parse::<ApiKey>().ok());
        api_key.map(|api_key| text::write(&mut room, &api_key.id().to_string())).transpose()
    };
    let status = match caught(read) {
        Some(Ok(Some(()))) => ACCEPTED,
        Some(Ok(None)) => REJECTED,
        Some(Err(_)) | None => FAILED,
    };
    // SAFETY: there is room for so many, as the caller promises.
    unsafe { id.cast::<[c_char; API_KEY_ID_SIZE]>().write(room) };
    status
}
