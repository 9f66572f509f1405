//! Signals that end a command, and what happens first.

use std::{
    io::Read,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    low_level::{emulate_default_handler, pipe},
};

/// From now on, a write beyond the file-size limit fails like one to a full disk. By default SIGXFSZ ends the process
/// silently. This installs a handler instead of `SIG_IGN`, which child processes would inherit.
pub(super) fn survive_file_size_limit() {
    // Without the handler the default action remains.
    let _installed = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Whether a signal is about to end the process.
static ENDING: AtomicBool = AtomicBool::new(false);

/// From now on, a signal that ends the process first ends the programs that key sources run. Ctrl-C does not reach
/// those programs, because each is in a process group of its own.
pub(super) fn end_programs_first() {
    let ignored = ignored();
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
        // Without the handler the signal ends the process alone.
        let _installed = on(signal, move || {
            ENDING.store(true, Ordering::Release);
            bulla::source::end_programs();
            let _never_returns = emulate_default_handler(signal);
        });
    }
}

/// Waits for the end if a signal is about to end the process. Otherwise the command would see that its program ended,
/// and exit with an error first.
pub(super) fn wait_if_ending() {
    while ENDING.load(Ordering::Acquire) {
        thread::park();
    }
}

/// The ignored signals as bits, such as `nohup` sets: they must stay ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Calls `then` on a thread of its own after the signal, because a signal handler may do very little.
fn on(signal: i32, then: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let (mut receiver, sender) = UnixStream::pair()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if receiver.read_exact(&mut [0]).is_ok() {
            then();
        }
    })?;
    pipe::register(signal, sender)?;
    Ok(())
}
