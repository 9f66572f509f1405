//! `pkcs11:` against SoftHSM2, directly and through a p11-kit server that goes away.

use std::cell::RefCell;

use bulla::source::SourceErrorKind;

use crate::{
    contract::{Contract, opener, record, refused_uri, software},
    parts::{p11_kit::P11Kit, softhsm::SoftHsm, world},
};

fn hsm() -> &'static SoftHsm {
    world::folder();
    SoftHsm::get()
}

fn uri(path: &str, module: &str) -> String {
    format!("pkcs11:{path}?module-path={module}&pin-source=file:pin")
}

fn same_bytes(device: &str, other: &str) {
    Contract { opener: opener(), device: &|_| record(device), same: &software, other: &|_| record(other) }.same_bytes();
}

#[test]
fn an_hsm_serves_as_software_does() {
    let module = &hsm().module;
    same_bytes(&uri("token=bulla;object=master-1", module), &uri("token=bulla;object=other", module));
}

#[test]
fn a_token_is_found_by_label_or_slot_and_a_key_by_label_or_id() {
    let (module, slot) = (&hsm().module, hsm().slot);
    let other = uri("token=bulla;object=other", module);
    let by_slot = format!("slot-id={slot};object=master-1");
    let paths = ["token=bull%61;id=%01", by_slot.as_str(), "object=master-1;token=bulla;type=secret-key;id=%01"];
    for path in paths {
        same_bytes(&uri(path, module), &other);
    }
}

#[test]
fn the_pin_comes_from_a_file_the_environment_or_systemd() {
    let module = &hsm().module;
    let other = uri("token=bulla;object=other", module);
    for source in ["file:pin", "env:BULLA_TEST_PIN", "credential:pin"] {
        same_bytes(&format!("pkcs11:token=bulla;object=master-1?pin-source={source}&module-path={module}"), &other);
    }
    let with = |source: &str| format!("pkcs11:token=bulla;object=master-1?module-path={module}{source}");
    refused_uri(&with("&pin-source=bare"), SourceErrorKind::Uri, "file:PATH, env:NAME or credential:NAME");
    assert!(with("&pin-value=999999").parse::<bulla::source::SourceUri>().is_err());
    refused_uri(&with("&pin-source=file:nothing"), SourceErrorKind::Missing, "pin-source: cannot open");
    refused_uri(&with("&pin-source=env:BULLA_NOTHING"), SourceErrorKind::Missing, "BULLA_NOTHING is not set");
    refused_uri(&with("&pin-source=credential:nothing"), SourceErrorKind::Missing, "cannot open");
    refused_uri(&with(""), SourceErrorKind::Missing, "add pin-source");
}

#[test]
fn every_mistake_is_named() {
    let module = &hsm().module;
    let wrong = |path: &str, problem, says| refused_uri(&uri(path, module), problem, says);
    wrong("token=nobody;object=master-1", SourceErrorKind::Missing, "no such token");
    wrong("slot-id=4711;object=master-1", SourceErrorKind::Missing, "no such token");
    wrong("token=bulla;object=nothing", SourceErrorKind::Missing, "no such secret key");
    wrong("token=bulla;object=aes", SourceErrorKind::Malformed, "cannot do SHA256-HMAC");
    wrong("token=bulla;object=short", SourceErrorKind::Malformed, "has 16 bytes");
    wrong("token=bulla;object=no-sign", SourceErrorKind::Denied, "may not sign");
    wrong("token=bulla;object=twice", SourceErrorKind::Malformed, "2 such keys");
    wrong("token=bulla", SourceErrorKind::Uri, "say which key");
    wrong("object=master-1", SourceErrorKind::Uri, "say which token");
    wrong("token=bulla;token=evil;object=master-1", SourceErrorKind::Uri, "twice");
    wrong("token=bulla;objekt=master-1", SourceErrorKind::Uri, "no parameter `objekt`");
    wrong("token=bulla;object=%zz", SourceErrorKind::Uri, "hexadecimal");
    let pin = uri("token=bulla;object=master-1", module).replace("file:pin", "file:wrong-pin");
    refused_uri(&pin, SourceErrorKind::Denied, "the PIN is wrong");
    refused_uri(
        &uri("token=bulla;object=master-1", "/nowhere/libhsm.so"),
        SourceErrorKind::Missing,
        "cannot be loaded",
    );
    refused_uri("pkcs11:token=bulla;object=master-1", SourceErrorKind::Uri, "`module-path` is missing");
}

#[test]
fn a_key_that_was_replaced_behind_its_name_is_found_out() {
    let hsm = hsm();
    let folder = world::folder();
    hsm.import(&folder.join("master.raw"), "replaced", "10");
    let device = uri("token=bulla;object=replaced", &hsm.module);
    let other = |_| record("file:other.key");
    Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &other }.replaced(|| {
        hsm.delete("10");
        hsm.import(&folder.join("other.raw"), "replaced", "10");
    });
}

#[test]
fn an_hsm_behind_a_server_goes_away_and_comes_back() {
    hsm();
    let server = RefCell::new(P11Kit::start());
    let module = server.borrow().module.clone();
    let (device, other) = (uri("token=bulla;object=master-1", &module), uri("token=bulla;object=other", &module));
    let contract =
        Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &|_| record(&other) };
    contract.same_bytes();
    refused_uri(&device.replace("file:pin", "file:wrong-pin"), SourceErrorKind::Denied, "the PIN is wrong");
    for _ in 0..2 {
        contract.outage(|| server.borrow_mut().go_away(), "does not answer", || server.borrow_mut().come_back());
    }
    // Ended and started again between two loads: the first call finds the old connection dead and makes a new one.
    server.borrow_mut().go_away();
    server.borrow_mut().come_back();
    contract.same_bytes();
}

#[test]
fn many_threads_share_one_module() {
    let device = uri("token=bulla;object=master-1", &hsm().module);
    let other = uri("token=bulla;object=other", &hsm().module);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| same_bytes(&device, &other));
        }
    });
}
