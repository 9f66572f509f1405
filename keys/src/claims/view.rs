//! Claims as they lie under the seal: one map in deterministic CBOR (RFC 8949 §4.2.1), checked in one walk and read in
//! place, so that nothing is allocated to verify a key.
//!
//! The walk accepts exactly what [`encode`](super::cbor::encode) writes, with an audience alone or in an array: heads
//! are as short as they can be, keys ascend, and nothing is empty or unknown.

#[cfg(test)]
mod tests;

use std::{net::IpAddr, str::from_utf8};

use super::Cidr;
use crate::payload::MAX_CLAIMS;

/// The keys, as the encoding orders them.
pub(super) const AUD: i64 = 3;
pub(super) const NBF: i64 = 5;
pub(super) const SCOPE: i64 = 9;
pub(super) const CIDR: i64 = -65537;
pub(super) const SECRET: i64 = -65538;
pub(super) const META: i64 = -65539;

/// Checked claims; the default is none at all.
#[derive(Clone, Copy, Default)]
pub(crate) struct View<'b> {
    audience: Items<'b>,
    not_before: Option<u64>,
    /// Joined by single spaces.
    scopes: &'b str,
    cidr: Items<'b>,
    secret: bool,
    /// Names and values in turn.
    meta: Items<'b>,
}

/// Strings that were checked, one after another in their encoding.
#[derive(Clone, Copy, Default)]
struct Items<'b> {
    rest: Reader<'b>,
    left: u64,
}

/// What is left to read.
#[derive(Clone, Copy, Default)]
struct Reader<'b>(&'b [u8]);

/// Major types.
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TRUE: u8 = 0xf5;

impl<'b> View<'b> {
    /// The claims that lie behind the fixed part of the plaintext; no bytes are no claims.
    pub(crate) fn of(bytes: &'b [u8]) -> Option<Self> {
        let mut view = View::default();
        view.read(bytes).map(|()| view)
    }

    /// Reads them into a view that has none, where it lies: to move one costs as much as to read a claim.
    #[inline(always)]
    pub(crate) fn read(&mut self, bytes: &'b [u8]) -> Option<()> {
        if bytes.is_empty() { Some(()) } else { self.walk(bytes) }
    }

    fn walk(&mut self, bytes: &'b [u8]) -> Option<()> {
        let mut input = Reader(bytes);
        if bytes.len() > MAX_CLAIMS {
            return None;
        }
        let mut last = None;
        for _ in 0..input.filled(MAP)? {
            let key = input.key()?;
            // In the encoding's order, in which positive ones come first and negative ones descend.
            let order = (key < 0, key.unsigned_abs());
            if last.is_some_and(|last| last >= order) {
                return None;
            }
            last = Some(order);
            match key {
                AUD => self.audience = input.audience()?,
                NBF => self.not_before = Some(input.head(UNSIGNED)?),
                SCOPE => self.scopes = input.scopes()?,
                CIDR => self.cidr = input.blocks()?,
                SECRET => {
                    input.byte(TRUE)?;
                    self.secret = true;
                }
                META => self.meta = input.notes()?,
                _ => return None,
            }
        }
        input.0.is_empty().then_some(())
    }

    pub(crate) fn not_before(&self) -> Option<u64> {
        self.not_before
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.secret
    }

    /// Returns whether it has audiences or notes.
    #[cfg(feature = "gateway")]
    #[inline(always)]
    pub(crate) fn has_lists(&self) -> bool {
        self.audience.left > 0 || self.meta.left > 0
    }

    /// The scopes, joined by single spaces.
    pub(crate) fn scopes_text(&self) -> &'b str {
        self.scopes
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        self.scopes.split(' ').filter(|scope| !scope.is_empty())
    }

    pub(crate) fn audience(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        self.audience.texts()
    }

    pub(super) fn cidr(&self) -> impl Iterator<Item = Cidr> + use<'b> {
        self.cidr.filter_map(Cidr::from_bytes)
    }

    /// The notes, in the encoding's order.
    pub(crate) fn meta(&self) -> impl Iterator<Item = (&'b str, &'b str)> + use<'b> {
        let mut texts = self.meta.texts();
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// Returns whether all of the `wanted` scopes are granted.
    #[inline(always)]
    pub(crate) fn grants<S: AsRef<str>>(&self, wanted: &[S]) -> bool {
        wanted.is_empty() || self.grants_all(wanted)
    }

    fn grants_all<S: AsRef<str>>(&self, wanted: &[S]) -> bool {
        wanted.iter().all(|wanted| self.scopes().any(|scope| scope == wanted.as_ref()))
    }

    /// Returns whether the caller's `audience` is one of the key's. A restricted key is refused where none was given.
    #[inline(always)]
    pub(crate) fn is_for(&self, audience: Option<&str>) -> bool {
        self.audience.left == 0 || audience.is_some_and(|caller| self.names(caller))
    }

    fn names(&self, caller: &str) -> bool {
        let mut audience = self.audience;
        audience.any(|one| one == caller.as_bytes())
    }

    /// Returns whether the client's `address` is allowed. A restricted key is refused where none was given.
    #[inline(always)]
    pub(crate) fn is_from(&self, address: Option<IpAddr>) -> bool {
        self.cidr.left == 0 || address.is_some_and(|client| self.includes(client))
    }

    fn includes(&self, client: IpAddr) -> bool {
        self.cidr().any(|block| block.contains(client))
    }
}

impl<'b> Items<'b> {
    fn texts(self) -> impl Iterator<Item = &'b str> {
        self.map(|text| from_utf8(text).unwrap_or_default())
    }
}

impl<'b> Iterator for Items<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.rest.string()
    }
}

impl<'b> Reader<'b> {
    /// A head of this type: its argument, which must take as few bytes as it can.
    fn head(&mut self, major: u8) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if first >> 5 != major {
            return None;
        }
        let (value, rest, least) = match first & 0x1f {
            short @ 0..24 => (u64::from(short), rest, 0),
            24 => rest.split_first_chunk().map(|(value, rest)| (u64::from(u8::from_be_bytes(*value)), rest, 24))?,
            25 => rest.split_first_chunk().map(|(value, rest)| (u16::from_be_bytes(*value).into(), rest, 1 << 8))?,
            26 => rest.split_first_chunk().map(|(value, rest)| (u32::from_be_bytes(*value).into(), rest, 1 << 16))?,
            27 => rest.split_first_chunk().map(|(value, rest)| (u64::from_be_bytes(*value), rest, 1 << 32))?,
            _ => return None,
        };
        self.0 = rest;
        (value >= least).then_some(value)
    }

    /// The number of entries of a map or array, which is not zero.
    fn filled(&mut self, major: u8) -> Option<u64> {
        self.head(major).filter(|count| *count > 0)
    }

    fn key(&mut self) -> Option<i64> {
        match self.0.first()? >> 5 {
            NEGATIVE => self.head(NEGATIVE).and_then(|value| i64::try_from(value).ok()).map(|value| -1 - value),
            _ => self.head(UNSIGNED).and_then(|value| i64::try_from(value).ok()),
        }
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// The content of a string of either type.
    fn string(&mut self) -> Option<&'b [u8]> {
        let major = self.0.first()? >> 5;
        let length = self.head(major)?;
        let (content, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(content)
    }

    /// A text that is not empty.
    fn text(&mut self) -> Option<&'b str> {
        if self.0.first()? >> 5 != TEXT {
            return None;
        }
        from_utf8(self.string()?).ok().filter(|text| !text.is_empty())
    }

    /// A text, or an array of texts.
    fn audience(&mut self) -> Option<Items<'b>> {
        let count = if self.0.first()? >> 5 == ARRAY { self.filled(ARRAY)? } else { 1 };
        let items = Items { rest: *self, left: count };
        for _ in 0..count {
            self.text()?;
        }
        Some(items)
    }

    /// Names joined by single spaces.
    fn scopes(&mut self) -> Option<&'b str> {
        let text = self.text()?;
        let (bytes, mut before) = (text.as_bytes(), b' ');
        for byte in bytes {
            if before == b' ' && *byte == b' ' {
                return None;
            }
            before = *byte;
        }
        (before != b' ').then_some(text)
    }

    fn blocks(&mut self) -> Option<Items<'b>> {
        let count = self.filled(ARRAY)?;
        let items = Items { rest: *self, left: count };
        for _ in 0..count {
            if self.0.first()? >> 5 != BYTES {
                return None;
            }
            Cidr::from_bytes(self.string()?)?;
        }
        Some(items)
    }

    /// Names and values: shorter names first, then bytewise, which is the order of the names' encodings.
    fn notes(&mut self) -> Option<Items<'b>> {
        let count = self.filled(MAP)?;
        let items = Items { rest: *self, left: count.checked_mul(2)? };
        let mut last = (0, "");
        for _ in 0..count {
            let name = self.text()?;
            self.text()?;
            if (name.len(), name) <= last {
                return None;
            }
            last = (name.len(), name);
        }
        Some(items)
    }
}
