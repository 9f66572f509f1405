//! Excerpts of what strangers sent, shortened and escaped, for lines of the log and records of the audit.

/// Shorter than the id of every API key, so that an excerpt holds only the public part of one.
pub(crate) const SHORT: usize = 24;

/// The first `most` characters of `text`, with those escaped that would move a cursor, end a line or hide text.
pub(crate) fn excerpt(text: &[u8], most: usize) -> String {
    // A character takes four bytes at most; the rest of a long text is not read.
    let beginning = String::from_utf8_lossy(&text[..text.len().min(most * 4)]);
    let mut shown: String = beginning.chars().take(most).flat_map(char::escape_debug).collect();
    if beginning.chars().count() > most || text.len() > most * 4 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_or_not_printable_is_not_shown_as_it_is() {
        assert_eq!(excerpt(b" bulla.scope", SHORT), " bulla.scope");
        assert_eq!(excerpt(&[b'x'; 1_000_000], 5), "xxxxx…");
        assert_eq!(excerpt("\u{1b}[2J\n\u{2028}\u{202e}\0".as_bytes(), SHORT), "\\u{1b}[2J\\n\\u{2028}\\u{202e}\\0");
        assert_eq!(excerpt("éééé".as_bytes(), 3), "ééé…");
        assert_eq!(excerpt(b"\xff", SHORT), "\u{fffd}");
        let api_key = "bulla_00000XabcdefghijklmnopqrstuvwxyzSECRET";
        assert!(!excerpt(api_key.as_bytes(), SHORT).contains(&api_key[..28]), "not even its whole id");
    }
}
