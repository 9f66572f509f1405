//! WordPress's `wp_fast_hash`, which application passwords have from 6.8 on: `$generic$`, and in base64url the keyed
//! BLAKE2b (RFC 7693) of the key, 30 bytes, under a key that stands in WordPress's source.

use blake2::{
    Blake2bMac,
    digest::{KeyInit, Mac, consts::U30},
};

use crate::imported::{digest::Digest, encoding};

/// Bytes of a digest.
pub(super) const LEN: usize = 30;
const KEY: &[u8] = b"wp_fast_hash_6.8+";

pub(super) fn digest(hashed: &[u8]) -> Option<Digest> {
    let mac = Blake2bMac::<U30>::new_from_slice(KEY).ok()?;
    Some(Digest::of(&mac.chain_update(hashed).finalize().into_bytes()))
}

pub(super) fn read(text: &str) -> Option<Vec<u8>> {
    encoding::base64(text.trim().strip_prefix("$generic$")?).filter(|digest| digest.len() == LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hashlib: blake2b(b"key", digest_size=30, key=b"wp_fast_hash_6.8+").
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        let stored = read("$generic$ocaVBsGdOEUZJLRXnBrPXWIPhMFfBE8MlEq5C_P9").expect("a hash");
        assert_eq!(digest(b"key").expect("a digest").to_vec(), stored);
        assert_ne!(digest(b"kex").expect("a digest").to_vec(), stored);
        for bad in ["", "$generic$", "$generic$AAAA", "ocaVBsGdOEUZJLRXnBrPXWIPhMFfBE8MlEq5C_P9", "$P$saltsalt"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
