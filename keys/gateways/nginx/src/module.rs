//! What nginx reads when it loads the library. These two names, and no others, are exported.

use std::{
    mem::offset_of,
    ptr::{self, null_mut},
};

use bulla_nginx_bindings::{
    BULLA_SIGNATURE, NGX_CONF_FLAG, NGX_CONF_TAKE1, NGX_HTTP_LIF_CONF, NGX_HTTP_LMT_CONF, NGX_HTTP_LOC_CONF,
    NGX_HTTP_MAIN_CONF, NGX_HTTP_MODULE, NGX_HTTP_SRV_CONF, nginx_version, ngx_command_t, ngx_conf_set_flag_slot,
    ngx_http_conf_ctx_t, ngx_http_module_t, ngx_module_t,
};
use libc::c_char;

use crate::{
    configuration::{self, Location},
    directives, process, text,
};

/// The modules of this library, up to a null pointer.
#[unsafe(no_mangle)]
pub static mut ngx_modules: [*mut ngx_module_t; 2] = [&raw mut MODULE, null_mut()];

/// Their names.
#[unsafe(no_mangle)]
pub static mut ngx_module_names: [*const c_char; 2] = [c"bulla".as_ptr(), ptr::null()];

static mut COMMANDS: [ngx_command_t; 4] = [
    ngx_command_t {
        name: text::of(c"bulla_settings"),
        type_: (NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1) as usize,
        set: Some(directives::settings),
        conf: offset_of!(ngx_http_conf_ctx_t, main_conf),
        offset: 0,
        post: null_mut(),
    },
    ngx_command_t {
        name: text::of(c"bulla"),
        type_: (EVERYWHERE | NGX_CONF_TAKE1) as usize,
        set: Some(directives::bulla),
        conf: offset_of!(ngx_http_conf_ctx_t, loc_conf),
        offset: 0,
        post: null_mut(),
    },
    ngx_command_t {
        name: text::of(c"bulla_keep_credentials"),
        type_: (EVERYWHERE | NGX_CONF_FLAG) as usize,
        set: Some(ngx_conf_set_flag_slot),
        conf: offset_of!(ngx_http_conf_ctx_t, loc_conf),
        offset: offset_of!(Location, keep),
        post: null_mut(),
    },
    ngx_command_t { name: text::NONE, type_: 0, set: None, conf: 0, offset: 0, post: null_mut() },
];

const EVERYWHERE: u32 =
    NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_HTTP_LMT_CONF;

static mut CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(configuration::before),
    postconfiguration: Some(configuration::after),
    create_main_conf: Some(configuration::create_main),
    init_main_conf: Some(configuration::init_main),
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(configuration::create_location),
    merge_loc_conf: Some(configuration::merge_location),
};

static mut MODULE: ngx_module_t = ngx_module_t {
    // nginx numbers its modules.
    ctx_index: usize::MAX,
    index: usize::MAX,
    name: null_mut(),
    spare0: 0,
    spare1: 0,
    // nginx loads only what was built for its own version and configuration.
    version: nginx_version as usize,
    signature: BULLA_SIGNATURE.as_ptr(),
    ctx: (&raw mut CONTEXT).cast(),
    commands: (&raw mut COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as usize,
    init_master: None,
    init_module: Some(process::init_module),
    init_process: Some(process::init_process),
    init_thread: None,
    exit_thread: None,
    exit_process: Some(process::exit_process),
    exit_master: None,
    spare_hook0: 0,
    spare_hook1: 0,
    spare_hook2: 0,
    spare_hook3: 0,
    spare_hook4: 0,
    spare_hook5: 0,
    spare_hook6: 0,
    spare_hook7: 0,
};

/// This module's number among those of HTTP.
pub(crate) fn index() -> usize {
    // SAFETY: nginx writes it while it reads the configuration, on the one thread that there is.
    unsafe { (&raw const MODULE.ctx_index).read() }
}
