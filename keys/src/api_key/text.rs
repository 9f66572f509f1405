//! The text of an API key taken apart: `realm _ body [ _ secret ] checksum`, nothing of it trusted yet.

use zeroize::Zeroizing;

use crate::{
    base62,
    realm::{PresumedRealm, Realm},
    rejection::Rejection,
    suite::Suite,
    vector::{self, Body, Level, PLAIN_SEALED},
};

/// Longest API key in characters.
pub(crate) const MAX_LEN: usize = 512;
const _: () = assert!(MAX_LEN <= vector::MAX_CHECKED, "a processor's vector units take every API key");
/// Bytes of the API-key id inside the body, and the characters they take.
pub(crate) const ID_BYTES: usize = 16;
pub(crate) const ID_CHARS: usize = base62::text_len(ID_BYTES);
pub(crate) const SECRET_BYTES: usize = 32;
pub(super) const SECRET_CHARS: usize = base62::text_len(SECRET_BYTES);
pub(crate) const CHECKSUM_CHARS: usize = base62::text_len(4);
/// Characters of what follows the body of a key with a secret half: `_`, the secret and the checksum.
const SECRET_ENDING_CHARS: usize = 1 + SECRET_CHARS + CHECKSUM_CHARS;

const MIN_BODY_BYTES: usize = ID_BYTES + Suite::MIN_SEALED;
const MAX_BODY_BYTES: usize = ID_BYTES + Suite::MAX_SEALED;
/// Characters of the shortest and of the longest body.
pub(super) const MIN_BODY_CHARS: usize = base62::text_len(MIN_BODY_BYTES);
pub(super) const MAX_BODY_CHARS: usize = base62::text_len(MAX_BODY_BYTES);
const MIN_LEN: usize = crate::realm::MIN_LEN + 1 + MIN_BODY_CHARS + CHECKSUM_CHARS;

/// Characters of the body of a key without claims.
const PLAIN_BODY_CHARS: usize = base62::text_len(ID_BYTES + PLAIN_SEALED);

/// The parts of a text with a right checksum, all of them bytes that were not looked at any further.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    text: &'a [u8],
    /// Characters of the realm, not yet held to the grammar of realms.
    realm_chars: usize,
    body_chars: usize,
    /// The secret half, 44 characters.
    pub(crate) secret: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    /// Takes `text` apart: length bounds, then the checksum, then the parts.
    #[inline(always)]
    pub(crate) fn split(text: &'a [u8]) -> Result<Self, Rejection> {
        if text.len() < MIN_LEN || text.len() > MAX_LEN {
            return Err(Rejection::Malformed);
        }
        let (checked, _) = text.split_at(text.len() - CHECKSUM_CHARS);
        let written = base62::decode_last(text, CHECKSUM_CHARS, 4).ok_or(Rejection::Checksum)?;
        let computed = vector::checksum(Level::here(), checked).unwrap_or_else(|| checksum(checked));
        if u64::from(computed) != written {
            return Err(Rejection::Checksum);
        }
        let mut realm_chars = vector::last_underscore(checked).ok_or(Rejection::Malformed)?;
        let mut body = &checked[realm_chars + 1..];
        let mut secret = None;
        if body.len() == SECRET_CHARS {
            secret = Some(body);
            let before = &checked[..realm_chars];
            realm_chars = vector::last_underscore(before).ok_or(Rejection::Malformed)?;
            body = &before[realm_chars + 1..];
        }
        Ok(Parts { text, realm_chars, body_chars: body.len(), secret })
    }

    /// The parts of a text that [`vector::read_plain`] said to be a key without claims.
    #[inline(always)]
    pub(crate) fn plain(text: &'a [u8]) -> Self {
        let realm_chars = text.len().saturating_sub(1 + PLAIN_BODY_CHARS + CHECKSUM_CHARS);
        Parts { text, realm_chars, body_chars: PLAIN_BODY_CHARS, secret: None }
    }

    /// What the accepted realms are compared with.
    #[inline(always)]
    pub(crate) fn presumed_realm(&self) -> Option<PresumedRealm> {
        PresumedRealm::of(self.text, self.realm_chars)
    }

    /// The realm, if it keeps to the grammar.
    pub(crate) fn realm(&self) -> Option<Realm> {
        Realm::new(&self.text[..self.realm_chars])
    }

    /// Decodes the id and what lies under the seal, and returns how many bytes that is.
    #[inline(always)]
    pub(crate) fn body(&self, body: &mut Body) -> Result<usize, Rejection> {
        base62::decode_body(Level::here(), &self.text[self.realm_chars + 1..], self.body_chars, body)
            .and_then(|length| length.checked_sub(ID_BYTES))
            .filter(|sealed| (Suite::MIN_SEALED..=Suite::MAX_SEALED).contains(sealed))
            .ok_or(Rejection::Malformed)
    }

    /// Holds the secret part, where there is one, to its shape.
    #[inline(always)]
    pub(crate) fn check_secret(&self) -> Result<(), Rejection> {
        if self.secret.is_none() { Ok(()) } else { self.secret_half().map(|_| ()).ok_or(Rejection::Malformed) }
    }

    /// The secret half, where there is a well-formed one.
    #[inline(never)]
    pub(crate) fn secret_half(&self) -> Option<Zeroizing<[u8; SECRET_BYTES]>> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        base62::decode_into(self.secret?, bytes.as_mut_slice())?;
        Some(bytes)
    }

    /// What a secret half is bound to: the text before it.
    pub(crate) fn before_secret(&self) -> &[u8] {
        &self.text[..self.realm_chars + 1 + self.body_chars]
    }
}

/// The checksum where the processor has no instructions for it.
#[cold]
fn checksum(text: &[u8]) -> u32 {
    crc32fast::hash(text)
}

/// The text made of its parts.
pub(crate) fn assemble(realm: &str, body: &[u8], secret: Option<&[u8; SECRET_BYTES]>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_LEN));
    text.push_str(realm);
    text.push('_');
    base62::encode_into(body, &mut text);
    let checksum = crc32fast::hash(text.as_bytes());
    match secret {
        Some(secret) => text.push_str(&secret_ending(checksum, secret)),
        None => base62::encode_into(&checksum.to_be_bytes(), &mut text),
    }
    text
}

/// What follows the body of a key with a secret half. `before` is the CRC-32 of the text up to there, from which the
/// checksum goes on.
pub(crate) fn secret_ending(before: u32, secret: &[u8; SECRET_BYTES]) -> Zeroizing<String> {
    let mut ending = Zeroizing::new(String::with_capacity(SECRET_ENDING_CHARS));
    ending.push('_');
    base62::encode_into(secret, &mut ending);
    let mut checksum = crc32fast::Hasher::new_with_initial(before);
    checksum.update(ending.as_bytes());
    base62::encode_into(&checksum.finalize().to_be_bytes(), &mut ending);
    ending
}
