//! The records of FastCGI 1.0, as far as an authorizer needs them.

use std::io::{self, ErrorKind, Read, Write};

const VERSION: u8 = 1;
const END: u8 = 3;
const STANDARD_OUTPUT: u8 = 6;

/// The request was answered.
pub(super) const COMPLETE: u8 = 0;
/// The request has a role we do not serve.
pub(super) const UNKNOWN_ROLE: u8 = 3;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Begin,
    Abort,
    Parameters,
    Other,
}

/// What the server wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Responder,
    Authorizer,
    Other,
}

pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) id: u16,
    pub(super) content: Vec<u8>,
}

impl Record {
    /// The next record; none where the server is done.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 8];
        if let Err(error) = input.read_exact(&mut head) {
            return if error.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
        }
        let [version, kind, id_high, id_low, length_high, length_low, padding, _reserved] = head;
        if version != VERSION {
            return Err(io::Error::other("this is not FastCGI"));
        }
        let kind = match kind {
            1 => Kind::Begin,
            2 => Kind::Abort,
            4 => Kind::Parameters,
            _ => Kind::Other,
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let mut content = vec![0; length + usize::from(padding)];
        input.read_exact(&mut content)?;
        content.truncate(length);
        Ok(Some(Record { kind, id: u16::from_be_bytes([id_high, id_low]), content }))
    }

    /// Role, and whether the connection is kept, of a record that begins a request.
    pub(super) fn begin(&self) -> Option<(Role, bool)> {
        let [_, role, flags, ..] = *self.content.as_slice() else { return None };
        let role = match role {
            1 => Role::Responder,
            2 => Role::Authorizer,
            _ => Role::Other,
        };
        Some((role, flags & 1 == 1))
    }
}

/// Writes the answer, and its end.
pub(super) fn write(output: &mut impl Write, id: u16, text: &[u8]) -> io::Result<()> {
    for part in text.chunks(usize::from(u16::MAX)) {
        record(output, STANDARD_OUTPUT, id, part)?;
    }
    record(output, STANDARD_OUTPUT, id, &[])
}

/// Ends the request.
pub(super) fn end(output: &mut impl Write, id: u16, status: u8) -> io::Result<()> {
    record(output, END, id, &[0, 0, 0, 0, status, 0, 0, 0])
}

fn record(output: &mut impl Write, kind: u8, id: u16, content: &[u8]) -> io::Result<()> {
    let length = u16::try_from(content.len()).map_err(io::Error::other)?.to_be_bytes();
    let id = id.to_be_bytes();
    output.write_all(&[VERSION, kind, id[0], id[1], length[0], length[1], 0, 0])?;
    output.write_all(content)
}

/// Names and values; none where they are cut off.
pub(super) fn pairs(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    fn length(bytes: &mut &[u8]) -> Option<usize> {
        let (first, rest) = bytes.split_first()?;
        if first & 0x80 == 0 {
            *bytes = rest;
            return Some(usize::from(*first));
        }
        let (four, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some((u32::from_be_bytes(*four) & 0x7fff_ffff) as usize)
    }
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let (name, value) = (length(&mut bytes)?, length(&mut bytes)?);
        let (name, rest) = bytes.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        bytes = rest;
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Adds a name and a value, as servers write them.
#[cfg(test)]
pub(super) fn pair(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, value] {
        match u8::try_from(part.len()).ok().filter(|length| *length < 0x80) {
            Some(length) => bytes.push(length),
            None => bytes.extend_from_slice(&(part.len() as u32 | 0x8000_0000).to_be_bytes()),
        }
    }
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = "v".repeat(70_000);
        let mut bytes = Vec::new();
        pair(&mut bytes, b"NAME", long.as_bytes());
        pair(&mut bytes, b"EMPTY", b"");
        assert_eq!(pairs(&bytes), Some(vec![(&b"NAME"[..], long.as_bytes()), (b"EMPTY", b"")]));
        for end in 1..bytes.len() - 7 {
            assert_eq!(pairs(&bytes[..end]), None, "{end}");
        }
        let mut written = Vec::new();
        write(&mut written, 7, long.as_bytes()).expect("written");
        end(&mut written, 7, COMPLETE).expect("written");
        let (mut input, mut content) = (written.as_slice(), Vec::new());
        while let Some(record) = Record::read(&mut input).expect("a record") {
            assert_eq!(record.id, 7);
            content.push(record.content.len());
        }
        assert_eq!(content, [65_535, 4_465, 0, 8]);
        assert!(Record::read(&mut &b"GET / HTTP/1.1\r\n"[..]).is_err());
        assert!(Record::read(&mut &[1, 4, 0, 1, 0, 9, 0, 0, 1][..]).is_err(), "cut off");
    }
}
