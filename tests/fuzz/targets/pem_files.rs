//! Any bytes, as the PEM files of a listener: its certificate, the key of that, and the authorities of its clients,
//! with a zero byte between them.
//!
//! A listener takes them only where each file has a block that is what it should be.

#![no_main]

use std::sync::LazyLock;

use bulla_server::testing::fuzzing::Identities;
use libfuzzer_sys::fuzz_target;

static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| Identities::new().expect("should make a folder"));

fuzz_target!(init: LazyLock::force(&IDENTITIES), |input: &[u8]| {
    let mut files = input.splitn(3, |byte| *byte == 0);
    let mut file = || files.next().unwrap_or_default();
    let (certificate, key, authorities) = (file(), file(), file());
    match IDENTITIES.load(certificate, key, authorities) {
        Ok(()) => {
            for (file, label) in [(certificate, "CERTIFICATE"), (key, "PRIVATE KEY"), (authorities, "CERTIFICATE")] {
                let text = String::from_utf8_lossy(file);
                assert!(text.contains("-----BEGIN ") && text.contains(label), "taken for a {label}: {text}");
            }
        }
        Err(error) => assert!(!error.is_empty()),
    }
});
