//! Claims as CBOR in deterministic encoding (RFC 8949 §4.2.1), under the keys of CWT (RFC 8392) and private ones.
//!
//! Reading is strict by one rule: what was read, written again, must give the very same bytes. That alone refuses
//! longer-than-needed integers, indefinite lengths, wrong orders and duplicates.

use std::collections::BTreeMap;

use minicbor::{
    Decoder, Encoder,
    data::Type,
    decode::Error as NotCbor,
    encode::{Error as NotWritten, Write},
};

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
    let mut bytes = Vec::new();
    #[allow(clippy::expect_used, reason = "the error type is Infallible")]
    write(claims, LoneAudience::Text, &mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
    bytes
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
    let mut rest = Rest(bytes);
    let written = write(&claims, lone, &mut Encoder::new(&mut rest));
    if written.is_ok() && rest.0.is_empty() { Ok(claims) } else { Err(BadClaims) }
}

/// What is left of bytes that are written again: only they themselves can be.
struct Rest<'b>(&'b [u8]);

impl Write for Rest<'_> {
    type Error = BadClaims;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), BadClaims> {
        self.0 = self.0.strip_prefix(bytes).ok_or(BadClaims)?;
        Ok(())
    }
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

/// The number of entries of a map or array: known beforehand, and not zero.
fn filled(length: Option<u64>) -> Result<u64, BadClaims> {
    length.filter(|length| *length > 0).ok_or(BadClaims)
}

fn array<'b, T>(
    input: &mut Decoder<'b>,
    mut item: impl FnMut(&mut Decoder<'b>) -> Result<T, BadClaims>,
) -> Result<Vec<T>, BadClaims> {
    (0..filled(input.array()?)?).map(|_| item(input)).collect()
}

/// Writes no bytes for no claims.
fn write<W: Write>(claims: &Claims, lone: LoneAudience, out: &mut Encoder<W>) -> Result<(), NotWritten<W::Error>> {
    let entries = [
        !claims.audience.is_empty(),
        claims.not_before.is_some(),
        !claims.scopes.is_empty(),
        !claims.cidr.is_empty(),
        claims.secret,
        !claims.meta.is_empty(),
    ];
    match entries.into_iter().filter(|there| *there).count() {
        0 => return Ok(()),
        entries => out.map(entries as u64)?,
    };
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
        out.i64(SCOPE)?.str(&claims.scopes_text())?;
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
