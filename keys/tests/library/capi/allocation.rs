//! What an answer through the C ABI allocates: nothing, whatever the key has, and in whichever header it came.

#![allow(unsafe_code, reason = "the functions are called as from C")]

use std::{
    ffi::{CString, c_char, c_int, c_void},
    ptr,
};

use bulla::{
    ApiKey, IssueRequest, Issuer,
    claims::Claims,
    gateway::now,
    keyring::{Keyring, Suite, VersionState},
};

use crate::{
    allocation::counted,
    fixture::{Folder, MASTER_7, Version, realm},
};

const SETTINGS: &str = "revocations = 'none'\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n\
                        [realms.acme_live]\n[verify]\ndefault_realms = ['acme_live']\n";

/// Room for a `bulla_answer`.
type Room = [u64; 256];

#[repr(C)]
struct Header {
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
}

unsafe extern "C" {
    fn bulla2_gate_open(path: *const c_char, gate: *mut *mut c_void, error: *mut c_char, size: usize) -> c_int;
    fn bulla2_gate_free(gate: *mut c_void);
    fn bulla2_expected_open(
        gate: *const c_void,
        requirements: *const c_char,
        expected: *mut *mut c_void,
        error: *mut c_char,
        size: usize,
    ) -> c_int;
    fn bulla2_expected_free(expected: *mut c_void);
    fn bulla2_verify(
        gate: *const c_void,
        expected: *const c_void,
        api_key: *const c_char,
        length: usize,
        address: *const c_char,
        now: u64,
        answer: *mut Room,
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
        answer: *mut Room,
    ) -> c_int;
    fn bulla2_check_headers(
        gate: *const c_void,
        expected: *const c_void,
        headers: *const Header,
        count: usize,
        address: *const c_char,
        now: u64,
        answer: *mut Room,
    ) -> c_int;
}

struct Opened {
    gate: *mut c_void,
    expected: *mut c_void,
    answer: Box<Room>,
}

impl Opened {
    fn new(folder: &Folder, route: &str) -> Self {
        let text = |text: &str| CString::new(text).expect("a text");
        let (path, route) = (text(&folder.path("gate.toml").display().to_string()), text(route));
        let mut opened = Opened { gate: ptr::null_mut(), expected: ptr::null_mut(), answer: Box::new([0; 256]) };
        // SAFETY: the texts end in NUL, both places may be written, and there is no room for errors.
        let done = unsafe {
            bulla2_gate_open(path.as_ptr(), &raw mut opened.gate, ptr::null_mut(), 0)
                + bulla2_expected_open(opened.gate, route.as_ptr(), &raw mut opened.expected, ptr::null_mut(), 0)
        };
        assert_eq!(done, 0);
        opened
    }

    /// What each way in returns, and how often it allocated.
    fn ask(&mut self, api_key: &str) -> [(c_int, u64); 4] {
        let (bearer, now, address) = (format!("Bearer {api_key}"), now(), c"192.0.2.1".as_ptr());
        let part = |text: &str| (text.as_ptr().cast::<c_char>(), text.len());
        let (name, value) = (part("X-API-Key"), part(api_key));
        let header = Header { name: name.0, name_length: name.1, value: value.0, value_length: value.1 };
        let (Opened { gate, expected, answer }, bearer) = (self, part(&bearer));
        let (gate, expected, answer) = (*gate, *expected, &raw mut **answer);
        // SAFETY: both are open, the texts are as long as they say, the address ends in a NUL, and an answer is smaller
        // than its room.
        unsafe {
            [
                counted(|| bulla2_verify(gate, expected, value.0, value.1, address, now, answer)),
                counted(|| bulla2_check(gate, expected, bearer.0, bearer.1, ptr::null(), 0, address, now, answer)),
                counted(|| bulla2_check(gate, expected, ptr::null(), 0, value.0, value.1, address, now, answer)),
                counted(|| bulla2_check_headers(gate, expected, &raw const header, 1, address, now, answer)),
            ]
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: both were opened, and nobody uses them any more.
        unsafe {
            bulla2_expected_free(self.expected);
            bulla2_gate_free(self.gate);
        }
    }
}

#[test]
fn an_answer_through_the_c_abi_allocates_nothing() {
    let folder = Folder::new();
    let document = folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
    folder.put("keyring.toml", document.render(&folder.mac_key(&document)).expect("rendered"), 0o644);
    folder.put("gate.toml", SETTINGS, 0o644);
    let keyring = Keyring::load(&document, &folder.sources(), &[realm("acme_live")]).expect("loaded");
    let issue = |claims: Claims, expires_at| -> ApiKey {
        let request = IssueRequest { realm: realm("acme_live"), app_id: uuid::Uuid::max(), expires_at, claims };
        Issuer::new(&keyring).issue(&request, now()).expect("issued")
    };
    let plain = issue(Claims::new(), None);
    let all = Claims::new()
        .with_scopes(["orders.read", "orders.write"])
        .with_audience(["shop", "books"])
        .with_cidr(["192.0.2.0/24".parse().expect("a block")])
        .with_meta([("plan", "gold")]);
    let all = issue(all, Some(now() + 600));
    let forged = plain.expose().replace("acme_live", "acme_test");
    for (route, api_key, status) in [
        ("-", plain.expose(), 0),
        ("scope:orders.read,aud:shop", all.expose(), 0),
        ("scope:orders.delete,aud:shop", all.expose(), 1),
        ("scope:orders.read", plain.expose(), 1),
        ("-", forged.as_str(), 1),
        ("-", "x", 1),
    ] {
        let mut opened = Opened::new(&folder, route);
        // What a thread does once, such as a first look at the keys in force, is not of a request.
        opened.ask(api_key);
        assert_eq!(opened.ask(api_key), [(status, 0); 4], "{route}");
    }
}
