//! Answering requests, verifying API keys, and reading their ids.

use std::{
    ffi::{c_char, c_int},
    net::IpAddr,
};

use super::{
    ACCEPTED, FAILED, Misuse, REJECTED,
    answer::{API_KEY_ID_SIZE, AnswerResult},
    caught,
    expected::OpenExpected,
    gate::OpenGate,
    text,
};
use crate::{
    api_key::ApiKey,
    gateway::{Decision, Presented},
};

/// `bulla_header`.
#[repr(C)]
pub(super) struct HeaderArgument {
    pub(super) name: *const c_char,
    pub(super) name_len: usize,
    pub(super) value: *const c_char,
    pub(super) value_len: usize,
}

/// What every question has.
#[derive(Clone, Copy)]
struct CheckCall {
    gate: *const OpenGate,
    expected: *const OpenExpected,
    address: *const c_char,
}

impl CheckCall {
    /// Decides by what `decide` makes of it, and puts the answer in place.
    ///
    /// # Safety
    ///
    /// As the header says: gate and expectations are NULL or were opened and not given back; the address is NULL or
    /// ends in a NUL; `answer` is NULL or may be written.
    unsafe fn answer(
        self,
        answer: *mut AnswerResult,
        decide: impl FnOnce(&OpenGate, &OpenExpected, Option<IpAddr>, &mut AnswerResult) -> Result<Decision<bool>, Misuse>,
    ) -> c_int {
        // SAFETY: each is NULL, or as the caller promises. Every value of every field is a right one.
        let (gate, expected, answer) = unsafe { (self.gate.as_ref(), self.expected.as_ref(), answer.as_mut()) };
        let Some(answer) = answer else { return FAILED };
        let decide = || {
            let (gate, expected) = gate.zip(expected).ok_or(Misuse::NullPointer)?;
            // SAFETY: it is NULL, or ends in a NUL.
            decide(gate, expected, unsafe { address_at(self.address) }?, answer)
        };
        let decision = caught(decide);
        answer.end(decision, expected)
    }
}

/// # Safety
///
/// The pointer is NULL, or leads to bytes that end in a NUL.
unsafe fn address_at(address: *const c_char) -> Result<Option<IpAddr>, Misuse> {
    // SAFETY: it is as the caller promises.
    let address = unsafe { text::optional(address) }?;
    address.map(|address| address.parse().map_err(|_| Misuse::NotAnAddress)).transpose()
}

/// # Safety
///
/// As the header says: `gate` and `expected` are NULL or were opened and not given back; each text with a length is
/// NULL or has so many bytes; `address` is NULL or ends in a NUL; `answer` is NULL or may be written.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn bulla2_check(
    gate: *const OpenGate,
    expected: *const OpenExpected,
    authorization: *const c_char,
    authorization_len: usize,
    api_key: *const c_char,
    api_key_len: usize,
    address: *const c_char,
    now: u64,
    answer: *mut AnswerResult,
) -> c_int {
    let decide = |gate: &OpenGate, expected: &OpenExpected, address, answer: &mut AnswerResult| {
        // SAFETY: each is NULL or has so many bytes, as the caller promises.
        let (authorization, api_key) =
            unsafe { (text::some_bytes(authorization, authorization_len), text::some_bytes(api_key, api_key_len)) };
        let (wanted, mut presented) = (&expected.wanted, Presented::new(&expected.wanted));
        for (is_authorization, value) in [(true, authorization), (false, api_key)] {
            if let (Some(header), Some(value)) = (wanted.header_that(is_authorization), value) {
                presented.put(header, value);
            }
        }
        Ok(gate.gate.decide(wanted, &presented, address, now, |key| answer.accept(key)))
    };
    // SAFETY: all is as the caller promises.
    unsafe { CheckCall { gate, expected, address }.answer(answer, decide) }
}

/// # Safety
///
/// As for [`bulla2_check`]; `headers` is NULL or leads to so many structures, whose texts are as long as they say.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_check_headers(
    gate: *const OpenGate,
    expected: *const OpenExpected,
    headers: *const HeaderArgument,
    headers_len: usize,
    address: *const c_char,
    now: u64,
    answer: *mut AnswerResult,
) -> c_int {
    let decide = |gate: &OpenGate, expected: &OpenExpected, address, answer: &mut AnswerResult| {
        let mut presented = Presented::new(&expected.wanted);
        // SAFETY: it is NULL or leads to so many, as the caller promises.
        for header in unsafe { text::array(headers, headers_len) }? {
            // SAFETY: its texts are as long as they say.
            let (name, value) =
                unsafe { (text::bytes(header.name, header.name_len)?, text::bytes(header.value, header.value_len)?) };
            presented.add(name, value);
        }
        Ok(gate.gate.decide(&expected.wanted, &presented, address, now, |key| answer.accept(key)))
    };
    // SAFETY: all is as the caller promises.
    unsafe { CheckCall { gate, expected, address }.answer(answer, decide) }
}

/// # Safety
///
/// As for [`bulla2_check`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_verify(
    gate: *const OpenGate,
    expected: *const OpenExpected,
    api_key: *const c_char,
    api_key_len: usize,
    address: *const c_char,
    now: u64,
    answer: *mut AnswerResult,
) -> c_int {
    let decide = |gate: &OpenGate, expected: &OpenExpected, address, answer: &mut AnswerResult| {
        // SAFETY: it is NULL or has so many bytes, as the caller promises.
        let api_key = unsafe { text::bytes(api_key, api_key_len) }?;
        Ok(gate.gate.decide_key(&expected.wanted, api_key, address, now, |key| answer.accept(key)))
    };
    // SAFETY: all is as the caller promises.
    unsafe { CheckCall { gate, expected, address }.answer(answer, decide) }
}

/// # Safety
///
/// As for [`bulla2_check`]; the arrays are NULL or have `count` elements each, and the texts are as long as their
/// lengths say.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn bulla2_verify_batch(
    gate: *const OpenGate,
    expected: *const OpenExpected,
    api_keys: *const *const c_char,
    api_key_lens: *const usize,
    count: usize,
    address: *const c_char,
    now: u64,
    answers: *mut AnswerResult,
) -> c_int {
    // SAFETY: each is NULL, or has so many elements, as the caller promises.
    let (api_keys, lens) = unsafe { (text::array(api_keys, count), text::array(api_key_lens, count)) };
    let (Ok(api_keys), Ok(lens), false) = (api_keys, lens, answers.is_null() && count > 0) else { return FAILED };
    let answers: &mut [AnswerResult] = match count {
        0 => &mut [],
        // SAFETY: there are so many, which may be written, as the caller promises. Every value of every field is a
        // right one.
        _ => unsafe { std::slice::from_raw_parts_mut(answers, count) },
    };
    let (mut all, mut ended) = (ACCEPTED, 0);
    let verify = || {
        // SAFETY: each is NULL, or as the caller promises.
        let (gate, expected) = unsafe { (gate.as_ref(), expected.as_ref()) };
        let (gate, expected) = gate.zip(expected).ok_or(Misuse::NullPointer)?;
        // SAFETY: it is NULL, or ends in a NUL, as the caller promises.
        let address = unsafe { address_at(address) }?;
        // SAFETY: it is NULL or as long as it says, as the caller promises.
        let text = |at: usize| unsafe { text::bytes(api_keys[at], lens[at]) };
        let texts = (0..count).filter_map(|at| text(at).ok());
        gate.gate.decide_batch(&expected.wanted, texts, address, now, |key| {
            // Where there is no text there is no key, and an answer all the same.
            while let Err(misuse) = text(ended) {
                all = answers[ended].end(Some(Err(misuse)), None);
                ended += 1;
            }
            let answer = &mut answers[ended];
            let decision = match key {
                Ok(key) => Decision::Accepted(answer.accept(key)),
                Err(refused) => Decision::Refused(refused),
            };
            if answer.end(Some(Ok(decision)), Some(expected)) == FAILED {
                all = FAILED;
            }
            ended += 1;
        });
        Ok::<(), Misuse>(())
    };
    // After a panic the keys that are left have no other answer.
    let misuse = match caught(verify) {
        // Behind the last text.
        Some(Ok(())) => Some(Misuse::NullPointer),
        Some(Err(misuse)) => Some(misuse),
        None => None,
    };
    for answer in &mut answers[ended..] {
        all = answer.end(misuse.map(Err), None);
    }
    all
}

/// # Safety
///
/// As the header says: `api_key` is NULL or leads to so many bytes; `id` is NULL or has room for
/// `BULLA_API_KEY_ID_SIZE`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_api_key_id(api_key: *const c_char, api_key_len: usize, id: *mut c_char) -> c_int {
    // SAFETY: it is NULL, or there is room for so many, as the caller promises.
    let Some(room) = (unsafe { text::room(id, API_KEY_ID_SIZE) }) else { return FAILED };
    let read = || {
        // SAFETY: it is NULL, or leads to so many bytes, as the caller promises.
        let api_key = unsafe { text::bytes(api_key, api_key_len) }?;
        let api_key = std::str::from_utf8(api_key).ok().and_then(|text| text.parse::<ApiKey>().ok());
        api_key.map(|api_key| text::write(room, &api_key.id().to_string())).transpose()
    };
    match caught(read) {
        Some(Ok(Some(()))) => ACCEPTED,
        Some(Ok(None)) => REJECTED,
        Some(Err::<_, Misuse>(_)) | None => FAILED,
    }
}
