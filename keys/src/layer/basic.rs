//! `Authorization: Basic` (RFC 7617): one half is the API key, and the other one may be anything.

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// What `user:password` holds.
pub(super) enum Basic {
    /// Nothing that could be an API key.
    None,
    One(Zeroizing<String>),
    /// An API key in each half, or several texts in one.
    Several,
}

/// Reads the key, which is in the half that `is_key` knows. Where it knows neither the user name is read, and without
/// one the password.
pub(super) fn read(encoded: &[u8], is_key: impl Fn(&str) -> bool) -> Basic {
    let Ok(pair) = BASE64.decode(encoded).map(Zeroizing::new) else { return Basic::None };
    let colon = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
    let (user, password) = (&pair[..colon], pair.get(colon + 1..).unwrap_or_default());
    match (key_in(user, &is_key), key_in(password, &is_key)) {
        (Some(_), Some(_)) => Basic::Several,
        (Some(key), None) | (None, Some(key)) => Basic::One(key),
        (None, None) => match str::from_utf8(if user.is_empty() { password } else { user }) {
            Ok("") | Err(_) => Basic::None,
            Ok(text) if text.contains(',') => Basic::Several,
            Ok(text) => Basic::One(Zeroizing::new(text.to_owned())),
        },
    }
}

/// The key that this half is, as it stands or form-encoded (RFC 6749, section 2.3.1). An API key of bulla's needs no
/// encoding, and clients of OAuth encode its `_` all the same; one of another system may have a `%` or `+` of its own.
fn key_in(half: &[u8], is_key: impl Fn(&str) -> bool) -> Option<Zeroizing<String>> {
    let text = str::from_utf8(half).ok()?;
    if is_key(text) {
        return Some(Zeroizing::new(text.to_owned()));
    }
    if !text.contains(['%', '+']) {
        return None;
    }
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded = Zeroizing::new(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned());
    is_key(&decoded).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `pair` where `k_1`, `k+2` and `k,3 ` are keys.
    fn read_pair(pair: &[u8]) -> String {
        match read(BASE64.encode(pair).as_bytes(), |text| ["k_1", "k+2", "k,3 "].contains(&text)) {
            Basic::None => "-".to_owned(),
            Basic::One(text) => text.to_string(),
            Basic::Several => "several".to_owned(),
        }
    }

    #[test]
    fn the_key_is_one_half_whatever_the_other_is() {
        for pair in
            [&b"k_1:"[..], b"k_1", b"k_1:x", b"k_1:p\xe4ss", b"k_1:a:b", b":k_1", b"x:k_1", b"\xff:k_1", b"%zz:k_1"]
        {
            assert_eq!(read_pair(pair), "k_1", "{pair:?}");
        }
        for pair in [&b"k_1:k_1"[..], b"k_1:k+2", b"k%5f1:k_1"] {
            assert_eq!(read_pair(pair), "several", "{pair:?}");
        }
    }

    #[test]
    fn a_half_may_be_form_encoded() {
        for (pair, key) in [("k%5F1:", "k_1"), ("x:k%5f1", "k_1"), ("k+2:", "k+2"), ("k%2B2:", "k+2")] {
            assert_eq!(read_pair(pair.as_bytes()), key, "{pair}");
        }
    }

    #[test]
    fn what_is_no_key_is_the_user_name_or_else_the_password_as_it_stands() {
        for (pair, read) in [
            (&b"a%5Fb:c"[..], "a%5Fb"),
            (b"a", "a"),
            (b":c", "c"),
            (b"a,b:c", "several"),
            (b"k,3 :c", "k,3 "),
            (b"", "-"),
            (b":", "-"),
            (b"\xff:c", "-"),
            (b":\xff", "-"),
        ] {
            assert_eq!(read_pair(pair), read, "{pair:?}");
        }
        assert!(matches!(super::read(b"az", |_| true), Basic::None), "no base64");
    }
}
