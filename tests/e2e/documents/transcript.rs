//! Compares what a document says that a command prints with what it printed.
//!
//! Ids, keys, times and the like are another each time: they only have to be there. `…` stands for anything, and white
//! space counts for nothing, as the pages break long lines.

use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Character(char),
    /// An API-key id or an API key, and the two are not the same.
    Id(String),
    Key,
    Time,
    Uuid(String),
    Bytes,
    Number,
    /// An HTTP status of a refusal.
    Status(String),
    Anything,
}

/// What stands in a document for what stands in this deployment.
pub type Ids = BTreeMap<String, String>;

/// Whether they agree; notes which id stands for which.
pub fn agree(documented: &str, printed: &str, ids: &mut Ids) -> bool {
    let (documented, printed) = (pieces(documented), pieces(printed));
    let mut segments = documented.split(|piece| *piece == Piece::Anything);
    let first = segments.next().unwrap_or_default();
    let mut rest: Vec<&[Piece]> = segments.collect();
    let Some(mut at) = fits(first, &printed).then_some(first.len()) else { return false };
    let mut found = vec![(first, 0)];
    let last = rest.pop();
    for segment in rest {
        let Some(skip) = (0..=printed.len() - at).find(|skip| fits(segment, &printed[at + skip..])) else {
            return false;
        };
        found.push((segment, at + skip));
        at += skip + segment.len();
    }
    match last {
        None if at != printed.len() => return false,
        None => {}
        Some(last) => {
            let Some(from) = printed.len().checked_sub(last.len()).filter(|from| *from >= at) else { return false };
            if !fits(last, &printed[from..]) {
                return false;
            }
            found.push((last, from));
        }
    }
    for (segment, from) in found {
        for (documented, printed) in segment.iter().zip(&printed[from..]) {
            if let (Piece::Id(documented), Piece::Id(printed)) | (Piece::Uuid(documented), Piece::Uuid(printed)) =
                (documented, printed)
            {
                ids.insert(documented.clone(), printed.clone());
            }
        }
    }
    true
}

fn fits(segment: &[Piece], printed: &[Piece]) -> bool {
    segment.len() <= printed.len()
        && segment.iter().zip(printed).all(|pair| match pair {
            (Piece::Id(_), Piece::Id(_)) | (Piece::Uuid(_), Piece::Uuid(_)) => true,
            (one, other) => one == other,
        })
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (piece, length) = next(rest, character);
        pieces.extend(piece);
        rest = &rest[length..];
    }
    pieces
}

fn next(rest: &str, character: char) -> (Option<Piece>, usize) {
    if character.is_whitespace() {
        return (None, character.len_utf8());
    }
    if character == '…' {
        return (Some(Piece::Anything), character.len_utf8());
    }
    for (shape, piece) in [
        ("0000-00-00T00:00:00.", Piece::Time),
        ("0000-00-00T00:00:00", Piece::Time),
        ("0000-00-00 00:00:00", Piece::Time),
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", Piece::Uuid(rest.chars().take(36).collect())),
    ] {
        if has_shape(rest, shape) {
            let fraction =
                rest[shape.len()..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'Z').count();
            return (Some(piece), shape.len() + fraction);
        }
    }
    let word: usize = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if word > 1 && rest[..word].ends_with('_') && rest[word..].starts_with('…') {
        return (Some(Piece::Key), word + '…'.len_utf8());
    }
    if let Some(piece) = api_key(&rest[..word]) {
        return (Some(piece), word);
    }
    let base64 = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).count();
    if base64 >= 40 {
        return (Some(Piece::Bytes), base64);
    }
    let letters = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let hexadecimal = rest[..letters].bytes().all(|byte| byte.is_ascii_hexdigit());
    if [16, 32].contains(&letters) && hexadecimal {
        return (Some(Piece::Bytes), letters);
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let more = digits + rest[digits..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b',').count();
        let unit = ["ms", "s", "m", "h", "d"].into_iter().find(|unit| rest[digits..letters.max(digits)] == **unit);
        let status = digits == 3 && matches!(rest.as_bytes()[0], b'4' | b'5');
        return if status && unit.is_none() {
            (Some(Piece::Status(rest[..digits].to_owned())), digits)
        } else {
            (Some(Piece::Number), unit.map_or(more, |unit| digits + unit.len()))
        };
    }
    // A word counts letter by letter, but as one: its end may look like something else.
    (Some(Piece::Character(character)), character.len_utf8())
}

fn api_key(word: &str) -> Option<Piece> {
    let long = |part: &str| part.len() >= 22 && part.bytes().any(|byte| byte.is_ascii_digit());
    let mut parts = word.split('_');
    let realm = parts.by_ref().take_while(|part| !long(part)).map(str::len).sum::<usize>();
    let body = word.split('_').find(|part| long(part))?;
    let alone = body.len() == 22 && word.ends_with(body);
    let named = realm > 0 && word.starts_with(|first: char| first.is_ascii_lowercase());
    match (named, alone) {
        (true, true) => Some(Piece::Id(word.to_owned())),
        (true, false) => Some(Piece::Key),
        (false, _) => word.starts_with('_').then_some(Piece::Key),
    }
}

/// `0` is a digit, `x` a hexadecimal one, and everything else itself.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            _ => byte == wanted,
        })
}

#[test]
fn what_differs_each_time_only_has_to_be_there() {
    let mut ids = Ids::new();
    let documented = "{\"api_key_id\":\"live_000008TjPJsKU3Hu4SJ9qc\",\"at\":\"2026-11-22T08:47:38Z\",…,\n \"n\":7}";
    let printed = "{\"api_key_id\":\"live_00000YHqiQd7Eu4eUpRFdL\",\"at\":\"2027-01-01T00:00:00Z\",\"x\":[],\"n\":12}";
    assert!(agree(documented, printed, &mut ids));
    assert_eq!(ids["live_000008TjPJsKU3Hu4SJ9qc"], "live_00000YHqiQd7Eu4eUpRFdL");
    assert!(!agree(documented, &printed.replace("api_key_id", "id"), &mut ids));
    assert!(!agree("active", "not active", &mut ids));
    assert!(!agree("accepted\n", "accepted\nwarning\n", &mut ids));
    assert!(!agree("404", "401", &mut ids));
    assert!(agree("waited 1m", "waited 4s", &mut ids));
    let key = format!("live_{}", "a1".repeat(40));
    assert!(agree("{\"api_key\":\"live_…\"}", &format!("{{\"api_key\":\"{key}\"}}"), &mut ids));
}
