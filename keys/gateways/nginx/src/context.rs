//! Where the verdict of a request is kept. nginx forgets a module's context at an internal redirect, after which the
//! request is checked again, and its key is gone from the headers by then. So the context hangs on the request's pool,
//! which stays.

use std::ptr;

use bulla_nginx_bindings::{ngx_http_request_t, ngx_palloc, ngx_pool_cleanup_add, ngx_str_t};
use libc::c_void;

use crate::{configuration::Check, module, text};

/// The verdict of a request, in the memory of its pool.
pub(crate) struct Context {
    /// What was checked; null before the first check.
    pub(crate) check: *const Check,
    pub(crate) status: u16,
    pub(crate) reason: ngx_str_t,
    pub(crate) challenge: ngx_str_t,
    /// The values of the identity headers, in their order. Empty unless the key is accepted.
    pub(crate) identity: [ngx_str_t; 6],
    /// What else the key says of itself: names and values.
    pub(crate) meta: *mut [ngx_str_t; 2],
    pub(crate) meta_len: usize,
    /// Credentials that are no longer among the request's headers.
    pub(crate) removed: *mut Removed,
    /// Whether `Retry-After` was set.
    pub(crate) retry_told: bool,
}

/// A header with a credential, chained.
pub(crate) struct Removed {
    pub(crate) name: ngx_str_t,
    pub(crate) value: ngx_str_t,
    pub(crate) next: *mut Removed,
}

/// Tells the context from others' cleanups, and has nothing to do: the pool's memory ends with it.
unsafe extern "C" fn ended(_: *mut c_void) {}

/// The context of a request, if it has one.
///
/// # Safety
///
/// `r` is a request of nginx's; the context is used before nginx runs on.
pub(crate) unsafe fn get<'r>(r: *mut ngx_http_request_t) -> Option<&'r mut Context> {
    // SAFETY: every module has a place for its context; a pool's cleanups are chained up to a null pointer.
    unsafe {
        let place = (*r).ctx.add(module::index());
        // A redirect and a subrequest are internal, and have the same pool as the request they come from.
        if (*place).is_null() && ((*r).internal() != 0 || (*r).filter_finalize() != 0) {
            let mut cleanup = (*(*r).pool).cleanup;
            while !cleanup.is_null() {
                if (*cleanup)
                    .handler
                    .is_some_and(|handler| ptr::fn_addr_eq(handler, ended as unsafe extern "C" fn(*mut c_void)))
                {
                    *place = (*cleanup).data;
                    break;
                }
                cleanup = (*cleanup).next;
            }
        }
        (*place).cast::<Context>().as_mut()
    }
}

/// The context of a request, a new one if need be; nothing if there is no memory.
///
/// # Safety
///
/// As for [`get`].
pub(crate) unsafe fn get_or_add<'r>(r: *mut ngx_http_request_t) -> Option<&'r mut Context> {
    // SAFETY: the caller's; `data` has the size that was asked for.
    unsafe {
        if let Some(context) = get(r) {
            return Some(context);
        }
        let cleanup = ngx_pool_cleanup_add((*r).pool, size_of::<Context>());
        if cleanup.is_null() {
            return None;
        }
        (*cleanup).handler = Some(ended);
        let context = (*cleanup).data.cast::<Context>();
        context.write(Context {
            check: ptr::null(),
            status: 0,
            reason: text::NONE,
            challenge: text::NONE,
            identity: [text::NONE; 6],
            meta: ptr::null_mut(),
            meta_len: 0,
            removed: ptr::null_mut(),
            retry_told: false,
        });
        *(*r).ctx.add(module::index()) = context.cast();
        context.as_mut()
    }
}

impl Context {
    /// Keeps a credential that is about to go. False if there is no memory.
    ///
    /// # Safety
    ///
    /// `r` is the request of this context.
    pub(crate) unsafe fn keep(&mut self, r: *mut ngx_http_request_t, name: ngx_str_t, value: ngx_str_t) -> bool {
        // SAFETY: the caller's; texts of headers live as long as the request.
        unsafe {
            let removed = ngx_palloc((*r).pool, size_of::<Removed>()).cast::<Removed>();
            if removed.is_null() {
                return false;
            }
            removed.write(Removed { name, value, next: self.removed });
            self.removed = removed;
            true
        }
    }
}
