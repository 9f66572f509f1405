//! App ids as text. Every request that is accepted needs it, and the crate's way there takes digit by digit.

use uuid::Uuid;

/// Characters of an app id.
pub(crate) const HYPHENATED: usize = 36;

/// Writes the id in lower case, with hyphens.
#[inline]
pub(crate) fn hyphenated(id: Uuid, room: &mut [u8; HYPHENATED]) {
    let (bytes, mut words) = (id.into_bytes(), [[0; 8]; 4]);
    words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = hex(*bytes));
    let [a, b, c, d] = words;
    room[..8].copy_from_slice(&a);
    room[9..13].copy_from_slice(&b[..4]);
    room[14..18].copy_from_slice(&b[4..]);
    room[19..23].copy_from_slice(&c[..4]);
    room[24..28].copy_from_slice(&c[4..]);
    room[28..].copy_from_slice(&d);
    [8, 13, 18, 23].into_iter().for_each(|at| room[at] = b'-');
}

/// Four bytes as digits, all at once: each digit in a byte of one number.
#[inline(always)]
fn hex(bytes: [u8; 4]) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from(u32::from_le_bytes(bytes));
    let halves = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    // Of each byte the upper four bits come first.
    let digits = bytes >> 4 & 0x000f_000f_000f_000f | (bytes & 0x000f_000f_000f_000f) << 8;
    // From ten on six more reach sixteen.
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    (digits + u64::from(b'0') * ONES + u64::from(b'a' - b'0' - 10) * letters).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_the_crate_writes() {
        let ids = [0, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, 0xa0a1_a2a3_0909_1f2e_3d4c_5b6a_7988_9a90];
        for id in ids.into_iter().chain((0..=255).map(|byte| u128::from_be_bytes([byte; 16]))).map(Uuid::from_u128) {
            let mut room = [0; HYPHENATED];
            hyphenated(id, &mut room);
            assert_eq!(room, id.hyphenated().to_string().as_bytes());
        }
    }
}
