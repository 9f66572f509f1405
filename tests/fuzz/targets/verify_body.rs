//! Any bytes, as the body of `POST /v1/verify`.
//!
//! The byte ff in front, with which no JSON begins, stands for as many spaces as make the body too large.

#![no_main]

use std::sync::LazyLock;

use bulla_server::testing::fuzzing::DataPlane;
use libfuzzer_sys::fuzz_target;

/// What `server.max_body` is unless the configuration says otherwise.
const MAX_BODY: usize = 65_536;

static DATA_PLANE: LazyLock<DataPlane> = LazyLock::new(|| DataPlane::new().expect("should make a deployment"));

fuzz_target!(init: LazyLock::force(&DATA_PLANE), |body: &[u8]| {
    let status = if let [0xff, body @ ..] = body {
        let mut large = vec![b' '; MAX_BODY + 1];
        large.extend(body);
        let status = DATA_PLANE.verify(&large);
        assert_eq!(status.as_u16(), 413, "a body of {} bytes", large.len());
        status
    } else {
        DATA_PLANE.verify(body)
    };
    assert!(matches!(status.as_u16(), 200 | 400 | 413 | 415 | 503), "{status}");
});
