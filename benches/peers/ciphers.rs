//! The yardsticks: three libraries' AES-256-GCM alone, each opening the bytes that the seal of a key without claims
//! has, under a key that was set up once.

use std::hint::black_box;

use crate::{keyring::REALM, rounds::Contender};

/// Distinct texts, so that no branch predictor learns one by heart.
const KEYS: usize = 512;
const KEY: [u8; 32] = [7; 32];
const TEXT: usize = 24;
const TAG: usize = 16;

type Sealed = [u8; TEXT + TAG];

fn associated() -> Vec<u8> {
    [b"bulla/v1\0\x01\0\0\0\x01".as_slice(), REALM.as_bytes()].concat()
}

fn nonce(at: usize) -> [u8; 12] {
    [&(at as u64).to_be_bytes()[..], &[0; 4]].concat().try_into().expect("12 bytes")
}

/// Opens other texts in turn; every one must open.
fn over(name: &str, mut open: impl FnMut([u8; 12], &[u8], &mut Sealed) -> bool + 'static) -> Contender<'static> {
    let aad = associated();
    let sealing =
        ring::aead::LessSafeKey::new(ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, &KEY).expect("a key"));
    let seal = |at: usize| {
        let mut sealed = vec![at as u8; TEXT];
        let aad = ring::aead::Aad::from(aad.as_slice());
        let nonce = ring::aead::Nonce::assume_unique_for_key(nonce(at));
        sealing.seal_in_place_append_tag(nonce, aad, &mut sealed).expect("sealed");
        Sealed::try_from(sealed).expect("a text and its tag")
    };
    let sealed: Vec<_> = (0..KEYS).map(|at| (nonce(at), seal(at))).collect();
    let mut at = 0;
    Contender::new(name, move || {
        at = (at + 1) % KEYS;
        let (nonce, mut text) = sealed[at];
        let opened = open(nonce, black_box(&aad), black_box(&mut text));
        black_box(text);
        opened
    })
}

pub(crate) fn aes_gcm() -> Contender<'static> {
    use aes_gcm::{
        Aes256Gcm,
        aead::{AeadInOut, KeyInit},
    };
    let cipher = Aes256Gcm::new(&KEY.into());
    over("raw aes-gcm open, same bytes", move |nonce, aad, sealed| {
        let (text, tag) = sealed.split_at_mut(TEXT);
        let tag: &[u8; TAG] = (&*tag).try_into().expect("a tag");
        cipher.decrypt_inout_detached(&nonce.into(), aad, text.into(), tag.into()).is_ok()
    })
}

pub(crate) fn aws_lc() -> Contender<'static> {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("a key"));
    over("raw aws-lc-rs open, same bytes", move |nonce, aad, sealed| {
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed).is_ok()
    })
}

pub(crate) fn ring() -> Contender<'static> {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("a key"));
    over("raw ring open, same bytes", move |nonce, aad, sealed| {
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed).is_ok()
    })
}
