//! `cargo bench -p bulla --features capi --bench gateway`: a gate's answers, through Rust and through the C ABI, beside
//! a verify alone.
//!
//! Each round times every contender once, in turn; printed are the median over the rounds and the median of the ratios
//! to the verify of the same round. For `valgrind --tool=callgrind` one contender runs alone:
//! `COUNT="C ABI" cargo bench …` has its loop and no other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unsafe_code, reason = "the functions of the C ABI are called as from C")]

#[path = "support/rounds.rs"]
mod rounds;

use std::{
    ffi::{CString, c_char, c_int, c_void},
    hint::black_box,
    os::unix::fs::PermissionsExt,
    ptr,
};

use bulla::{
    IssueRequest, Issuer, OwnedExpectations, Realm, SharedVerifier, Verifier,
    claims::Claims,
    gateway::{Answer, Gate, Presented, Settings, now},
    keyring::{Keyring, KeyringDocument, KeyringId, MacKey, SourceRecord, Suite},
    source::Sources,
};
use rounds::{Contender, run};

/// Distinct keys, so that no branch predictor learns a single text by heart.
const KEYS: usize = 512;
const ROUNDS: usize = 301;
const SETTINGS: &str = "revocations = 'none'\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n\
                        [realms.acme_live]\n[verify]\ndefault_realms = ['acme_live']\n";

unsafe extern "C" {
    fn bulla2_gate_open(path: *const c_char, gate: *mut *mut c_void, error: *mut c_char, size: usize) -> c_int;
    fn bulla2_expected_open(
        gate: *const c_void,
        requirements: *const c_char,
        expected: *mut *mut c_void,
        error: *mut c_char,
        size: usize,
    ) -> c_int;
    fn bulla2_verify(
        gate: *const c_void,
        expected: *const c_void,
        api_key: *const c_char,
        length: usize,
        address: *const c_char,
        now: u64,
        answer: *mut c_void,
    ) -> c_int;
    fn bulla2_check(
        gate: *const c_void,
        expected: *const c_void,
        authorization: *const c_char,
        authorization_length: usize,
        api_key: *const c_char,
        length: usize,
        address: *const c_char,
        now: u64,
        answer: *mut c_void,
    ) -> c_int;
}

/// A gate of the C ABI, and a route.
struct Opened {
    gate: *mut c_void,
    expected: *mut c_void,
}

impl Opened {
    fn new(path: &std::path::Path, requirements: &str) -> Self {
        let text = |text: &str| CString::new(text).expect("a text");
        let (path, requirements) = (text(&path.display().to_string()), text(requirements));
        let mut opened = Opened { gate: ptr::null_mut(), expected: ptr::null_mut() };
        // SAFETY: the texts end in NUL, both places may be written, and there is no room for errors.
        let done = unsafe {
            bulla2_gate_open(path.as_ptr(), &raw mut opened.gate, ptr::null_mut(), 0)
                + bulla2_expected_open(opened.gate, requirements.as_ptr(), &raw mut opened.expected, ptr::null_mut(), 0)
        };
        assert_eq!(done, 0);
        opened
    }

    fn verify(&self, text: &str, now: u64, answer: &mut [u64; 256]) -> bool {
        // SAFETY: both were opened, the text has so many bytes, and an answer is smaller than its room.
        let status = unsafe {
            let (text, length) = (text.as_ptr().cast(), text.len());
            bulla2_verify(self.gate, self.expected, text, length, ptr::null(), now, answer.as_mut_ptr().cast())
        };
        status == 0
    }

    fn check(&self, text: &str, now: u64, answer: &mut [u64; 256]) -> bool {
        // SAFETY: as above.
        let status = unsafe {
            let (text, length) = (text.as_ptr().cast(), text.len());
            let answer = answer.as_mut_ptr().cast();
            bulla2_check(self.gate, self.expected, text, length, ptr::null(), 0, ptr::null(), now, answer)
        };
        status == 0
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (name, key) in [
        ("master.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("mac.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="),
    ] {
        std::fs::write(path(name), key).expect("written");
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    let (sources, now) = (Sources::new(folder.path()), now());
    let mut document = KeyringDocument::new(KeyringId::from_bytes([0xa0; 16]));
    let source = SourceRecord { uri: "file:master.key".parse().expect("a URI"), wrapped: None };
    let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, now).expect("staged");
    document.activate(version, now).expect("activated");
    let mac = MacKey::open(&"file:mac.key".parse().expect("a URI"), &sources, document.id()).expect("a key");
    std::fs::write(path("keyring.toml"), document.render(&mac).expect("rendered")).expect("written");
    std::fs::write(path("gate.toml"), SETTINGS).expect("written");

    let realm: Realm = "acme_live".parse().expect("a realm");
    let keyring = Keyring::load(&document, &sources, &[realm]).expect("loaded");
    let (verifier, gate) =
        (Verifier::new(&keyring), Gate::open(&Settings::read(&path("gate.toml")).expect("settings")));
    let gate = gate.expect("opened");
    // What a gate holds, too: a verifier that is replaced beside its readers.
    let shared = SharedVerifier::new(verifier.clone());
    let issue = |claims: &Claims, expires_at| -> Vec<String> {
        let request = || IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at, claims: claims.clone() };
        (0..KEYS).map(|_| Issuer::new(&keyring).issue(&request(), now).expect("issued").expose().to_owned()).collect()
    };
    let alone = std::env::var("COUNT").ok();
    for (what, claims, expires_at, route) in [
        ("without claims", Claims::new(), None, "-"),
        (
            "with two scopes and an expiry",
            Claims::new().with_scopes(["orders.read", "orders.write"]),
            Some(now + 90 * 86_400),
            "scope:orders.read",
        ),
    ] {
        let keys = issue(&claims, expires_at);
        let bearer: Vec<String> = keys.iter().map(|key| format!("Bearer {key}")).collect();
        let (wanted, opened) =
            (gate.requirements(route).expect("requirements"), Opened::new(&path("gate.toml"), route));
        let mut expected = OwnedExpectations::new([realm]);
        expected.scopes = claims.scopes().iter().take(1).cloned().collect();
        let (mut answer, answer_c) = (Answer::new(), std::cell::RefCell::new([0; 256]));
        let mut at = 0;
        let mut contenders = vec![
            Contender::over("verify", keys.clone(), |text| verifier.verify(text, &expected.borrow(), now).is_ok()),
            Contender::over("verify, shared", keys.clone(), |text| {
                shared.verify(text, &expected.borrow(), now).is_ok()
            }),
            Contender::over("C ABI, verify", keys.clone(), |text| opened.verify(text, now, &mut answer_c.borrow_mut())),
            Contender::over("C ABI, check a header", bearer.clone(), |text| {
                opened.check(text, now, &mut answer_c.borrow_mut())
            }),
            Contender::new("gate, check a header", || {
                at = (at + 1) % bearer.len();
                let mut presented = Presented::new(&wanted);
                presented.add(b"Authorization", black_box(bearer[at].as_bytes()));
                gate.check(&wanted, &presented, None, now, &mut answer);
                answer.is_accepted()
            }),
        ];
        println!("{what}");
        match &alone {
            None => drop(run(contenders, ROUNDS)),
            Some(name) => {
                contenders.retain(|contender| contender.name() == name);
                contenders.iter_mut().for_each(|contender| println!("{name}: {:.0} ns", contender.time(10_000)));
            }
        }
    }
}
