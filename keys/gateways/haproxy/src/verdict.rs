//! What the converter says about a request, as one text for HAProxy's `field` converter.
//!
//! ```text
//! 200|APP_ID|API_KEY_ID|REALM|EXPIRES_AT|SCOPES
//! 401|CHALLENGE
//! ```

use bulla::gateway::Answer;

/// Between two fields. It is in no realm, id or time; scopes and challenges come last.
const BETWEEN: u8 = b'|';

/// The text of a check that could not be made.
pub(crate) const UNAVAILABLE: &[u8] = b"503|";

/// Writes the text of an answer, in place of what `text` held.
pub(crate) fn write(answer: &Answer, text: &mut Vec<u8>) {
    text.clear();
    text.extend_from_slice(match answer.status() {
        200 if answer.is_accepted() => b"200",
        401 => b"401",
        403 => b"403",
        _ => b"503",
    });
    let mut field = |value: &str| {
        text.push(BETWEEN);
        text.extend_from_slice(value.as_bytes());
    };
    if answer.is_accepted() {
        for value in [answer.app_id(), answer.api_key_id(), answer.realm(), answer.expires(), answer.scopes()] {
            field(value);
        }
    } else {
        field(answer.challenge().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_nothing_is_no_yes() {
        let mut text = b"200|what was there".to_vec();
        write(&Answer::new(), &mut text);
        assert_eq!(text, UNAVAILABLE);
    }
}
