//! Taking a presented text apart as a layout says.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::{
    KeyLayout, PublicPart, Written, encoding,
    key_layout::{BINARY_ID, BINARY_KEY, Hashed, MAX_KEY},
};

/// A presented text, split by a layout.
pub(super) struct Split<'t> {
    /// Finds the row, unless the digest does.
    pub(super) public: Option<Cow<'t, [u8]>>,
    /// What is hashed.
    pub(super) hashed: Hashable<'t>,
}

/// Bytes to hash: of the text itself, or decoded.
pub(super) enum Hashable<'t> {
    Text(&'t [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl Hashable<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Hashable::Text(bytes) => bytes,
            Hashable::Decoded(bytes) => bytes,
        }
    }
}

impl KeyLayout {
    /// Splits a presented text; `None` where it is not a key of this layout.
    pub(super) fn split<'t>(&self, text: &'t str) -> Option<Split<'t>> {
        if text.len() > MAX_KEY {
            return None;
        }
        if self.public == PublicPart::Id {
            let bytes = Zeroizing::new(encoding::fixed::<BINARY_KEY>(text)?);
            let public = Some(Cow::Owned(bytes[..BINARY_ID].to_vec()));
            return Some(Split { public, hashed: Hashable::Decoded(Zeroizing::new(bytes.to_vec())) });
        }
        let behind = text.strip_prefix(&self.prefix)?;
        if self.written == Written::Base64 {
            let decoded = Zeroizing::new(String::from_utf8(encoding::base64(behind)?).ok()?);
            let (public, secret) = self.parts(&decoded)?;
            let public = public.map(|public| Cow::Owned(public.as_bytes().to_vec()));
            let hashed = match self.hashed {
                Hashed::Whole => Hashable::Text(text.as_bytes()),
                Hashed::Hex => Hashable::Decoded(Zeroizing::new(hex::decode(&*decoded).ok()?)),
                _ => self.decoded(&secret)?,
            };
            return Some(Split { public, hashed });
        }
        let (public, secret) = self.parts(behind)?;
        let public = public.map(|public| match public {
            Cow::Borrowed(public) => Cow::Borrowed(public.as_bytes()),
            Cow::Owned(public) => Cow::Owned(public.into_bytes()),
        });
        let hashed = match (self.hashed, &secret) {
            (Hashed::Whole, _) => Hashable::Text(text.as_bytes()),
            (Hashed::Secret, Cow::Borrowed(secret)) => Hashable::Text(secret.as_bytes()),
            (Hashed::Hex, _) => Hashable::Decoded(Zeroizing::new(hex::decode(behind).ok()?)),
            (Hashed::Trimmed(end), _) => {
                let (at, _) = behind.char_indices().rev().nth(end.checked_sub(1)?).filter(|(at, _)| *at > 0)?;
                Hashable::Text(&behind.as_bytes()[..at])
            }
            (Hashed::Checksummed, _) => {
                let (secret, checksum) = behind.rsplit_once('_').filter(|(secret, _)| !secret.is_empty())?;
                (checksum == self.checksum(secret.as_bytes())).then_some(Hashable::Text(secret.as_bytes()))?
            }
            _ => self.decoded(&secret)?,
        };
        Some(Split { public, hashed })
    }

    fn decoded(&self, secret: &str) -> Option<Hashable<'static>> {
        let bytes = match self.hashed {
            Hashed::DecodedSecret => encoding::base64(secret)?,
            Hashed::HexSecret => hex::decode(secret).ok()?,
            _ => secret.as_bytes().to_vec(),
        };
        Some(Hashable::Decoded(Zeroizing::new(bytes)))
    }

    /// The public part and the secret of what stands behind the prefix. Neither is empty.
    fn parts<'t>(&self, behind: &'t str) -> Option<(Option<Cow<'t, str>>, Cow<'t, str>)> {
        let at = |count: usize| behind.char_indices().nth(count).map(|(at, _)| at);
        let from_end = |count: usize| behind.char_indices().rev().nth(count.checked_sub(1)?).map(|(at, _)| at);
        let (public, secret): (Option<Cow<'t, str>>, &str) = match &self.public {
            PublicPart::None | PublicPart::Id => (None, behind),
            PublicPart::First(count) => (Some(behind[..at(*count)?].into()), &behind[at(*count)?..]),
            PublicPart::Last(count) => {
                let end = from_end(*count).filter(|end| *end > 0)?;
                (Some(behind[end..].into()), &behind[..end])
            }
            PublicPart::Ends(first, last) => {
                let (begin, end) = (at(*first)?, from_end(*last).unwrap_or(behind.len()));
                (Some([behind.get(..begin)?, &behind[end..]].concat().into()), behind.get(begin..end)?)
            }
            PublicPart::Before(separator) => {
                let (public, secret) = behind.rsplit_once(separator.as_str())?;
                (Some(public.into()), secret)
            }
            PublicPart::BeforeFirst(separator) => {
                let (public, secret) = behind.split_once(separator.as_str())?;
                (Some(public.into()), secret)
            }
            PublicPart::Member(public, secret) => return members(behind, public, secret),
        };
        let is_empty = secret.is_empty() || public.as_ref().is_some_and(|public| public.is_empty());
        (!is_empty).then_some((public, secret.into()))
    }
}

fn members(text: &str, public: &str, secret: &str) -> Option<(Option<Cow<'static, str>>, Cow<'static, str>)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let member = |name: &str| match object.get(name)? {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some((Some(member(public)?.into()), member(secret)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::Scheme;

    fn layout(scheme: Scheme, prefix: &str, public: PublicPart, hashed: Hashed) -> KeyLayout {
        KeyLayout { prefix: prefix.to_owned(), public, hashed, ..KeyLayout::new(scheme) }
    }

    fn split(layout: &KeyLayout, text: &str) -> Option<(String, String)> {
        let split = layout.split(text)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((split.public.map_or_else(|| "-".to_owned(), |public| text(&public)), text(split.hashed.bytes())))
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
        let before_first = layout(Scheme::Bcrypt, "", PublicPart::BeforeFirst("|".to_owned()), Hashed::Secret);
        assert_eq!(split(&before_first, "17|a|b"), pair("17", "a|b"));
        assert_eq!(split(&first, &format!("sk_{}", "é".repeat(5))), pair("éééé", &format!("sk_{}", "é".repeat(5))));
        assert_eq!(split(&plain, &format!("sk_{}", "a".repeat(MAX_KEY))), None, "longer than any key");
    }

    #[test]
    fn a_public_part_may_be_at_the_end_or_at_both_ends() {
        let last = layout(Scheme::Pbkdf2, "", PublicPart::Last(8), Hashed::Whole);
        assert_eq!(split(&last, "0123456789abcdef"), pair("89abcdef", "0123456789abcdef"));
        assert_eq!((split(&last, "89abcdef"), split(&last, "abcdef")), (None, None));
        let ends = layout(Scheme::Scrypt, "sk_", PublicPart::Ends(3, 3), Hashed::Secret);
        assert_eq!(split(&ends, "sk_abcSECRETxyz"), pair("abcxyz", "SECRET"));
        assert_eq!((split(&ends, "sk_abcxyz"), split(&ends, "sk_abcd")), (None, None));
    }

    #[test]
    fn a_key_may_be_written_in_base64() {
        let elastic = KeyLayout {
            written: Written::Base64,
            ..layout(Scheme::HashString, "", PublicPart::BeforeFirst(":".to_owned()), Hashed::Secret)
        };
        // VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw
        let text = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==";
        assert_eq!(split(&elastic, text), pair("VuaCfGcBCdbkQm-e5aOx", "ui2lp2axTNmsyakw9tvNnw"));
        assert_eq!(split(&elastic, "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw"), None);
        let member = PublicPart::Member("id".to_owned(), "key".to_owned());
        let json = KeyLayout { written: Written::Base64, ..layout(Scheme::Bcrypt, "Z_", member, Hashed::Secret) };
        // {"id":"7","key":"abc"}
        assert_eq!(split(&json, "Z_eyJpZCI6IjciLCJrZXkiOiJhYmMifQ=="), pair("7", "abc"));
        let before = PublicPart::Before(".".to_owned());
        let decoded = layout(Scheme::Sha256, "oat_", before, Hashed::DecodedSecret);
        assert_eq!(split(&decoded, "oat_MTc.YWJj"), pair("MTc", "abc"));
    }

    #[test]
    fn what_was_hashed_may_be_the_bytes_that_hexadecimal_stands_for() {
        let whole = layout(Scheme::Sha512KeySalt, "t_", PublicPart::First(4), Hashed::Hex);
        assert_eq!(split(&whole, "t_61626364"), pair("6162", "abcd"));
        assert_eq!(
            (split(&whole, "t_6162636"), split(&whole, "t_6162636g"), split(&whole, "t_6162")),
            (None, None, None)
        );
        let secret = layout(Scheme::Sha256, "t_", PublicPart::Before("-".to_owned()), Hashed::HexSecret);
        assert_eq!(split(&secret, "t_id-61626364"), pair("id", "abcd"));
        assert_eq!(split(&secret, "t_id-YWJj"), None, "base64");
        let bare = layout(Scheme::Sha512, "", PublicPart::None, Hashed::Hex);
        assert_eq!((split(&bare, "61626364"), split(&bare, "")), (pair("-", "abcd"), None));
        let jenkins = layout(Scheme::Sha256, "11", PublicPart::None, Hashed::Secret);
        assert_eq!((split(&jenkins, "11abcd"), split(&jenkins, "12abcd")), (pair("-", "abcd"), None));
    }

    /// Two tokens of Grafana's own tests.
    #[test]
    fn a_checksum_in_a_key_is_checked() {
        let layout = layout(Scheme::Pbkdf2, "glsa_", PublicPart::None, Hashed::Checksummed);
        for (secret, checksum) in
            [("yscW25imSKJIuav8zF37RZmnbiDvB05G", "fcaaf58a"), ("iNValIdinValiDinvalidinvalidinva", "5b582697")]
        {
            assert_eq!(split(&layout, &format!("glsa_{secret}_{checksum}")), pair("-", secret));
            for wrong in ["00000000", &checksum.to_uppercase(), &checksum[..7], &format!("{checksum}0"), ""] {
                assert_eq!(split(&layout, &format!("glsa_{secret}_{wrong}")), None, "{wrong}");
            }
            assert_eq!(split(&layout, &format!("glsa_{}b_{checksum}", &secret[..31])), None);
            assert_eq!(split(&layout, &format!("glsa_{secret}")), None);
        }
        assert_eq!(split(&layout, &format!("glsa__{}", layout.checksum(b""))), None, "nothing is left to be secret");
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
            assert_eq!((split.public.as_deref(), split.hashed.bytes()), (Some(&bytes[..16]), &bytes[..]), "{text}");
        }
        assert!(binary.split("EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLg").is_none());
    }
}
