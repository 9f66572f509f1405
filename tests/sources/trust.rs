//! The list of trusted sources, as an author of a keyring meets it.

use bulla::source::SourceErrorKind;

use crate::{
    contract::{document, opener, record, refused},
    parts::world,
};

#[test]
fn a_source_that_the_configuration_does_not_trust_is_not_opened() {
    world::folder();
    let evil = format!("touch {}", world::folder().join("was-run").display());
    let opener = opener().trusting(["file:master.key", "pkcs11:token=bulla"]);
    let id = bulla::keyring::KeyringId::random().expect("random");
    document(id, vec![record("file:master.key")], &opener).expect("it is trusted");
    refused(
        &opener,
        record("file:other.key"),
        SourceErrorKind::Untrusted,
        "the entry \"file:other.key\" would cover it",
    );
    refused(&opener, record(&format!("exec:{evil}")), SourceErrorKind::Untrusted, "it is not a trusted source");
    refused(
        &opener,
        record("pkcs11:token=bulla;object=o?module-path=evil.so"),
        SourceErrorKind::Untrusted,
        "module-path=evil.so",
    );
    assert!(!world::folder().join("was-run").exists());
    assert!(opener.wrap_new_key(&"aws-kms:k?mode=unwrap".parse().expect("a URI"), binding(id)).is_err());
}

fn binding(keyring: bulla::keyring::KeyringId) -> bulla::source::EncryptionContext<'static> {
    bulla::source::EncryptionContext { keyring, version: Some(bulla::keyring::KeyVersion::FIRST), wrapped: None }
}
