//! An answer, as C reads it.

use std::{
    ffi::{CStr, c_char, c_int},
    ptr,
};

use super::{
    ACCEPTED, COULD_NOT_TELL, FAILED, Misuse, REJECTED,
    expected::OpenExpected,
    text::{self, Room},
};
use crate::{
    api_key::id::MAX_ID_CHARS,
    claims::View,
    gateway::{Decision, HYPHENATED, TIME, hyphenated, rfc_3339},
    realm::MAX_LEN,
    verifier::Accepted,
};

pub(super) const APP_ID_SIZE: usize = HYPHENATED + 1;
pub(super) const API_KEY_ID_SIZE: usize = MAX_ID_CHARS + 1;
pub(super) const REALM_SIZE: usize = MAX_LEN + 1;
pub(super) const SCOPES_SIZE: usize = 241;
pub(super) const EXPIRES_SIZE: usize = 32;
pub(super) const CLAIMS_SIZE: usize = 241;
pub(super) const REASON_SIZE: usize = 32;

/// `bulla_answer`.
#[repr(C)]
pub(super) struct AnswerResult {
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
    pub(super) challenge: *const c_char,
    pub(super) version: u32,
    pub(super) status: u16,
    pub(super) audiences_len: u16,
    pub(super) meta_len: u16,
    pub(super) app_uuid: [u8; 16],
    pub(super) app_id: [u8; APP_ID_SIZE],
    pub(super) api_key_id: [u8; API_KEY_ID_SIZE],
    pub(super) realm: [u8; REALM_SIZE],
    pub(super) scopes: [u8; SCOPES_SIZE],
    pub(super) expires: [u8; EXPIRES_SIZE],
    pub(super) audiences: [u8; CLAIMS_SIZE],
    pub(super) meta: [u8; CLAIMS_SIZE],
    pub(super) reason: [u8; REASON_SIZE],
}

impl AnswerResult {
    /// Ends an answer: puts a refusal in, or what was wrong with the question. If the key was accepted its parts are in
    /// place.
    #[inline]
    pub(super) fn end(
        &mut self,
        decision: Option<Result<Decision<bool>, Misuse>>,
        expected: Option<&OpenExpected>,
    ) -> c_int {
        if let Some(Ok(Decision::Accepted(true))) = decision {
            self.status = 200;
            return ACCEPTED;
        }
        self.refuse(decision, expected)
    }

    /// It replaces everything that stood there; of texts only the beginning, as the rest is never read.
    #[cold]
    fn refuse(&mut self, decision: Option<Result<Decision<bool>, Misuse>>, expected: Option<&OpenExpected>) -> c_int {
        (self.issued_at, self.expires_at, self.challenge, self.version) = (0, 0, ptr::null(), 0);
        (self.status, self.audiences_len, self.meta_len, self.app_uuid) = (500, 0, 0, [0; 16]);
        (self.app_id[0], self.api_key_id[0], self.realm[0], self.scopes[0]) = (0, 0, 0, 0);
        (self.expires[0], self.audiences[0], self.meta[0]) = (0, 0, 0);
        let (reason, status) = match decision {
            Some(Ok(Decision::Refused(refused))) => {
                self.status = refused.status;
                self.challenge = expected.map_or(ptr::null(), |expected| expected.challenge(refused.challenge));
                (refused.reason, if refused.status == 503 { COULD_NOT_TELL } else { REJECTED })
            }
            Some(Ok(Decision::Accepted(_))) => (Misuse::DoesNotFit.code(), FAILED),
            Some(Err(misuse)) => (misuse.code(), FAILED),
            None => ("panic", FAILED),
        };
        text::write_cut(&mut self.reason, reason);
        status
    }

    /// Writes what an accepted key has, and returns whether it fits.
    #[inline(always)]
    pub(super) fn accept(&mut self, key: &Accepted<'_>) -> bool {
        (self.issued_at, self.expires_at) = (key.issued_at(), key.expires_at().into());
        (self.challenge, self.version, self.reason[0]) = (ptr::null(), key.id().version(), 0);
        (self.audiences_len, self.meta_len, self.audiences[0], self.meta[0]) = (0, 0, 0, 0);
        self.app_uuid = key.app_id().into_bytes();
        // Each text is written where it stays: what is written in parts and read as a whole right behind that takes
        // long.
        let ([app_id @ .., app_id_end], [realm @ .., realm_end]) = (&mut self.app_id, &mut self.realm);
        hyphenated(key.app_id(), app_id);
        *realm = *key.id().realm().padded();
        (*app_id_end, *realm_end) = (0, 0);
        let [id @ .., _] = &mut self.api_key_id;
        let length = key.write_id(id);
        self.api_key_id[length] = 0;
        self.expires[0] = 0;
        if let (true, Some(expires)) = (key.expires_at() != 0, self.expires.first_chunk_mut()) {
            rfc_3339(key.expires_at(), expires);
            self.expires[TIME] = 0;
        }
        self.scopes[0] = 0;
        let (scopes, claims) = (key.claims().scopes_text(), *key.claims());
        (scopes.is_empty() || text::write(&mut self.scopes, scopes).is_ok())
            && (!claims.has_lists() || self.write_lists(claims).is_ok())
    }

    fn write_lists(&mut self, claims: View<'_>) -> Result<(), Misuse> {
        let mut audiences = Room::new(&mut self.audiences);
        for audience in claims.audience().filter(|audience| !has_nul(audience)) {
            audiences.put(audience)?;
            audiences.end()?;
            self.audiences_len += 1;
        }
        let mut meta = Room::new(&mut self.meta);
        for (name, value) in claims.meta().filter(|(name, value)| !has_nul(name) && !has_nul(value)) {
            for text in [name, value] {
                meta.put(text)?;
                meta.end()?;
            }
            self.meta_len += 1;
        }
        Ok(())
    }
}

/// Returns whether C would take the text for a shorter one.
fn has_nul(text: &str) -> bool {
    text.bytes().any(|byte| byte == 0)
}

/// # Safety
///
/// As the header says: `answer` is NULL or was filled by a function that checks; `name` and `value` are NULL or may be
/// written.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_answer_header(
    answer: *const AnswerResult,
    at: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> c_int {
    const NAMES: [&CStr; 6] = [
        c"x-bulla-app-id",
        c"x-bulla-api-key-id",
        c"x-bulla-realm",
        c"x-bulla-scopes",
        c"x-bulla-expires-at",
        c"x-bulla-assertion",
    ];
    if name.is_null() || value.is_null() {
        return FAILED;
    }
    // SAFETY: it is NULL, or as the caller promises.
    let Some(answer) = (unsafe { answer.as_ref() }) else { return FAILED };
    let values = [&answer.app_id[..], &answer.api_key_id, &answer.realm, &answer.scopes, &answer.expires];
    let Some(found) = NAMES.get(at).filter(|_| answer.status == 200) else { return REJECTED };
    let text = values.get(at).map_or(c"".as_ptr(), |text| text.as_ptr().cast());
    // SAFETY: neither is NULL, and both may be written, as the caller promises.
    unsafe {
        name.write(found.as_ptr());
        value.write(text);
    }
    ACCEPTED
}
