//! Writes claims as CBOR in deterministic encoding (RFC 8949 §4.2.1), under the keys of CWT (RFC 8392) and private
//! ones.

use std::collections::BTreeMap;

use minicbor::{
    Encoder,
    encode::{Error as NotWritten, Write},
};

use super::{
    Claims,
    view::{AUD, CIDR, META, NBF, SCOPE, SECRET},
};

/// The claims' bytes: none for no claims, else one map.
pub(super) fn encode(claims: &Claims) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[allow(clippy::expect_used, reason = "the error type is Infallible")]
    write(claims, &mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
    bytes
}

/// Writes no bytes for no claims.
fn write<W: Write>(claims: &Claims, out: &mut Encoder<W>) -> Result<(), NotWritten<W::Error>> {
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
        [only] => {
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
