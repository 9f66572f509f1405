//! The signature around a message or a manifest: over the exact bytes before the last line, which holds it. It is
//! looked at before anything else is.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{FeedError, Message, SigningKey, VerifyingKey};
use crate::{feed_key::SIGNATURE, keyring_id::KeyringId};

const BEFORE_SIGNATURE: &str = "{\"signature\":\"";
const AFTER_SIGNATURE: &str = "\"}\n";

/// The signed bytes, whose signature holds.
pub(super) fn open<'a>(bytes: &'a [u8], keyring_id: KeyringId, key: &VerifyingKey) -> Result<&'a [u8], FeedError> {
    if bytes.len() > Message::MAX_BYTES {
        return Err(FeedError::TooLong(bytes.len()));
    }
    let (signed, signature) = split(bytes).ok_or(FeedError::Unsigned)?;
    match key.verifies(keyring_id, signed, &signature) {
        true => Ok(signed),
        false => Err(FeedError::Signature),
    }
}

/// The text with its signature behind it.
pub(super) fn seal(mut text: String, keyring_id: KeyringId, key: &SigningKey) -> Result<Vec<u8>, FeedError> {
    let signature = BASE64.encode(key.sign(keyring_id, text.as_bytes()));
    text.extend([BEFORE_SIGNATURE, &signature, AFTER_SIGNATURE]);
    if text.len() > Message::MAX_BYTES { Err(FeedError::TooLong(text.len())) } else { Ok(text.into_bytes()) }
}

/// The bytes before the last line, and the signature in it. That line is not signed, and so has one spelling alone.
fn split(bytes: &[u8]) -> Option<(&[u8], [u8; SIGNATURE])> {
    let at = bytes.strip_suffix(b"\n")?.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (signed, last) = bytes.split_at(at);
    let text = last.strip_prefix(BEFORE_SIGNATURE.as_bytes())?.strip_suffix(AFTER_SIGNATURE.as_bytes())?;
    Some((signed, BASE64.decode(text).ok()?.try_into().ok()?))
}
