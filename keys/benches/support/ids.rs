//! API-key ids by the million, without sealing a key for each.

use bulla::{ApiKeyId, revocation::Change};

use crate::keyring::{NOW, REALM};

/// Revocations of different ids of version 1, as random as issued ones, each with an expiry in the next 90 days. Ids of
/// another `series` are others.
pub(crate) fn revocations(series: u64) -> impl Iterator<Item = Change> {
    (0..).map(move |number| {
        let (high, low) = (mix(series << 40 | number), mix(!(series << 40 | number)));
        let expires_at = NOW + 3_600 + low % (90 * 86_400);
        Change::Revoke { id: id(high >> 32, low), expires_at: Some(expires_at as u32) }
    })
}

/// The id of version 1 and this nonce.
fn id(high: u64, low: u64) -> ApiKeyId {
    let mut text = String::with_capacity(40);
    text.push_str(REALM);
    text.push('_');
    push_group(&mut text, 1 << 32 | high);
    push_group(&mut text, low);
    text.parse().expect("an id")
}

fn push_group(text: &mut String, mut value: u64) {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [0; 11];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    text.push_str(std::str::from_utf8(&digits).expect("ASCII"));
}

fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
