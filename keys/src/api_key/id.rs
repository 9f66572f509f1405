//! The API-key id: the public beginning of an API key, by which people and programs speak of it.

use std::{fmt, str::FromStr};

use super::text::{ID_BYTES, ID_CHARS};
use crate::{base62, realm::Realm};

/// Characters of the longest id.
pub(crate) const MAX_ID_CHARS: usize = crate::realm::MAX_LEN + 1 + ID_CHARS;

/// An API key's id: its realm and 16 bytes, of which the first four are the key version. Written `realm_` and 22
/// characters, a literal prefix of the key; public, and what logs, ledger and revocations are keyed by.
///
/// ```
/// # use bulla::ApiKeyId;
/// let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
/// assert_eq!(id.realm().as_str(), "acme_live");
/// assert_eq!(id.version(), 7);
/// assert_eq!(id.to_string(), "acme_live_00000XzbyFf5rOyRXQyt8V");
/// # Ok::<(), bulla::ApiKeyIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId {
    realm: Realm,
    bytes: [u8; ID_BYTES],
}

/// A text that is no API-key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API-key id is the realm, `_` and 22 characters, such as `acme_live_00000XzbyFf5rOyRXQyt8V`")]
pub struct ApiKeyIdError;

impl ApiKeyId {
    pub(crate) fn new(realm: Realm, bytes: [u8; ID_BYTES]) -> Self {
        ApiKeyId { realm, bytes }
    }

    /// The id of a key that bulla did not seal, so that it can be listed, suspended and revoked like any other. Its
    /// version is 0, which no key version has, so it is never the id of an [`ApiKey`](crate::api_key::ApiKey) that a
    /// verifier accepts. The 12 bytes tell such keys of a realm apart.
    ///
    /// ```
    /// # use bulla::ApiKeyId;
    /// let id = ApiKeyId::unsealed("live".parse()?, [7; 12]);
    /// assert_eq!((id.version(), id.unsealed_name()), (0, Some([7; 12])));
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// # Ok::<(), bulla::RealmError>(())
    /// ```
    pub fn unsealed(realm: Realm, name: [u8; 12]) -> Self {
        let mut bytes = [0; ID_BYTES];
        bytes[ID_BYTES - name.len()..].copy_from_slice(&name);
        ApiKeyId { realm, bytes }
    }

    /// The 12 bytes of an id that [`ApiKeyId::unsealed`] made.
    pub fn unsealed_name(&self) -> Option<[u8; 12]> {
        let (version, name) = split(&self.bytes);
        (version == 0).then_some(*name)
    }

    /// The realm that issued the key.
    pub fn realm(&self) -> Realm {
        self.realm
    }

    /// The number of the key version that the key names; nothing says that it exists.
    pub fn version(&self) -> u32 {
        split(&self.bytes).0
    }

    /// The version and the first 12 bytes of the nonce, which make the id unique.
    pub(crate) fn bytes(&self) -> &[u8; ID_BYTES] {
        &self.bytes
    }
}

/// The version's number, and the first 12 bytes of the nonce.
pub(crate) fn split(id: &[u8; ID_BYTES]) -> (u32, &[u8; 12]) {
    let [a, b, c, d, nonce @ ..] = id;
    (u32::from_be_bytes([*a, *b, *c, *d]), nonce)
}

impl FromStr for ApiKeyId {
    type Err = ApiKeyIdError;

    fn from_str(text: &str) -> Result<Self, ApiKeyIdError> {
        let (realm, body) = text.rsplit_once('_').ok_or(ApiKeyIdError)?;
        let realm = realm.parse().map_err(|_| ApiKeyIdError)?;
        let mut bytes = [0; ID_BYTES];
        if body.len() != ID_CHARS || base62::decode_into(body.as_bytes(), &mut bytes).is_none() {
            return Err(ApiKeyIdError);
        }
        Ok(ApiKeyId { realm, bytes })
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written once, as it is needed for every request that is accepted.
        let (realm, mut room) = (self.realm.as_slice(), [0; MAX_ID_CHARS]);
        let (name, rest) = room.split_at_mut(realm.len());
        let (underscore, body) = rest.split_at_mut(1);
        name.copy_from_slice(realm);
        underscore.copy_from_slice(b"_");
        base62::encode_digits(&self.bytes, &mut body[..ID_CHARS]);
        f.pad(std::str::from_utf8(&room[..realm.len() + 1 + ID_CHARS]).unwrap_or_default())
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base62_text(bytes: &[u8]) -> String {
        let mut text = String::new();
        base62::encode_into(bytes, &mut text);
        text
    }

    #[test]
    fn ids_go_there_and_back_and_nothing_else_does() {
        let id = ApiKeyId::new("live".parse().expect("a realm"), [0xff; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:>30.6}"), format!("{:>30.6}", id.to_string()), "aligned and cut as a text is");
        for realm in ["ab", "a2345678901234567890abcd"] {
            let id = ApiKeyId::new(realm.parse().expect("a realm"), [0x5a; 16]);
            assert_eq!(id.to_string(), format!("{realm}_{}", base62_text(&id.bytes)));
        }
        for bad in ["", "live", "live_", "live_0", "Live_00000XzbyFf5rOyRXQyt8V", "live_00000XzbyFf5rOyRXQyt8"] {
            assert_eq!(bad.parse::<ApiKeyId>(), Err(ApiKeyIdError), "{bad:?}");
        }
        assert_eq!(format!("live_{}", "z".repeat(22)).parse::<ApiKeyId>(), Err(ApiKeyIdError), "wraps 2^64");
    }
}
