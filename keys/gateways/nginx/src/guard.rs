//! Panics end here: none crosses into nginx, which would end the worker and all its connections.

use std::{cell::RefCell, panic, sync::Once};

use bulla_gateways_shared::guarded;
use bulla_nginx_bindings::{NGX_LOG_ALERT, ngx_log_error_core, ngx_log_t, ngx_str_t};

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has a panic note its place and nothing else: its message may have parts of a request in it.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            PLACE.with(|last| last.replace(place.unwrap_or_default()));
        }));
    });
}

/// Runs `work`. If that panics, a line is written to `log` and the result is `otherwise`.
pub(crate) fn guard<T>(log: *mut ngx_log_t, otherwise: T, work: impl FnOnce() -> T) -> T {
    guarded(None, || Some(work())).unwrap_or_else(|| {
        let place = PLACE.with(RefCell::take);
        write(log, NGX_LOG_ALERT, &format!("bulla: panic at {place}, which is a fault of bulla: report it"));
        otherwise
    })
}

/// Writes a line to nginx's error log, if that takes lines of this level.
pub(crate) fn write(log: *mut ngx_log_t, level: u32, line: &str) {
    let level = level as usize;
    let line = ngx_str_t { len: line.len(), data: line.as_ptr().cast_mut() };
    // SAFETY: nginx's own log; it copies the line, which `%V` reads through a pointer.
    unsafe {
        if !log.is_null() && (*log).log_level >= level {
            ngx_log_error_core(level, log, 0, c"%V".as_ptr(), &raw const line);
        }
    }
}
