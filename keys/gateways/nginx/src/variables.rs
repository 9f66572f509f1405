//! The variables, for `log_format`, `limit_req_zone`, `proxy_set_header`, `map` and `if`. The first use of one checks
//! the request, also in phases before the access phase; only that phase refuses it.

use std::{ffi::CStr, ptr};

use bulla_nginx_bindings::{
    NGX_ERROR, NGX_HTTP_VAR_NOCACHEABLE, NGX_HTTP_VAR_PREFIX, NGX_OK, ngx_conf_t, ngx_http_add_variable,
    ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
};

use crate::{
    context::{self, Context},
    guard::guard,
    text,
    verdict::{location, verdict},
};

/// What a variable shows, by its `data`.
const NAMES: [&CStr; 6] =
    [c"bulla_app_id", c"bulla_api_key_id", c"bulla_realm", c"bulla_scopes", c"bulla_expires_at", c"bulla_reason"];
const REASON: usize = 5;
const META: &CStr = c"bulla_meta_";

/// Adds all of them.
///
/// # Safety
///
/// nginx calls it with its own, before it reads `http`.
pub(crate) unsafe fn add(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: the caller's; nginx copies the name.
    unsafe {
        for (at, name) in NAMES.into_iter().enumerate() {
            let mut name = text::of(name);
            let variable = ngx_http_add_variable(cf, &raw mut name, NGX_HTTP_VAR_NOCACHEABLE as usize);
            if variable.is_null() {
                return NGX_ERROR as ngx_int_t;
            }
            (*variable).get_handler = Some(get);
            (*variable).data = at;
        }
        let mut name = text::of(META);
        let flags = (NGX_HTTP_VAR_NOCACHEABLE | NGX_HTTP_VAR_PREFIX) as usize;
        let variable = ngx_http_add_variable(cf, &raw mut name, flags);
        if variable.is_null() {
            return NGX_ERROR as ngx_int_t;
        }
        (*variable).get_handler = Some(get_meta);
    }
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn get(r: *mut ngx_http_request_t, value: *mut ngx_http_variable_value_t, data: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with its own, and with the number of `add`.
    unsafe {
        show(r, value, |context| match data {
            REASON => context.reason,
            at => context.identity.get(at).copied().unwrap_or(text::NONE),
        })
    }
}

unsafe extern "C" fn get_meta(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    // SAFETY: nginx calls it with its own; the data of a prefix is the variable's whole name.
    unsafe {
        let name = text::bytes(*ptr::with_exposed_provenance::<ngx_str_t>(data));
        let wanted = name.get(META.count_bytes()..).unwrap_or_default();
        show(r, value, |context| {
            // A variable's name has no other characters than these; those of `meta` may.
            let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' };
            let is_wanted = |name: &[u8]| name.iter().copied().map(plain).eq(wanted.iter().copied().map(plain));
            let mut pairs = (0..context.meta_len).map(|at| *context.meta.add(at));
            pairs.find(|[name, _]| is_wanted(text::bytes(*name))).map_or(text::NONE, |[_, value]| value)
        })
    }
}

unsafe fn show(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    of: impl FnOnce(&Context) -> ngx_str_t,
) -> ngx_int_t {
    // SAFETY: the callers'.
    unsafe {
        let log = (*(*r).connection).log;
        let shown = guard(log, text::NONE, || context(r).map_or(text::NONE, |context| of(context)));
        let value = &mut *value;
        value.set_len(u32::try_from(shown.len).unwrap_or(0));
        value.data = shown.data;
        value.set_valid(u32::from(shown.len > 0));
        value.set_no_cacheable(1);
        value.set_not_found(u32::from(shown.len == 0));
    }
    NGX_OK as ngx_int_t
}

/// The verdict of the request, which is asked for now unless the answer is on its way. A subrequest is not checked, and
/// shows its main request's.
unsafe fn context<'r>(r: *mut ngx_http_request_t) -> Option<&'r mut Context> {
    // SAFETY: the callers'.
    unsafe {
        match &location(r).check {
            Some(check) if r == (*r).main && (*r).header_sent() == 0 => verdict(r, check),
            _ => context::get(r),
        }
    }
}
