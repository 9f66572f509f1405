//! What the targets do themselves, written from the format page: checksums and keyring documents with the right MAC, so
//! that fuzzing gets past both without asking the code under test.

use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    keyring::{KeyringDocument, KeyringError, KeyringId, MacKey},
    source::{SourceUri, Sources},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

/// The keyring id of the test vectors.
pub const KEYRING_ID: [u8; 16] = counting(0xa0);

const MAC_KEY: [u8; 32] = [0x5a; 32];
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: [usize; 9] = [0, 2, 3, 5, 6, 7, 9, 10, 11];

/// `first`, and the numbers after it.
pub const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 1;
    while at < N {
        bytes[at] = bytes[at - 1] + 1;
        at += 1;
    }
    bytes
}

/// The text of `bytes`, in groups of 8.
pub fn base62(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(8) {
        let mut value = group.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let mut digits = vec![b'0'; DIGITS[group.len()]];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(value % 62) as usize];
            value /= 62;
        }
        text.extend(digits.into_iter().map(char::from));
    }
    text
}

/// The text with the checksum it ought to have.
pub fn with_checksum(before: &str) -> String {
    format!("{before}{}", base62(&crc32fast::hash(before.as_bytes()).to_be_bytes()))
}

/// `HKDF-Expand-SHA256(key, info, 32)`: one HMAC over `info ‖ 01`.
pub fn expand(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    hmac(key, &[info, &[1]].concat())
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// The last line of a document, without its end, for all that stands before it.
pub fn mac_line(before: &str) -> String {
    let key =
        expand(&MAC_KEY, &[b"bulla/v1 keyring-mac\0".as_slice(), &keyring_id(before).unwrap_or_default()].concat());
    format!("hmac_sha256 = \"{}\"", hex::encode(hmac(&key, before.as_bytes())))
}

/// The document with the MAC line it ought to have.
pub fn with_mac_line(before: &str) -> String {
    format!("{before}{}\n", mac_line(before))
}

/// The id that a document names, for whose sake it has to be TOML. A document that is not has no right MAC either way.
fn keyring_id(document: &str) -> Option<[u8; 16]> {
    let table: toml::Table = document.parse().ok()?;
    let mut id = [0; 16];
    hex::decode_to_slice(table.get("keyring_id")?.as_str()?, &mut id).ok()?;
    Some(id)
}

/// A folder of key files, with the keyring's MAC key among them. No target ever opens a source that its input names.
pub struct Folder(TempDir);

impl Folder {
    /// Makes the folder.
    pub fn new() -> Self {
        let folder = Folder(TempDir::new().expect("should make a folder"));
        folder.key("mac.key", &MAC_KEY);
        folder
    }

    /// Writes a key file.
    pub fn key(&self, name: &str, key: &[u8; 32]) {
        let path = self.0.path().join(name);
        fs::write(&path, BASE64.encode(key) + "\n").expect("should write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("should set the mode");
    }

    /// Opens this folder's files.
    pub fn sources(&self) -> Sources {
        Sources::new(self.0.path())
    }

    /// Reads a document under this folder's MAC key.
    pub fn parse(&self, text: &str) -> Result<KeyringDocument, KeyringError> {
        KeyringDocument::parse(text, &mac_uri(), &self.sources())
    }

    /// The MAC key.
    pub fn mac_key(&self, keyring: KeyringId) -> MacKey {
        MacKey::open(&mac_uri(), &self.sources(), keyring).expect("should open the MAC key")
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

fn mac_uri() -> SourceUri {
    "file:mac.key".parse().expect("should be a URI")
}
