//! The seal keys of one realm, exported for one edge.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{EdgeKey, ExportError, Recipient};
use crate::{
    derive::{DerivedKey, KEY_BYTES},
    feed_key::{SigningKey, VerifyingKey},
    key_version::KeyVersion,
    keyring::{
        KeyCheckValue, KeyringDocument, VersionRecord, VersionState, load,
        loaded::{LoadedVersion, RealmKeys},
    },
    keyring_id::KeyringId,
    labels,
    realm::Realm,
    seal::{
        SealKey,
        hpke::{self, Sealed},
    },
    source::Sources,
    suite::Suite,
};

const FORMAT: &str = "export/1";

/// The seal keys of one realm: of every version that opens, with what the keyring says of the versions. Nothing of a
/// master key is in it, nor of another realm.
///
/// It is symmetric all the same: its holder can make API keys of the realm. [`RealmExport::seal`] encrypts it to one
/// edge.
pub struct RealmExport {
    keyring: KeyringId,
    serial: u64,
    realm: Realm,
    created_at: u64,
    requires_secret: bool,
    versions: Vec<Exported>,
}

struct Exported {
    record: VersionRecord,
    /// Of a version that opens.
    key: Option<DerivedKey>,
}

/// The first line, its fields in their order. The second one is its signature.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportLine {
    bulla: String,
    keyring_id: KeyringId,
    keyring_serial: u64,
    realm: String,
    recipient: String,
    created_at: u64,
    requires_secret: bool,
    versions: Vec<VersionLine>,
    encapsulated: String,
    sealed: String,
}

/// The format, which comes first: a newer one may have other fields.
#[derive(Deserialize)]
struct Head {
    bulla: String,
    keyring_id: KeyringId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionLine {
    version: KeyVersion,
    state: VersionState,
    suite: Suite,
    created_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify_until: Option<u64>,
    key_check_value: KeyCheckValue,
}

impl RealmExport {
    /// Asks the sources of every version that opens for this realm's key; `now` is in Unix seconds.
    pub fn of(document: &KeyringDocument, sources: &Sources, realm: Realm, now: u64) -> Result<Self, ExportError> {
        if realm == Realm::ADMIN {
            return Err(ExportError::AdminRealm);
        }
        let mut versions = Vec::new();
        for record in document.versions() {
            let key = record.state.opens().then(|| load::derive_one(document, record, sources, realm)).transpose()?;
            versions.push(Exported { record: VersionRecord { sources: Vec::new(), ..record.clone() }, key });
        }
        let (keyring, serial) = (document.id(), document.serial());
        Ok(RealmExport { keyring, serial, realm, created_at: now, requires_secret: false, versions })
    }

    /// The same for a realm whose keys need a secret half: its edges accept none without.
    #[must_use]
    pub fn requiring_secrets(self, requires_secret: bool) -> Self {
        RealmExport { requires_secret, ..self }
    }

    /// The export as a text that `recipient` alone opens, signed by the key that its edge trusts.
    pub fn seal(&self, recipient: &Recipient, signed_by: &SigningKey) -> Result<String, ExportError> {
        let mut keys = Zeroizing::new(Vec::with_capacity(self.versions.len() * KEY_BYTES));
        self.versions.iter().filter_map(|one| one.key.as_ref()).for_each(|key| keys.extend_from_slice(key.bytes()));
        let info = labels::export(self.keyring, self.realm);
        let Sealed { encapsulated, ciphertext } =
            hpke::seal(&recipient.0, &info, &keys).map_err(|_| ExportError::Cipher)?;
        let line = ExportLine {
            bulla: FORMAT.to_owned(),
            keyring_id: self.keyring,
            keyring_serial: self.serial,
            realm: self.realm.to_string(),
            recipient: recipient.to_string(),
            created_at: self.created_at,
            requires_secret: self.requires_secret,
            versions: self.versions.iter().map(|one| VersionLine::of(&one.record)).collect(),
            encapsulated: BASE64.encode(encapsulated),
            sealed: BASE64.encode(ciphertext),
        };
        let mut text = serde_json::to_string(&line).map_err(|_| ExportError::Syntax)?;
        text.push('\n');
        let signature = signed_by.sign_export(self.keyring, text.as_bytes());
        text.extend([&BASE64.encode(signature), "\n"]);
        Ok(text)
    }

    /// Opens what [`RealmExport::seal`] made, if it is of this keyring, signed by the feed's key, and for this edge.
    pub fn open(text: &str, key: &EdgeKey, keyring: KeyringId, signed_by: &VerifyingKey) -> Result<Self, ExportError> {
        let (signed, signature) = split(text).ok_or(ExportError::Syntax)?;
        // Refused whatever the signature says; the reason helps more.
        let head: Head = serde_json::from_str(signed).map_err(|_| ExportError::Syntax)?;
        if head.bulla != FORMAT {
            return Err(ExportError::Format(
                head.bulla.chars().filter(|one| one.is_ascii_graphic()).take(32).collect(),
            ));
        }
        if head.keyring_id != keyring {
            return Err(ExportError::OtherKeyring { found: head.keyring_id, expected: keyring });
        }
        if !signed_by.verifies_export(keyring, signed.as_bytes(), &signature) {
            return Err(ExportError::Signature);
        }
        let line: ExportLine = serde_json::from_str(signed).map_err(|_| ExportError::Syntax)?;
        let realm: Realm = line.realm.parse().map_err(|_| ExportError::Syntax)?;
        if realm == Realm::ADMIN {
            return Err(ExportError::AdminRealm);
        }
        let (found, own) = (line.recipient.parse()?, key.recipient());
        if found != own {
            return Err(ExportError::OtherEdge { found, own });
        }
        let decoded = |text: &str| BASE64.decode(text).map_err(|_| ExportError::Syntax);
        let sealed = Sealed { encapsulated: decoded(&line.encapsulated)?, ciphertext: decoded(&line.sealed)? };
        let keys = key.open(&labels::export(keyring, realm), sealed)?;
        Ok(RealmExport {
            keyring,
            serial: line.keyring_serial,
            realm,
            created_at: line.created_at,
            requires_secret: line.requires_secret,
            versions: matched(line.versions, &keys).ok_or(ExportError::Keys(realm))?,
        })
    }

    /// The realm.
    pub fn realm(&self) -> Realm {
        self.realm
    }

    /// The keyring.
    pub fn keyring(&self) -> KeyringId {
        self.keyring
    }

    /// The serial number of the keyring that it was made from.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// When it was made, in Unix seconds.
    pub fn created_at(&self) -> u64 {
        self.created_at
    }

    /// Returns whether the realm's keys need a secret half.
    pub fn requires_secret(&self) -> bool {
        self.requires_secret
    }

    /// What the keyring said of its versions. No key source is named.
    pub fn versions(&self) -> impl Iterator<Item = &VersionRecord> {
        self.versions.iter().map(|one| &one.record)
    }

    /// The keys as a verifier holds them.
    pub(super) fn realm_keys(&self) -> RealmKeys {
        let (realm, versions) = (self.realm, self.versions.iter());
        let loaded = versions.map(|Exported { record, key }| LoadedVersion {
            number: record.number.number(),
            verify_until: record.verify_until,
            key: key.as_ref().map(|key| Arc::new(SealKey::new(key, record.suite, record.number, realm))),
            record: Arc::new(record.clone()),
        });
        let mut keys = RealmKeys { realm, versions: loaded.collect() };
        keys.sort();
        keys
    }
}

/// Each version with its key. They come in the order of the versions that open.
fn matched(lines: Vec<VersionLine>, keys: &[u8]) -> Option<Vec<Exported>> {
    let (mut keys, mut versions) = (keys.as_chunks::<KEY_BYTES>(), Vec::<Exported>::new());
    for line in lines {
        if versions.iter().any(|before| before.record.number == line.version) {
            return None;
        }
        let mut key = None;
        if line.state.opens() {
            let (first, rest) = keys.0.split_first()?;
            (key, keys.0) = (Some(DerivedKey::new(Zeroizing::new(*first))), rest);
        }
        versions.push(Exported { record: line.record(), key });
    }
    (keys.0.is_empty() && keys.1.is_empty()).then_some(versions)
}

/// The first line with its line feed, and the signature in the second. That one is not signed, and has one spelling
/// alone.
fn split(text: &str) -> Option<(&str, [u8; 64])> {
    let lines = text.strip_suffix('\n')?;
    let (signed, last) = lines.split_at(lines.find('\n')? + 1);
    Some((signed, BASE64.decode(last).ok()?.try_into().ok()?))
}

impl VersionLine {
    fn of(record: &VersionRecord) -> Self {
        VersionLine {
            version: record.number,
            state: record.state,
            suite: record.suite,
            created_at: record.created_at,
            verify_until: record.verify_until,
            key_check_value: record.key_check_value,
        }
    }

    fn record(self) -> VersionRecord {
        VersionRecord {
            number: self.version,
            state: self.state,
            suite: self.suite,
            created_at: self.created_at,
            activated_at: None,
            seal_until: None,
            verify_until: self.verify_until,
            key_check_value: self.key_check_value,
            sources: Vec::new(),
        }
    }
}

impl fmt::Debug for RealmExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RealmExport");
        shown.field("keyring", &self.keyring).field("serial", &self.serial).field("realm", &self.realm);
        shown.finish_non_exhaustive()
    }
}
