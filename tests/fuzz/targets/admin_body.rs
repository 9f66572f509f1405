//! Any bytes, as the body or the query of a request of the admin plane, by an administrator who may do everything.
//!
//! The first byte of the input chooses the endpoint. No answer is an error of the service, and whatever was answered:
//! the log of revocations can be read on, and from its beginning.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use bulla_server::testing::fuzzing::{AdminPlane, ENDPOINTS};
use libfuzzer_sys::fuzz_target;

static ADMIN_PLANE: LazyLock<Mutex<AdminPlane>> =
    LazyLock::new(|| Mutex::new(AdminPlane::new().expect("should make a deployment")));

fuzz_target!(init: LazyLock::force(&ADMIN_PLANE), |input: &[u8]| {
    let Some((endpoint, rest)) = input.split_first() else { return };
    let mut plane = ADMIN_PLANE.lock().unwrap_or_else(PoisonError::into_inner);
    let status = plane.call(usize::from(*endpoint), rest).expect("should be answered");
    let (method, path) = &ENDPOINTS[usize::from(*endpoint) % ENDPOINTS.len()];
    assert!(matches!(status.as_u16(), 200 | 201 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422), "{method} {path}: {status}");
    plane.goes_on().expect("should go on");
});
