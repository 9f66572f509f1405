//! Keys without claims, eight side by side in registers of 512 bits: `realm _ body checksum`, with a body of seven
//! groups of base62, so that all places count from the end. Every other text is for the code that takes all of them.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_xor_si128, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_bsrli_epi128, _mm512_castsi128_si512, _mm512_castsi512_si128,
    _mm512_clmulepi64_epi128, _mm512_cmpeq_epi64_mask, _mm512_inserti32x4, _mm512_maskz_mov_epi8, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_epi32, _mm512_shuffle_i64x2,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::{
    LANES, PLAIN_SEALED, WIDTH,
    base62_avx512::{GROUPS, SPREAD, SPREAD_DIGITS, spread, sums, values},
    body::{Body, ID},
    checksum::{BARRETT, OF_ZEROS, power},
    gcm::{BLOCK, GcmKey, POWERS},
    gcm512::{Product, combine, counters, lengths_at, nonce_of, reverse},
    load, load_wide, store_wide,
};
use crate::{
    base62_digits::{GROUP_BYTES, GROUP_DIGITS},
    realm,
    suite::TAG,
};

const BODY: usize = (GROUPS - 1) * GROUP_DIGITS;
const _: () = assert!(ID + PLAIN_SEALED == (GROUPS - 1) * GROUP_BYTES);
const CHECKSUM: usize = 6;
/// Characters of body and checksum.
const ENDING: usize = BODY + CHECKSUM;
const SHORTEST: usize = realm::MIN_LEN + 1 + ENDING;
const LONGEST: usize = realm::MAX_LEN + 1 + ENDING;

/// Characters of four groups, and of the other three and the checksum.
const HALF: usize = GROUPS / 2 * GROUP_DIGITS;
const REST: usize = ENDING - HALF;

/// The digits of the last three groups and of the checksum, among the last characters of the text. The checksum is a
/// group with zeros before it.
static SPREAD_REST: [u8; WIDTH] = {
    let (mut order, mut at) = ([0; WIDTH], 0);
    while at < WIDTH {
        let ahead = if at / 16 == GROUPS / 2 - 1 { GROUP_DIGITS - CHECKSUM } else { 0 };
        let digit = WIDTH - REST + SPREAD[at] as usize;
        order[at] = if SPREAD_REST_DIGITS >> at & 1 == 1 { (digit - ahead) as u8 } else { 0 };
        at += 1;
    }
    order
};
const SPREAD_REST_DIGITS: u64 = SPREAD_DIGITS & 0x0ee0_ffff_ffff_ffff;

/// What moves the first four blocks of a text behind its end, for each length that is checked.
static FORWARD: [[u8; WIDTH]; LONGEST - SHORTEST + 1] = {
    let (mut table, mut at) = ([[0; WIDTH]; LONGEST - SHORTEST + 1], 0);
    while at < table.len() {
        table[at] = forward(SHORTEST + at - CHECKSUM - WIDTH);
        at += 1;
    }
    table
};

/// The same for the last four blocks.
static FORWARD_LAST: [u8; WIDTH] = forward(0);

/// What moves four blocks with `behind` bytes after them to the end of the text, and 64 bits further. The sum of all
/// has 96 bits then.
const fn forward(behind: usize) -> [u8; WIDTH] {
    let (mut factors, mut at) = ([0; WIDTH], 0);
    while at < WIDTH {
        // The first half of a block has the higher powers.
        let half = if at % BLOCK == 0 { 96 } else { 32 };
        let factor = power(8 * (behind + WIDTH - BLOCK * (at / BLOCK + 1)) as u32 + half).to_le_bytes();
        let mut byte = 0;
        while byte < factor.len() {
            factors[at + byte] = factor[byte];
            byte += 1;
        }
        at += factor.len();
    }
    factors
}

/// A text that has the shape, in whole vectors.
struct Windows<'t> {
    front: &'t [u8; WIDTH],
    /// The last characters before the checksum.
    checked: &'t [u8; WIDTH],
    body: &'t [u8; WIDTH],
    ending: &'t [u8; WIDTH],
    /// Characters before the checksum.
    length: usize,
}

impl<'t> Windows<'t> {
    #[inline(always)]
    fn of(text: &'t [u8]) -> Option<Self> {
        if text.len() < SHORTEST || text.len() > LONGEST {
            return None;
        }
        let (realm, ending) = text.split_at(text.len() - ENDING);
        let (checked, _) = text.split_at(text.len() - CHECKSUM);
        if realm.last() != Some(&b'_') {
            return None;
        }
        Some(Windows {
            front: text.first_chunk()?,
            checked: checked.last_chunk()?,
            body: ending.first_chunk()?,
            ending: text.last_chunk()?,
            length: checked.len(),
        })
    }
}

/// Decodes the texts that are keys without claims by shape and checksum into their bodies, and returns a bit for each
/// of them.
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn read(texts: &[&[u8]; LANES], bodies: &mut [Body; LANES]) -> u8 {
    let (mut read, mut checked, mut of_zeros) = (0, [_mm512_setzero_si512(); LANES], [0; LANES]);
    for at in 0..LANES {
        let Some(windows) = Windows::of(texts[at]) else { continue };
        read |= u8::from(decode(&windows, &mut bodies[at])) << at;
        checked[at] = fold(&windows);
        of_zeros[at] = OF_ZEROS[windows.length];
    }
    let [a, b, c, d, e, f, g, h] = checked;
    let mut remainders = [[0; WIDTH]; 2];
    store_wide(&mut remainders[0], remainder(sum_of([a, b, c, d])));
    store_wide(&mut remainders[1], remainder(sum_of([e, f, g, h])));
    let (remainders, _) = remainders.as_flattened().as_chunks::<8>();
    for at in 0..LANES {
        let computed = (u64::from_le_bytes(remainders[2 * at]) >> 32) ^ u64::from(of_zeros[at]);
        let (words, _) = bodies[at].bytes().as_chunks::<GROUP_BYTES>();
        let written = words.get(GROUPS - 1).map_or(0, |word| u64::from_be_bytes(*word));
        read &= !(u8::from(computed != written) << at);
    }
    read
}

/// Decodes the body, and the checksum behind it; false where a character is no digit, or a group exceeds its bytes.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn decode(windows: &Windows<'_>, body: &mut Body) -> bool {
    let first = spread(load_wide(windows.body), &SPREAD, SPREAD_DIGITS);
    let rest = spread(load_wide(windows.ending), &SPREAD_REST, SPREAD_REST_DIGITS);
    let (values, exceeding) = values(sums(first), sums(rest));
    let Some(vector) = body.prepare(WIDTH).first_chunk_mut() else { return false };
    store_wide(vector, values);
    _mm512_movepi8_mask(_mm512_or_si512(first, rest)) | u64::from(exceeding) == 0
}

/// What the text before the checksum comes to, modulo the polynomial, in any lane.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn fold(windows: &Windows<'_>) -> __m512i {
    let times = |blocks, factors: &[u8; WIDTH]| {
        let factors = load_wide(factors);
        _mm512_xor_si512(
            _mm512_clmulepi64_epi128::<0x00>(blocks, factors),
            _mm512_clmulepi64_epi128::<0x11>(blocks, factors),
        )
    };
    // Characters that are in both windows count in the first one.
    let behind = _mm512_maskz_mov_epi8(u64::MAX << (2 * WIDTH - windows.length), load_wide(windows.checked));
    let factors = &FORWARD[windows.length - (SHORTEST - CHECKSUM)];
    _mm512_xor_si512(times(load_wide(windows.front), factors), times(behind, &FORWARD_LAST))
}

/// The remainder of each lane's 96 bits, in its second word of 32 bits; as [`checksum`](super::checksum) does it from
/// there on.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn remainder(sum: __m512i) -> __m512i {
    let word = |sum| _mm512_and_si512(sum, _mm512_set1_epi64(0xffff_ffff));
    let folded = _mm512_clmulepi64_epi128::<0x00>(word(sum), _mm512_set1_epi64(const { power(64) }));
    let sum = _mm512_xor_si512(_mm512_bsrli_epi128::<4>(sum), folded);
    let quotient = _mm512_clmulepi64_epi128::<0x00>(word(sum), _mm512_set1_epi64(BARRETT[1]));
    let product = _mm512_clmulepi64_epi128::<0x00>(word(quotient), _mm512_set1_epi64(BARRETT[0]));
    _mm512_xor_si512(sum, product)
}

/// The sum of the lanes of each, in a lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum_of([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let two = |a, b| _mm512_xor_si512(_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xee>(a, b));
    let (ab, cd) = (two(a, b), two(c, d));
    _mm512_xor_si512(_mm512_shuffle_i64x2::<0x88>(ab, cd), _mm512_shuffle_i64x2::<0xdd>(ab, cd))
}

/// The bytes of the text in the first vector.
const TEXT: u64 = ((1 << (PLAIN_SEALED - TAG)) - 1) << ID;

/// Opens the bodies of keys without claims that have a bit in `wanted`, as [`open`](super::gcm512::open) does, and
/// returns a bit for each that opened. All of them take the same instructions, whatever opens.
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn open(key: &GcmKey, bodies: &mut [Body; LANES], wanted: u8) -> u8 {
    let zero = _mm512_setzero_si512();
    let mut heads: [&[u8; WIDTH]; LANES] = [&[0; WIDTH]; LANES];
    for (head, body) in heads.iter_mut().zip(&*bodies) {
        if let Some(vector) = body.bytes().first_chunk() {
            *head = vector;
        }
    }
    let powers = key.powers[POWERS - 4..].first_chunk().map_or(zero, |powers| super::load_blocks(powers));
    let ends = _mm512_or_si512(_mm512_zextsi128_si512(key.before), lengths_at(3, key, PLAIN_SEALED - TAG));
    let (mut lows, mut highs) = ([zero; LANES], [zero; LANES]);
    for at in 0..LANES {
        let text = reverse(_mm512_maskz_mov_epi8(TEXT, load_wide(heads[at])));
        [lows[at], highs[at]] = Product::of(_mm512_or_si512(text, ends), powers).halves();
    }
    let hash = |from: usize| {
        let four = |of: &[__m512i; LANES]| sum_of([of[from], of[from + 1], of[from + 2], of[from + 3]]);
        reverse(reduce(four(&lows), four(&highs)))
    };
    let hashes = [hash(0), hash(LANES / 2)];
    let [first, rounds @ .., last] = &key.rounds;
    let first = _mm512_broadcast_i32x4(*first);
    let mut streams = [zero; LANES];
    for at in 0..LANES {
        streams[at] = _mm512_xor_si512(counters(nonce_of(load_wide(heads[at])), 0), first);
    }
    for round in rounds {
        let round = _mm512_broadcast_i32x4(*round);
        for stream in &mut streams {
            *stream = _mm512_aesenc_epi128(*stream, round);
        }
    }
    let last = _mm512_broadcast_i32x4(*last);
    for stream in &mut streams {
        *stream = _mm512_aesenclast_epi128(*stream, last);
    }
    let expected = |at: usize| {
        let (tag, mask) = (heads[at][ID + PLAIN_SEALED - TAG..].first_chunk(), _mm512_castsi512_si128(streams[at]));
        tag.map_or(mask, |tag| _mm_xor_si128(mask, load(tag)))
    };
    let equal = |from: usize| {
        let tags = of_lanes([expected(from), expected(from + 1), expected(from + 2), expected(from + 3)]);
        _mm512_cmpeq_epi64_mask(hashes[from / (LANES / 2)], tags)
    };
    // Two halves of a block in turn.
    let equal = u16::from(equal(0)) | u16::from(equal(LANES / 2)) << LANES;
    let mut opened = 0;
    for at in 0..LANES {
        opened |= u8::from(equal >> (2 * at) & 0b11 == 0b11) << at;
    }
    let opened = opened & wanted;
    for (at, (body, stream)) in bodies.iter_mut().zip(streams).enumerate() {
        if let Some(vector) = body.bytes_mut().first_chunk_mut() {
            combine(vector, TEXT & 0u64.wrapping_sub(u64::from(opened >> at & 1)), stream);
        }
    }
    opened
}

#[inline]
#[target_feature(enable = "avx512f")]
fn of_lanes([a, b, c, d]: [__m128i; 4]) -> __m512i {
    let vector = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
    _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(vector, c), d)
}

/// As [`reduce`](super::gcm::avx2::reduce) in each lane.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn reduce(low: __m512i, high: __m512i) -> __m512i {
    let clear = |low| {
        let product = _mm512_clmulepi64_epi128::<0x00>(low, _mm512_set1_epi64(0xc2 << 56));
        _mm512_xor_si512(_mm512_shuffle_epi32::<0b01_00_11_10>(low), product)
    };
    _mm512_xor_si512(high, clear(clear(low)))
}
