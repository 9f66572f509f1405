//! The wire format of Protocol Buffers, as far as `envoy.service.auth.v3` needs it: fields of bytes are read where they
//! stand, and all others skipped.

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("the message does not parse")]
    Broken,
    #[error("the request has more headers or context extensions than {0}: send fewer")]
    TooMany(usize),
}

/// A field with its number, and its bytes; without them a value of another kind.
type Field<'m> = (u32, Option<&'m [u8]>);

/// The fields of a message, in their order.
pub(super) struct Fields<'m>(&'m [u8]);

impl<'m> Fields<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        Fields(message)
    }

    pub(super) fn next_field(&mut self) -> Result<Option<Field<'m>>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field > 0).ok_or(WireError::Broken)?;
        let bytes = match key & 7 {
            0 => self.varint().map(|_| None)?,
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Broken)?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            // Groups, which nobody sends any more.
            _ => return Err(WireError::Broken),
        };
        Ok(Some((field, bytes)))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for at in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Broken)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Broken)
    }

    fn take(&mut self, length: usize) -> Result<&'m [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Broken)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Calls `each` with the bytes of every field at the end of `path`: those of a message that stands twice count
/// together.
pub(super) fn visit<'m>(
    message: &'m [u8],
    path: &[u32],
    each: &mut dyn FnMut(&'m [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let [field, rest @ ..] = path else { return each(message) };
    let mut fields = Fields::of(message);
    while let Some((number, bytes)) = fields.next_field()? {
        if number == *field {
            visit(bytes.ok_or(WireError::Broken)?, rest, each)?;
        }
    }
    Ok(())
}

/// Appends a field of bytes; none where they are empty, which is the same.
pub(super) fn put(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        message.push((field << 3) | 2);
        put_varint(message, bytes.len());
        message.extend_from_slice(bytes);
    }
}

/// Appends a field with a number; none where it is 0, which is the same.
pub(super) fn put_number(message: &mut Vec<u8>, field: u8, number: usize) {
    if number != 0 {
        message.push(field << 3);
        put_varint(message, number);
    }
}

/// Appends a field with a message, which may be empty.
pub(super) fn put_message(message: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    message.extend([(field << 3) | 2, 0]);
    let begin = message.len();
    write(message);
    let length = message.len() - begin;
    match u8::try_from(length) {
        Ok(short @ ..0x80) => message[begin - 1] = short,
        _ => {
            let mut prefix = Vec::with_capacity(5);
            put_varint(&mut prefix, length);
            message.splice(begin - 1..begin, prefix);
        }
    }
}

fn put_varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
