//! What a route requires, as a handle that owns all of it.

use std::{
    ffi::{CString, c_char, c_int},
    ptr,
};

use super::{Misuse, gate::OpenGate, text};
use crate::gateway::{Challenge, Requirements};

/// `bulla_expected`.
pub(super) struct OpenExpected {
    pub(super) wanted: Requirements,
    headers: Vec<CString>,
    challenges: [CString; 3],
}

impl OpenExpected {
    fn of(wanted: Requirements) -> Self {
        // No header has a NUL.
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let challenges = Challenge::ALL.map(|challenge| text(wanted.challenge(challenge)));
        OpenExpected { headers: wanted.headers().map(text).collect(), challenges, wanted }
    }

    /// The text of a challenge, or NULL.
    pub(super) fn challenge(&self, challenge: Option<Challenge>) -> *const c_char {
        challenge.map_or(ptr::null(), |challenge| self.challenges[challenge as usize].as_ptr())
    }
}

/// # Safety
///
/// As the header says: `gate` is NULL or came from a function that opens and was not given back; `requirements` is NULL
/// or ends in a NUL; `expected` is NULL or may be written; `error` is NULL or has room for `error_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_expected_open(
    gate: *const OpenGate,
    requirements: *const c_char,
    expected: *mut *mut OpenExpected,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let open = || {
        // SAFETY: each is NULL, or as the caller promises.
        let (gate, requirements) = unsafe { (gate.as_ref(), text::required(requirements)?) };
        Ok(OpenExpected::of(gate.ok_or(Misuse::NullPointer)?.gate.requirements(requirements)?))
    };
    // SAFETY: both places are as the caller promises.
    unsafe { text::hand_out(expected, (error, error_size), open) }
}

/// # Safety
///
/// As the header says: `expected` is NULL or came from [`bulla2_expected_open`] and was not given back.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_expected_header(expected: *const OpenExpected, at: usize) -> *const c_char {
    // SAFETY: it is NULL, or as the caller promises.
    let expected = unsafe { expected.as_ref() };
    expected.and_then(|expected| expected.headers.get(at)).map_or(ptr::null(), |name| name.as_ptr())
}

/// # Safety
///
/// As the header says: `expected` is NULL or came from [`bulla2_expected_open`], and is not used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_expected_free(expected: *mut OpenExpected) {
    // SAFETY: the caller gives it back once.
    unsafe { text::free(expected) }
}
