//! The answer to a request that does not get through. The status is nginx's to carry out: `error_page`, `HEAD` and
//! `satisfy` work as with nginx's own modules.

use bulla_nginx_bindings::{ngx_http_request_t, ngx_int_t, ngx_str_t};

use crate::{
    context::Context,
    headers::{self, Name},
    text,
};

const CHALLENGE: Name = Name::new(c"WWW-Authenticate", c"www-authenticate");
const RETRY: Name = Name::new(c"Retry-After", c"retry-after");

/// Sets what belongs to the answer, and returns its status; nothing if there is no memory.
///
/// # Safety
///
/// `r` is a request of nginx's, and the context its own.
pub(crate) unsafe fn answer(r: *mut ngx_http_request_t, context: &mut Context) -> Option<ngx_int_t> {
    // SAFETY: the caller's.
    unsafe {
        if context.challenge.len > 0 {
            challenge(r, context.challenge)?;
        }
        if context.status == 503 && !context.retry_told {
            headers::push(&raw mut (*r).headers_out.headers, RETRY, text::of(c"1"))?;
            context.retry_told = true;
        }
    }
    Some(context.status as ngx_int_t)
}

/// Where another module accepts the request after all, nginx removes the challenge that it finds here.
unsafe fn challenge(r: *mut ngx_http_request_t, value: ngx_str_t) -> Option<()> {
    // SAFETY: the caller's; the header in place is one of the list's.
    unsafe {
        let before = (*r).headers_out.www_authenticate;
        match before.as_mut() {
            Some(before) => headers::set(before, CHALLENGE, value),
            None => {
                (*r).headers_out.www_authenticate = headers::push(&raw mut (*r).headers_out.headers, CHALLENGE, value)?;
            }
        }
    }
    Some(())
}
