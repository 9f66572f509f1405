//! Keyring documents and key files written by hand, from the format page: nothing here calls the code under test until
//! a document is complete, so that the two cannot be wrong alike.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    Realm,
    keyring::{Keyring, KeyringDocument, KeyringError, MacKey, SourceRecord, Suite, VersionState},
    source::{SourceUri, Sources},
};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use tempfile::TempDir;

pub(crate) const KEYRING_ID: [u8; 16] = counting(0xa0);
/// The master keys of the worked examples, for versions 7 and 8.
pub(crate) const MASTER_7: [u8; 32] = counting(0x00);
pub(crate) const MASTER_8: [u8; 32] = counting(0x60);
pub(crate) const MAC_KEY: [u8; 32] = [0x5a; 32];
/// The time of issue of the worked examples.
pub(crate) const ISSUED: u64 = 1_795_000_000;

/// `first`, and the numbers after it.
pub(crate) const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 1;
    while at < N {
        bytes[at] = bytes[at - 1] + 1;
        at += 1;
    }
    bytes
}

pub(crate) fn realm(name: &str) -> Realm {
    name.parse().expect("should be a realm")
}

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_second(seconds.try_into().expect("should fit")).expect("should be a time")
}

/// `HKDF-Expand-SHA256(key, info, 32)` in the words of the format page: one HMAC over `info ‖ 01`.
pub(crate) fn expand(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    hmac(key, &[info, &[1]].concat())
}

pub(crate) fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// A key version as a document has it.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) suite: Suite,
    pub(crate) state: VersionState,
    pub(crate) master: [u8; 32],
    pub(crate) seal_until: Option<u64>,
    pub(crate) verify_until: Option<u64>,
    pub(crate) sources: Vec<String>,
}

impl Version {
    /// One source, `file:master-NUMBER.key`, and no limits.
    pub(crate) fn new(number: u32, suite: Suite, state: VersionState, master: [u8; 32]) -> Self {
        let sources = vec![format!("file:master-{number}.key")];
        Version { number, suite, state, master, seal_until: None, verify_until: None, sources }
    }

    fn render(&self, keyring_id: [u8; 16]) -> String {
        let info = [b"bulla/v1 kcv\0".as_slice(), &keyring_id, &self.number.to_be_bytes()].concat();
        let check_value = hex::encode(&expand(&self.master, &info)[..8]);
        let mut text = format!(
            "\n[[version]]\nnumber = {}\nstate = \"{}\"\nsuite = \"{}\"\ncreated_at = \"2026-11-18T08:53:20Z\"\n\
             key_check_value = \"{check_value}\"\n",
            self.number, self.state, self.suite
        );
        for (name, limit) in [("seal_until", self.seal_until), ("verify_until", self.verify_until)] {
            if let Some(limit) = limit {
                text += &format!("{name} = \"{}\"\n", time(limit));
            }
        }
        if self.sources.is_empty() {
            text += "source = []\n";
        }
        for uri in &self.sources {
            text += &format!("\n[[version.source]]\nuri = \"{uri}\"\n");
        }
        text
    }
}

/// A document with the right MAC.
pub(crate) fn document(keyring_id: [u8; 16], versions: &[Version]) -> String {
    signed(keyring_id, &body(keyring_id, versions))
}

/// What stands in a document before the table `[mac]`.
pub(crate) fn body(keyring_id: [u8; 16], versions: &[Version]) -> String {
    let head = format!("format = 1\nkeyring_id = \"{}\"\nserial = 3\n", hex::encode(keyring_id));
    versions.iter().fold(head, |text, version| text + &version.render(keyring_id))
}

/// `body` with the table `[mac]`, which is right whatever the body says.
pub(crate) fn signed(keyring_id: [u8; 16], body: &str) -> String {
    let text = format!("{body}\n[mac]\n");
    let tag = mac(keyring_id, &text);
    format!("{text}hmac_sha256 = \"{tag}\"\n")
}

/// The MAC over all that stands before the last line of a document.
pub(crate) fn mac(keyring_id: [u8; 16], before_last_line: &str) -> String {
    let key = expand(&MAC_KEY, &[b"bulla/v1 keyring-mac\0".as_slice(), &keyring_id].concat());
    hex::encode(hmac(&key, before_last_line.as_bytes()))
}

/// A folder of key files, with the MAC key in `mac.key`.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Folder(TempDir::new().expect("should make a folder"));
        folder.key("mac.key", &MAC_KEY);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.path(name), content).expect("should write");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("should set the mode");
    }

    /// A right key file, and the record that names it.
    pub(crate) fn key(&self, name: &str, key: &[u8; 32]) -> SourceRecord {
        self.put(name, BASE64.encode(key) + "\n", 0o600);
        SourceRecord { uri: uri(name), wrapped: None }
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources::new(self.0.path())
    }

    pub(crate) fn parse(&self, text: &str) -> Result<KeyringDocument, KeyringError> {
        KeyringDocument::parse(text, &uri("mac.key"), &self.sources())
    }

    pub(crate) fn mac_key(&self, document: &KeyringDocument) -> MacKey {
        MacKey::open(&uri("mac.key"), &self.sources(), document.id()).expect("should open the MAC key")
    }

    /// The document of these versions, with their key files where the version opens.
    pub(crate) fn document(&self, versions: &[Version]) -> KeyringDocument {
        for version in versions.iter().filter(|version| version.state.opens()) {
            self.key(&format!("master-{}.key", version.number), &version.master);
        }
        self.parse(&document(KEYRING_ID, versions)).expect("should be a right document")
    }
}

/// The URI of a file in the folder.
pub(crate) fn uri(name: &str) -> SourceUri {
    format!("file:{name}").parse().expect("should be a URI")
}

/// The loaded keyring of these versions. Its files are gone when this returns: no source is asked after the load.
pub(crate) fn keyring(versions: &[Version], realms: &[Realm]) -> Keyring {
    let folder = Folder::new();
    let document = folder.document(versions);
    Keyring::load(&document, &folder.sources(), realms).expect("should load")
}
