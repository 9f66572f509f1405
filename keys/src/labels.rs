//! Every label of the format (`docs/FORMAT.md`): what separates the uses of one key from each other. The labels of
//! version 1 begin with `bulla/v1`; a key that HKDF derives has its label at the front of `info`.

use crate::{key_version::KeyVersion, keyring_id::KeyringId, realm::Realm, suite::Suite};

/// Stands at the front of the associated data of a seal.
pub(crate) const ASSOCIATED: &[u8] = b"bulla/v1\0";

/// The line before the fields of a stored secret-half row, which the pepper authenticates.
pub(crate) const SECRET_ROW: &str = "bulla secret row";

/// `info` of the seal key of one realm and key version.
pub(crate) fn seal(keyring: KeyringId, suite: Suite, version: KeyVersion, realm: Realm) -> Vec<u8> {
    let mut info = label("bulla/v1 seal", keyring);
    info.push(suite.number());
    info.extend(version.to_be_bytes());
    info.extend(realm.as_slice());
    info
}

/// `info` of the key-check value, whose first 8 bytes tell a wrong master key from the right one.
pub(crate) fn key_check(keyring: KeyringId, version: KeyVersion) -> Vec<u8> {
    let mut info = label("bulla/v1 kcv", keyring);
    info.extend(version.to_be_bytes());
    info
}

/// `info` of the key that authenticates the keyring document.
pub(crate) fn keyring_mac(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 keyring-mac", keyring)
}

/// `info` of the pepper, the key that hashes secret halves.
pub(crate) fn pepper(keyring: KeyringId, version: KeyVersion) -> Vec<u8> {
    let mut info = label("bulla/v1 pepper", keyring);
    info.extend(version.to_be_bytes());
    info
}

/// Stands before the signed bytes of a message of the revocation feed.
#[cfg(feature = "follow")]
pub(crate) fn feed(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 feed", keyring)
}

/// Stands before the signed bytes of an export.
#[cfg(feature = "follow")]
pub(crate) fn signed_export(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 signed-export", keyring)
}

/// `info` of the HPKE that an export is sealed with.
#[cfg(feature = "follow")]
pub(crate) fn export(keyring: KeyringId, realm: Realm) -> Vec<u8> {
    let mut info = label("bulla/v1 export", keyring);
    info.extend(realm.as_slice());
    info
}

/// `info` of the key that authenticates what an edge keeps on disk.
#[cfg(feature = "follow")]
pub(crate) fn edge_state(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 edge-state", keyring)
}

/// What an edge's key is tried with: its halves belong together if the private one opens what was sealed with it to the
/// public one.
#[cfg(feature = "follow")]
pub(crate) const EDGE_KEY: &[u8] = b"bulla/v1 edge-key";

fn label(name: &str, keyring: KeyringId) -> Vec<u8> {
    let mut info = name.as_bytes().to_vec();
    info.push(0);
    info.extend(keyring.as_bytes());
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::expand;

    #[test]
    fn the_pepper_is_that_of_the_worked_example() {
        let [source, id]: [Vec<u8>; 2] = [(0xc0..0xe0).collect(), (0xa0..0xb0).collect()];
        let keyring = KeyringId::from_bytes(id.try_into().expect("16 bytes"));
        let info = pepper(keyring, KeyVersion::FIRST);
        let pepper = expand(&source.try_into().expect("32 bytes"), &info);
        let written = "db827bec287a2fba499c840155574ebc88fe4cc02bc3730a59f3e1b92c7574a4";
        let spelled: String = pepper.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(spelled, written);
    }
}
