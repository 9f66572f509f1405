//! The verdict of a request: its credentials are read from its headers, and the gate is asked.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr,
};

use bulla::gateway::{Answer, Presented};
use bulla_nginx_bindings::{
    AF_INET, AF_INET6, ngx_cached_time, ngx_http_request_t, ngx_palloc, ngx_str_t, sockaddr_in, sockaddr_in6,
};

use crate::{
    configuration::{Check, Location},
    context::{self, Context},
    headers::Cursor,
    module, process,
    text::{self, Copies},
};

thread_local! {
    /// Filled anew for each request.
    static ANSWER: RefCell<Answer> = RefCell::new(Answer::new());
}

/// What the location of a request says.
///
/// # Safety
///
/// `r` is a request of nginx's, which keeps the configuration as long as that.
pub(crate) unsafe fn location<'r>(r: *mut ngx_http_request_t) -> &'r Location {
    // SAFETY: `create_location` made it.
    unsafe { &*(*(*r).loc_conf.add(module::index())).cast::<Location>() }
}

/// The verdict on a request by `check`, asked for once; nothing if there is no memory.
///
/// # Safety
///
/// `r` is a request of nginx's; the context is used before nginx runs on.
pub(crate) unsafe fn verdict<'r>(r: *mut ngx_http_request_t, check: &Check) -> Option<&'r mut Context> {
    // SAFETY: the caller's.
    unsafe {
        let context = context::get_or_add(r)?;
        if !ptr::eq(context.check, check) {
            ask(r, check, context)?;
            context.check = check;
        }
        Some(context)
    }
}

unsafe fn ask(r: *mut ngx_http_request_t, check: &Check, context: &mut Context) -> Option<()> {
    // The verdict of another location is void, also where this one is not told.
    context.check = ptr::null();
    (context.status, context.reason, context.challenge) = (503, text::of(c"not_started"), text::NONE);
    (context.identity, context.meta_len) = ([text::NONE; 6], 0);
    if !process::is_ready() {
        return Some(());
    }
    #[cfg(debug_assertions)]
    assert!(!check.panics, "a test asks for a panic");
    let mut presented = Presented::new(&check.requirements);
    // SAFETY: the caller's; the texts of headers live as long as the request.
    unsafe {
        let mut headers = Cursor::new(&raw mut (*r).headers_in.headers);
        while let Some(header) = headers.here() {
            presented.add(text::bytes(header.key), text::bytes(header.value));
            headers.skip();
        }
        let mut removed = context.removed;
        while let Some(credential) = removed.as_ref() {
            presented.add(text::bytes(credential.name), text::bytes(credential.value));
            removed = credential.next;
        }
        let now = (&raw const ngx_cached_time).read().read_volatile().sec;
        ANSWER.with_borrow_mut(|answer| {
            check.gate.check(&check.requirements, &presented, address(r), now.unsigned_abs(), answer);
            keep(r, context, answer)
        })
    }
}

/// Copies the answer into the request's memory.
unsafe fn keep(r: *mut ngx_http_request_t, context: &mut Context, answer: &Answer) -> Option<()> {
    let size: usize = answer.headers().map(|(_, value)| Copies::size(value)).sum();
    let pairs = answer.meta().count();
    let meta_size: usize = answer.meta().map(|(name, value)| Copies::size(name) + Copies::size(value)).sum();
    let challenge = answer.challenge().unwrap_or_default();
    // SAFETY: the request's own pool.
    unsafe {
        let pool = (*r).pool;
        let told = Copies::size(answer.reason()) + Copies::size(challenge);
        let mut copies = Copies::new(pool, size + meta_size + told)?;
        (context.reason, context.challenge) = (copies.add(answer.reason()), copies.add(challenge));
        for (place, (_, value)) in context.identity.iter_mut().zip(answer.headers()) {
            *place = copies.add(value);
        }
        if pairs > 0 {
            context.meta = ngx_palloc(pool, pairs * size_of::<[ngx_str_t; 2]>()).cast();
            if context.meta.is_null() {
                return None;
            }
            for (at, (name, value)) in answer.meta().enumerate() {
                context.meta.add(at).write([copies.add(name), copies.add(value)]);
            }
            context.meta_len = pairs;
        }
    }
    // Last: until all of it is there, the request is refused.
    context.status = if answer.is_accepted() { 200 } else { answer.status() };
    Some(())
}

/// The client's address, as nginx has it: the module `realip` changes it.
unsafe fn address(r: *mut ngx_http_request_t) -> Option<IpAddr> {
    // SAFETY: a request has a connection, and that an address whose family says what it is.
    unsafe {
        let address = (*(*r).connection).sockaddr;
        if address.is_null() {
            return None;
        }
        match u32::from((*address).sa_family) {
            AF_INET => {
                let address = (*address.cast::<sockaddr_in>()).sin_addr.s_addr;
                Some(Ipv4Addr::from(address.to_ne_bytes()).into())
            }
            AF_INET6 => {
                let address = (*address.cast::<sockaddr_in6>()).sin6_addr;
                Some(Ipv6Addr::from(address.__in6_u.__u6_addr8).to_canonical())
            }
            _ => None,
        }
    }
}
