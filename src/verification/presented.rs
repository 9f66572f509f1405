//! A text that is handed in as a key to be ended, and what may have come with it: a line end of a file, blanks, or the
//! scheme of the header that it was found in.

use std::cell::RefCell;

use bulla::{
    ApiKey, ApiKeyId, Realm,
    layer::{Credential, CredentialRules},
};
use zeroize::Zeroizing;

use crate::input::piece_of_a_key::is_piece;

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

/// What the halves of `Basic …` may be, where the text is that: each as it stands, and form-encoded, as they are read
/// from a header.
pub(crate) fn halves(text: &str) -> Vec<Zeroizing<String>> {
    let halves = RefCell::new(Vec::new());
    let header = [("authorization", text.trim().as_bytes())];
    let _none_is_chosen: Credential<'_> = CredentialRules::usual().read_values(header.into_iter(), |half| {
        if !half.is_empty() {
            halves.borrow_mut().push(Zeroizing::new(half.to_owned()));
        }
        false
    });
    halves.into_inner()
}

/// Returns whether a text that was found to be no key holds one beside something else, begins as one of these realms,
/// or may be a piece of one of any realm: a key that was cut off at an end or mistyped, or an id.
pub(crate) fn is_nearly_a_key(text: &str, realms: &[Realm]) -> bool {
    let bare = without_scheme(text.trim());
    if bare.parse::<ApiKey>().is_ok() {
        // Forged, or at its end.
        return false;
    }
    ApiKey::is_within(text) || realms.iter().any(|realm| begins_with_id(bare, realm)) || is_piece(bare)
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
    fn the_halves_of_basic_are_read_as_from_a_header() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let of = |scheme: &str, pair: &str| -> Vec<String> {
            halves(&format!("{scheme}{}\n", STANDARD.encode(pair))).iter().map(|half| half.to_string()).collect()
        };
        for scheme in ["Basic ", "basic  ", " BASIC "] {
            assert_eq!(of(scheme, &format!("x:{KEY}")), ["x", KEY], "{scheme:?}");
        }
        assert_eq!(of("Basic ", &format!("{KEY}:")), [KEY]);
        assert_eq!(of("Basic ", &format!(":{}", KEY.replace('_', "%5F"))), [&KEY.replace('_', "%5F"), KEY]);
        assert_eq!(of("Basic ", "a+b:c"), ["a+b", "a b", "c"]);
        for none in ["", "Basic", "Basic !", "Bearer azo=", KEY, &STANDARD.encode(KEY), "x\nBasic azo="] {
            assert!(halves(none).is_empty(), "{none}");
        }
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
            &KEY[1..],
            &KEY[40..],
            &KEY[10..32],
            &KEY.replace("live_", ""),
            &format!("Bearer {}\n", &KEY[20..]),
            "other_live_00000XzbyFf5rOyRXQyt8V",
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
            &KEY[50..],
            "live_é00000XzbyFf5rOyRXQyt8",
        ] {
            assert!(!nearly(text), "{text}");
        }
    }
}
