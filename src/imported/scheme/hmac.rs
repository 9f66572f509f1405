//! HMAC-SHA256 (RFC 2104) under a secret that is not in the table of keys.

use hmac::Mac;

use super::DIGEST;
use crate::imported::HmacKey;

pub(super) fn digest(key: &HmacKey, hashed: &[u8]) -> [u8; DIGEST] {
    key.mac().chain_update(hashed).finalize().into_bytes().into()
}
