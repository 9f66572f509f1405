//! What an accepted key says, as dynamic metadata of Envoy: a `google.protobuf.Struct` on the wire. Rate limits, access
//! logs and RBAC filters read it.

/// Appends the encoded `Struct` to `to`: `app_id`, `api_key_id`, `realm`, the list `scopes`, and where the key has
/// notes, the struct `meta` of them. A note `limit` such as `100/minute` is the struct `limit` as well, in the form
/// that Envoy's rate limits read: `requests_per_unit` and `unit`.
///
/// A note that does not have this form sets no limit. Such a key gets the limit of the gateway's own configuration.
pub fn append_envoy_metadata<'k>(
    to: &mut Vec<u8>,
    app_id: &str,
    api_key_id: &str,
    realm: &str,
    scopes: impl Iterator<Item = &'k str>,
    meta: impl Iterator<Item = (&'k str, &'k str)>,
) {
    for (name, text) in [("app_id", app_id), ("api_key_id", api_key_id), ("realm", realm)] {
        field(to, name, |value| text_value(value, text));
    }
    field(to, "scopes", |value| {
        nested(value, LIST_VALUE, |list| {
            scopes.for_each(|scope| nested(list, LIST_ITEM, |item| text_value(item, scope)))
        });
    });
    let (mut notes, mut limited) = (meta.peekable(), None);
    if notes.peek().is_none() {
        return;
    }
    field(to, "meta", |value| {
        nested(value, STRUCT_VALUE, |all| {
            for (name, note) in notes {
                field(all, name, |value| text_value(value, note));
                limited = limited.or_else(|| limit(note).filter(|_| name == "limit"));
            }
        });
    });
    if let Some((requests, unit)) = limited {
        field(to, "limit", |value| {
            nested(value, STRUCT_VALUE, |limit| {
                field(limit, "requests_per_unit", |value| number_value(value, requests));
                field(limit, "unit", |value| text_value(value, unit));
            });
        });
    }
}

/// `100/minute`: the number and Envoy's name of the unit.
fn limit(note: &str) -> Option<(u32, &'static str)> {
    let (number, unit) = note.split_once('/')?;
    let unit = ["SECOND", "MINUTE", "HOUR", "DAY"].into_iter().find(|name| unit.eq_ignore_ascii_case(name))?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits)?, unit))
}

// Tags of google/protobuf/struct.proto: the field's number, and how its value is written.
const FIELDS: u8 = 1 << 3 | DELIMITED;
const FIELD_NAME: u8 = 1 << 3 | DELIMITED;
const FIELD_VALUE: u8 = 2 << 3 | DELIMITED;
const NUMBER_VALUE: u8 = 2 << 3 | DOUBLE;
const STRING_VALUE: u8 = 3 << 3 | DELIMITED;
const STRUCT_VALUE: u8 = 5 << 3 | DELIMITED;
const LIST_VALUE: u8 = 6 << 3 | DELIMITED;
const LIST_ITEM: u8 = 1 << 3 | DELIMITED;
const DOUBLE: u8 = 1;
const DELIMITED: u8 = 2;

fn field(to: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    nested(to, FIELDS, |entry| {
        nested(entry, FIELD_NAME, |key| key.extend(name.as_bytes()));
        nested(entry, FIELD_VALUE, value);
    });
}

fn text_value(to: &mut Vec<u8>, text: &str) {
    nested(to, STRING_VALUE, |value| value.extend(text.as_bytes()));
}

fn number_value(to: &mut Vec<u8>, number: u32) {
    to.push(NUMBER_VALUE);
    to.extend(f64::from(number).to_le_bytes());
}

/// The length stands before the content, and is known after it.
fn nested(to: &mut Vec<u8>, tag: u8, content: impl FnOnce(&mut Vec<u8>)) {
    to.push(tag);
    let start = to.len();
    to.push(0);
    content(to);
    let mut length = to.len() - start - 1;
    let mut at = start;
    // A varint: seven bits in a byte, the lowest first.
    while length > 0x7f {
        to[at] = (length & 0x7f) as u8 | 0x80;
        at += 1;
        to.insert(at, 0);
        length >>= 7;
    }
    to[at] = length as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(meta: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append_envoy_metadata(&mut bytes, "a", "i", "r", [].into_iter(), meta.iter().copied());
        bytes
    }

    #[test]
    fn a_key_without_claims_has_three_texts_and_an_empty_list() {
        let text = |name: &str, value: u8| {
            let value = [0x1a, 1, value];
            let entry = [&[0x0a, name.len() as u8], name.as_bytes(), &[0x12, 3], &value].concat();
            [&[0x0a, entry.len() as u8], &entry[..]].concat()
        };
        let list = [&[0x0a, 12, 0x0a, 6], &b"scopes"[..], &[0x12, 2, 0x32, 0]].concat();
        let expected = [text("app_id", b'a'), text("api_key_id", b'i'), text("realm", b'r'), list].concat();
        assert_eq!(encoded(&[]), expected);
    }

    #[test]
    fn lengths_have_as_many_bytes_as_they_need() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let mut bytes = Vec::new();
            nested(&mut bytes, 0x0a, |content| content.extend(std::iter::repeat_n(b'x', length)));
            let (mut read, mut shift, mut at) = (0, 0, 1);
            loop {
                read |= usize::from(bytes[at] & 0x7f) << shift;
                (shift, at) = (shift + 7, at + 1);
                if bytes[at - 1] & 0x80 == 0 {
                    break;
                }
            }
            assert_eq!((read, bytes.len() - at), (length, length));
            assert!(bytes[at..].iter().all(|byte| *byte == b'x'));
        }
    }

    #[test]
    fn a_limit_is_a_number_and_a_unit() {
        assert_eq!(limit("100/minute"), Some((100, "MINUTE")));
        assert_eq!(limit("1/DAY"), Some((1, "DAY")));
        for other in ["", "100", "100/", "/minute", "+1/hour", "1 / hour", "1/week", "4294967296/second"] {
            assert_eq!(limit(other), None, "{other:?}");
        }
        let bytes = encoded(&[("limit", "100/minute"), ("plan", "gold")]);
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(has(b"requests_per_unit\x12\x09\x11\0\0\0\0\0\0\x59\x40") && has(b"unit\x12\x08\x1a\x06MINUTE"));
        assert!(has(b"plan\x12\x06\x1a\x04gold") && has(b"limit\x12\x0c\x1a\x0a100/minute"));
        assert!(!encoded(&[("limit", "many"), ("other", "1/day")]).windows(4).any(|part| part == b"unit"));
    }
}
