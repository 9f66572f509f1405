//! Rows of imported keys, packed behind one another: a million of them take less than a tenth of a gigabyte.
//!
//! A row is: flags, numbers as they need it (7 bits a byte, the low ones first), the name, the app, and the bytes of
//! public part, hash, salt and claims.

use uuid::Uuid;

use super::{ImportedRow, scheme::Check};

/// Bytes of a chunk. A row is never parted.
const CHUNK: usize = 64 << 10;
/// The fewest bytes that a chunk grows by.
const MIN_GROWTH: usize = 512;
/// Chunks that a place of 32 bits reaches.
const MAX_CHUNKS: usize = 1 << 16;

/// Flags of a row: what it has, and how it is.
const REPLACED: u8 = 1;
const PUBLIC: u8 = 2;
const EXPIRES: u8 = 4;
const TEXT: u8 = 8;
const SALT: u8 = 16;
const OWN_CLAIMS: u8 = 32;

/// Rows, each at a place that stays.
#[derive(Default)]
pub(super) struct PackedRows {
    chunks: Vec<Vec<u8>>,
}

/// A row, unpacked where it lies.
#[derive(Clone, Copy)]
pub(super) struct PackedRow<'r> {
    pub(super) set: i64,
    pub(super) name: [u8; 12],
    pub(super) app_id: Uuid,
    pub(super) issued_at: u32,
    pub(super) expires_at: Option<u32>,
    pub(super) claims: PackedClaims<'r>,
    pub(super) replaced: bool,
    pub(super) public: Option<&'r [u8]>,
    hash: &'r [u8],
    salt: &'r [u8],
    is_text: bool,
}

/// The claims of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackedClaims<'r> {
    /// Those of this number, which other rows have, too.
    Shared(u32),
    /// Its own, in CBOR.
    Own(&'r [u8]),
}

impl PackedRows {
    /// Adds a row of the key of this name. Its place, or `None` where it is too long, or there are too many.
    pub(super) fn push(&mut self, row: &ImportedRow, name: [u8; 12], claims: PackedClaims<'_>) -> Option<u32> {
        let (hash, salt, text): (&[u8], &[u8], u8) = match &row.check {
            Check::Fast { digest, salt } => (digest, salt, 0),
            Check::Text(text) => (text.as_bytes(), &[], TEXT),
        };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let (claims, own): (usize, &[u8]) = match claims {
            PackedClaims::Shared(number) => (number as usize, &[]),
            PackedClaims::Own(bytes) => (bytes.len(), bytes),
        };
        let flags = text
            | flag(!own.is_empty(), OWN_CLAIMS)
            | flag(row.replaced, REPLACED)
            | flag(row.public.is_some(), PUBLIC)
            | flag(row.expires_at.is_some(), EXPIRES)
            | flag(!salt.is_empty(), SALT);
        let public = row.public.as_deref().unwrap_or_default();
        let lengths = [public, hash, salt].map(|bytes| u16::try_from(bytes.len()).ok().map(u32::from));
        let [Some(public_len), Some(hash_len), Some(salt_len)] = lengths else { return None };
        let mut bytes = Vec::with_capacity(256);
        bytes.push(flags);
        put(&mut bytes, u32::try_from(row.set).ok()?);
        bytes.extend(row.issued_at.to_le_bytes());
        row.expires_at.iter().for_each(|at| bytes.extend(at.to_le_bytes()));
        put(&mut bytes, u32::try_from(claims).ok()?);
        put(&mut bytes, hash_len);
        for (has, len) in [(PUBLIC, public_len), (SALT, salt_len)] {
            if flags & has != 0 {
                put(&mut bytes, len);
            }
        }
        bytes.extend(name);
        bytes.extend(row.app_id.as_bytes());
        [public, hash, salt, own].iter().for_each(|part| bytes.extend(*part));
        self.append(&bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Option<u32> {
        if self.chunks.last().is_none_or(|last| last.len() + bytes.len() > CHUNK) {
            if self.chunks.len() == MAX_CHUNKS || bytes.len() > CHUNK {
                return None;
            }
            self.chunks.push(Vec::new());
        }
        let number = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut()?;
        let place = number * CHUNK + chunk.len();
        if chunk.capacity() < chunk.len() + bytes.len() {
            // By itself it would double, beyond a chunk, too.
            let grown = (chunk.capacity() + (chunk.capacity() / 4).max(MIN_GROWTH)).min(CHUNK);
            chunk.reserve_exact(bytes.len().max(grown - chunk.len()));
        }
        chunk.extend(bytes);
        u32::try_from(place).ok()
    }

    /// Bytes that all of them take.
    pub(super) fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks + self.chunks.capacity() * size_of::<Vec<u8>>()
    }

    /// The row at a place that `push` gave.
    pub(super) fn get(&self, place: u32) -> Option<PackedRow<'_>> {
        let place = place as usize;
        let mut rest = self.chunks.get(place / CHUNK)?.get(place % CHUNK..)?;
        let flags = take::<1>(&mut rest)?[0];
        let has = |flag: u8| flags & flag != 0;
        let set = number(&mut rest)?;
        let issued_at = u32::from_le_bytes(*take(&mut rest)?);
        let expires_at = if has(EXPIRES) { Some(u32::from_le_bytes(*take(&mut rest)?)) } else { None };
        let (claims, hash_len) = (number(&mut rest)?, number(&mut rest)?);
        let public_len = if has(PUBLIC) { Some(number(&mut rest)?) } else { None };
        let salt_len = if has(SALT) { number(&mut rest)? } else { 0 };
        let name = *take(&mut rest)?;
        let app_id = Uuid::from_bytes(*take(&mut rest)?);
        let (public, rest) = rest.split_at_checked(public_len.unwrap_or_default() as usize)?;
        let (hash, rest) = rest.split_at_checked(hash_len as usize)?;
        let (salt, rest) = rest.split_at_checked(salt_len as usize)?;
        let claims = if has(OWN_CLAIMS) {
            PackedClaims::Own(rest.get(..claims as usize)?)
        } else {
            PackedClaims::Shared(claims)
        };
        Some(PackedRow {
            set: set.into(),
            name,
            app_id,
            issued_at,
            expires_at,
            claims,
            replaced: has(REPLACED),
            public: public_len.map(|_| public),
            hash,
            salt,
            is_text: has(TEXT),
        })
    }
}

fn take<'r, const N: usize>(rest: &mut &'r [u8]) -> Option<&'r [u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(taken)
}

/// Writes a number: 7 bits a byte, the low ones first, and the highest bit set where another byte follows.
fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let [byte] = *take(rest)?;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl PackedRow<'_> {
    /// What finds it: the public part, or the digest.
    pub(super) fn found_by(&self) -> &[u8] {
        self.public.unwrap_or(if self.is_text { &[] } else { self.hash })
    }

    /// What a presented text is compared with.
    pub(super) fn check(&self) -> Option<Check> {
        Some(match self.is_text {
            true => Check::Text(std::str::from_utf8(self.hash).ok()?.into()),
            false => Check::Fast { digest: self.hash.into(), salt: self.salt.into() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla::{ApiKeyId, claims::Claims};

    fn row(number: u32, public: Option<&str>, check: Check) -> ImportedRow {
        ImportedRow {
            place: number.into(),
            set: i64::from(number) * 200,
            id: ApiKeyId::unsealed("live".parse().expect("a realm"), [7; 12]),
            app_id: Uuid::from_u128(number.into()),
            issued_at: number << 16,
            expires_at: number.is_multiple_of(2).then_some(u32::MAX - number),
            claims: Claims::new(),
            public: public.map(|public| public.as_bytes().into()),
            check,
            replaced: number.is_multiple_of(3),
        }
    }

    #[test]
    fn rows_are_read_as_they_were_packed() {
        let mut rows = PackedRows::default();
        let check = |number: u32| match number % 2 {
            0 => Check::Fast { digest: [number as u8; 32].into(), salt: vec![1; number as usize % 7].into() },
            _ => Check::Text("x".repeat(number as usize % 200).into()),
        };
        let all: Vec<ImportedRow> =
            (0..5_000).map(|number| row(number, (number % 5 > 0).then_some("4f9a1c20"), check(number))).collect();
        let claims = |row: &ImportedRow| match row.place % 4 {
            0 => PackedClaims::Own(&[0xa1, 0x01, 0x02]),
            _ => PackedClaims::Shared(row.place as u32 * 0x1234),
        };
        let places: Vec<u32> = all.iter().map(|row| rows.push(row, [7; 12], claims(row)).expect("packed")).collect();
        assert!(rows.chunks.len() > 5);
        for (row, place) in all.iter().zip(places) {
            let read = rows.get(place).expect("a row");
            assert_eq!((read.set, read.name, read.app_id, read.claims), (row.set, [7; 12], row.app_id, claims(row)));
            assert_eq!((read.issued_at, read.expires_at, read.replaced), (row.issued_at, row.expires_at, row.replaced));
            assert_eq!((read.public, read.check()), (row.public.as_deref(), Some(row.check.clone())));
        }
        let too_long = Check::Text("x".repeat(70_000).into());
        assert_eq!(rows.push(&row(1, None, too_long), [7; 12], PackedClaims::Shared(9)), None);
    }

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        for (one, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u32::MAX, 5)] {
            let mut bytes = Vec::new();
            put(&mut bytes, one);
            assert_eq!((bytes.len(), number(&mut &bytes[..])), (len, Some(one)));
            assert_eq!(number(&mut &bytes[..len - 1]), None, "{one}: cut off");
        }
    }

    #[test]
    fn chunks_hold_hardly_more_than_their_rows() {
        let (mut rows, check) = (PackedRows::default(), Check::Fast { digest: [1; 32].into(), salt: [].into() });
        for number in 0..20_000 {
            rows.push(&row(2 * number + 1, None, check.clone()), [7; 12], PackedClaims::Shared(1)).expect("packed");
        }
        let packed: usize = rows.chunks.iter().map(Vec::len).sum();
        assert!(packed <= 20_000 * 72, "{packed} bytes");
        assert!(rows.memory() <= packed + CHUNK / 4 + 4096, "{} bytes for {packed}", rows.memory());
    }
}
