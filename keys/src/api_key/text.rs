//! The text of an API key taken apart: `realm _ body [ _ secret ] checksum`, nothing of it trusted yet.

use zeroize::Zeroizing;

use crate::{base62, rejection::Rejection, suite::Suite};

/// Longest API key in characters.
pub(crate) const MAX_LEN: usize = 512;
/// Bytes of the API-key id inside the body, and the characters they take.
pub(crate) const ID_BYTES: usize = 16;
pub(crate) const ID_CHARS: usize = base62::text_len(ID_BYTES);
pub(crate) const SECRET_BYTES: usize = 32;
pub(super) const SECRET_CHARS: usize = base62::text_len(SECRET_BYTES);
pub(super) const CHECKSUM_CHARS: usize = base62::text_len(4);
/// Characters of what follows the body of a key with a secret half: `_`, the secret and the checksum.
const SECRET_ENDING_CHARS: usize = 1 + SECRET_CHARS + CHECKSUM_CHARS;

const MIN_BODY_BYTES: usize = ID_BYTES + Suite::MIN_SEALED;
const MAX_BODY_BYTES: usize = ID_BYTES + Suite::MAX_SEALED;
/// Characters of the shortest and of the longest body.
pub(super) const MIN_BODY_CHARS: usize = base62::text_len(MIN_BODY_BYTES);
pub(super) const MAX_BODY_CHARS: usize = base62::text_len(MAX_BODY_BYTES);
const MIN_LEN: usize = crate::realm::MIN_LEN + 1 + MIN_BODY_CHARS + CHECKSUM_CHARS;

/// The parts of a text with a right checksum.
pub(crate) struct Parts<'a> {
    /// Not yet held to the grammar of realms.
    pub(crate) realm: &'a str,
    /// The secret half, 44 characters.
    pub(crate) secret: Option<&'a str>,
    /// The body and all that follows it.
    from_body: &'a str,
    body_chars: usize,
}

/// Room for the longest body, on the stack of its decoder.
pub(crate) type BodyBuffer = [u8; MAX_BODY_BYTES];

/// What stands in the place of the id, where the realm has so many characters: enough to fetch memory by, and nothing to
/// believe.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    realm_chars: usize,
    pub(crate) id: [u8; ID_BYTES],
}

impl Ahead {
    #[inline]
    pub(crate) fn read(text: &str, realm_chars: usize) -> Option<Self> {
        let (joint, body) = text.as_bytes().get(realm_chars..)?.split_first()?;
        let id = decode_id(body).filter(|_| *joint == b'_')?;
        Some(Ahead { realm_chars, id })
    }
}

impl<'a> Parts<'a> {
    /// Takes `text` apart: length bounds, then the checksum, then the parts.
    #[inline]
    pub(crate) fn split(text: &'a str) -> Result<Self, Rejection> {
        if text.len() < MIN_LEN || text.len() > MAX_LEN {
            return Err(Rejection::Malformed);
        }
        // A text cut inside a character is no API key; its checksum would be no base62 either.
        let (checked, checksum) = text.split_at_checked(text.len() - CHECKSUM_CHARS).ok_or(Rejection::Checksum)?;
        let mut crc = [0; 4];
        base62::decode_into(checksum.as_bytes(), &mut crc).ok_or(Rejection::Checksum)?;
        if crc32fast::hash(checked.as_bytes()) != u32::from_be_bytes(crc) {
            return Err(Rejection::Checksum);
        }
        let (before, last) = split_last(checked)?;
        let (realm, body, secret) = if last.len() == SECRET_CHARS {
            let (realm, body) = split_last(before)?;
            (realm, body, Some(last))
        } else {
            (before, last, None)
        };
        let from_body = &text[realm.len() + 1..];
        Ok(Parts { realm, secret, from_body, body_chars: body.len() })
    }

    /// Decodes the body into `buffer`: the id, and what lies under the seal, to be opened in place. An id that was read ahead,
    /// and in the right place, is not decoded again.
    #[inline]
    pub(crate) fn body<'b>(
        &self,
        ahead: Option<Ahead>,
        buffer: &'b mut BodyBuffer,
    ) -> Result<(&'b [u8; ID_BYTES], &'b mut [u8]), Rejection> {
        let text = self.from_body.as_bytes();
        let (id, sealed) = buffer.split_first_chunk_mut::<ID_BYTES>().ok_or(Rejection::Malformed)?;
        match ahead.filter(|ahead| ahead.realm_chars == self.realm.len()) {
            Some(ahead) => *id = ahead.id,
            None => *id = decode_id(text).ok_or(Rejection::Malformed)?,
        }
        let chars = self.body_chars.checked_sub(ID_CHARS).ok_or(Rejection::Malformed)?;
        let sealed = text.get(ID_CHARS..).and_then(|text| base62::decode_front(text, chars, sealed));
        sealed
            .filter(|sealed| sealed.len() >= Suite::MIN_SEALED)
            .map(|sealed| (&*id, sealed))
            .ok_or(Rejection::Malformed)
    }

    /// Holds the secret part, where there is one, to its shape.
    pub(crate) fn check_secret(&self) -> Result<(), Rejection> {
        if self.secret.is_none() { Ok(()) } else { self.secret_half().map(|_| ()).ok_or(Rejection::Malformed) }
    }

    /// The secret half, where there is a well-formed one.
    pub(crate) fn secret_half(&self) -> Option<Zeroizing<[u8; SECRET_BYTES]>> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        base62::decode_into(self.secret?.as_bytes(), bytes.as_mut_slice())?;
        Some(bytes)
    }

    /// What a secret half is bound to: the text before it, in three pieces.
    pub(crate) fn before_secret(&self) -> [&[u8]; 3] {
        [self.realm.as_bytes(), b"_", &self.from_body.as_bytes()[..self.body_chars]]
    }
}

/// The id at the front of a body.
#[inline]
fn decode_id(body: &[u8]) -> Option<[u8; ID_BYTES]> {
    let mut id = [0; ID_BYTES];
    base62::decode_front(body, ID_CHARS, &mut id)?;
    Some(id)
}

fn split_last(text: &str) -> Result<(&str, &str), Rejection> {
    let at = memchr::memrchr(b'_', text.as_bytes()).ok_or(Rejection::Malformed)?;
    Ok((&text[..at], &text[at + 1..]))
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = [
        "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw",
        "acme_live_00000YsKCmZ9zuH4PcLyd16ixLiyW8RsPDOzajtay2cN5wmccPAZiikEoIHvfjBpQQBEjDlUTBPki3Nz9S0Bb66_B226E8ACFV9\
         BimeKbrQQkZCPXCR5YebzzD6HkXZFsnFP3z6hnV",
    ];

    #[test]
    fn what_is_read_ahead_is_the_id_and_elsewhere_is_none() {
        for text in KEYS {
            let (parts, mut buffer) = (Parts::split(text).expect("a key"), [0; _]);
            let (id, sealed) = parts.body(None, &mut buffer).expect("a body");
            let ahead = Ahead::read(text, parts.realm.len()).expect("an id");
            assert_eq!(ahead.id, *id);
            let mut again = [0; _];
            assert_eq!(parts.body(Some(ahead), &mut again).expect("a body"), (id, sealed));
            for elsewhere in (0..=text.len()).filter(|chars| *chars != parts.realm.len()) {
                let ahead = Ahead::read(text, elsewhere);
                assert!(ahead.is_none_or(|_| elsewhere > crate::realm::MAX_LEN), "behind {elsewhere} characters");
            }
            // What was read in another place than the id's is not taken for it.
            let wrong = Ahead { realm_chars: 3, id: [7; ID_BYTES] };
            let mut again = [0; _];
            assert_eq!(parts.body(Some(wrong), &mut again).expect("a body").0, id);
        }
    }
}
