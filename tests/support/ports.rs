//! Ports for servers whose address has to be known before they start, or that come back to it.

use std::{
    net::TcpListener,
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// The ports that are given out. They lie below those that the system gives to programs that ask for any port, outgoing
/// connections among them.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port that nobody uses. It is given out once, so it stays free until a server listens there, and while that server
/// is ended and started again.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Another run of the tests at the same time begins elsewhere.
    let begin = || u16::try_from(std::process::id().wrapping_mul(577) % u32::from(COUNT)).unwrap_or_default();
    let next = NEXT.get_or_init(|| AtomicU16::new(begin()));
    let ports = std::iter::repeat_with(|| FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(COUNT.into()).find(is_free).expect("a free port")
}
