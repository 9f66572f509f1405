//! The bytes of a decoded body: id and seal, in room for whole vectors.

use std::mem::MaybeUninit;

use super::WIDTH;
use crate::suite::{NONCE_IN_ID, Suite};

/// Bytes of the id in front.
pub(crate) const ID: usize = 16;
/// The longest body, rounded up to whole vectors: what reads or writes the last one does not leave the room.
pub(crate) const ROOM: usize = (ID + Suite::MAX_SEALED).next_multiple_of(WIDTH);

/// `id 16 ‖ sealed`, opened in place. The bytes behind it have no meaning.
///
/// A key without claims is in the first vector. The others are there when they are asked for: to clear them takes
/// longer than to open such a key.
#[repr(C, align(64))]
pub(crate) struct Body {
    vectors: [MaybeUninit<[u8; WIDTH]>; ROOM / WIDTH],
    /// How many of the first vectors are initialized.
    ready: usize,
}

impl Body {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Body { vectors: [const { MaybeUninit::uninit() }; ROOM / WIDTH], ready: 0 }
    }

    /// Room for so many bytes, in whole vectors.
    #[inline(always)]
    pub(crate) fn prepare(&mut self, bytes: usize) -> &mut [u8] {
        let wanted = if bytes <= WIDTH { 1 } else { self.vectors.len() };
        while self.ready < wanted {
            self.vectors[self.ready].write([0; WIDTH]);
            self.ready += 1;
        }
        self.bytes_mut()
    }

    /// The vectors that are there.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        super::initialized(&self.vectors, self.ready)
    }

    #[inline(always)]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        super::initialized_mut(&mut self.vectors, self.ready)
    }

    /// The id; zeros before a body was decoded.
    #[inline(always)]
    pub(crate) fn id(&self) -> &[u8; ID] {
        self.bytes().first_chunk().unwrap_or(&[0; ID])
    }

    /// The nonce that the id ends in, and so many bytes behind the id.
    #[inline(always)]
    pub(crate) fn nonce_and_sealed(&mut self, sealed: usize) -> Option<(&[u8; NONCE_IN_ID], &mut [u8])> {
        let (id, rest) = self.bytes_mut().split_first_chunk_mut::<ID>()?;
        Some((id.last_chunk()?, rest.get_mut(..sealed)?))
    }
}
