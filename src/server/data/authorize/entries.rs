//! A limit on entries: two bytes of a message may be an entry of a map, which takes sixty bytes in memory. So entries are counted
//! before the message is read.

use prost::encoding::{WireType, decode_key, decode_varint, skip_field};

/// The most entries of a message. Envoy sends 100 headers by default, and at most 8,192.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// The entries of shorter messages do not take much memory.
const SHORT: usize = 64 << 10;

/// The fields that lead to entries, from a whole message on, and what they lead to: attributes; request, http, headers; the
/// same, header_map, headers; context_extensions.
const PATHS: [&[u32]; 3] = [&[1, 4, 2, 3], &[1, 4, 2, 13, 1], &[1, 10]];

/// Whether `message` has more entries than it may have.
pub(super) fn too_many(message: &[u8]) -> bool {
    message.len() > SHORT && PATHS.iter().map(|path| count(message, path)).sum::<usize>() > MAX_ENTRIES
}

/// How often the path occurs. Reading the message fails later if it does not parse.
fn count(mut message: &[u8], path: &[u32]) -> usize {
    let [field, rest @ ..] = path else { return 1 };
    let mut found = 0;
    while let Ok((tag, wire_type)) = decode_key(&mut message) {
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut message, Default::default()).is_err() {
                break;
            }
            continue;
        }
        let length = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
        let Some((part, behind)) = length.and_then(|length| message.split_at_checked(length)) else { break };
        if tag == *field {
            found += count(part, rest);
        }
        message = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use prost::Message;

    use super::{super::messages::*, *};

    fn message(headers: usize, raw: usize, extensions: usize, path: &str) -> Vec<u8> {
        let entry = Entry { key: "a".into(), value: path.to_owned().into() };
        let raw_header = HeaderValue { key: "a".into(), value: "b".into(), raw_value: "c".into() };
        let header_map = HeaderMap { headers: repeat_n(raw_header, raw).collect() };
        let http = HttpRequest { headers: repeat_n(entry.clone(), headers).collect(), header_map: Some(header_map) };
        let attributes = AttributeContext {
            source: Some(Peer::default()),
            request: Some(Request { http: Some(http) }),
            context_extensions: repeat_n(entry, extensions).collect(),
        };
        CheckRequest { attributes: Some(attributes) }.encode_to_vec()
    }

    #[test]
    fn entries_are_counted_wherever_they_are() {
        let long = "x".repeat(70_000);
        for (headers, raw, extensions) in
            [(MAX_ENTRIES + 1, 0, 0), (0, MAX_ENTRIES + 1, 0), (0, 0, MAX_ENTRIES + 1), (4_000, 4_000, 2_001)]
        {
            assert!(too_many(&message(headers, raw, extensions, "b/c/d/e/f/g")), "{headers} {raw} {extensions}");
        }
        assert!(!too_many(&message(1, 1, 1, &long)), "long, and few");
        assert!(!too_many(&message(5_000, 5_000, 0, "b/c/d/e/f/g")), "as many as may be");
        let whole = message(9_000, 0, 2_000, "b/c/d/e/f/g");
        assert!(too_many(&whole));
        for end in 0..200 {
            let _whatever = too_many(&whole[end..whole.len() - end]);
        }
    }
}
