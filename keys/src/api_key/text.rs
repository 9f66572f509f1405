//! The text of an API key taken apart: `realm _ body [ _ secret ] checksum`, nothing of it trusted yet.

use zeroize::Zeroizing;

use crate::{Rejection, base62, seal::Suite};

/// Longest API key in characters.
pub(crate) const MAX_LEN: usize = 512;
/// Bytes of the API-key id inside the body, and the characters they take.
pub(crate) const ID_BYTES: usize = 16;
pub(crate) const ID_CHARS: usize = base62::text_len(ID_BYTES);
pub(crate) const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = base62::text_len(SECRET_BYTES);
const CHECKSUM_CHARS: usize = base62::text_len(4);
/// Characters of what follows the body of a key with a secret half: `_`, the secret and the checksum.
const SECRET_ENDING_CHARS: usize = 1 + SECRET_CHARS + CHECKSUM_CHARS;

const MIN_BODY_BYTES: usize = ID_BYTES + Suite::MIN_SEALED;
const MAX_BODY_BYTES: usize = ID_BYTES + Suite::MAX_SEALED;
const MIN_LEN: usize = crate::realm::MIN_LEN + 1 + base62::text_len(MIN_BODY_BYTES) + CHECKSUM_CHARS;

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

/// Room for the longest body, on the stack of whoever decodes one.
pub(crate) type BodyBuffer = [u8; MAX_BODY_BYTES];

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

    /// Decodes the body into `buffer`: the id, and what lies under the seal, to be opened in place.
    #[inline]
    pub(crate) fn body<'b>(&self, buffer: &'b mut BodyBuffer) -> Result<(&'b [u8; ID_BYTES], &'b mut [u8]), Rejection> {
        let body =
            base62::decode_front(self.from_body.as_bytes(), self.body_chars, buffer).ok_or(Rejection::Malformed)?;
        let (id, sealed) = body.split_first_chunk_mut::<ID_BYTES>().ok_or(Rejection::Malformed)?;
        if sealed.len() < Suite::MIN_SEALED { Err(Rejection::Malformed) } else { Ok((id, sealed)) }
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
