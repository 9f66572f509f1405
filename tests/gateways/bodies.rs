//! Gateways that send the client's body along: it is not read, and costs no answer.

use crate::gateways::{
    gateway::{ENVOY_GRPC, ENVOY_HTTP, Gateway, TRAEFIK},
    keys::Keys,
    outcome::{REACHES, outcome},
    question::Question,
    running::Running,
    table::NO_KEY,
};

/// How often each is asked; `BULLA_TEST_BODIES` asks more often.
fn times() -> usize {
    std::env::var("BULLA_TEST_BODIES").map_or(100, |times| times.parse().expect("a number"))
}

fn hold(gateway: &'static Gateway, change: (&str, &str), sizes: &[usize]) {
    let running = Running::start_with(gateway, &[change]);
    let keys = Keys::issue(&running.deployment);
    for size in sizes {
        let body: Vec<u8> = (0..*size).map(|at| b'a' + (at % 26) as u8).collect();
        let good = Question::new(&keys.good, "/orders/7").bearer().post(&body);
        let none = Question::new(&keys.good, "/orders/7").post(&body);
        for at in 0..times() {
            let told = [outcome(&running, &good), outcome(&running, &none)];
            assert_eq!(told, [REACHES, NO_KEY], "{size} bytes, number {at}: {}", running.log());
        }
    }
}

#[test]
fn traefik_with_forward_body() {
    let change = ("trustForwardHeader: false", "trustForwardHeader: false\n        forwardBody: true");
    hold(&TRAEFIK, change, &[2_000_000, 20_000_000]);
}

const WITH_BODY: (&str, &str) = (
    "failure_mode_allow: false",
    "failure_mode_allow: false\n                      with_request_body: { max_request_bytes: 2097152, pack_as_bytes: true }",
);

#[test]
fn envoy_with_request_body_over_http() {
    hold(&ENVOY_HTTP, WITH_BODY, &[900_000, 2_000_000]);
}

#[test]
fn envoy_with_request_body_over_grpc() {
    hold(&ENVOY_GRPC, WITH_BODY, &[900_000, 2_000_000]);
}
