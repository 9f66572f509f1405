//! The threads of a worker. Threads do not survive a fork, so each worker starts its own, after nginx made it: it
//! follows the feed and reads changed keyrings for itself, and shares nothing with the others. The master, which only
//! opens the gate, has none.

use std::{
    mem::MaybeUninit,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bulla::gateway::{Gate, Running, now};
use bulla_nginx_bindings::{
    NGX_LOG_ALERT, NGX_OK, NGX_PROCESS_SIGNALLER, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_cycle_t, ngx_int_t,
    ngx_log_t, ngx_process,
};

use crate::{
    configuration,
    guard::{guard, write},
    report,
};

/// How long a new worker waits for the first message of the feed.
const FIRST_MESSAGE: Duration = Duration::from_secs(2);

/// The threads, and the gate that they keep current.
static RUNNING: Mutex<Option<(Running, Gate)>> = Mutex::new(None);

/// Whether the threads of this process run.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Whether requests can be checked here. Without threads nobody learns of revocations, so nobody gets in.
pub(crate) fn is_ready() -> bool {
    STARTED.load(Ordering::Relaxed)
}

/// The gate that is in force in this process.
pub(crate) fn gate() -> Option<Gate> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, gate)| gate.clone())
}

/// Whether this process only sends a signal (`nginx -s stop`), and reads the configuration to learn where to.
pub(crate) fn is_signaller() -> bool {
    kind() == NGX_PROCESS_SIGNALLER
}

fn kind() -> u32 {
    // SAFETY: a number that nginx writes before it starts threads.
    let kind = unsafe { (&raw const ngx_process).read() };
    u32::try_from(kind).unwrap_or(u32::MAX)
}

/// nginx calls it in each new process; helpers for caches are no workers.
pub(crate) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    if [NGX_PROCESS_WORKER, NGX_PROCESS_SINGLE].contains(&kind()) {
        // SAFETY: nginx's own.
        unsafe { start(cycle) };
    }
    NGX_OK as ngx_int_t
}

/// nginx calls it for each new configuration, in the master. The one process of `master_process off` changes to the new
/// gate here: there is no new process.
pub(crate) unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    if is_ready() {
        // SAFETY: nginx's own.
        unsafe { start(cycle) };
    }
    NGX_OK as ngx_int_t
}

/// nginx calls it when a worker ends, after its last request.
pub(crate) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx's own.
    let log = unsafe { (*cycle).log };
    guard(log, (), stop);
}

fn stop() {
    STARTED.store(false, Ordering::Relaxed);
    drop(RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take());
}

unsafe fn start(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx's own.
    let (log, gate) = unsafe { ((*cycle).log, configuration::gate(cycle)) };
    guard(log, (), || {
        stop();
        if let Some(gate) = gate {
            start_threads(gate, log);
            // SAFETY: nginx has its timers before it starts modules in a process.
            unsafe { report::start(log) };
        }
    });
}

fn start_threads(gate: &Gate, log: *mut ngx_log_t) {
    match without_signals(|| gate.start()) {
        Ok(running) => {
            *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some((running, gate.clone()));
            wait_for_the_feed(gate);
            STARTED.store(true, Ordering::Relaxed);
        }
        Err(error) => write(log, NGX_LOG_ALERT, &format!("bulla: this worker refuses every request: {error}")),
    }
}

/// Waits for the first message of the feed, without which keys are stale. It is there in some milliseconds if a source
/// answers; the workers of the old configuration take requests meanwhile.
fn wait_for_the_feed(gate: &Gate) {
    let deadline = Instant::now() + FIRST_MESSAGE;
    loop {
        let counters = gate.counters(now());
        if counters.feed_age.is_some() || counters.failures > 0 || Instant::now() > deadline {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts threads that take no signals: nginx's are for its own thread, which would not notice one that another thread
/// took.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    struct Before(libc::sigset_t);
    impl Drop for Before {
        fn drop(&mut self) {
            // SAFETY: the set that was in force.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
        }
    }
    // SAFETY: both sets are this function's, and written before they are read. Faults of a thread's own are not
    // blocked.
    let _before = unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        for fault in [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS] {
            libc::sigdelset(all.as_mut_ptr(), fault);
        }
        let mut before = MaybeUninit::uninit();
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        Before(before.assume_init())
    };
    start()
}
