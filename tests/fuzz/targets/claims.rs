//! Any bytes, as what lies behind the fixed part of a plaintext, against `Claims::from_cbor` and back.

#![no_main]

use bulla::{
    Rejection,
    claims::{Claims, ClaimsError},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let claims = match Claims::from_cbor(bytes) {
        Ok(claims) => claims,
        Err(rejection) => return assert_eq!(rejection, Rejection::Claims),
    };
    assert!(bytes.len() <= 240, "longer than claims may be");
    match claims.to_cbor() {
        Ok(again) => {
            assert!(again == bytes || again == with_lone_audience_as_text(bytes, &claims), "other bytes: {again:02x?}")
        }
        // RFC 6749 binds those who issue; a verifier takes any name between spaces.
        Err(ClaimsError::Scope(number)) => {
            let scope = &claims.scopes()[number - 1];
            assert!(!is_scope_token(scope), "{scope:?} is a scope token");
            round_trip(&claims.with_scopes::<String>([]));
        }
        Err(error) => panic!("accepted, and not to be issued: {error}"),
    }
});

/// An audience that stands alone in an array is written as text, which is the one choice that the format leaves. The
/// array's head is the third byte, behind those of the map and of the key 3, which comes first.
fn with_lone_audience_as_text(bytes: &[u8], claims: &Claims) -> Vec<u8> {
    match (claims.audience(), bytes) {
        ([_], [map, 0x03, 0x81, rest @ ..]) => [&[*map, 0x03], rest].concat(),
        _ => Vec::new(),
    }
}

fn round_trip(claims: &Claims) {
    let bytes = claims.to_cbor().expect("should be issued");
    assert_eq!(Claims::from_cbor(&bytes).as_ref(), Ok(claims));
}

fn is_scope_token(scope: &str) -> bool {
    scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
