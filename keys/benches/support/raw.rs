//! The yardstick: the cipher alone.

use std::hint::black_box;

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};

use crate::{keyring::REALM, rounds::Contender};

/// Distinct texts, so that no branch predictor learns one by heart.
const KEYS: usize = 512;

/// The cipher alone, over the bytes that bulla's seal of a key without claims has.
pub(crate) fn open() -> Contender<'static> {
    let cipher = Aes256Gcm::new(&[7; 32].into());
    let aad = [b"bulla/v1\0\x01\0\0\0\x01".as_slice(), REALM.as_bytes()].concat();
    let nonce = |at: usize| -> [u8; 12] { [&(at as u64).to_be_bytes()[..], &[0; 4]].concat().try_into().expect("12") };
    let sealed: Vec<_> = (0..KEYS)
        .map(|at| {
            let mut text = [at as u8; 24];
            let tag = cipher.encrypt_inout_detached(&nonce(at).into(), &aad, (&mut text[..]).into()).expect("sealed");
            (nonce(at), text, tag)
        })
        .collect();
    let mut at = 0;
    Contender::new("raw aes-gcm open, same bytes", move || {
        at = (at + 1) % KEYS;
        let (nonce, mut text, tag) = sealed[at];
        let length = black_box(text.len());
        let opened = cipher.decrypt_inout_detached(&nonce.into(), black_box(&aad), (&mut text[..length]).into(), &tag);
        black_box(text);
        opened.is_ok()
    })
}
