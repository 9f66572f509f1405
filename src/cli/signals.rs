//! Signals: which of them end a command, and what is done before.

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

/// From now on, a write beyond the file-size limit fails like one to a full disk. By default SIGXFSZ ends the process silently. This
/// installs a handler instead of `SIG_IGN`, which child processes would inherit.
pub(super) fn survive_file_size_limit() {
    // Without the handler the default action remains.
    let _installed = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Whether a signal is about to end the process.
static ENDING: AtomicBool = AtomicBool::new(false);

/// From now on a signal that ends the process first ends the programs that key sources run. These are in process groups of their
/// own, which Ctrl-C does not reach.
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

/// Waits for the end, if a signal is about to end the process: the command sees that its program ended, and would exit with an
/// error before.
pub(super) fn wait_if_ending() {
    while ENDING.load(Ordering::Acquire) {
        thread::park();
    }
}

/// The signals that are ignored, by `nohup` for one, as bits: they have to stay so.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Calls `then` on a thread of its own after the signal: a handler may do next to nothing.
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
