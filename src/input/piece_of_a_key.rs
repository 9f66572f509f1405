//! Texts that may be a piece of an API key: its end without its beginning, and its id without its realm. Nothing says
//! of which key they are, so all that shows is whether their digits can stand in one.

use std::ops::RangeInclusive;

use bulla::ApiKeyId;

/// Characters of an id behind its realm.
const ID_CHARS: usize = 22;
/// Characters of the checksum, and of a secret half with it.
const CHECKSUM_CHARS: usize = 6;
const SECRET_CHARS: usize = 44 + CHECKSUM_CHARS;
/// Characters of a body with the checksum.
const BODY_CHARS: RangeInclusive<usize> = 77 + CHECKSUM_CHARS..=424 + CHECKSUM_CHARS;
/// Digits of the base62 text of one byte, of two, and so on.
const GROUPS: [usize; 8] = [2, 3, 5, 6, 7, 9, 10, WHOLE_GROUP];
const WHOLE_GROUP: usize = 11;
/// Key versions are numbered from 1 on: by this, an id begins with zeros, as few other texts do.
const VERSIONS: u32 = 1000;
/// What a number begins with that was filled up with zeros. An id has a part of its nonce there.
const NO_NONCE: &str = "00000000000";

/// Returns whether the text may be a piece of a key, of any realm. A shorter end than 50 characters is none.
pub(crate) fn is_piece(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    is_word && (is_end(text) || text.split('_').any(begins_with_id))
}

/// Returns whether the text may be the end of a key.
pub(super) fn is_end(text: &str) -> bool {
    let is_as_long = |part: &str, least| (least..=*BODY_CHARS.end()).contains(&part.len());
    let (part, fits) = match text.rsplit_once('_') {
        // Behind an underscore a part is whole.
        Some((_, part)) => (part, part.len() == SECRET_CHARS || is_as_long(part, *BODY_CHARS.start())),
        None => (text, is_as_long(text, SECRET_CHARS)),
    };
    if !fits || !has_both_cases(part) {
        return false;
    }
    let (digits, checksum) = part.split_at(part.len() - CHECKSUM_CHARS);
    is_group(checksum) && is_end_of_base62(digits)
}

/// In so many digits a piece has letters of both cases. Hashes and numbers have not.
fn has_both_cases(part: &str) -> bool {
    part.bytes().any(|byte| byte.is_ascii_lowercase()) && part.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Returns whether this is the end of the base62 text of some bytes: the last group may have any length, and the first
/// one may have lost its beginning.
fn is_end_of_base62(digits: &str) -> bool {
    GROUPS.iter().any(|last| {
        let Some((before, last)) = digits.len().checked_sub(*last).and_then(|at| digits.split_at_checked(at)) else {
            return false;
        };
        let mut whole = before.as_bytes().rchunks_exact(WHOLE_GROUP);
        is_group(last) && whole.all(|group| number(group) <= u128::from(u64::MAX))
    })
}

/// Returns whether these digits are those of as many bytes.
fn is_group(digits: &str) -> bool {
    let bytes = GROUPS.iter().position(|length| *length == digits.len()).map(|at| at + 1);
    bytes.is_some_and(|bytes| number(digits.as_bytes()) >> (8 * bytes) == 0)
}

fn number(digits: &[u8]) -> u128 {
    digits.iter().fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            _ => digit.wrapping_sub(b'a').wrapping_add(36),
        };
        number * 62 + u128::from(value)
    })
}

/// Returns whether a part of a text begins as the body of a key does.
fn begins_with_id(part: &str) -> bool {
    let Some(id) = part.get(..ID_CHARS) else { return false };
    // The zeros in front of a hexadecimal number make no id of it.
    let is_number = id.starts_with(NO_NONCE) || id.bytes().all(|byte| byte.is_ascii_hexdigit());
    !is_number && format!("any_{id}").parse::<ApiKeyId>().is_ok_and(|id| id.version() < VERSIONS)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Without claims, with some, of the other suite, and with a secret half, from docs/FORMAT.md.
    pub(in crate::input) const KEYS: [&str; 4] = [
        "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw",
        "acme_live_00000YHqiQd7Eu4eUpRFdL2o5fO0uDZE41dnzlCyuUwj94mSgZIZlOIHIgXJG4piaMGGSIJzHB3e09TuxrYTr9LZGtchLxy3hlYgs",
        "acme_live_00000cgHDRj5rOyRXQyt8V6Y9WY18D4Nv7Eu4eWtW8WpL39HMqGV1tE4TGSEanAsY02cUz8oZRPwQ5XXwECldmP649RuiU304x4e",
        "acme_live_00000YsKCmZ9zuH4PcLyd16ixLiyW8RsPDOzajtay2cN5wmccPAZiikEoIHvfjBpQQBEjDlUTBPki3Nz9S0Bb66_B226E8ACFV9\
         BimeKbrQQkZCPXCR5YebzzD6HkXZFsnFP3z6hnV",
    ];

    #[test]
    fn every_end_of_a_key_of_fifty_characters_or_more_is_a_piece() {
        for key in KEYS {
            for at in 0..=key.len() - SECRET_CHARS {
                assert!(is_end(&key[at..]), "{}", &key[at..]);
            }
            assert!(!is_end(&key[key.len() - SECRET_CHARS + 1..]), "{key}");
            for (from, to) in [("acme_live_", ""), ("live_", ""), ("acme_", ""), ("acme", "akme"), ("acme", "ACME")] {
                assert!(is_end(&key.replace(from, to)), "{key} with {to:?} for {from}");
            }
        }
    }

    #[test]
    fn an_id_is_a_piece_whatever_stands_before_and_behind_it() {
        let imported = ApiKeyId::unsealed("live".parse().expect("a realm"), [0xa7; 12]).to_string();
        for id in [&KEYS[0][10..32], &KEYS[3][10..32], &imported[5..]] {
            for text in [id.to_owned(), format!("_{id}"), format!("ive_{id}"), format!("{id}x"), format!("{id}_x")] {
                assert!(is_piece(&text), "{text}");
            }
            for text in [&id[1..], &id[..21], &format!("x{id}"), &format!("é_{id}"), &format!("a-{id}")] {
                assert!(!is_piece(text), "{text}");
            }
        }
    }

    #[test]
    fn tokens_of_others_are_no_pieces() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let end = &KEYS[0][30..];
        for token in [
            "",
            "_",
            "nothing",
            "3f2b8c1e-9a7d-4d52-8a55-0123456789ab",
            "3f2b8c1e9a7d4d528a550123456789ab",
            "00000000000000000000000000000000",
            "00000000000000000000004f9a1c20aB",
            "0000000123456789012345678901234567890123",
            "00000a1b2c3d4e5f60718293a4b5c6d7",
            hex,
            &hex.to_uppercase(),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "github_pat_11ABCDEFG0aBcDeFgHiJkL_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEFGHI",
            "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf",
            // As long as an end of a key, and its digits are those of no bytes.
            &"z".repeat(70),
            &format!("A{}", "z".repeat(69)),
            &format!("{}zzzzzz", &end[..end.len() - 6]),
            &format!("{}{}", "aZ".repeat(20), &end[end.len() - 30..]),
            // An end, and no piece of a key reads like this.
            &format!("token-{end}"),
            &format!("x_{end}"),
            &format!("{end}."),
            &format!("aA0{}", "0".repeat(431)),
        ] {
            assert!(!is_piece(token), "{token}");
        }
    }
}
