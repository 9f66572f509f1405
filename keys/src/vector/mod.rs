//! What a verify does on a processor's vector units: AES-256-GCM, the checksum, base62. The formats are in `seal`,
//! `api_key` and `base62`, whose portable code takes over where the processor has no such units, and to which all of
//! this is held by tests.
//!
//! This is the only file of the verify path with unsafe code, of three kinds: calls of functions that are compiled for
//! features of the processor, behind a [`Level`] that is proof of them; loads and stores of whole vectors, behind
//! references; and a hint. Intrinsics themselves are safe inside of functions that are compiled for their features.

#![allow(unsafe_code, reason = "see above; each use says why it is sound")]
#![cfg_attr(not(target_arch = "x86_64"), allow(unused, reason = "other processors have the portable code alone"))]

#[cfg(target_arch = "x86_64")]
mod base62_avx512;
#[cfg(target_arch = "x86_64")]
mod base62_sse2;
mod body;
#[cfg(target_arch = "x86_64")]
mod checksum;
#[cfg(target_arch = "x86_64")]
mod gcm;
#[cfg(target_arch = "x86_64")]
mod gcm512;
mod level;
#[cfg(target_arch = "x86_64")]
mod plain512;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, __m512i, _MM_HINT_T0, _mm_loadh_pd, _mm_loadl_epi64, _mm_loadu_si128, _mm_prefetch, _mm_storeu_si128,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};

use std::{mem::MaybeUninit, slice};

use self::level::Kind;
#[cfg(test)]
pub(crate) use self::level::tests::at_every_level;
pub(crate) use self::{
    body::{Body, ID, ROOM},
    level::Level,
};
use crate::{derive::KEY_BYTES, suite::Suite};

/// Bytes of the widest vector.
const WIDTH: usize = 64;

/// Keys that are read and opened side by side.
pub(crate) const LANES: usize = 8;

/// Bytes under the seal of a key of suite 1 without claims.
pub(crate) const PLAIN_SEALED: usize = Suite::MIN_SEALED;

/// The longest text that has its checksum computed here.
pub(crate) const MAX_CHECKED: usize = 512;

/// An AES-256-GCM key and its associated data, set up for a processor's units.
pub(crate) struct GcmOpener {
    level: Level,
    #[cfg(target_arch = "x86_64")]
    key: Box<gcm::GcmKey>,
}

/// An XAES-256-GCM key and its associated data, set up for a processor's units.
pub(crate) struct XaesOpener {
    level: Level,
    #[cfg(target_arch = "x86_64")]
    key: Box<gcm::XaesKey>,
}

#[cfg(target_arch = "x86_64")]
impl GcmOpener {
    /// `None` where the processor has nothing for it.
    pub(crate) fn new(level: Level, key: &[u8; KEY_BYTES], associated: &[u8]) -> Option<Self> {
        let key = match level.kind() {
            Kind::Portable => return None,
            // SAFETY: the level is proof of the features that the function is compiled for.
            Kind::Aes => unsafe { gcm::aes::gcm_key(key, associated) },
            // SAFETY: the same; a higher level has those of the lower ones.
            Kind::Avx2 | Kind::Avx512 => unsafe { gcm::avx2::gcm_key(key, associated) },
        };
        Some(GcmOpener { level, key })
    }

    /// Opens the body's `sealed` bytes behind its id, `ciphertext ‖ tag`, in place; touches nothing where the tag is
    /// wrong.
    #[inline]
    #[must_use]
    pub(crate) fn open(&self, body: &mut Body, sealed: usize) -> bool {
        if self.level.kind() == Kind::Avx512 {
            // SAFETY: the level is proof of the features that the function is compiled for.
            return unsafe { gcm512::open(&self.key, body, sealed) };
        }
        let Some((nonce, sealed)) = body.nonce_and_sealed(sealed) else { return false };
        match self.level.kind() {
            // SAFETY: the same.
            Kind::Aes => unsafe { gcm::aes::open(&self.key, nonce, sealed) },
            // SAFETY: the same.
            Kind::Avx2 => unsafe { gcm::avx2::open(&self.key, nonce, sealed) },
            Kind::Portable | Kind::Avx512 => false,
        }
    }

    /// The same for the bodies of keys without claims that have a bit in `wanted`, side by side: each that opens has a
    /// bit in the result. `None` where the processor has nothing for it.
    #[inline]
    pub(crate) fn open_plain(&self, bodies: &mut [Body; LANES], wanted: u8) -> Option<u8> {
        // SAFETY: the level is proof of the features that the function is compiled for.
        (self.level.kind() == Kind::Avx512).then(|| unsafe { plain512::open(&self.key, bodies, wanted) })
    }
}

#[cfg(target_arch = "x86_64")]
impl XaesOpener {
    /// `None` where the processor has nothing for it.
    pub(crate) fn new(level: Level, key: &[u8; KEY_BYTES], associated: &[u8]) -> Option<Self> {
        let key = match level.kind() {
            Kind::Portable => return None,
            // SAFETY: the level is proof of the features that the function is compiled for.
            Kind::Aes => unsafe { gcm::aes::xaes_key(key, associated) },
            // SAFETY: the same; a higher level has those of the lower ones.
            Kind::Avx2 | Kind::Avx512 => unsafe { gcm::avx2::xaes_key(key, associated) },
        };
        Some(XaesOpener { level, key })
    }

    /// Opens the body's `sealed` bytes behind its id, `N[12..24] ‖ ciphertext ‖ tag`, in place; touches nothing where
    /// the tag is wrong.
    #[inline]
    #[must_use]
    pub(crate) fn open(&self, body: &mut Body, sealed: usize) -> bool {
        let Some((nonce, sealed)) = body.nonce_and_sealed(sealed) else { return false };
        match self.level.kind() {
            Kind::Portable => false,
            // SAFETY: the level is proof of the features that the function is compiled for.
            Kind::Aes => unsafe { gcm::aes::open_xaes(&self.key, nonce, sealed) },
            // SAFETY: the same; a higher level has those of the lower ones.
            Kind::Avx2 | Kind::Avx512 => unsafe { gcm::avx2::open_xaes(&self.key, nonce, sealed) },
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl GcmOpener {
    pub(crate) fn new(_: Level, _: &[u8; KEY_BYTES], _: &[u8]) -> Option<Self> {
        None
    }

    pub(crate) fn open(&self, _: &mut Body, _: usize) -> bool {
        false
    }

    pub(crate) fn open_plain(&self, _: &mut [Body; LANES], _: u8) -> Option<u8> {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl XaesOpener {
    pub(crate) fn new(_: Level, _: &[u8; KEY_BYTES], _: &[u8]) -> Option<Self> {
        None
    }

    pub(crate) fn open(&self, _: &mut Body, _: usize) -> bool {
        false
    }
}

/// Decodes those texts into their bodies that are keys without claims, with a right shape and checksum: each has a bit
/// in the result. Nothing is said of the others, whose bodies have no meaning then.
#[inline]
pub(crate) fn read_plain(level: Level, texts: &[&[u8]; LANES], bodies: &mut [Body; LANES]) -> u8 {
    #[cfg(target_arch = "x86_64")]
    if level.kind() == Kind::Avx512 {
        // SAFETY: the level is proof of the features that the function is compiled for.
        return unsafe { plain512::read(texts, bodies) };
    }
    0
}

/// The CRC-32 of a text of 16 to [`MAX_CHECKED`] bytes; `None` where that is for portable code.
#[inline]
pub(crate) fn checksum(level: Level, text: &[u8]) -> Option<u32> {
    #[cfg(target_arch = "x86_64")]
    if level.kind() != Kind::Portable {
        // SAFETY: the level is proof of the features that the function is compiled for.
        return unsafe { checksum::checksum(text) };
    }
    None
}

/// Decodes so many whole groups of base62 into the front of `out`, up to whole vectors. The outer `None` is for
/// portable code to do, the inner one for a text that is not base62.
#[inline]
pub(crate) fn decode_groups(level: Level, text: &[u8], groups: usize, out: &mut [u8]) -> Option<Option<()>> {
    #[cfg(target_arch = "x86_64")]
    if level.kind() == Kind::Avx512 {
        // SAFETY: the level is proof of the features that the function is compiled for.
        return Some(unsafe { base62_avx512::decode_groups(text, groups, out) });
    }
    None
}

/// The values of the first eight and the last three digits of a group of base62.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn decode_group(text: &[u8]) -> Option<(u64, u64)> {
    // SAFETY: SSE2 is part of x86-64 itself.
    unsafe { base62_sse2::decode_group(text) }
}

/// The place of the last underscore.
#[inline(always)]
pub(crate) fn last_underscore(text: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64 itself.
    return unsafe { base62_sse2::last_underscore(text) };
    #[cfg(not(target_arch = "x86_64"))]
    memchr::memrchr(b'_', text)
}

/// The values of the first eight and the last three of the last digits of a window, at most 10 of them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn decode_last(window: &[u8; 16], count: usize) -> Option<(u64, u64)> {
    // SAFETY: the same.
    unsafe { base62_sse2::decode_last(window, count) }
}

/// Has the processor fetch the line of memory, and waits for nothing.
#[inline]
pub(crate) fn prefetch<T>(line: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64 itself, and a prefetch is a hint that fails for no address.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>((&raw const *line).cast());
    }
}

/// The first vectors, which are initialized.
#[inline(always)]
fn initialized(vectors: &[MaybeUninit<[u8; WIDTH]>], ready: usize) -> &[u8] {
    let vectors = &vectors[..ready];
    // SAFETY: `Body` counts a vector as ready after it wrote it, and the slice has the bytes of those alone.
    unsafe { slice::from_raw_parts(vectors.as_ptr().cast(), size_of_val(vectors)) }
}

/// The same to write to.
#[inline(always)]
fn initialized_mut(vectors: &mut [MaybeUninit<[u8; WIDTH]>], ready: usize) -> &mut [u8] {
    let vectors = &mut vectors[..ready];
    // SAFETY: the same; the slice borrows the vectors, so nothing else has access to them.
    unsafe { slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), size_of_val(vectors)) }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: SSE2 is part of x86-64 itself; 16 bytes are there, and the load needs no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

/// The same in two loads of eight bytes, for bytes that were just stored so: one load across two stores waits for the
/// cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn load_halves(block: &[u8; 16]) -> __m128i {
    // SAFETY: SSE2 is part of x86-64 itself; twice eight bytes are there, and the loads need no alignment.
    unsafe {
        use std::arch::x86_64::{_mm_castpd_si128, _mm_castsi128_pd};
        let low = _mm_castsi128_pd(_mm_loadl_epi64(block.as_ptr().cast()));
        _mm_castpd_si128(_mm_loadh_pd(low, block.as_ptr().add(8).cast()))
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn store(block: &mut [u8; 16], value: __m128i) {
    // SAFETY: SSE2 is part of x86-64 itself; there is room for 16 bytes, and the store needs no alignment.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn load_wide(vector: &[u8; WIDTH]) -> __m512i {
    // SAFETY: 64 bytes are there, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(vector.as_ptr().cast()) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn load_blocks(blocks: &[__m128i; WIDTH / 16]) -> __m512i {
    // SAFETY: four times 16 bytes are there, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(blocks.as_ptr().cast()) }
}

/// The first bytes, as many as fit, filled up with zeros.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_front(text: &[u8]) -> __m512i {
    let mask = u64::MAX.checked_shr((WIDTH - text.len().min(WIDTH)) as u32).unwrap_or(0);
    // SAFETY: bytes that the mask leaves out are not accessed, and the others lie in the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask, text.as_ptr().cast()) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn store_wide(vector: &mut [u8; WIDTH], value: __m512i) {
    // SAFETY: there is room for 64 bytes, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(vector.as_mut_ptr().cast(), value) }
}
