//! The headers of a request as HAProxy's `req.hdrs` writes them: a line for each, `name: value`, with CR LF at its end.

/// The name and the value of each header, in their order. HAProxy lets no line break into a value.
pub(crate) fn each(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_header() {
        let block = b"Host: shop:80\r\nauthorization:Bearer a:b\r\nx-api-key: \r\nX-API-Key:  k \r\nno header\r\n\r\n";
        let found: Vec<_> = each(block).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"Host", b"shop:80"), (b"authorization", b"Bearer a:b"), (b"x-api-key", b""), (b"X-API-Key", b"k")];
        assert_eq!(found, expected);
        assert_eq!(each(b"").count(), 0);
    }
}
