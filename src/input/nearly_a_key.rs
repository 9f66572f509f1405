//! Texts for the record that hold nearly an API key: one that lost a character or has a wrong one, that was wrapped, or
//! of which a long piece is left. Its checksum is wrong, and all that its thief needs is there.
//!
//! A key is told from other texts by how its digits and letters of both cases alternate. So an id may stand in a text,
//! and a UUID, a hash in hexadecimal digits or in the base64 of 256 bits, an address, and what people write.

use super::piece_of_a_key::is_end;

/// Characters of a key that are as good as the key: a piece of so many is refused. An id has 22 behind its realm, and 256
/// bits in base64 have 43.
const LEAST: usize = 48;
/// Blanks and line ends in so many characters, at most. Sentences have more.
const MOST_GAPS: usize = 2;
/// Capital and small letters in a piece, at least; of each there are 20 to be expected.
const LEAST_LETTERS: usize = 12;
/// Digits in a piece, at least, of 8 that are to be expected.
const LEAST_DIGITS: usize = 2;
/// Of a piece each third alternates. 16 characters of a key do so 9 times, and a sentence hardly ever.
const THIRD: usize = LEAST / 3;
const LEAST_CHANGES: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Digit,
    Capital,
    Small,
}

/// Returns whether a piece of an API key, also one that is broken or wrapped, stands anywhere in `text`.
pub(crate) fn is_nearly_within(text: &str) -> bool {
    let is_word = |char: char| char == '_' || char.is_ascii_alphanumeric();
    let is_part = |char: char| char.is_ascii_alphanumeric() || is_gap(char);
    text.split(|char| !is_part(char)).any(has_piece) || text.split(|char| !is_word(char)).any(is_end)
}

/// A blank, a line end, or a character that does not show.
fn is_gap(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// Returns whether a piece of a key stands in `text`, which has letters, digits and gaps alone.
fn has_piece(text: &str) -> bool {
    let words = text.split(is_gap).filter(|word| !word.is_empty()).enumerate();
    let (places, kinds): (Vec<usize>, Vec<Kind>) =
        words.flat_map(|(place, word)| word.bytes().map(move |byte| (place, Kind::of(byte)))).unzip();
    let gaps = places.windows(LEAST).map(|places| places[LEAST - 1] - places[0]);
    gaps.zip(kinds.windows(LEAST)).any(|(gaps, kinds)| gaps <= MOST_GAPS && alternates(kinds))
}

fn alternates(kinds: &[Kind]) -> bool {
    let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count();
    count(Kind::Capital) >= LEAST_LETTERS
        && count(Kind::Small) >= LEAST_LETTERS
        && count(Kind::Digit) >= LEAST_DIGITS
        && kinds.chunks(THIRD).all(|third| third.windows(2).filter(|two| two[0] != two[1]).count() >= LEAST_CHANGES)
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Kind::Digit,
            b'A'..=b'Z' => Kind::Capital,
            _ => Kind::Small,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::piece_of_a_key::tests::KEYS;

    #[test]
    fn a_key_that_is_broken_anywhere_is_found() {
        for key in KEYS {
            assert!(is_nearly_within(key));
            for at in 0..key.len() {
                let (before, behind) = key.split_at(at);
                for broken in [
                    format!("{before}{}", &behind[1..]),
                    format!("{before}x{}", &behind[1..]),
                    format!("{before}X{behind}"),
                    format!("{before} {behind}"),
                    format!("{before} \t{behind}"),
                    format!("{before}\u{200b}{behind}"),
                    format!("the key \"{before}{}\" leaked", &behind[1..]),
                ] {
                    assert!(is_nearly_within(&broken), "{broken}");
                }
            }
            for lost in ["a", "acme_", "acme_live", "acme_live_"] {
                assert!(is_nearly_within(&key[lost.len()..]), "without {lost}");
            }
        }
    }

    #[test]
    fn a_long_piece_of_a_key_and_a_wrapped_one_are_found() {
        for key in KEYS {
            for at in 0..=key.len() - 50 {
                assert!(is_nearly_within(&key[at..]), "{}", &key[at..]);
            }
            // The id, and 40 characters behind it.
            for end in 10 + 22 + 40..key.len() {
                assert!(is_nearly_within(&key[..end]), "{}", &key[..end]);
            }
            for width in [20, 25, 30, 40] {
                let lines: Vec<&str> =
                    key.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
                assert!(is_nearly_within(&lines.join(" ")), "{width} characters in a line: {key}");
            }
        }
    }

    #[test]
    fn what_people_write_is_no_key() {
        for text in [
            "",
            "leaked",
            "acme_live_00000XzbyFf5rOyRXQyt8V",
            "acme_live_00000XzbyFf5rOyRXQyt8V acme_live_00000YsKCmZ9zuH4PcLyd1",
            "the keys acme_live_00000XzbyFf5rOyRXQyt8V and acme_live_00000YsKCmZ9zuH4PcLyd1",
            "acme_live_00000XzbyFf5rOyRXQyt8V was found in a public repository on GitHub in 2026 by Anna",
            "acme_live_00000XzbyFf5rOyRXQyt8V THE KEY OF THE OLD GATEWAY IN BUILDING 7 AND 8",
            "3f2b8c1e-9a7d-4d52-8a55-0123456789ab",
            "3f2b8c1e9a7d4d528a550123456789ab 3F2B8C1E9A7D4D528A550123456789AB",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
            "SHA256:n4bQgYhMfWWaLqgxVyFXJ0SsSgkUAe0WGqmEzYkJkUw",
            "47DEQpj8HBSa4TImW5JCeuQeRkm5NMpJWZG3hSuFU0Q",
            "https://ci.example.com/job/DeployToProduction/2041/console?build=aB3xY9&step=RotateKeys2026Q3#L1204",
            "https://docs.google.com/document/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
            "AbstractSingletonProxyFactoryBeanV2ForTheCustomerPortalOfTheEasternRegion3",
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft 2026",
            "arn:aws:iam::123456789012:role/AWSServiceRoleForAmazonElasticKubernetesServiceNodegroup2026",
            "Rotation Q3 2026 By Team A1 For App B2 In Zone C3 And Zone D4 Of Plant E5",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV 01ARZ3NDEKTSV4RRFFQ69G5FAW",
            &"0".repeat(62),
            &"a".repeat(200),
            &"A1".repeat(100),
        ] {
            assert!(!is_nearly_within(text), "{text}");
        }
    }
}
