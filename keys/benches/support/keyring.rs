//! A keyring for benchmarks: one active version from a file.

use std::os::unix::fs::PermissionsExt;

use bulla::{
    Realm,
    keyring::{KeyVersion, Keyring, KeyringDocument, KeyringId, SourceRecord, Suite},
    secret::Pepper,
    source::Sources,
};

pub(crate) const REALM: &str = "acme_live";
pub(crate) const NOW: u64 = 1_795_000_000;
pub(crate) const APP: uuid::Uuid = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");

pub(crate) fn realm() -> Realm {
    REALM.parse().expect("a realm")
}

pub(crate) fn load(suite: Suite) -> Keyring {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("master.key");
    std::fs::write(&file, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let sources = Sources::new(folder.path());
    let mut document = KeyringDocument::new(KeyringId::from_bytes([0xa0; 16]));
    let source = SourceRecord { uri: "file:master.key".parse().expect("a URI"), wrapped: None };
    let version = document.stage(suite, vec![source], &sources, NOW).expect("staged");
    document.activate(version, NOW).expect("activated");
    Keyring::load(&document, &sources, &[realm()]).expect("loaded")
}

/// The first version of a pepper.
#[allow(dead_code, reason = "not every benchmark has secret halves")]
pub(crate) fn pepper() -> Pepper {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pepper.key");
    std::fs::write(&file, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let (uri, id) = ("file:pepper.key".parse().expect("a URI"), KeyringId::from_bytes([0xa0; 16]));
    Pepper::open(&uri, &Sources::new(folder.path()), id, KeyVersion::FIRST).expect("opened")
}
