//! Any text, as the stored hash of a secret half, against `SecretHash::parse` and back.

#![no_main]

use bulla::secret::{Argon2id, Ceilings, SecretHash, SecretScheme};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let ceilings = Ceilings::default();
    let Ok(hash) = SecretHash::parse(text, &ceilings) else { return };
    assert_eq!(hash.to_phc(), text, "another spelling of it");
    if let SecretScheme::Argon2id(Argon2id { m_kib, t, p }) = hash.scheme() {
        assert!(m_kib <= ceilings.m_kib && t <= ceilings.t && p <= ceilings.p, "above the ceilings");
    }
    let shown = format!("{hash:?}");
    let secret = text.rsplit('$').next().unwrap_or_default();
    assert!(!shown.contains(secret), "the hash shows in its Debug");
});
