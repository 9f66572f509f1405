//! Claims as CBOR in deterministic encoding (RFC 8949 §4.2.1), under the keys of CWT (RFC 8392) and private ones.
//!
//! Reading is strict by one rule: what was read, written again, must give the very same bytes. That alone refuses
//! longer-than-needed integers, indefinite lengths, wrong orders and duplicates.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder, data::Type, decode::Error as NotCbor};

use super::{Cidr, Claims};
use crate::payload::MAX_CLAIMS;

const AUD: i64 = 3;
const NBF: i64 = 5;
const SCOPE: i64 = 9;
const CIDR: i64 = -65537;
const SECRET: i64 = -65538;
const META: i64 = -65539;

/// Bytes that are no claims: malformed, unknown or not deterministic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadClaims;

impl From<NotCbor> for BadClaims {
    fn from(_: NotCbor) -> Self {
        BadClaims
    }
}

/// How a lone audience stands in the encoding; both ways are deterministic.
#[derive(Clone, Copy, PartialEq)]
enum LoneAudience {
    Text,
    Array,
}

/// The claims' bytes: none for no claims, else one map.
pub(super) fn encode(claims: &Claims) -> Vec<u8> {
    encode_as(claims, LoneAudience::Text)
}

/// Reads what lies behind the fixed part of the plaintext; no bytes are no claims.
pub(super) fn decode(bytes: &[u8]) -> Result<Claims, BadClaims> {
    if bytes.is_empty() {
        return Ok(Claims::default());
    }
    if bytes.len() > MAX_CLAIMS {
        return Err(BadClaims);
    }
    let (claims, lone) = read(&mut Decoder::new(bytes))?;
    claims.check().map_err(|_| BadClaims)?;
    if encode_as(&claims, lone) == bytes { Ok(claims) } else { Err(BadClaims) }
}

fn read(input: &mut Decoder<'_>) -> Result<(Claims, LoneAudience), BadClaims> {
    let mut claims = Claims::default();
    let mut lone = LoneAudience::Text;
    for _ in 0..filled(input.map()?)? {
        match input.i64()? {
            AUD => {
                if input.datatype()? == Type::Array {
                    lone = LoneAudience::Array;
                    claims.audience = array(input, |input| Ok(input.str()?.to_owned()))?;
                } else {
                    claims.audience = vec![input.str()?.to_owned()];
                }
            }
            NBF => claims.not_before = Some(input.u64()?),
            SCOPE => claims.scopes = input.str()?.split(' ').map(str::to_owned).collect(),
            CIDR => claims.cidr = array(input, |input| Cidr::from_bytes(input.bytes()?).ok_or(BadClaims))?,
            SECRET => {
                claims.secret = input.bool()?;
                if !claims.secret {
                    return Err(BadClaims);
                }
            }
            META => {
                for _ in 0..filled(input.map()?)? {
                    claims.meta.insert(input.str()?.to_owned(), input.str()?.to_owned());
                }
            }
            _ => return Err(BadClaims),
        }
    }
    Ok((claims, lone))
}

/// The number of entries of a map or array: known beforehand, and not nought.
fn filled(length: Option<u64>) -> Result<u64, BadClaims> {
    length.filter(|length| *length > 0).ok_or(BadClaims)
}

fn array<'b, T>(
    input: &mut Decoder<'b>,
    mut item: impl FnMut(&mut Decoder<'b>) -> Result<T, BadClaims>,
) -> Result<Vec<T>, BadClaims> {
    (0..filled(input.array()?)?).map(|_| item(input)).collect()
}

fn encode_as(claims: &Claims, lone: LoneAudience) -> Vec<u8> {
    let entries = [
        !claims.audience.is_empty(),
        claims.not_before.is_some(),
        !claims.scopes.is_empty(),
        !claims.cidr.is_empty(),
        claims.secret,
        !claims.meta.is_empty(),
    ];
    let entries = entries.into_iter().filter(|there| *there).count() as u64;
    let mut bytes = Vec::new();
    if entries > 0 {
        #[allow(clippy::expect_used, reason = "the error type is Infallible")]
        write(claims, lone, entries, &mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
    }
    bytes
}

fn write(
    claims: &Claims,
    lone: LoneAudience,
    entries: u64,
    out: &mut Encoder<&mut Vec<u8>>,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    out.map(entries)?;
    match claims.audience.as_slice() {
        [] => {}
        [only] if lone == LoneAudience::Text => {
            out.i64(AUD)?.str(only)?;
        }
        all => {
            out.i64(AUD)?.array(all.len() as u64)?;
            for audience in all {
                out.str(audience)?;
            }
        }
    }
    if let Some(not_before) = claims.not_before {
        out.i64(NBF)?.u64(not_before)?;
    }
    if !claims.scopes.is_empty() {
        out.i64(SCOPE)?.str(&claims.scopes.join(" "))?;
    }
    if !claims.cidr.is_empty() {
        out.i64(CIDR)?.array(claims.cidr.len() as u64)?;
        for block in &claims.cidr {
            out.bytes(&block.to_bytes())?;
        }
    }
    if claims.secret {
        out.i64(SECRET)?.bool(true)?;
    }
    if !claims.meta.is_empty() {
        out.i64(META)?.map(claims.meta.len() as u64)?;
        for (name, value) in in_encoded_order(&claims.meta) {
            out.str(name)?.str(value)?;
        }
    }
    Ok(())
}

/// Shorter names first, then bytewise: the order of the names' encodings.
fn in_encoded_order(meta: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    let mut entries: Vec<_> = meta.iter().collect();
    entries.sort_by_key(|(name, _)| name.len());
    entries
}
