//! API keys inside other texts: a note with a pasted key, an error that quotes its input.

use std::{borrow::Cow, ops::Range};

use super::{
    ApiKey,
    text::{CHECKSUM_CHARS, MAX_BODY_CHARS, MIN_BODY_CHARS, SECRET_CHARS},
};
use crate::{
    base62,
    realm::{self, Realm},
};

impl ApiKey {
    /// Returns whether an API key stands anywhere in `text`, also right beside letters or underscores: `my_KEY`,
    /// `KEY_old`. A key is known by its checksum. What stores or shows a text that others wrote asks this first.
    ///
    /// ```
    /// # use bulla::ApiKey;
    /// let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
    /// assert!(ApiKey::is_within(&format!("old_{key}_key")));
    /// assert!(!ApiKey::is_within("the key acme_live_00000XzbyFf5rOyRXQyt8V, by its id"));
    /// ```
    pub fn is_within(text: &str) -> bool {
        find(text, 0).is_some()
    }

    /// `text` with the id of each API key in the place of the key: for errors and logs.
    ///
    /// ```
    /// # use bulla::ApiKey;
    /// let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
    /// assert_eq!(ApiKey::redact(&format!("cannot read {key}.toml")), "cannot read acme_live_00000XzbyFf5rOyRXQyt8V….toml");
    /// ```
    pub fn redact(text: &str) -> Cow<'_, str> {
        let Some((mut key, mut id)) = find(text, 0) else { return Cow::Borrowed(text) };
        let (mut redacted, mut from) = (String::with_capacity(text.len()), 0);
        loop {
            redacted.push_str(&text[from..key.start]);
            redacted.push_str(&id);
            redacted.push('…');
            from = key.end;
            match find(text, from) {
                Some((next, of)) => (key, id) = (next, of),
                None => break,
            }
        }
        redacted.push_str(&text[from..]);
        Cow::Owned(redacted)
    }
}

/// The first API key at or behind `from`, and its id.
///
/// It takes linear time: an underscore is looked at only where a body can follow it, so a character belongs to at most
/// two candidates, and each of them has at most as many beginnings as a realm has characters.
fn find(text: &str, from: usize) -> Option<(Range<usize>, String)> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'_', &bytes[from..]).find_map(|at| find_around(text, from, from + at))
}

/// The API key whose body begins behind the underscore at `joint`.
fn find_around(text: &str, from: usize, joint: usize) -> Option<(Range<usize>, String)> {
    let bytes = text.as_bytes();
    let body = joint + 1;
    let run = |from: usize, most: usize| {
        bytes[from..].iter().take(most).take_while(|byte| byte.is_ascii_alphanumeric()).count()
    };
    let chars = run(body, MAX_BODY_CHARS + CHECKSUM_CHARS);
    if chars < MIN_BODY_CHARS {
        return None;
    }
    let mut beginnings: Vec<(usize, crc32fast::Hasher)> = (from.max(joint.saturating_sub(realm::MAX_LEN))..joint)
        .filter(|start| text.get(*start..joint).is_some_and(|realm| realm.parse::<Realm>().is_ok()))
        .map(|start| {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&bytes[start..body + MIN_BODY_CHARS]);
            (start, hasher)
        })
        .collect();
    // Where the checked text may end and the checksum begin: inside the run, or behind a secret half.
    let plain = body + MIN_BODY_CHARS..=(body + chars).saturating_sub(CHECKSUM_CHARS);
    let plain = plain.filter(|end| base62::byte_len(end - body).is_some());
    let secret = body + chars + 1;
    let with_secret = (bytes.get(body + chars) == Some(&b'_')
        && run(secret, SECRET_CHARS + CHECKSUM_CHARS) == SECRET_CHARS + CHECKSUM_CHARS)
        .then_some(secret + SECRET_CHARS);
    let mut checked = body + MIN_BODY_CHARS;
    for end in plain.chain(with_secret) {
        let mut checksum = [0; 4];
        let decoded = base62::decode_into(&bytes[end..end + CHECKSUM_CHARS], &mut checksum).is_some();
        for (start, hasher) in &mut beginnings {
            hasher.update(&bytes[checked..end]);
            let key = *start..end + CHECKSUM_CHARS;
            if decoded
                && hasher.clone().finalize() == u32::from_be_bytes(checksum)
                && let Ok(found) = text[key.clone()].parse::<ApiKey>()
            {
                return Some((key, found.id().to_string()));
            }
        }
        checked = end;
    }
    None
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
    fn a_key_is_found_beside_anything() {
        let beside = ["", " ", "_", "__", "my_", "x", "9", "A", "é", "\"", "=", "\u{0}", "old", "_old", "0000", "😀"];
        for key in KEYS {
            for before in beside {
                for after in beside {
                    let text = format!("{before}{key}{after}");
                    assert!(ApiKey::is_within(&text), "{before:?} and {after:?}");
                    let id = &key[..32];
                    assert_eq!(ApiKey::redact(&text), format!("{before}{id}…{after}"), "{before:?} and {after:?}");
                }
            }
        }
        let both = KEYS.concat();
        assert_eq!(ApiKey::redact(&both).matches('…').count(), 2, "one right behind the other");
    }

    #[test]
    fn what_is_no_key_is_none() {
        for key in KEYS {
            let id = &key[..32];
            for other in
                [id, &key[1..key.len() - 1], &key[..key.len() - 1], &key.to_uppercase(), &key.replace('_', "-")]
            {
                // Without its first letter the realm is another, and the checksum is wrong.
                assert!(!ApiKey::is_within(other), "{other}");
                assert!(matches!(ApiKey::redact(other), Cow::Borrowed(same) if same == other));
            }
        }
        assert!(!ApiKey::is_within(""));
        assert!(!ApiKey::is_within("_"));
    }

    #[test]
    fn a_long_text_costs_as_much_as_many_short_ones() {
        // A candidate at every place that can be one, and none that is.
        let realm = "a".repeat(24);
        let hostile = format!("{realm}_{}", format!("{}{realm}_", "0".repeat(380)).repeat(500));
        assert!(!ApiKey::is_within(&hostile));
        let realms = "aaaaaaaaaaaaaaaaaaaaaaaa_".repeat(10_000);
        assert!(!ApiKey::is_within(&realms));
    }
}
