//! Texts that look like API keys and are not: what anybody can make who has no key. For tests, benchmarks and the
//! quickstart of the service.

use crate::base62;

const CHECKSUM_CHARS: usize = base62::text_len(4);

/// `checked`, and its checksum.
pub fn with_checksum(checked: &str) -> String {
    let mut text = checked.to_owned();
    base62::encode_into(&crc32fast::hash(checked.as_bytes()).to_be_bytes(), &mut text);
    text
}

/// `text` with another character of the alphabet at `at`, and with the checksum that it has now.
pub fn forge(text: &str, at: usize) -> String {
    let flipped = flip(text, at);
    with_checksum(flipped.get(..flipped.len().saturating_sub(CHECKSUM_CHARS)).unwrap_or_default())
}

/// The same with the old checksum.
pub fn flip(text: &str, at: usize) -> String {
    let other = |character| if character == '0' { '1' } else { '0' };
    text.char_indices().map(|(place, character)| if place == at { other(character) } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api_key::ApiKey, rejection::Rejection};

    /// The example of the format page.
    const KEY: &str = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

    #[test]
    fn a_forged_key_has_the_right_checksum_and_a_flipped_one_has_not() {
        let (checked, _) = KEY.split_at(KEY.len() - CHECKSUM_CHARS);
        assert_eq!(with_checksum(checked), KEY);
        let forged = forge(KEY, 40);
        assert!(forged != KEY && forged.len() == KEY.len() && forged.parse::<ApiKey>().is_ok());
        assert_eq!(flip(KEY, 40).parse::<ApiKey>().err(), Some(Rejection::Checksum));
        assert_eq!((forge("", 0), flip("", 0)), (with_checksum(""), String::new()));
    }
}
