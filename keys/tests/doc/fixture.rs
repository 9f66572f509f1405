// What the examples in the documentation stand on: a keyring of one active version, its master key in a file. Each
// example includes this file as a module.

use std::{fs, os::unix::fs::PermissionsExt};

use bulla::{ApiKey, IssueRequest, Issuer, Realm, claims::Claims, keyring::{Keyring, KeyringDocument, KeyringId, SourceRecord, Suite}, source::Sources};

pub const NOW: u64 = 1_795_000_000;

#[allow(dead_code, reason = "no example needs all of it")]
pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub sources: Sources,
    pub document: KeyringDocument,
    pub keyring: Keyring,
    pub live: Realm,
    pub app_id: uuid::Uuid,
    pub now: u64,
}

#[allow(dead_code, reason = "no example needs all of it")]
impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, key) in [
            ("master-1.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("master-2.key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="),
            ("pepper-1.key", "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="),
            ("keyring-mac.key", "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8="),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, key).expect("a key file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        let sources = Sources::new(folder.path());
        let mut document = KeyringDocument::new(KeyringId::random().expect("an id"));
        let source = SourceRecord { uri: "file:master-1.key".parse().expect("a URI"), wrapped: None };
        let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, NOW).expect("staged");
        document.activate(version, NOW).expect("activated");
        let live: Realm = "acme_live".parse().expect("a realm");
        let keyring = Keyring::load(&document, &sources, &[live]).expect("loaded");
        let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
        Fixture { folder, sources, document, keyring, live, app_id, now: NOW }
    }

    /// An API key that expires in 90 days.
    pub fn issue(&self) -> ApiKey {
        let expires_at = Some(self.now + 90 * 86_400);
        let request = IssueRequest { realm: self.live, app_id: self.app_id, expires_at, claims: Claims::new() };
        Issuer::new(&self.keyring).issue(&request, self.now).expect("issued")
    }
}
