//! Opening AES-256-GCM (NIST SP 800-38D), composed of the crates that `aes-gcm` is made of, for keys whose associated
//! data never changes. With a nonce `IV` of 96 bits, and `E` for AES-256 under the key:
//!
//! ```text
//! H  = E(0^128)
//! J0 = IV ‖ 0^31 ‖ 1
//! S  = GHASH_H(A ‖ 0^v ‖ C ‖ 0^u ‖ [len(A)]64 ‖ [len(C)]64)
//! T  = S ⊕ E(J0)
//! P  = C ⊕ (E(inc32(J0)) ‖ E(inc32(inc32(J0))) ‖ …)
//! ```
//!
//! Blocks are numbers here, their first byte the highest.

#[cfg(test)]
mod tests;

use aes::{
    Aes256Enc, Block,
    cipher::{
        BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16,
        inout::InOutBuf,
    },
};
use ctutils::CtEq;
use polyval::{Polyval, hazmat::FieldElement, universal_hash::UniversalHash};
use zeroize::Zeroize;

use crate::{
    derive::KEY_BYTES,
    suite::{NONCE_IN_ID, TAG},
};

const BLOCK: usize = 16;

/// Blocks of a batch: a processor with AES instructions has them all in flight at once, and the hash multiplies as many
/// side by side. A key without claims takes one batch of either.
const BATCH: usize = 4;

/// A key and its associated data. Cipher and hash wipe themselves when dropped.
pub(super) struct Opener {
    aes: Aes256Enc,
    /// The hash of the associated data without its last block, which fills up the first batch.
    before: Polyval,
    last: u128,
    associated_bits: u64,
}

impl Opener {
    pub(super) fn new(key: &[u8; KEY_BYTES], associated: &[u8]) -> Self {
        let aes = Aes256Enc::new(key.into());
        // H = E(0^128)
        let mut h = Block::default();
        aes.encrypt_block(&mut h);
        // GHASH_H(X1 ‖ X2 ‖ …) = rev(POLYVAL_mulX(rev(H))(rev(X1) ‖ rev(X2) ‖ …)): RFC 8452, appendix A
        let mut reversed = Block::from(FieldElement::from(h).reverse().mulx());
        let mut before = Polyval::new(&reversed);
        h.as_mut_slice().zeroize();
        reversed.as_mut_slice().zeroize();
        // Where there are no data the last block is 0, which hashes to 0 as no block does.
        let mut last = 0;
        for (at, block) in associated.chunks(BLOCK).enumerate() {
            if at > 0 {
                before.update(&[reverse(last)]);
            }
            let mut padded = [0; BLOCK];
            padded[..block.len()].copy_from_slice(block);
            last = u128::from_be_bytes(padded);
        }
        Opener { aes, before, last, associated_bits: 8 * associated.len() as u64 }
    }

    /// Decrypts `ciphertext ‖ tag` in place and returns the plaintext; touches nothing where the tag is wrong.
    #[inline]
    pub(super) fn open<'a>(&self, nonce: &[u8; NONCE_IN_ID], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let tag = u128::from_be_bytes(*sealed.last_chunk::<TAG>()?);
        let mut text = Text { length: sealed.len() - TAG, sealed };
        // The hash first: while the processor is still wiping it, the cipher already runs.
        let hash = self.hash(&text);
        // inc32 is addition here: the counter would wrap after 2^32 - 1 blocks of text, and no key has more than 17.
        let [mask, stream @ ..] = self.stream(nonce, 1);
        // T = S ⊕ E(J0)
        if !tag.ct_eq(&(hash ^ mask)).to_bool() {
            return None;
        }
        // P = C ⊕ (E(inc32(J0)) ‖ …)
        for (at, stream) in (0..text.blocks()).zip(stream) {
            text.combine(at, stream);
        }
        for first in (stream.len()..text.blocks()).step_by(BATCH) {
            for (at, stream) in (first..text.blocks()).zip(self.stream(nonce, first as u32 + 2)) {
                text.combine(at, stream);
            }
        }
        Some(&text.sealed[..text.length])
    }

    /// `S = GHASH_H(A ‖ 0^v ‖ C ‖ 0^u ‖ [len(A)]64 ‖ [len(C)]64)`
    fn hash(&self, text: &Text<'_>) -> u128 {
        let lengths = (u128::from(self.associated_bits) << 64) | (8 * text.length as u128);
        let end = text.blocks() + 1;
        let block = |at: usize| match at {
            0 => reverse(self.last),
            _ if at < end => reverse(text.block(at - 1)),
            _ => reverse(lengths),
        };
        if end + 1 == BATCH {
            return hash_batch(&self.before, &std::array::from_fn(block));
        }
        let mut hash = self.before.clone();
        for first in (0..=end).step_by(BATCH) {
            let batch: [Block; BATCH] = std::array::from_fn(|at| block(first + at));
            hash.update(&batch[..BATCH.min(end + 1 - first)]);
        }
        u128::from_le_bytes(hash.finalize().into())
    }

    /// `E(IV ‖ [counter]32)`, and the same of the next counters.
    #[inline]
    fn stream(&self, nonce: &[u8; NONCE_IN_ID], counter: u32) -> [u128; BATCH] {
        let mut stream = [Block::default(); BATCH];
        self.aes.encrypt_with_backend(Batch { nonce, counter, stream: &mut stream });
        stream.map(|block| u128::from_be_bytes(block.into()))
    }
}

/// The hash of one batch more. In a function of its own the compiler copies the key, which has to be wiped again, only
/// once.
#[inline(never)]
fn hash_batch(before: &Polyval, batch: &[Block; BATCH]) -> u128 {
    let mut hash = before.clone();
    hash.update(batch);
    u128::from_le_bytes(hash.finalize().into())
}

/// A block in the order of POLYVAL, which is GHASH's backwards.
#[inline]
fn reverse(block: u128) -> Block {
    block.to_le_bytes().into()
}

/// What the cipher does to a batch: like `encrypt_blocks`, for a number of blocks that the compiler knows, so that
/// it leaves out the preparations for long texts.
struct Batch<'a> {
    nonce: &'a [u8; NONCE_IN_ID],
    counter: u32,
    stream: &'a mut [Block; BATCH],
}

impl BlockSizeUser for Batch<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Batch<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        // Read in the pieces that decoding has just written: a load across two of them would wait until they are in the
        // cache.
        let [a, b, c, d, rest @ ..] = *self.nonce;
        let nonce = (u128::from(u32::from_be_bytes([a, b, c, d])) << 64) | u128::from(u64::from_be_bytes(rest));
        let counter = |at: usize| u128::from(self.counter + at as u32);
        let mut blocks: [Block; BATCH] = std::array::from_fn(|at| ((nonce << 32) | counter(at)).to_be_bytes().into());
        let (batches, rest) = InOutBuf::from(blocks.as_mut_slice()).into_chunks();
        for batch in batches {
            backend.encrypt_par_blocks(batch);
        }
        backend.encrypt_tail_blocks(rest);
        *self.stream = blocks;
    }
}

/// The text in front of its tag. So the last block can be taken whole, and the bytes behind the text masked.
struct Text<'a> {
    sealed: &'a mut [u8],
    length: usize,
}

impl Text<'_> {
    #[inline]
    fn blocks(&self) -> usize {
        self.length.div_ceil(BLOCK)
    }

    /// A block, filled up with zeros.
    #[inline]
    fn block(&self, at: usize) -> u128 {
        self.whole(at) & self.mask(at)
    }

    #[inline]
    fn combine(&mut self, at: usize, stream: u128) {
        let combined = self.whole(at) ^ (stream & self.mask(at));
        self.sealed[BLOCK * at..][..BLOCK].copy_from_slice(&combined.to_be_bytes());
    }

    #[inline]
    fn whole(&self, at: usize) -> u128 {
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.sealed[BLOCK * at..][..BLOCK]);
        u128::from_be_bytes(block)
    }

    #[inline]
    fn mask(&self, at: usize) -> u128 {
        u128::MAX << (8 * (BLOCK * (at + 1)).saturating_sub(self.length))
    }
}
