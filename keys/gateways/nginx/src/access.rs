//! The phases of a request: in the access phase it is checked, and what the application gets to see is set.

use std::ptr;

use bulla::gateway::HEADERS;
use bulla_nginx_bindings::{
    NGX_DECLINED, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SATISFY_ANY, NGX_HTTP_SERVICE_UNAVAILABLE, NGX_LOG_INFO,
    NGX_OK, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_request_t, ngx_int_t,
};

use crate::{
    configuration::Check,
    context::{self, Context},
    guard::{guard, write},
    headers::{self, Cursor, Name},
    refusal, text,
    verdict::{location, verdict},
};

const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;

/// The library's `HEADERS`, in their order.
const IDENTITY: [Name; HEADERS.len()] = [
    Name::new(c"X-Bulla-App-Id", c"x-bulla-app-id"),
    Name::new(c"X-Bulla-Api-Key-Id", c"x-bulla-api-key-id"),
    Name::new(c"X-Bulla-Realm", c"x-bulla-realm"),
    Name::new(c"X-Bulla-Scopes", c"x-bulla-scopes"),
    Name::new(c"X-Bulla-Expires-At", c"x-bulla-expires-at"),
    Name::new(c"X-Bulla-Assertion", c"x-bulla-assertion"),
];

/// What all of them begin with, and what no client may send.
const PREFIX: &[u8] = b"x-bulla-";

/// Checks a request.
pub(crate) unsafe extern "C" fn check(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request of its own.
    let log = unsafe { (*(*r).connection).log };
    guard(log, NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t, || unsafe { check_request(r) }.unwrap_or(FAILED))
}

/// Nothing is returned if there is no memory.
unsafe fn check_request(r: *mut ngx_http_request_t) -> Option<ngx_int_t> {
    // SAFETY: the caller's.
    unsafe {
        let location = location(r);
        let Some(check) = &location.check else {
            if location.gated {
                // One that was let in before an internal redirect keeps its identity.
                rewrite(r, None, context::get(r))?;
            }
            return Some(DECLINED);
        };
        let (context, keep) = (verdict(r, check)?, location.keep != 0);
        if context.status == 200 {
            rewrite(r, (!keep).then_some(check), Some(context))?;
            return Some(NGX_OK as ngx_int_t);
        }
        // Another module may still let the request in, by the same `Authorization`.
        let final_verdict = !another_may_accept(r) || context.status == 503;
        rewrite(r, (final_verdict && !keep).then_some(check), Some(context))?;
        tell(r, context);
        refusal::answer(r, context)
    }
}

/// Removes the credentials of a request that another module let in.
pub(crate) unsafe extern "C" fn remove_credentials(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request of its own.
    unsafe {
        let location = location(r);
        match (&location.check, context::get(r)) {
            (Some(check), Some(context)) if location.keep == 0 && context.status != 200 && r == (*r).main => {
                let log = (*(*r).connection).log;
                guard(log, FAILED, || rewrite(r, Some(check), Some(context)).map_or(FAILED, |()| DECLINED))
            }
            _ => DECLINED,
        }
    }
}

/// Removes the client's own identity headers and the credentials of `remove`, and sets the identity of `context`, in
/// their places if possible. Nothing is returned if there is no memory.
unsafe fn rewrite(r: *mut ngx_http_request_t, remove: Option<&Check>, mut context: Option<&mut Context>) -> Option<()> {
    let identity = context.as_ref().map_or([text::NONE; 6], |context| context.identity);
    let mut set = IDENTITY.into_iter().zip(identity).filter(|(_, value)| value.len > 0);
    // SAFETY: the caller's request; its list of headers is changed here alone.
    unsafe {
        let list = &raw mut (*r).headers_in.headers;
        let mut cursor = Cursor::new(list);
        while let Some(header) = cursor.here() {
            let (key, value) = (header.key, header.value);
            let name = text::bytes(key);
            let is_credential = remove.is_some_and(|check| is_credential(check, name));
            if !is_credential && !headers::begins_like(name, PREFIX) {
                cursor.skip();
                continue;
            }
            if ptr::eq((*r).headers_in.authorization, header) {
                (*r).headers_in.authorization = ptr::null_mut();
            }
            let new = set.next();
            if let Some((name, value)) = new {
                headers::set(header, name, value);
            }
            if let (true, Some(context)) =
                (is_credential && remove.is_some_and(|check| check.requirements.is_read(name)), &mut context)
                && !context.keep(r, key, value)
            {
                return None;
            }
            match new {
                Some(_) => cursor.skip(),
                None if !cursor.cut() => return None,
                None => {}
            }
        }
        for (name, value) in set {
            headers::push(list, name, value)?;
        }
    }
    Some(())
}

fn is_credential(check: &Check, name: &[u8]) -> bool {
    check.credentials.iter().any(|header| headers::is_alias(name, header.as_bytes()))
}

/// Whether `satisfy any` is in force.
unsafe fn another_may_accept(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: nginx's own configuration of the location.
    unsafe {
        let at = (&raw const ngx_http_core_module.ctx_index).read();
        let core = (*(*r).loc_conf.add(at)).cast::<ngx_http_core_loc_conf_t>();
        (*core).satisfy == NGX_HTTP_SATISFY_ANY as usize
    }
}

/// Says why a request is refused, for the operator.
unsafe fn tell(r: *mut ngx_http_request_t, context: &Context) {
    // SAFETY: the caller's.
    unsafe {
        let log = (*(*r).connection).log;
        if (*log).log_level >= NGX_LOG_INFO as usize {
            let reason = String::from_utf8_lossy(text::bytes(context.reason));
            write(log, NGX_LOG_INFO, &format!("bulla: refused with {}: {reason}", context.status));
        }
    }
}
