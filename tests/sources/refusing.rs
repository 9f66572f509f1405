//! `pkcs11:` with modules that cannot hold a master key: of smart cards, of a desktop's key ring, of trusted
//! certificates. The refusal says what they lack.

use crate::{modules::Beside, parts::world, support::programs};

/// The module in one of the system's folders, by itself.
fn module(names: &[&str]) -> Beside {
    // A reader or a key ring of this machine stays out of it.
    let nowhere = || world::folder().join("nowhere").to_string_lossy().into_owned();
    let environment = ["PCSCLITE_CSOCK_NAME", "GNOME_KEYRING_CONTROL", "XDG_RUNTIME_DIR"].map(|name| (name, nowhere()));
    Beside::new(&programs::library(names), &environment, "123456")
}

#[test]
fn modules_of_smart_cards_without_a_card_say_that_the_device_does_not_answer() {
    let opensc = module(&["/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so", "/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so"]);
    opensc.refused("token=bulla;object=master-1", "the device does not answer, or has no token");
    // It answers a question for its slots with CKR_DEVICE_ERROR.
    let ykcs11 = module(&["/usr/lib/x86_64-linux-gnu/libykcs11.so", "/usr/lib/aarch64-linux-gnu/libykcs11.so"]);
    ykcs11.refused("token=bulla;object=master-1", "the device does not answer: see that it, and the path to it, is up");
}

#[test]
fn a_key_ring_of_a_desktop_that_does_not_run_has_no_token() {
    let keyring = module(&[
        "/usr/lib/x86_64-linux-gnu/pkcs11/gnome-keyring-pkcs11.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/gnome-keyring-pkcs11.so",
    ]);
    keyring.refused("token=bulla;object=master-1", "the device does not answer, or has no token");
}

#[test]
fn a_store_of_trusted_certificates_has_no_secret_key() {
    let trust = module(&[
        "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-trust.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-trust.so",
    ]);
    trust.refused("token=System%20Trust;object=master-1", "no such secret key");
}
