//! The layout of a set's keys: prefix, public part, and the part that was hashed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{encoding, scheme::Scheme};

/// Longest presented text that is checked, in bytes.
pub(super) const MAX_KEY: usize = 512;
/// Bytes of a binary key, and of the id that it begins with.
const BINARY_KEY: usize = 32;
pub(super) const BINARY_ID: usize = 16;
/// Bytes that bcrypt hashes: it ignores the rest of longer keys.
pub(super) const BCRYPT_SEES: usize = 72;
/// Bytes of a secret that must be among them, so that it cannot be guessed.
pub(super) const MIN_SECRET: usize = 16;

/// All that the keys of one set have in common. Stored beside them; two imports of the same layout are one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyLayout {
    pub(crate) scheme: Scheme,
    /// What every key begins with, and no public part does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
    pub(crate) public: PublicPart,
    pub(crate) hashed: Hashed,
    /// The name of the key in [imported.hmac_keys].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hmac_key: Option<String>,
}

/// Where in a key the public part is, by which its row is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublicPart {
    /// No public part: the row is found by the digest.
    None,
    /// So many characters behind the prefix.
    First(usize),
    /// What stands before the last of these.
    Before(String),
    /// The first 16 of a binary key's 32 bytes.
    Id,
}

/// What of a key was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hashed {
    /// All of it, with the prefix.
    Whole,
    /// What follows the public part, and the separator where there is one.
    Secret,
    /// The 32 bytes that the text encodes.
    Bytes,
}

/// A layout that no keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyLayoutError {
    #[error("{0} finds a row by the public part of a key: name its place")]
    PublicPartNeeded(Scheme),
    #[error("sha256-id-key-salt has its public part in the key: it takes no prefix and no other place")]
    PublicPartGiven,
    #[error("a public part must have 1 to {MAX_KEY} characters, and a separator must not be empty")]
    PublicPartEmpty,
    #[error("where only the secret was hashed, the keys need a public part")]
    NothingBefore,
    #[error("hmac-sha256, and no other scheme, takes the name of a key in [imported.hmac_keys]")]
    HmacKey,
}

/// A presented text, split by a layout.
pub(super) struct Split<'t> {
    /// Finds the row, unless the digest does.
    pub(super) public: Option<Cow<'t, [u8]>>,
    /// What is hashed.
    pub(super) hashed: Zeroizing<Vec<u8>>,
}

impl KeyLayout {
    /// Refuses a layout whose parts contradict each other.
    pub(crate) fn check(&self) -> Result<(), KeyLayoutError> {
        let binary = self.scheme == Scheme::Sha256IdKeySalt;
        match &self.public {
            PublicPart::Id if !binary => return Err(KeyLayoutError::PublicPartNeeded(self.scheme)),
            _ if binary && (self.public != PublicPart::Id || !self.prefix.is_empty()) => {
                return Err(KeyLayoutError::PublicPartGiven);
            }
            PublicPart::None if !self.scheme.goes_without_public_part() => {
                return Err(KeyLayoutError::PublicPartNeeded(self.scheme));
            }
            PublicPart::First(count) if !(1..=MAX_KEY).contains(count) => return Err(KeyLayoutError::PublicPartEmpty),
            PublicPart::Before(separator) if separator.is_empty() => return Err(KeyLayoutError::PublicPartEmpty),
            _ => {}
        }
        if self.hashed == Hashed::Secret && self.public == PublicPart::None {
            return Err(KeyLayoutError::NothingBefore);
        }
        if self.hmac_key.is_some() != (self.scheme == Scheme::HmacSha256) {
            return Err(KeyLayoutError::HmacKey);
        }
        Ok(())
    }

    /// Bytes of what is hashed that stand before the secret, in a key with this public part.
    pub(super) fn before_secret(&self, public: Option<&[u8]>) -> usize {
        let separator = match &self.public {
            PublicPart::Before(separator) => separator.len(),
            _ => 0,
        };
        match self.hashed {
            Hashed::Whole => self.prefix.len() + public.map_or(0, <[u8]>::len) + separator,
            Hashed::Secret | Hashed::Bytes => 0,
        }
    }

    /// Whether the hash sees enough of the secret: bcrypt sees 72 bytes of all that is hashed.
    pub(super) fn sees_secret(&self, public: Option<&[u8]>) -> bool {
        self.scheme != Scheme::Bcrypt || self.before_secret(public) + MIN_SECRET <= BCRYPT_SEES
    }

    /// Splits a presented text; `None` where it is not a key of this layout.
    pub(super) fn split<'t>(&self, text: &'t str) -> Option<Split<'t>> {
        if text.len() > MAX_KEY {
            return None;
        }
        if self.public == PublicPart::Id {
            let bytes = Zeroizing::new(encoding::fixed::<BINARY_KEY>(text)?);
            let public = Some(Cow::Owned(bytes[..BINARY_ID].to_vec()));
            return Some(Split { public, hashed: Zeroizing::new(bytes.to_vec()) });
        }
        let behind = text.strip_prefix(&self.prefix)?;
        let (public, secret) = match &self.public {
            PublicPart::None | PublicPart::Id => (None, behind),
            PublicPart::First(count) => {
                let at = behind.char_indices().nth(*count)?.0;
                (Some(&behind[..at]), &behind[at..])
            }
            PublicPart::Before(separator) => {
                let (public, secret) = behind.rsplit_once(separator.as_str())?;
                (Some(public), secret)
            }
        };
        if secret.is_empty() || public.is_some_and(str::is_empty) {
            return None;
        }
        let hashed = if self.hashed == Hashed::Secret { secret } else { text };
        Some(Split {
            public: public.map(|public| Cow::Borrowed(public.as_bytes())),
            hashed: Zeroizing::new(hashed.as_bytes().to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(scheme: Scheme, prefix: &str, public: PublicPart, hashed: Hashed) -> KeyLayout {
        KeyLayout { scheme, prefix: prefix.to_owned(), public, hashed, hmac_key: None }
    }

    fn split(layout: &KeyLayout, text: &str) -> Option<(String, String)> {
        let split = layout.split(text)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((split.public.map_or_else(|| "-".to_owned(), |public| text(&public)), text(&split.hashed)))
    }

    fn pair(public: &str, hashed: &str) -> Option<(String, String)> {
        Some((public.to_owned(), hashed.to_owned()))
    }

    #[test]
    fn keys_are_taken_apart_as_the_rule_says() {
        let plain = layout(Scheme::Sha256, "sk_", PublicPart::None, Hashed::Whole);
        assert_eq!(split(&plain, "sk_abc"), pair("-", "sk_abc"));
        assert_eq!((split(&plain, "sk_"), split(&plain, "pk_abc")), (None, None));
        let first = layout(Scheme::Bcrypt, "sk_", PublicPart::First(4), Hashed::Whole);
        assert_eq!(split(&first, "sk_abcdefg"), pair("abcd", "sk_abcdefg"));
        assert_eq!((split(&first, "sk_abcd"), split(&first, "sk_ab")), (None, None), "nothing is left to be secret");
        let dotted = layout(Scheme::Bcrypt, "", PublicPart::Before(".".to_owned()), Hashed::Secret);
        assert_eq!(split(&dotted, "a.b.c"), pair("a.b", "c"));
        assert_eq!((split(&dotted, ".c"), split(&dotted, "a."), split(&dotted, "ac")), (None, None, None));
        assert_eq!(split(&first, &format!("sk_{}", "é".repeat(5))), pair("éééé", &format!("sk_{}", "é".repeat(5))));
        assert_eq!(split(&plain, &format!("sk_{}", "a".repeat(MAX_KEY))), None, "longer than any key");
    }

    #[test]
    fn bcrypt_has_to_see_enough_of_the_secret() {
        let whole = layout(Scheme::Bcrypt, "sk_live_", PublicPart::Before("_".to_owned()), Hashed::Whole);
        let sees = |layout: &KeyLayout, public: usize| layout.sees_secret(Some(&vec![b'a'; public]));
        assert_eq!([47, 48, 63, 64].map(|public| sees(&whole, public)), [true, false, false, false]);
        let secret = KeyLayout { hashed: Hashed::Secret, ..whole.clone() };
        assert!(sees(&secret, 64), "what stands before is not hashed");
        assert!(sees(&KeyLayout { scheme: Scheme::Argon2id, ..whole }, 64), "others see all");
    }

    #[test]
    fn a_binary_key_is_its_bytes_however_they_are_written() {
        let binary = layout(Scheme::Sha256IdKeySalt, "", PublicPart::Id, Hashed::Bytes);
        let bytes: Vec<u8> = (16..48).collect();
        for text in [
            "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
            "EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8=",
            "EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8",
        ] {
            let split = binary.split(text).expect("a key");
            assert_eq!((&*split.public.expect("an id"), &split.hashed[..]), (&bytes[..16], &bytes[..]), "{text}");
        }
        assert!(binary.split("101112131415161718191a1b1c1d1e1f").is_none());
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let before = || PublicPart::Before("_".to_owned());
        for (scheme, public, hashed, error) in [
            (Scheme::Bcrypt, PublicPart::None, Hashed::Whole, Some(KeyLayoutError::PublicPartNeeded(Scheme::Bcrypt))),
            (Scheme::Bcrypt, before(), Hashed::Secret, None),
            (Scheme::Sha256, PublicPart::None, Hashed::Whole, None),
            (Scheme::Sha256, PublicPart::None, Hashed::Secret, Some(KeyLayoutError::NothingBefore)),
            (Scheme::Sha256, PublicPart::First(0), Hashed::Whole, Some(KeyLayoutError::PublicPartEmpty)),
            (Scheme::Sha256IdKeySalt, before(), Hashed::Whole, Some(KeyLayoutError::PublicPartGiven)),
            (Scheme::Sha256IdKeySalt, PublicPart::Id, Hashed::Bytes, None),
            (Scheme::HmacSha256, PublicPart::None, Hashed::Whole, Some(KeyLayoutError::HmacKey)),
        ] {
            assert_eq!(layout(scheme, "", public, hashed).check().err(), error, "{scheme}");
        }
    }
}
