//! The directives, as nginx reads them.

use std::{path::PathBuf, ptr};

use bulla_nginx_bindings::{
    NGX_LOG_EMERG, NGX_OK, ngx_command_t, ngx_conf_full_name, ngx_conf_log_error, ngx_conf_t, ngx_int_t, ngx_str_t,
};
use libc::{c_char, c_void};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::{
    configuration::{Location, Main, Wanted},
    guard::guard,
    text,
};

/// What nginx takes for a failure that was told already.
pub(crate) const ERROR: *mut c_char = ptr::without_provenance_mut(usize::MAX);

const DUPLICATE: *mut c_char = c"is duplicate".as_ptr().cast_mut();

/// `bulla_settings FILE;`
pub(crate) unsafe extern "C" fn settings(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx calls it with its own, and with what `create_main` made.
    let (log, main) = unsafe { ((*cf).log, &mut *conf.cast::<Main>()) };
    guard(log, ERROR, || {
        if main.settings.is_some() {
            return DUPLICATE;
        }
        // SAFETY: the directive takes one argument; nginx makes it the path below the configuration's folder.
        let path = unsafe {
            let mut path = argument(cf);
            if ngx_conf_full_name((*cf).cycle, &raw mut path, 1) != NGX_OK as ngx_int_t {
                return ERROR;
            }
            text::bytes(path)
        };
        main.settings = Some(PathBuf::from(OsStr::from_bytes(path)));
        ptr::null_mut()
    })
}

/// `bulla REQUIREMENTS;` and `bulla off;`
pub(crate) unsafe extern "C" fn bulla(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx calls it with its own, and with what `create_location` made.
    let (log, location) = unsafe { ((*cf).log, &mut *conf.cast::<Location>()) };
    guard(log, ERROR, || {
        if !matches!(location.wanted, Wanted::Inherited) {
            return DUPLICATE;
        }
        // SAFETY: the directive takes one argument, which stands in a file.
        let (argument, place) = unsafe { (text::bytes(argument(cf)), place(cf)) };
        let Ok(text) = str::from_utf8(argument) else {
            let told = text::of(c"\"bulla\" takes requirements such as \"realm:live,scope:orders.read\", in UTF-8");
            // SAFETY: it reads the text through the pointer.
            unsafe { ngx_conf_log_error(NGX_LOG_EMERG as usize, cf, 0, c"%V".as_ptr(), &raw const told) };
            return ERROR;
        };
        location.wanted = match text {
            "off" => Wanted::Nothing,
            text => Wanted::Requirements { text: text.to_owned(), place },
        };
        ptr::null_mut()
    })
}

/// The first argument of a directive.
unsafe fn argument(cf: *mut ngx_conf_t) -> ngx_str_t {
    // SAFETY: nginx counted the arguments; the directive's name is the first element.
    unsafe { *(*(*cf).args).elts.cast::<ngx_str_t>().add(1) }
}

/// The file and the line that nginx reads.
unsafe fn place(cf: *mut ngx_conf_t) -> String {
    // SAFETY: directives stand in a file, or behind `-g`.
    unsafe {
        let file = (*cf).conf_file;
        match file.is_null() {
            true => "the command line".to_owned(),
            false => format!("{}:{}", String::from_utf8_lossy(text::bytes((*file).file.name)), (*file).line),
        }
    }
}
