//! Texts from outside that are stored or shown: which characters they may not have, and how they are escaped.

use std::borrow::Cow;

use bulla::ApiKey;

use super::nearly_a_key::is_nearly_within;

/// Returns whether a terminal or a line reader acts on the character: a control, a line end (U+2028, U+2029), or a
/// change of the text's direction (Unicode's Bidi_Control).
pub(crate) fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}')
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why a text is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    #[error("it must be one line, without control characters")]
    NotOneLine,
    #[error("it holds an API key, which is stored nowhere in the clear: name the key by its id")]
    HoldsKey,
    #[error(
        "it holds letters and digits that read like a piece of an API key, or like one with a typing error, and none is \
         stored in the clear: name the key by its id, and leave such a text out"
    )]
    HoldsPiece,
}

/// Checks a text for the record, in which nothing may be that is nearly a key: an administrator may have pasted the
/// wrong one.
pub(crate) fn check_for_record(text: &str) -> Result<(), TextError> {
    check(text)?;
    if is_nearly_within(text) { Err(TextError::HoldsPiece) } else { Ok(()) }
}

/// Checks a text of a configuration, which may name other long secrets and keys.
pub(crate) fn check(text: &str) -> Result<(), TextError> {
    if text.chars().any(is_obeyed) {
        return Err(TextError::NotOneLine);
    }
    if ApiKey::is_within(text) { Err(TextError::HoldsKey) } else { Ok(()) }
}

/// A text as an error may quote it: control characters are escaped, and an API key is reduced to its id.
pub(crate) fn shown(text: &str) -> String {
    let text = ApiKey::redact(text);
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_obeyed(char) && char != '\n' { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// A JSON text with U+2028 and U+2029 escaped, as JSON allows: some line readers take them for line ends.
pub(crate) fn json_in_one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\u{2028}', '\u{2029}']) {
        Cow::Owned(json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
    } else {
        Cow::Borrowed(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

    #[test]
    fn texts_for_the_record_are_one_line_without_a_key() {
        for good in ["", "leaked", "é 😀", "a\u{feff}b", "acme_live_00000XzbyFf5rOyRXQyt8V"] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for bad in ['\n', '\r', '\0', '\u{1b}', '\u{85}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{200f}'] {
            assert_eq!(check(&format!("a{bad}b")), Err(TextError::NotOneLine), "{bad:?}");
        }
        for key in [KEY.to_owned(), format!("my_{KEY}"), format!("{KEY}_old"), format!("x{KEY}y")] {
            assert_eq!(check(&key), Err(TextError::HoldsKey));
            assert_eq!(check_for_record(&key), Err(TextError::HoldsKey));
        }
        let broken = format!("x{}", &KEY[1..]);
        assert_eq!((check(&broken), check_for_record(&broken)), (Ok(()), Err(TextError::HoldsPiece)));
        assert_eq!(check_for_record("a\nb"), Err(TextError::NotOneLine));
        assert_eq!(check_for_record(&format!("{} leaked", &KEY[..32])), Ok(()));
    }

    #[test]
    fn what_is_shown_is_not_obeyed() {
        assert_eq!(shown("warn\r"), "warn\\r");
        assert_eq!(shown("a\u{202e}b\nc"), "a\\u{202e}b\nc", "lines of a message stay");
        assert_eq!(shown(&format!("{KEY}_x")), "acme_live_00000XzbyFf5rOyRXQyt8V…_x");
        assert_eq!(json_in_one_line("\"a\u{2028}b\u{2029}\""), "\"a\\u2028b\\u2029\"");
    }
}
