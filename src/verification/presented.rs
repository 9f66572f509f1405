//! A text that is handed in as a key to be ended, and what may have come with it: a line end of a file, blanks, or the
//! scheme of the header that it was found in.

use bulla::{ApiKey, ApiKeyId, Realm};

/// An id is the realm, an underscore, and so many characters.
const ID_CHARS: usize = 22;

/// The texts that may be meant, in the order in which they are to be tried. Only an imported key may have blanks in it.
pub(crate) fn meant(text: &str) -> Vec<&str> {
    let (line, trimmed) = (text.trim_end_matches(['\r', '\n']), text.trim());
    let bare = without_scheme(trimmed);
    if bare.parse::<ApiKey>().is_ok() {
        return vec![bare];
    }
    let mut all = vec![line, trimmed, bare];
    all.dedup();
    all
}

fn without_scheme(text: &str) -> &str {
    match text.split_once([' ', '\t']) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
        _ => text,
    }
}

/// Returns whether a text that was found to be no key holds one beside something else, or begins as one of these
/// realms: a key that was cut off or mistyped, or an id.
pub(crate) fn is_nearly_a_key(text: &str, realms: &[Realm]) -> bool {
    let bare = without_scheme(text.trim());
    if bare.parse::<ApiKey>().is_ok() {
        // Forged, or at its end.
        return false;
    }
    ApiKey::is_within(text) || realms.iter().any(|realm| begins_with_id(bare, realm))
}

fn begins_with_id(text: &str, realm: &Realm) -> bool {
    let id = text.get(..realm.as_str().len() + 1 + ID_CHARS);
    id.is_some_and(|id| id.starts_with(realm.as_str()) && id.parse::<ApiKeyId>().is_ok_and(|id| id.realm() == *realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

    #[test]
    fn what_came_with_a_key_is_taken_off() {
        for around in ["", "\n", "\r\n", " ", "\t"] {
            for scheme in ["", "Bearer ", "bearer  ", "BEARER\t"] {
                assert_eq!(meant(&format!("{around}{scheme}{KEY}{around}")), [KEY], "{around:?} {scheme:?}");
            }
        }
        assert_eq!(meant("sk_old_7"), ["sk_old_7"]);
        assert_eq!(meant("sk_old_7 \n"), ["sk_old_7 ", "sk_old_7"], "an imported key may end in a blank");
        assert_eq!(meant(" Bearer sk_old_7"), [" Bearer sk_old_7", "Bearer sk_old_7", "sk_old_7"]);
        assert_eq!(meant(""), [""]);
    }

    #[test]
    fn a_key_with_something_beside_it_and_a_part_of_one_are_told_from_what_is_none() {
        let realms: Vec<Realm> = ["live", "acme_live"].iter().map(|name| name.parse().expect("a realm")).collect();
        let nearly = |text: &str| is_nearly_a_key(text, &realms);
        for text in [
            &KEY[..KEY.len() - 5],
            &format!("\"{KEY}\""),
            &format!("key={KEY}"),
            &format!("Bearer Bearer {KEY}"),
            &format!("x{KEY}"),
            &KEY[..KEY.len() - 1],
            &KEY.replace("BSvX0", "BSvX1"),
            &KEY[..32],
            &format!("Bearer {}\n", &KEY[..40]),
        ] {
            assert!(nearly(text), "{text}");
        }
        for text in [
            KEY,
            &format!(" Bearer {KEY}\n"),
            "",
            "nothing",
            "live_",
            "live_short",
            "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf",
            &KEY[..31],
            &KEY[5..31],
            "other_live_00000XzbyFf5rOyRXQyt8V",
            "live_é00000XzbyFf5rOyRXQyt8",
        ] {
            assert!(!nearly(text), "{text}");
        }
    }
}
