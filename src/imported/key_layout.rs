//! The layout of a set's keys: prefix, public part, the part that was hashed, and all that its hashes have in common.

use serde::{Deserialize, Serialize};

use super::{
    Before, Derived,
    digest::MAX_DIGEST,
    old_secret::{self, OldSecret, OldSecretError},
    scheme::{Cost, Scheme},
};
use crate::config::Config;

/// Longest presented text that is checked, in bytes.
pub(super) const MAX_KEY: usize = 512;
/// Bytes of a binary key, and of the id that it begins with.
pub(super) const BINARY_KEY: usize = 32;
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
    /// The name of the secret in imported.secrets; the store knows it by its first name.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "hmac_key")]
    pub(crate) secret: Option<String>,
    /// How the secret is made of what the file holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) derived: Option<Derived>,
    /// What is done with the key before it is hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Before>,
    /// The costs of hashes that are found by themselves, as all rows have the same salt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Cost>,
    /// Bytes of such a hash, unless it has 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<usize>,
    /// The salt of all rows, where it is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) salt: Option<String>,
    /// How what stands behind the prefix is written.
    #[serde(default, skip_serializing_if = "Written::is_plain")]
    pub(crate) written: Written,
    /// Whether several keys may have the same public part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) shared: bool,
}

/// Where in a key the public part is, by which its row is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublicPart {
    /// No public part: the row is found by the digest.
    None,
    /// So many characters behind the prefix.
    First(usize),
    /// So many characters at the end.
    Last(usize),
    /// So many characters behind the prefix, and so many at the end.
    Ends(usize, usize),
    /// What stands before the last of these.
    Before(String),
    /// What stands before the first of these.
    BeforeFirst(String),
    /// The member of this name of a JSON object, whose second named member is the secret.
    Member(String, String),
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
    /// The bytes that this secret is in base64 or base64url.
    DecodedSecret,
    /// The bytes that this secret is in hexadecimal.
    HexSecret,
    /// The bytes that all behind the prefix is in hexadecimal.
    Hex,
    /// What follows the prefix, without so many characters at the end: sets of older imports.
    Trimmed(usize),
    /// What stands between the prefix and `_CHECKSUM`, which is the salt, too.
    Checksummed,
    /// The 32 bytes that the text encodes.
    Bytes,
}

/// How a key is written behind its prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Written {
    /// As it is.
    #[default]
    Plain,
    /// In base64 or base64url of a text.
    Base64,
}

impl Written {
    fn is_plain(&self) -> bool {
        *self == Written::Plain
    }
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
    #[error("where only the secret was hashed, the keys need a public part or a prefix")]
    NothingBefore,
    #[error("where all behind the prefix is hexadecimal, the public part must be so many characters of it")]
    HexWithSeparator,
    #[error("{0} needs a secret of imported.secrets")]
    SecretNeeded(Scheme),
    #[error("{0} uses no secret of imported.secrets, unless it is added to the key before hashing")]
    SecretGiven(Scheme),
    #[error("the costs are those of another scheme than {0}")]
    Cost(Scheme),
    #[error("hashes of these costs and this length are above the ceilings")]
    TooCostly,
    #[error("a salt of all rows is for {0} only with its costs, and without a public part")]
    Salt(Scheme),
    #[error("keys that are found by their digest have no public part that several could have")]
    Shared,
}

impl KeyLayout {
    /// The layout of keys of this scheme, and nothing else.
    pub(crate) fn new(scheme: Scheme) -> Self {
        KeyLayout {
            scheme,
            prefix: String::new(),
            public: PublicPart::None,
            hashed: Hashed::Whole,
            secret: None,
            derived: None,
            before: None,
            cost: None,
            bytes: None,
            salt: None,
            written: Written::Plain,
            shared: false,
        }
    }

    /// Refuses a layout whose parts contradict each other.
    pub(crate) fn check(&self) -> Result<(), KeyLayoutError> {
        let (scheme, binary) = (self.scheme, self.scheme == Scheme::Sha256IdKeySalt);
        match &self.public {
            PublicPart::Id if !binary => return Err(KeyLayoutError::PublicPartNeeded(scheme)),
            _ if binary && (self.public != PublicPart::Id || !self.prefix.is_empty()) => {
                return Err(KeyLayoutError::PublicPartGiven);
            }
            PublicPart::None if !self.is_found_by_digest() => return Err(KeyLayoutError::PublicPartNeeded(scheme)),
            PublicPart::First(count) | PublicPart::Last(count) if !(1..=MAX_KEY).contains(count) => {
                return Err(KeyLayoutError::PublicPartEmpty);
            }
            PublicPart::Ends(first, last) if !(1..=MAX_KEY).contains(&first.saturating_add(*last)) => {
                return Err(KeyLayoutError::PublicPartEmpty);
            }
            PublicPart::Before(separator) | PublicPart::BeforeFirst(separator) if separator.is_empty() => {
                return Err(KeyLayoutError::PublicPartEmpty);
            }
            _ => {}
        }
        if self.hashed == Hashed::Secret && self.public == PublicPart::None && self.prefix.is_empty() {
            return Err(KeyLayoutError::NothingBefore);
        }
        let ends_with_more =
            matches!(self.public, PublicPart::Before(_) | PublicPart::BeforeFirst(_) | PublicPart::Member(..));
        if self.hashed == Hashed::Hex && ends_with_more {
            return Err(KeyLayoutError::HexWithSeparator);
        }
        self.check_secret()?;
        if self.cost.is_some_and(|cost| cost.scheme() != scheme) {
            return Err(KeyLayoutError::Cost(scheme));
        }
        if self.cost.is_some_and(|cost| !cost.is_bearable(self.digest_len())) || self.digest_len() > MAX_DIGEST {
            return Err(KeyLayoutError::TooCostly);
        }
        if self.salt.is_some() && (self.public != PublicPart::None || scheme.is_text() && self.cost.is_none()) {
            return Err(KeyLayoutError::Salt(scheme));
        }
        if self.shared && self.public == PublicPart::None { Err(KeyLayoutError::Shared) } else { Ok(()) }
    }

    fn check_secret(&self) -> Result<(), KeyLayoutError> {
        let before = self.before.is_some_and(Before::takes_secret);
        let needed = self.scheme.is_hmac() || before;
        // Argon2 takes one, and a salt of all rows may be one.
        let taken = needed || self.salts_with_secret() || matches!(self.scheme, Scheme::Argon2id | Scheme::HashString);
        match (&self.secret, needed, taken) {
            (None, true, _) => Err(KeyLayoutError::SecretNeeded(self.scheme)),
            (Some(_), _, false) => Err(KeyLayoutError::SecretGiven(self.scheme)),
            _ => Ok(()),
        }
    }

    /// The secret that it names, if any.
    pub(crate) fn open_secret(&self, config: &Config) -> Result<Option<OldSecret>, OldSecretError> {
        self.secret.as_ref().map(|name| OldSecret::open(name, self.derived, config)).transpose()
    }

    /// Returns whether the file of that secret is read as base64 because its URI does not say how it is written.
    pub(crate) fn assumes_base64(&self, config: &Config) -> bool {
        self.secret.as_ref().is_some_and(|name| old_secret::assumes_base64(name, config))
    }

    /// Returns whether the secret is the salt of all rows.
    pub(super) fn salts_with_secret(&self) -> bool {
        let salted = self.scheme.has_salt() || self.cost.is_some();
        self.secret.is_some() && self.salt.is_none() && salted && !self.before.is_some_and(Before::takes_secret)
    }

    /// Returns whether no row has a salt of its own: all have the same, or each key holds its own.
    pub(crate) fn has_one_salt(&self) -> bool {
        self.salt.is_some() || self.salts_with_secret() || self.hashed == Hashed::Checksummed
    }

    /// The checksum behind such a secret: the CRC-32 (IEEE 802.3) of prefix and secret, its low byte first, in
    /// hexadecimal.
    pub(super) fn checksum(&self, secret: &[u8]) -> String {
        let mut crc = crc32fast::Hasher::new();
        crc.update(self.prefix.as_bytes());
        crc.update(secret);
        hex::encode(crc.finalize().to_le_bytes())
    }

    /// Returns whether the digest of a presented text finds its row.
    pub(super) fn is_found_by_digest(&self) -> bool {
        match (self.scheme.is_text(), self.cost) {
            (true, None) => false,
            (true, Some(_)) => self.has_one_salt(),
            (false, _) => !self.scheme.has_salt() || self.has_one_salt(),
        }
    }

    /// Bytes of a digest that finds a row.
    pub(super) fn digest_len(&self) -> usize {
        self.scheme.digest_len().or(self.bytes).unwrap_or(32)
    }

    /// Returns whether rows hold strings that say how they were made, and no digests.
    pub(crate) fn holds_text(&self) -> bool {
        self.scheme.is_text() && !(self.cost.is_some() && self.has_one_salt())
    }

    /// Returns whether a digest that finds a row takes a thread of its own.
    pub(crate) fn digest_is_slow(&self) -> bool {
        !self.holds_text() && self.cost.is_some_and(|cost| !cost.is_cheap())
    }

    /// Returns whether a key may have rows by both layouts that do not show it: one of them is a slow digest, and the
    /// hashes differ.
    pub(crate) fn hides_keys_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.prefix, &other.prefix);
        let is_found_slowly = |layout: &Self| layout.digest_is_slow() && layout.public == PublicPart::None;
        let (public, prefix) = (other.public.clone(), other.prefix.clone());
        let is_hashed_alike = Self { public, prefix, shared: other.shared, ..self.clone() } == *other;
        (one.starts_with(two.as_str()) || two.starts_with(one.as_str()))
            && (is_found_slowly(self) || is_found_slowly(other))
            && !is_hashed_alike
    }

    /// Returns whether a row has a salt of its own in a column of its own; `apart` says that its costs are named.
    pub(super) fn has_salts(&self, apart: bool) -> bool {
        (self.scheme.has_salt() || apart) && !self.has_one_salt()
    }

    /// Bytes of what is hashed that stand before the secret, in a key with this public part.
    pub(super) fn before_secret(&self, public: Option<&[u8]>) -> usize {
        let public = public.map_or(0, <[u8]>::len);
        match (&self.public, self.hashed) {
            (
                _,
                Hashed::Secret
                | Hashed::DecodedSecret
                | Hashed::HexSecret
                | Hashed::Trimmed(_)
                | Hashed::Checksummed
                | Hashed::Bytes,
            )
            | (PublicPart::Last(_), Hashed::Hex) => 0,
            (_, Hashed::Hex) => public.div_ceil(2),
            (PublicPart::Before(separator) | PublicPart::BeforeFirst(separator), _) => {
                self.prefix.len() + public + separator.len()
            }
            (PublicPart::Last(_), _) => self.prefix.len(),
            _ => self.prefix.len() + public,
        }
    }

    /// Returns whether a hash that sees 72 bytes sees enough of the secret.
    pub(super) fn shows_secret(&self, public: Option<&[u8]>) -> bool {
        self.before.is_some_and(Before::is_digest) || self.before_secret(public) + MIN_SECRET <= BCRYPT_SEES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(scheme: Scheme, change: impl FnOnce(&mut KeyLayout)) -> KeyLayout {
        let mut layout = KeyLayout::new(scheme);
        change(&mut layout);
        layout
    }

    #[test]
    fn bcrypt_has_to_see_enough_of_the_secret() {
        let whole = with(Scheme::Bcrypt, |layout| {
            layout.prefix = "sk_live_".to_owned();
            layout.public = PublicPart::Before("_".to_owned());
        });
        let sees = |layout: &KeyLayout, public: usize| layout.shows_secret(Some(&vec![b'a'; public]));
        assert_eq!([47, 48, 63, 64].map(|public| sees(&whole, public)), [true, false, false, false]);
        assert!(sees(&KeyLayout { hashed: Hashed::Secret, ..whole.clone() }, 64), "what stands before is not hashed");
        let hex = KeyLayout { hashed: Hashed::Hex, public: PublicPart::First(8), ..whole.clone() };
        assert_eq!([112, 113].map(|public| sees(&hex, public)), [true, false], "two characters are one byte");
        assert!(sees(&KeyLayout { before: Some(Before::Sha256Hex), ..whole }, 64), "a digest is of all");
    }

    #[test]
    fn what_a_slow_digest_hides_is_told() {
        let cost = |text: &str| Some(text.parse().expect("costs"));
        let slow = with(Scheme::Scrypt, |layout| {
            (layout.cost, layout.salt) = (cost("N=1024,r=8,p=1"), Some("salt".to_owned()));
        });
        let fast = with(Scheme::Sha256, |_| {});
        let salted = KeyLayout { salt: Some("another".to_owned()), ..slow.clone() };
        let prefix = |layout: &KeyLayout, prefix: &str| KeyLayout { prefix: prefix.to_owned(), ..layout.clone() };
        for (one, two, hides) in [
            (&slow, &fast, true),
            (&slow, &salted, true),
            (&slow, &prefix(&fast, "sk_"), true),
            (&prefix(&slow, "sk_"), &prefix(&fast, "sk_live_"), true),
            (&prefix(&slow, "sk_"), &prefix(&fast, "pk_"), false),
            // Their hashes can be compared.
            (&slow, &slow, false),
            (&slow, &prefix(&slow, "sk_"), false),
            (&fast, &with(Scheme::Sha512, |_| {}), false),
        ] {
            assert_eq!([one.hides_keys_of(two), two.hides_keys_of(one)], [hides; 2], "{one:?} {two:?}");
        }
    }

    #[test]
    fn layouts_that_contradict_themselves_are_refused() {
        let refused = |scheme, change: fn(&mut KeyLayout)| with(scheme, change).check();
        assert_eq!(refused(Scheme::Sha256, |_| {}), Ok(()));
        assert_eq!(refused(Scheme::Bcrypt, |_| {}), Err(KeyLayoutError::PublicPartNeeded(Scheme::Bcrypt)));
        assert_eq!(refused(Scheme::HmacSha512, |_| {}), Err(KeyLayoutError::SecretNeeded(Scheme::HmacSha512)));
        assert_eq!(
            refused(Scheme::Sha256, |layout| layout.secret = Some("x".to_owned())),
            Err(KeyLayoutError::SecretGiven(Scheme::Sha256))
        );
        assert_eq!(refused(Scheme::Sha256KeySalt, |layout| layout.secret = Some("x".to_owned())), Ok(()));
        assert_eq!(refused(Scheme::Sha256KeySalt, |layout| layout.salt = Some("x".to_owned())), Ok(()));
        assert_eq!(refused(Scheme::Sha256, |layout| layout.before = Some(Before::Sha512Hex)), Ok(()));
        assert_eq!(
            refused(Scheme::Scrypt, |layout| {
                layout.cost = "N=2,r=1,p=1".parse().ok();
                layout.secret = Some("x".to_owned());
            }),
            Ok(())
        );
        assert_eq!(
            refused(Scheme::Bcrypt, |layout| layout.cost = "N=2,r=1,p=1".parse().ok()),
            Err(KeyLayoutError::PublicPartNeeded(Scheme::Bcrypt))
        );
        assert_eq!(refused(Scheme::Sha256, |layout| layout.shared = true), Err(KeyLayoutError::Shared));
        let nothing = refused(Scheme::Sha256, |layout| layout.hashed = Hashed::Secret);
        assert_eq!(nothing, Err(KeyLayoutError::NothingBefore));
        let with_separator = refused(Scheme::Sha256, |layout| {
            layout.hashed = Hashed::Hex;
            layout.public = PublicPart::Before("_".to_owned());
        });
        assert_eq!(with_separator, Err(KeyLayoutError::HexWithSeparator));
        let behind_prefix = refused(Scheme::Sha256, |layout| {
            layout.prefix = "11".to_owned();
            layout.hashed = Hashed::Secret;
        });
        assert_eq!(behind_prefix, Ok(()));
    }

    /// What stores of older versions hold.
    #[test]
    fn a_stored_layout_stays_as_it_was_written() {
        let text = r#"{"scheme":"hmac-sha256","prefix":"sk_","public":{"first":8},"hashed":"whole","hmac_key":"old"}"#;
        let layout: KeyLayout = serde_json::from_str(text).expect("a layout");
        assert_eq!(layout.secret.as_deref(), Some("old"));
        assert_eq!(serde_json::to_string(&layout).expect("JSON"), text);
    }
}
