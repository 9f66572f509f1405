//! Any bytes, as the message of gRPC `envoy.service.auth.v3.Authorization/Check`.
//!
//! The first byte of the input says whether a frame is put around the rest (even), or the rest is frame and all (odd).
//! Nobody has an API key of this deployment, so nothing is ever let through.

#![no_main]

use std::sync::LazyLock;

use bulla_server::testing::fuzzing::DataPlane;
use libfuzzer_sys::fuzz_target;

static DATA_PLANE: LazyLock<DataPlane> = LazyLock::new(|| DataPlane::new().expect("should make a deployment"));

/// gRPC's OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, OUT_OF_RANGE, UNIMPLEMENTED and INTERNAL: the last three are what a
/// frame or a message gets that does not parse.
const STATUSES: [i32; 6] = [0, 3, 8, 11, 12, 13];

fuzz_target!(init: LazyLock::force(&DATA_PLANE), |input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let frame = [&[0], (rest.len() as u32).to_be_bytes().as_slice(), rest].concat();
    let answer = DATA_PLANE.check(if how & 1 == 0 { &frame } else { rest }).expect("should be answered");
    if answer.http == 413 {
        return;
    }
    assert_eq!(answer.http, 200);
    let status = answer.grpc.expect("should have a status");
    assert!(STATUSES.contains(&status), "gRPC status {status}");
    if status == 0 {
        let fields = fields(&answer.message[5..]);
        assert!(fields.contains(&2) && !fields.contains(&3), "let through: fields {fields:?}");
    }
});

/// The numbers of a message's fields.
fn fields(message: &[u8]) -> Vec<u64> {
    let (mut rest, mut fields) = (message, Vec::new());
    while !rest.is_empty() {
        let tag = number(&mut rest);
        fields.push(tag >> 3);
        let value = number(&mut rest);
        if tag & 7 == 2 {
            rest = &rest[value as usize..];
        }
    }
    fields
}

fn number(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().expect("should go on");
        (*rest, value) = (after, value | u64::from(byte & 0x7f) << shift);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
