//! Rows of imported keys, packed behind one another: a million of them take a tenth of a gigabyte.

use uuid::Uuid;

use super::{ImportedRow, scheme::Check};

/// Bytes of a chunk. A row is never parted.
const CHUNK: usize = 64 << 10;
/// Chunks that a place of 32 bits reaches.
const MAX_CHUNKS: usize = 1 << 16;

/// Flags of a row.
const REPLACED: u8 = 1;
const PUBLIC: u8 = 2;
const EXPIRES: u8 = 4;
const TEXT: u8 = 8;

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
    /// The number of its claims.
    pub(super) claims: u32,
    pub(super) replaced: bool,
    pub(super) public: Option<&'r [u8]>,
    hash: &'r [u8],
    salt: &'r [u8],
    is_text: bool,
}

impl PackedRows {
    /// Adds a row of the key of this name; `claims` is the number of its claims. Its place, or `None` where it is too long, or
    /// there are too many.
    pub(super) fn push(&mut self, row: &ImportedRow, name: [u8; 12], claims: u32) -> Option<u32> {
        let (hash, salt, text): (&[u8], &[u8], u8) = match &row.check {
            Check::Fast { digest, salt } => (digest, salt, 0),
            Check::Text(text) => (text.as_bytes(), &[], TEXT),
        };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = text
            | flag(row.replaced, REPLACED)
            | flag(row.public.is_some(), PUBLIC)
            | flag(row.expires_at.is_some(), EXPIRES);
        let public = row.public.as_deref().unwrap_or_default();
        let lengths = [public, hash, salt].map(|bytes| u16::try_from(bytes.len()).ok());
        let [Some(public_len), Some(hash_len), Some(salt_len)] = lengths else { return None };
        let numbers = [u32::try_from(row.set).ok()?, row.issued_at, row.expires_at.unwrap_or_default(), claims];
        let mut bytes = Vec::with_capacity(256);
        bytes.push(flags);
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [public_len, hash_len, salt_len].iter().for_each(|len| bytes.extend(len.to_le_bytes()));
        bytes.extend(name);
        bytes.extend(row.app_id.as_bytes());
        [public, hash, salt].iter().for_each(|part| bytes.extend(*part));
        if self.chunks.last().is_none_or(|last| last.len() + bytes.len() > CHUNK) {
            if self.chunks.len() == MAX_CHUNKS || bytes.len() > CHUNK {
                return None;
            }
            // Small tables stay small: a chunk grows until it is full.
            self.chunks.push(Vec::new());
        }
        let number = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut()?;
        let place = number * CHUNK + chunk.len();
        chunk.extend(bytes);
        u32::try_from(place).ok()
    }

    /// The row at a place that `push` gave.
    pub(super) fn get(&self, place: u32) -> Option<PackedRow<'_>> {
        let place = place as usize;
        let mut rest = self.chunks.get(place / CHUNK)?.get(place % CHUNK..)?;
        let flags = take::<1>(&mut rest)?[0];
        let mut number = || Some(u32::from_le_bytes(*take::<4>(&mut rest)?));
        let [set, issued_at, expires_at, claims] = [number()?, number()?, number()?, number()?];
        let mut length = || Some(usize::from(u16::from_le_bytes(*take::<2>(&mut rest)?)));
        let [public_len, hash_len, salt_len] = [length()?, length()?, length()?];
        let name = *take::<12>(&mut rest)?;
        let app_id = Uuid::from_bytes(*take::<16>(&mut rest)?);
        let (public, rest) = rest.split_at_checked(public_len)?;
        let (hash, rest) = rest.split_at_checked(hash_len)?;
        Some(PackedRow {
            set: set.into(),
            name,
            app_id,
            issued_at,
            expires_at: (flags & EXPIRES != 0).then_some(expires_at),
            claims,
            replaced: flags & REPLACED != 0,
            public: (flags & PUBLIC != 0).then_some(public),
            hash,
            salt: rest.get(..salt_len)?,
            is_text: flags & TEXT != 0,
        })
    }
}

fn take<'r, const N: usize>(rest: &mut &'r [u8]) -> Option<&'r [u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(taken)
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
            set: 3,
            id: ApiKeyId::unsealed("live".parse().expect("a realm"), [7; 12]),
            app_id: Uuid::from_u128(number.into()),
            issued_at: number,
            expires_at: number.is_multiple_of(2).then_some(number),
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
        let places: Vec<u32> = all.iter().map(|row| rows.push(row, [7; 12], 9).expect("packed")).collect();
        assert!(rows.chunks.len() > 5);
        for (row, place) in all.iter().zip(places) {
            let read = rows.get(place).expect("a row");
            assert_eq!((read.set, read.name, read.app_id, read.claims), (3, [7; 12], row.app_id, 9));
            assert_eq!((read.issued_at, read.expires_at, read.replaced), (row.issued_at, row.expires_at, row.replaced));
            assert_eq!((read.public, read.check()), (row.public.as_deref(), Some(row.check.clone())));
        }
        let too_long = Check::Text("x".repeat(70_000).into());
        assert_eq!(rows.push(&row(1, None, too_long), [7; 12], 9), None);
    }
}
