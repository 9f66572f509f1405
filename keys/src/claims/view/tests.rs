//! The walk, compared with another parser, `minicbor`, whose result counts where it gives the same bytes when it is
//! written again.

use minicbor::{Decoder, data::Type};

use super::{super::Claims, *};

/// What the bytes hold, or `None` where they are no claims.
fn reference(bytes: &[u8]) -> Option<Claims> {
    let (claims, lone_in_array) = read(&mut Decoder::new(bytes))?;
    claims.check().ok()?;
    // An audience that stands alone in an array is written as text, the one choice that the format leaves.
    let expected = match bytes {
        [map, 0x03, 0x81, rest @ ..] if lone_in_array => [&[*map, 0x03], rest].concat(),
        _ => bytes.to_vec(),
    };
    (bytes.len() <= MAX_CLAIMS && super::super::cbor::encode(&claims) == expected).then_some(claims)
}

fn read(input: &mut Decoder<'_>) -> Option<(Claims, bool)> {
    let (mut claims, mut lone_in_array) = (Claims::default(), false);
    for _ in 0..filled(input.map().ok()?)? {
        match input.i64().ok()? {
            AUD if input.datatype().ok()? == Type::Array => {
                claims.audience = array(input, |input| input.str().ok().map(str::to_owned))?;
                lone_in_array = claims.audience.len() == 1;
            }
            AUD => claims.audience = vec![input.str().ok()?.to_owned()],
            NBF => claims.not_before = Some(input.u64().ok()?),
            SCOPE => claims.scopes = input.str().ok()?.split(' ').map(str::to_owned).collect(),
            CIDR => claims.cidr = array(input, |input| Cidr::from_bytes(input.bytes().ok()?))?,
            SECRET => claims.secret = input.bool().ok().filter(|secret| *secret)?,
            META => {
                for _ in 0..filled(input.map().ok()?)? {
                    claims.meta.insert(input.str().ok()?.to_owned(), input.str().ok()?.to_owned());
                }
            }
            _ => return None,
        }
    }
    Some((claims, lone_in_array))
}

fn filled(length: Option<u64>) -> Option<u64> {
    length.filter(|length| *length > 0)
}

fn array<'b, T>(input: &mut Decoder<'b>, mut item: impl FnMut(&mut Decoder<'b>) -> Option<T>) -> Option<Vec<T>> {
    (0..filled(input.array().ok()?)?).map(|_| item(input)).collect()
}

fn samples() -> Vec<Vec<u8>> {
    let cidr = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/33"].map(|block| block.parse().expect("a block"));
    let all = Claims::new()
        .with_audience(["shop", "books"])
        .with_not_before(1_795_000_000)
        .with_scopes(["orders.read", "orders.write"])
        .with_cidr(cidr)
        .with_secret()
        .with_meta([("plan", "gold"), ("a", "é"), ("ab", "x"), ("a longer name than twenty-three bytes", "y")]);
    let some = [
        all,
        Claims::new().with_audience(["shop"]),
        Claims::new().with_scopes(["a"]).with_not_before(23),
        Claims::new().with_not_before(24).with_secret(),
        Claims::new().with_not_before(u64::MAX),
        Claims::new().with_meta([("n", "v".repeat(226))]),
        Claims::new().with_cidr([cidr[2]]),
    ];
    let mut samples: Vec<_> = some.iter().map(|claims| claims.to_cbor().expect("claims")).collect();
    samples.push(b"\xa1\x03\x81\x64shop".to_vec());
    samples
}

fn assert_alike(bytes: &[u8]) {
    let read = if bytes.is_empty() { None } else { View::of(bytes).map(Claims::from) };
    assert_eq!(read, reference(bytes), "{bytes:02x?}");
}

#[test]
fn all_that_is_one_byte_away_from_claims_is_read_alike() {
    for sample in samples() {
        assert!(reference(&sample).is_some(), "{sample:02x?}");
        assert_alike(&sample);
        for at in 0..sample.len() {
            assert_alike(&sample[..at]);
            for byte in 0..=255 {
                let mut changed = sample.clone();
                changed[at] = byte;
                assert_alike(&changed);
                changed = sample.clone();
                changed.insert(at, byte);
                assert_alike(&changed);
            }
            let mut shorter = sample.clone();
            shorter.remove(at);
            assert_alike(&shorter);
        }
        assert_alike(&[&sample[..], &[0]].concat());
    }
}

#[test]
fn random_changes_are_read_alike() {
    let (samples, mut state) = (samples(), 1u64);
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..100_000 {
        let mut bytes = samples[next(samples.len())].clone();
        for _ in 0..1 + next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes[at] ^= 1 << next(8),
                2 => bytes.insert(at, next(256) as u8),
                // A piece again, so that keys and entries come twice.
                _ => {
                    let piece = bytes[at..(at + 1 + next(16)).min(bytes.len())].to_vec();
                    let to = next(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        assert_alike(&bytes);
    }
}
