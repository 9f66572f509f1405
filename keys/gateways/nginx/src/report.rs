//! Reports failures in the background to the operator: each worker looks every two seconds, on a timer of nginx's, and
//! writes a line to the error log when something fails, and another, at the same level, when it works again.

use std::{cell::RefCell, mem::MaybeUninit};

use bulla::gateway::{Counters, now};
use bulla_nginx_bindings::{
    NGX_LOG_ERR, ngx_connection_t, ngx_current_msec, ngx_event_t, ngx_event_timer_rbtree, ngx_log_t, ngx_rbtree_insert,
};

use crate::{
    guard::{guard, write},
    process,
};

/// Between two looks, in milliseconds.
const LOOK: usize = 2_000;

thread_local! {
    /// What failed at the last look: the feed, the keys, the state on disk, the reports.
    static FAILING: RefCell<[Option<String>; 4]> = const { RefCell::new([const { None }; 4]) };
}

static mut TIMER: MaybeUninit<ngx_event_t> = MaybeUninit::zeroed();
/// nginx's debug log shows whose timer one is.
static mut OWNER: MaybeUninit<ngx_connection_t> = MaybeUninit::zeroed();

/// Begins to look, once in a process.
///
/// # Safety
///
/// Called on nginx's thread, after it made its timers.
pub(crate) unsafe fn start(log: *mut ngx_log_t) {
    let (timer, owner) = ((&raw mut TIMER).cast::<ngx_event_t>(), (&raw mut OWNER).cast::<ngx_connection_t>());
    // SAFETY: both are only ever used on this thread, and zeros are valid in them.
    unsafe {
        if (*timer).timer_set() == 0 {
            (*owner).fd = -1;
            (*timer).data = owner.cast();
            (*timer).log = log;
            (*timer).handler = Some(look);
            // A worker that shuts down does not wait for it.
            (*timer).set_cancelable(1);
            set(timer);
        }
    }
}

/// As nginx's `ngx_add_timer`, which is in a header.
unsafe fn set(timer: *mut ngx_event_t) {
    // SAFETY: the callers'.
    unsafe {
        (*timer).timer.key = (&raw const ngx_current_msec).read_volatile().wrapping_add(LOOK);
        ngx_rbtree_insert(&raw mut ngx_event_timer_rbtree, &raw mut (*timer).timer);
        (*timer).set_timer_set(1);
    }
}

unsafe extern "C" fn look(timer: *mut ngx_event_t) {
    // SAFETY: nginx calls it with the timer of above.
    unsafe {
        let log = (*timer).log;
        guard(log, (), || {
            if let Some(gate) = process::gate() {
                FAILING.with_borrow_mut(|failing| tell(log, failing, gate.counters(now())));
            }
        });
        set(timer);
    }
}

fn tell(log: *mut ngx_log_t, failing: &mut [Option<String>; 4], counters: Counters) {
    let feed = counters.last_error.filter(|_| counters.failures > 0);
    let found = [feed, counters.reload_error, counters.state_error, counters.report_error];
    for ((what, before), found) in
        ["the feed", "the keys", "the state", "the fleet"].into_iter().zip(failing).zip(found)
    {
        match &found {
            Some(error) if before.as_ref() != Some(error) => {
                write(log, NGX_LOG_ERR, &format!("bulla: {what}: {error}"))
            }
            None if before.is_some() => write(log, NGX_LOG_ERR, &format!("bulla: {what}: works again")),
            _ => {}
        }
        *before = found;
    }
}
