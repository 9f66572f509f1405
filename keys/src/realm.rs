//! Realms: the named issuing domains that stand at the front of every API key.

use std::{fmt, str::FromStr};

/// Longest realm name in characters.
pub(crate) const MAX_LEN: usize = 24;
/// Shortest realm name in characters.
pub(crate) const MIN_LEN: usize = 2;

/// A realm's name: 2 to 24 characters, words of `a-z0-9` joined by single underscores, the first of them a letter.
///
/// ```
/// # use bulla::Realm;
/// let realm: Realm = "acme_live".parse()?;
/// assert_eq!(realm.as_str(), "acme_live");
/// assert!("Acme".parse::<Realm>().is_err());
/// # Ok::<(), bulla::RealmError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Realm {
    // Zero-padded, so that the derived comparisons see one value per name.
    name: [u8; MAX_LEN],
    len: u8,
}

/// A text that is not a realm name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a realm is 2 to 24 characters: words of a-z and 0-9 joined by single underscores, beginning with a letter, \
     such as `acme_live`"
)]
pub struct RealmError;

impl Realm {
    /// The realm of the administrators' own API keys, `bulla`.
    pub const ADMIN: Realm = match Realm::new(b"bulla") {
        Some(realm) => realm,
        None => panic!("the administrators' realm is a realm"),
    };

    pub(crate) const fn new(bytes: &[u8]) -> Option<Realm> {
        if bytes.len() < MIN_LEN || bytes.len() > MAX_LEN || !bytes[0].is_ascii_lowercase() {
            return None;
        }
        let mut name = [0; MAX_LEN];
        let mut at = 0;
        while at < bytes.len() {
            let word = bytes[at].is_ascii_lowercase() || bytes[at].is_ascii_digit();
            let joint = bytes[at] == b'_' && bytes[at - 1] != b'_' && at + 1 < bytes.len();
            if !word && !joint {
                return None;
            }
            name[at] = bytes[at];
            at += 1;
        }
        Some(Realm { name, len: bytes.len() as u8 })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_slice()).unwrap_or_default()
    }

    /// The name with zeros behind it.
    #[cfg(feature = "capi")]
    pub(crate) fn padded(&self) -> &[u8; MAX_LEN] {
        &self.name
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.name[..usize::from(self.len)]
    }
}

/// What the first bytes of a text would be as a realm's name. It is compared and never shown, as it may keep to no
/// grammar.
pub(crate) struct PresumedRealm {
    words: [u64; MAX_LEN / 8],
    len: u8,
}

impl PresumedRealm {
    /// The name that the first `length` bytes of a longer text would be; three loads, and no loop. The bytes behind the
    /// name are cleared, since those of a [`Realm`] are zeros.
    #[inline(always)]
    pub(crate) fn of(text: &[u8], length: usize) -> Option<Self> {
        let mut words = words(text.first_chunk().filter(|_| length <= MAX_LEN)?);
        for (at, word) in words.iter_mut().enumerate() {
            let missing = (8 * (at + 1)).saturating_sub(length).min(8) as u32;
            *word &= u64::MAX.checked_shr(8 * missing).unwrap_or(0);
        }
        Some(PresumedRealm { words, len: length as u8 })
    }

    /// Returns whether it is this realm's. Words are compared as they are: to write them down as a name first would let
    /// the comparison wait for memory.
    #[inline(always)]
    pub(crate) fn is(&self, realm: &Realm) -> bool {
        let different = self.words.iter().zip(words(&realm.name)).fold(0, |all, (mine, other)| all | (mine ^ other));
        different | u64::from(self.len ^ realm.len) == 0
    }
}

#[inline(always)]
fn words(name: &[u8; MAX_LEN]) -> [u64; MAX_LEN / 8] {
    let (words, _) = name.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
}

impl FromStr for Realm {
    type Err = RealmError;

    fn from_str(text: &str) -> Result<Self, RealmError> {
        Realm::new(text.as_bytes()).ok_or(RealmError)
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presumed_realm_is_one_name_and_no_other() {
        let realm: Realm = "acme".parse().expect("a realm");
        let is = |text: &[u8; 32], length| PresumedRealm::of(text, length).is_some_and(|presumed| presumed.is(&realm));
        let text = |front: &[u8]| std::array::from_fn(|at| front.get(at).copied().unwrap_or(b'x'));
        assert!(is(&text(b"acme_live"), 4) && is(&text(b"acme"), 4));
        for (other, length) in
            [(&b"acme"[..], 3), (b"acme", 5), (b"acme", 0), (b"acme\0", 5), (b"acmf", 4), (b"Acme", 4), (b"acme", 25)]
        {
            assert!(!is(&text(other), length), "{other:?} of {length}");
        }
        let longest: Realm = "a2345678901234567890abcd".parse().expect("a realm");
        let presumed = PresumedRealm::of(b"a2345678901234567890abcd_and more", 24).expect("not too long");
        assert!(presumed.is(&longest) && !presumed.is(&realm));
    }

    #[test]
    fn the_grammar_is_kept() {
        for good in ["ab", "acme", "acme_live", "a1_2_b", "a2345678901234567890abcd"] {
            assert_eq!(good.parse::<Realm>().map(|realm| realm.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "1a", "_a", "a_", "a__b", "A", "aB", "a-b", "a b", "é1", "a2345678901234567890abcde"] {
            assert_eq!(bad.parse::<Realm>(), Err(RealmError), "{bad:?}");
        }
    }
}
