//! An edge's key pair: keys of a realm are sealed to its public half.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::ExportError;
use crate::{
    derive::{DerivedKey, expand},
    keyring_id::KeyringId,
    labels,
    seal::hpke::{self, HPKE_KEY, Sealed},
};

const RECIPIENT: &str = "bulla-edge-";
const SECRET: &str = "BULLA-EDGE-SECRET-";
const CHECKSUM: usize = 4;

/// The public half of an edge's key: its holder can seal to the edge, and open nothing. Its text begins with
/// `bulla-edge-` and ends with a checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; HPKE_KEY]);

/// An edge's key pair, wiped when dropped. Its holder has the seal keys of every export to it.
#[derive(Debug)]
pub struct EdgeKey {
    recipient: Recipient,
    private: SecretBox<[u8; HPKE_KEY]>,
}

/// Authenticates what an edge keeps on its own disk, under a key derived from the edge's private one.
#[derive(Clone, Debug)]
pub struct EdgeMac(Arc<DerivedKey>);

impl EdgeKey {
    /// A new one, from the operating system's generator.
    pub fn generate() -> Result<Self, ExportError> {
        let (public, private) = hpke::new_key_pair().map_err(|_| ExportError::Cipher)?;
        Ok(EdgeKey::of(public, &private))
    }

    fn of(public: [u8; HPKE_KEY], private: &[u8; HPKE_KEY]) -> Self {
        let private = SecretBox::init_with_mut(|kept: &mut [u8; HPKE_KEY]| kept.copy_from_slice(private));
        EdgeKey { recipient: Recipient(public), private }
    }

    /// Reads the text of [`EdgeKey::to_text`]; lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, ExportError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(ExportError::NoEdgeKey) };
        let bytes: Zeroizing<[u8; 2 * HPKE_KEY]> = Zeroizing::new(decode(SECRET, line).ok_or(ExportError::NoEdgeKey)?);
        let (mut public, mut private) = ([0; HPKE_KEY], Zeroizing::new([0; HPKE_KEY]));
        public.copy_from_slice(&bytes[..HPKE_KEY]);
        private.copy_from_slice(&bytes[HPKE_KEY..]);
        // If they do not match, nothing that is sealed to the edge would ever open.
        let sealed = hpke::seal(&public, labels::EDGE_KEY, &[]).map_err(|_| ExportError::NoEdgeKey)?;
        hpke::open(&private, labels::EDGE_KEY, sealed).map_err(|_| ExportError::NoEdgeKey)?;
        Ok(EdgeKey::of(public, &private))
    }

    /// The key as text, with its recipient in a comment. It is for a file that nobody else can read.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 2 * HPKE_KEY]);
        bytes[..HPKE_KEY].copy_from_slice(&self.recipient.0);
        bytes[HPKE_KEY..].copy_from_slice(self.private.expose_secret());
        let secret = encode(SECRET, &*bytes);
        Zeroizing::new(format!("# The key of a bulla edge. Its recipient is {}\n{}\n", self.recipient(), &*secret))
    }

    /// Its public half.
    pub fn recipient(&self) -> Recipient {
        self.recipient
    }

    /// What authenticates this edge's own files about one keyring.
    pub fn mac(&self, keyring: KeyringId) -> EdgeMac {
        EdgeMac(expand(self.private.expose_secret(), &labels::edge_state(keyring)).into())
    }

    pub(super) fn open(&self, info: &[u8], sealed: Sealed) -> Result<Zeroizing<Vec<u8>>, ExportError> {
        hpke::open(self.private.expose_secret(), info, sealed).map_err(|_| ExportError::Cipher)
    }
}

impl EdgeMac {
    /// Uses a key derived elsewhere.
    #[cfg(feature = "gateway")]
    pub(crate) fn of(key: DerivedKey) -> Self {
        EdgeMac(key.into())
    }

    /// The tag of nothing yet, to add bytes to piece by piece.
    #[cfg(feature = "follow")]
    pub(crate) fn begin(&self) -> Hmac<Sha256> {
        self.0.hmac(&[])
    }

    /// The tag of these bytes: HMAC-SHA256.
    pub fn tag(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.hmac(bytes).finalize().into_bytes().into()
    }

    /// Returns whether this is the tag of these bytes, in constant time.
    pub fn verifies(&self, bytes: &[u8], tag: &[u8; 32]) -> bool {
        self.0.hmac(bytes).verify(tag.into()).is_ok()
    }
}

/// `BASE64URL(bytes ‖ CRC32(bytes))` behind `prefix`.
fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let mut checked = Zeroizing::new(Vec::with_capacity(bytes.len() + CHECKSUM));
    checked.extend_from_slice(bytes);
    checked.extend_from_slice(&crc32fast::hash(bytes).to_be_bytes());
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + checked.len() * 2));
    text.push_str(prefix);
    BASE64URL.encode_string(&*checked, &mut text);
    text
}

fn decode<const N: usize>(prefix: &str, text: &str) -> Option<[u8; N]> {
    let checked = Zeroizing::new(BASE64URL.decode(text.strip_prefix(prefix)?).ok()?);
    let (bytes, checksum) = checked.split_last_chunk::<CHECKSUM>()?;
    (crc32fast::hash(bytes).to_be_bytes() == *checksum).then_some(bytes)?.try_into().ok()
}

impl FromStr for Recipient {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, ExportError> {
        if text.starts_with(SECRET) {
            return Err(ExportError::SecretAsRecipient);
        }
        decode(RECIPIENT, text).map(Recipient).ok_or(ExportError::NoRecipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&encode(RECIPIENT, &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_recipient_and_neither_the_key_nor_the_mac_s() {
        let key = EdgeKey::generate().expect("the system's generator");
        let secret = key.private.expose_secret().map(|byte| byte.to_string()).join(", ");
        let shown = format!("{key:?} {:?}", key.mac(KeyringId::from_bytes([1; 16])));
        assert!(shown.contains(&key.recipient().to_string()) && shown.matches("REDACTED").count() == 2, "{shown}");
        assert!(!shown.contains(&secret) && !shown.contains(SECRET), "{shown}");
    }

    #[test]
    fn a_key_is_read_back_from_its_text() {
        let key = EdgeKey::generate().expect("the system's generator");
        let read = EdgeKey::parse(&key.to_text()).expect("its own text");
        assert!(read.recipient() == key.recipient() && read.private.expose_secret() == key.private.expose_secret());
    }
}
