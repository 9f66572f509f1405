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
    gateway::{Decision, rfc_3339},
    verifier::Verified,
};

pub(super) const APP_ID_SIZE: usize = 37;
pub(super) const API_KEY_ID_SIZE: usize = 48;
pub(super) const REALM_SIZE: usize = 25;
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
    /// Puts a decision in, or what was wrong with the question. It replaces everything that stood there; of texts it writes
    /// only the beginning, as the rest is never read.
    pub(super) fn put(&mut self, decision: Option<Result<Decision, Misuse>>, expected: Option<&OpenExpected>) -> c_int {
        self.clear();
        match decision {
            Some(Ok(Decision::Accepted(verified, id))) => match self.accept(&verified, id.as_str()) {
                Ok(()) => {
                    self.status = 200;
                    ACCEPTED
                }
                Err(misuse) => {
                    self.clear();
                    self.fail(misuse.code())
                }
            },
            Some(Ok(Decision::Refused { status, reason, challenge })) => {
                text::write_cut(&mut self.reason, reason);
                self.status = status;
                self.challenge = expected.map_or(ptr::null(), |expected| expected.challenge(challenge));
                if status == 503 { COULD_NOT_TELL } else { REJECTED }
            }
            Some(Err(misuse)) => self.fail(misuse.code()),
            None => self.fail("panic"),
        }
    }

    fn fail(&mut self, code: &str) -> c_int {
        text::write_cut(&mut self.reason, code);
        FAILED
    }

    fn clear(&mut self) {
        (self.issued_at, self.expires_at, self.challenge, self.version) = (0, 0, ptr::null(), 0);
        (self.status, self.audiences_len, self.meta_len, self.app_uuid) = (500, 0, 0, [0; 16]);
        (self.app_id[0], self.api_key_id[0], self.realm[0], self.scopes[0]) = (0, 0, 0, 0);
        (self.expires[0], self.audiences[0], self.meta[0], self.reason[0]) = (0, 0, 0, 0);
    }

    fn accept(&mut self, verified: &Verified, id_text: &str) -> Result<(), Misuse> {
        let id = verified.id();
        (self.issued_at, self.version) = (verified.issued_at(), id.version());
        self.app_uuid = verified.app_id().into_bytes();
        self.app_id[APP_ID_SIZE - 1] = 0;
        verified.app_id().hyphenated().encode_lower(&mut self.app_id[..APP_ID_SIZE - 1]);
        text::write(&mut self.api_key_id, id_text)?;
        text::write(&mut self.realm, id.realm().as_str())?;
        if let Some(time) = verified.expires_at() {
            self.expires_at = time;
            text::write(&mut self.expires, rfc_3339(time, &mut [0; 20]))?;
        }
        text::write(&mut self.scopes, verified.scopes_text())?;
        let mut audiences = Room::new(&mut self.audiences);
        for audience in verified.audiences().filter(|audience| !has_nul(audience)) {
            audiences.put(audience)?;
            audiences.end()?;
            self.audiences_len += 1;
        }
        let mut meta = Room::new(&mut self.meta);
        for (name, value) in verified.meta().filter(|(name, value)| !has_nul(name) && !has_nul(value)) {
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
/// As the header says: `answer` is NULL or was filled by a function that checks; `name` and `value` are NULL or may be written.
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
