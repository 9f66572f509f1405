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

const MIN_LEN: usize = crate::realm::MIN_LEN + 1 + base62::text_len(ID_BYTES + Suite::MIN_SEALED) + CHECKSUM_CHARS;

/// A text cut into its parts, whose checksum nobody has looked at yet.
pub(crate) struct Cut<'a> {
    checked: &'a str,
    checksum: &'a str,
    parts: Option<Parts<'a>>,
}

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

/// Room for the longest seal, on the stack of whoever decodes one.
pub(crate) type SealedBuffer = [u8; Suite::MAX_SEALED];

impl<'a> Cut<'a> {
    /// Cuts a text that is neither too short nor too long.
    #[inline]
    pub(crate) fn new(text: &'a str) -> Result<Self, Rejection> {
        if text.len() < MIN_LEN || text.len() > MAX_LEN {
            return Err(Rejection::Malformed);
        }
        // A text cut inside a character is no API key; its checksum would be no base62 either.
        let (checked, checksum) = text.split_at_checked(text.len() - CHECKSUM_CHARS).ok_or(Rejection::Checksum)?;
        Ok(Cut { checked, checksum, parts: Parts::find(text, checked) })
    }

    /// Decodes the id as it stands there: enough to fetch memory by, and nothing to believe.
    #[inline]
    pub(crate) fn id<'b>(&self, room: &'b mut [u8; ID_BYTES]) -> Option<&'b [u8; ID_BYTES]> {
        self.parts.as_ref()?.id(room)
    }

    /// The parts, where the checksum is right.
    #[inline]
    pub(crate) fn check(self) -> Result<Parts<'a>, Rejection> {
        let mut crc = [0; 4];
        base62::decode_into(self.checksum.as_bytes(), &mut crc).ok_or(Rejection::Checksum)?;
        if crc32fast::hash(self.checked.as_bytes()) != u32::from_be_bytes(crc) {
            return Err(Rejection::Checksum);
        }
        self.parts.ok_or(Rejection::Malformed)
    }
}

impl<'a> Parts<'a> {
    /// Takes `text` apart: length bounds, then the checksum, then the parts.
    #[inline]
    pub(crate) fn split(text: &'a str) -> Result<Self, Rejection> {
        Cut::new(text)?.check()
    }

    /// The parts of `text`, of which `checked` is all but the checksum.
    #[inline]
    fn find(text: &'a str, checked: &'a str) -> Option<Self> {
        let (before, last) = split_last(checked)?;
        let (realm, body, secret) = if last.len() == SECRET_CHARS {
            let (realm, body) = split_last(before)?;
            (realm, body, Some(last))
        } else {
            (before, last, None)
        };
        let from_body = &text[realm.len() + 1..];
        Some(Parts { realm, secret, from_body, body_chars: body.len() })
    }

    /// Decodes the id into `room`.
    #[inline]
    pub(crate) fn id<'b>(&self, room: &'b mut [u8; ID_BYTES]) -> Option<&'b [u8; ID_BYTES]> {
        let chars = ID_CHARS.min(self.body_chars);
        base62::decode_front(self.from_body.as_bytes(), chars, room)?.first_chunk()
    }

    /// Decodes what lies under the seal into `buffer`, to be opened in place.
    #[inline]
    pub(crate) fn sealed<'b>(&self, buffer: &'b mut SealedBuffer) -> Result<&'b mut [u8], Rejection> {
        let (_, text) = self.from_body.as_bytes().split_at_checked(ID_CHARS).ok_or(Rejection::Malformed)?;
        let sealed = self.body_chars.checked_sub(ID_CHARS).and_then(|chars| base62::decode_front(text, chars, buffer));
        sealed.filter(|sealed| sealed.len() >= Suite::MIN_SEALED).ok_or(Rejection::Malformed)
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

fn split_last(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memrchr(b'_', text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
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
