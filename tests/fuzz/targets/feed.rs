//! Any bytes, as a message of the revocation feed, against `Message` and `Followed`.
//!
//! The first byte of the input says what becomes of the rest: a message as it stands (even), or what stands before the
//! signature that it ought to have (odd).

#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    feed::{FeedState, Message, SigningKey},
    keyring::KeyringId,
    revocation::Change,
};
use bulla_fuzz::{KEYRING_ID, counting};
use ed25519_dalek::Signer;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use zeroize::Zeroizing;

const SEED: [u8; 32] = counting(0xc0);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&Zeroizing::new(SEED)));

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let bytes = if how & 1 == 0 { rest.to_vec() } else { with_signature(rest) };
    let keyring = KeyringId::from_bytes(KEYRING_ID);
    let Ok(message) = Message::read(&bytes, keyring, &KEY.verifying_key()) else { return };
    assert!(how & 1 == 1, "nobody ever signed it");

    let again = Message::write(message.head(), message.events(), &KEY).expect("what was read is written");
    let read = Message::read(&again, keyring, &KEY.verifying_key());
    assert_eq!(read.as_ref(), Ok(&message), "what is written reads as the same");
    follow(&message);
});

/// Nothing is both revoked and accepted, and a message that comes again changes nothing.
fn follow(message: &Message) {
    let (head, now) = (message.head(), message.head().this_update);
    let mut followed = FeedState::new(head.realm);
    if followed.apply(message, now).is_err() {
        return;
    }
    assert_eq!(followed.seq(), head.seq);
    for event in message.events().iter().filter(|event| event.effective_at.is_none_or(|at| u64::from(at) <= now)) {
        if let Change::Revoke { id, .. } = event.change {
            assert!(followed.revocations().contains(&id, Uuid::nil(), u32::MAX), "{id} is revoked");
        }
    }
    let before = followed.revocations().len();
    let _refused_or_nothing_new = followed.apply(message, now);
    assert_eq!(followed.revocations().len(), before);
}

/// `docs/FEED.md`, "The signature".
fn with_signature(signed: &[u8]) -> Vec<u8> {
    let labelled = [b"bulla/v1 feed\0".as_slice(), &KEYRING_ID, signed].concat();
    let signature = ed25519_dalek::SigningKey::from_bytes(&SEED).sign(&labelled).to_bytes();
    [signed, format!("{{\"signature\":\"{}\"}}\n", BASE64.encode(signature)).as_bytes()].concat()
}
