//! The C ABI (feature `capi`): gates, answers to requests, and the ids of keys, from any language that calls C.
//! `include/bulla.h` is its documentation, and the code keeps to it. The code is unsafe because C hands over pointers:
//! each function turns them into Rust's types, and no panic gets out. Other unsafe code of the library is in `vector`
//! and `source/pkcs11`.

#![allow(unsafe_code, reason = "C hands over pointers")]
#![deny(clippy::undocumented_unsafe_blocks)]

mod answer;
mod check;
mod expected;
mod gate;
mod shared;
mod text;

use std::{
    ffi::c_int,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::gateway::GateError;

/// `BULLA_ABI`.
const ABI: u32 = 2;

const ACCEPTED: c_int = 0;
const REJECTED: c_int = 1;
const COULD_NOT_TELL: c_int = 2;
const FAILED: c_int = 3;

/// Arguments that break the header's rules, or an answer that its structures cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Misuse {
    #[error("a required pointer is NULL")]
    NullPointer,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a text is not an address")]
    NotAnAddress,
    #[error("the key's contents do not fit into the structure")]
    DoesNotFit,
}

impl Misuse {
    const fn code(self) -> &'static str {
        match self {
            Misuse::NullPointer => "null_pointer",
            Misuse::NotUtf8 => "not_utf8",
            Misuse::NotAnAddress => "not_an_address",
            Misuse::DoesNotFit => "does_not_fit",
        }
    }
}

/// Why something was not done; the caller gets the text.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Misuse(#[from] Misuse),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error("the file {name}, which was handed over, cannot be read: {error}")]
    File { name: String, error: io::Error },
    #[error("the library panicked: this is a mistake in it")]
    Panic,
}

/// Returns the result of `body`, or nothing if it panics. The values that a panic leaves half done are dropped.
fn caught<T>(body: impl FnOnce() -> T) -> Option<T> {
    let body = || {
        #[cfg(test)]
        tests::panic_if_asked();
        body()
    };
    catch_unwind(AssertUnwindSafe(body)).ok()
}

#[unsafe(no_mangle)]
extern "C" fn bulla2_abi() -> u32 {
    ABI
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        collections::BTreeSet,
        ffi::{CStr, c_char},
        io::Write,
        mem::{offset_of, size_of},
        path::Path,
        process::{Command, Stdio},
        ptr::{null, null_mut},
    };

    use super::{
        answer::{
            API_KEY_ID_SIZE, APP_ID_SIZE, AnswerResult, CLAIMS_SIZE, EXPIRES_SIZE, REALM_SIZE, REASON_SIZE, SCOPES_SIZE,
        },
        check::{HeaderArgument, bulla2_check, bulla2_verify_batch},
        gate::{ERROR_SIZE, FileArgument, StatusResult, bulla2_gate_open},
        *,
    };

    thread_local! {
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }

    /// Panics inside of the next [`caught`] of this thread, where a test asks for it.
    pub(super) fn panic_if_asked() {
        assert!(!PANICS.take(), "on purpose");
    }

    const HEADER: &str = include_str!("../../include/bulla.h");
    const SOURCES: [&str; 6] = [
        include_str!("mod.rs"),
        include_str!("gate.rs"),
        include_str!("expected.rs"),
        include_str!("check.rs"),
        include_str!("answer.rs"),
        include_str!("shared.rs"),
    ];

    #[test]
    fn the_header_lays_things_out_as_the_library_does() {
        let mut program = "#include \"bulla.h\"\n".to_owned();
        let mut same =
            |what: &str, value: usize| program += &format!("_Static_assert({what} == {value}, \"{what}\");\n");
        macro_rules! layout {
            ($name:literal, $type:ty, $($field:ident),+) => {
                same(concat!("sizeof(", $name, ")"), size_of::<$type>());
                $(same(concat!("offsetof(", $name, ", ", stringify!($field), ")"), offset_of!($type, $field));)+
            };
        }
        layout!("bulla_file", FileArgument, name, bytes, len, fd);
        layout!("bulla_header", HeaderArgument, name, name_len, value, value_len);
        layout!(
            "bulla_answer",
            AnswerResult,
            issued_at,
            expires_at,
            challenge,
            version,
            status,
            audiences_len,
            meta_len
        );
        layout!("bulla_answer", AnswerResult, app_uuid, app_id, api_key_id, realm, scopes, expires, audiences, meta);
        layout!("bulla_answer", AnswerResult, reason);
        layout!("bulla_status", StatusResult, accepted, rejected, could_not_tell, feed_age, seq, revocations);
        layout!("bulla_status", StatusResult, keyring_serial, refused_messages, failures, started_in, forked, error);
        for (name, value) in [
            ("BULLA_ABI", ABI as usize),
            ("BULLA_ACCEPTED", ACCEPTED as usize),
            ("BULLA_REJECTED", REJECTED as usize),
            ("BULLA_COULD_NOT_TELL", COULD_NOT_TELL as usize),
            ("BULLA_FAILED", FAILED as usize),
            ("BULLA_API_KEY_ID_SIZE", API_KEY_ID_SIZE),
            ("BULLA_REALM_SIZE", REALM_SIZE),
            ("BULLA_REASON_SIZE", REASON_SIZE),
            ("BULLA_SCOPES_SIZE", SCOPES_SIZE),
            ("BULLA_APP_ID_SIZE", APP_ID_SIZE),
            ("BULLA_EXPIRES_SIZE", EXPIRES_SIZE),
            ("BULLA_CLAIMS_SIZE", CLAIMS_SIZE),
            ("BULLA_ERROR_SIZE", ERROR_SIZE),
        ] {
            same(name, value);
        }
        assert_eq!(compile(&program), Ok(()));
        let other = compile(&program.replace("BULLA_ABI == 2", "BULLA_ABI == 3"));
        assert!(other.is_err_and(|said| said.contains("BULLA_ABI")));
    }

    fn compile(program: &str) -> Result<(), String> {
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
        let mut command = Command::new("cc");
        command.args(["-fsyntax-only", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-x", "c", "-I"]);
        command.arg(include).arg("-").stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut cc = command.spawn().expect("a C compiler");
        cc.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("should write");
        let output = cc.wait_with_output().expect("should end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// The names behind `mark`, up to a bracket.
    fn names<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(mark).skip(1).filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
    }

    #[test]
    fn the_header_declares_exactly_the_functions_that_there_are() {
        let exported: BTreeSet<String> = SOURCES
            .iter()
            .flat_map(|source| names(source, "extern \"C\" fn bulla2_").map(|name| format!("bulla2_{name}")))
            .collect();
        let declarations = HEADER
            .lines()
            .filter(|line| ["int ", "void ", "uint32_t ", "const char *"].iter().any(|t| line.starts_with(t)));
        let declared: BTreeSet<String> = declarations
            .flat_map(|line| names(line, "bulla2_").map(|name| format!("bulla2_{name}")).collect::<Vec<_>>())
            .collect();
        assert_eq!(declared, exported);
        assert_eq!(declared.len(), 21);
    }

    #[test]
    fn the_header_tells_every_reason_of_a_failure() {
        let told = [Misuse::NullPointer, Misuse::NotUtf8, Misuse::NotAnAddress, Misuse::DoesNotFit];
        for code in told.map(Misuse::code).into_iter().chain(["panic"]) {
            assert!(HEADER.contains(&format!("\"{code}\"")), "{code}");
        }
    }

    #[test]
    fn a_panic_stays_inside() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| panic!("on purpose")), None::<()>);
    }

    #[test]
    fn a_panic_in_an_exported_function_lets_nothing_through() {
        // SAFETY: every value of every field is a right one.
        let mut answers: [AnswerResult; 2] = unsafe { std::mem::zeroed() };
        // An earlier request left them accepted.
        let accept = |answers: &mut [AnswerResult]| answers.iter_mut().for_each(|answer| answer.status = 200);
        let says_panic = |answer: &AnswerResult| {
            let reason = CStr::from_bytes_until_nul(&answer.reason).expect("a NUL");
            answer.status == 500 && reason == c"panic"
        };

        accept(&mut answers);
        PANICS.set(true);
        // SAFETY: pointers may be NULL, and the answer may be written.
        let status = unsafe { bulla2_check(null(), null(), null(), 0, null(), 0, null(), 0, &mut answers[0]) };
        assert!(status == FAILED && says_panic(&answers[0]));

        accept(&mut answers);
        PANICS.set(true);
        let (keys, lens, room) = ([c"key".as_ptr(); 2], [3; 2], answers.as_mut_ptr());
        // SAFETY: the arrays have two elements each, and the lengths are the texts'.
        let status = unsafe { bulla2_verify_batch(null(), null(), keys.as_ptr(), lens.as_ptr(), 2, null(), 0, room) };
        assert!(status == FAILED && answers.iter().all(says_panic));

        let (mut gate, mut error): (_, [c_char; ERROR_SIZE]) = (null_mut(), [0; ERROR_SIZE]);
        PANICS.set(true);
        // SAFETY: the path ends in a NUL, and both places may be written.
        let status = unsafe { bulla2_gate_open(c"gate.toml".as_ptr(), &mut gate, error.as_mut_ptr(), error.len()) };
        // SAFETY: it was written, with a NUL at its end.
        let told = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy();
        assert!(status == FAILED && gate.is_null() && told.contains("panicked"), "{told}");
    }
}
