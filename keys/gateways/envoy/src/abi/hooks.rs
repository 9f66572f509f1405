//! The hooks: the functions that Envoy calls. Envoy 1.40 wants all of these names, whether they do something or not.
//!
//! No panic leaves a hook. Calls that can fail are in [`guarded`]; the rest returns a constant.

use std::{
    ffi::{CStr, c_char},
    ptr,
};

use bulla_gateways_shared::guarded;

use super::{
    EnvoyConfig, Level, Status, Stream, callbacks, is_envoy_1_39, log,
    types::{EnvoyBuffer, EnvoyHeader, EnvoyPtr, ModulePtr},
};
use crate::{config::Config, request, route::Route};

/// The ABIs of Envoy 1.40 and 1.39. This module uses what is the same in both.
const ABI_1_40: &CStr = c"v0.2.0";
const ABI_1_39: &CStr = c"v0.1.0";

/// Called once, when the module is loaded. Null refuses it.
///
/// # Safety
///
/// Envoy calls it.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    guarded(ptr::null(), || match callbacks::look_up() {
        Ok(()) if is_envoy_1_39() => ABI_1_39.as_ptr(),
        Ok(()) => ABI_1_40.as_ptr(),
        Err(missing) => {
            // Where Envoy's own log is not known to be there.
            eprintln!("bulla: this is not Envoy 1.39 or 1.40, which this module is made for: there is no `{missing}`");
            ptr::null()
        }
    })
}

/// A configuration of the filter, on the main thread. Null refuses it.
///
/// # Safety
///
/// Envoy calls it; the buffers are valid until it returns.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    envoy: EnvoyPtr,
    _name: EnvoyBuffer,
    text: EnvoyBuffer,
) -> ModulePtr {
    // SAFETY: the text is read in this hook alone.
    let text = unsafe { text.bytes() };
    kept(|| Config::new(&EnvoyConfig(envoy), text))
}

/// # Safety
///
/// Envoy calls it, once for what `config_new` returned, when no request has it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: ModulePtr) {
    // SAFETY: `kept` made it from a box of this type.
    guarded((), || drop(unsafe { Box::from_raw(config.cast::<Config>().cast_mut()) }));
}

/// On the main thread, after [`super::Scheduler::call`].
///
/// # Safety
///
/// Envoy calls it with a configuration that is not destroyed yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    envoy: EnvoyPtr,
    config: ModulePtr,
    _event: u64,
) {
    // SAFETY: `kept` made it; only `config_destroy` ends it.
    let config = unsafe { config.cast::<Config>().as_ref() };
    guarded((), || config.into_iter().for_each(|config| config.export(&EnvoyConfig(envoy))));
}

/// The requirements of a route, on the main thread. Null refuses them.
///
/// # Safety
///
/// As for a filter's configuration.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    _name: EnvoyBuffer,
    text: EnvoyBuffer,
) -> ModulePtr {
    // SAFETY: the text is read in this hook alone.
    let text = unsafe { text.bytes() };
    kept(|| Route::new(text))
}

/// # Safety
///
/// Envoy calls it, once for what `per_route_config_new` returned, when no request has it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(route: ModulePtr) {
    // SAFETY: `kept` made it from a box of this type.
    guarded((), || drop(unsafe { Box::from_raw(route.cast::<Route>().cast_mut()) }));
}

/// Makes something that Envoy keeps, and gives back to be destroyed. An error is written to the log.
fn kept<T>(make: impl FnOnce() -> Result<T, String>) -> ModulePtr {
    let made = guarded(Err("a panic".to_owned()), make);
    match made {
        Ok(made) => Box::into_raw(Box::new(made)).cast_const().cast(),
        Err(error) => {
            log(Level::Error, &format!("bulla: {error}"));
            ptr::null()
        }
    }
}

/// A request begins. It needs nothing of its own: what comes back is its configuration, which Envoy keeps for as long.
///
/// # Safety
///
/// Envoy calls it.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(config: ModulePtr, _filter: EnvoyPtr) -> ModulePtr {
    config
}

/// Decides about a request.
///
/// # Safety
///
/// Envoy calls it, with what `new` returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: EnvoyPtr,
    config: ModulePtr,
    _end: bool,
) -> Status {
    // SAFETY: the filter is used in this hook alone. The module did not load without Envoy's functions.
    let Some(mut stream) = (unsafe { Stream::new(filter) }) else { return Status::StopIteration };
    // SAFETY: `new` returned the configuration.
    let config = unsafe { config.cast::<Config>().as_ref() };
    let decided = guarded(None, || config.map(|config| request::decide(config, &mut stream)));
    // A panic, which the process outlives, is no yes.
    decided.unwrap_or_else(|| request::refuse_after_panic(&mut stream))
}

/// Hooks that let everything go on.
macro_rules! nothing_to_do {
    ($($name:ident($($argument:ty),*) $(-> $result:ty = $value:expr)?;)*) => {$(
        /// Does nothing.
        ///
        /// # Safety
        ///
        /// Envoy calls it. No argument is used.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($(_: $argument),*) $(-> $result)? { $($value)? }
    )*};
}

nothing_to_do! {
    envoy_dynamic_module_on_http_filter_destroy(ModulePtr);
    envoy_dynamic_module_on_http_filter_request_body(EnvoyPtr, ModulePtr, bool) -> Status = Status::Continue;
    envoy_dynamic_module_on_http_filter_request_trailers(EnvoyPtr, ModulePtr) -> Status = Status::Continue;
    envoy_dynamic_module_on_http_filter_response_headers(EnvoyPtr, ModulePtr, bool) -> Status = Status::Continue;
    envoy_dynamic_module_on_http_filter_response_body(EnvoyPtr, ModulePtr, bool) -> Status = Status::Continue;
    envoy_dynamic_module_on_http_filter_response_trailers(EnvoyPtr, ModulePtr) -> Status = Status::Continue;
    envoy_dynamic_module_on_http_filter_stream_complete(EnvoyPtr, ModulePtr);
    envoy_dynamic_module_on_http_filter_scheduled(EnvoyPtr, ModulePtr, u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(EnvoyPtr, ModulePtr);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(EnvoyPtr, ModulePtr);
    envoy_dynamic_module_on_http_filter_http_callout_done(
        EnvoyPtr, ModulePtr, u64, u32, *const EnvoyHeader, usize, *const EnvoyBuffer, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        EnvoyPtr, ModulePtr, u64, *const EnvoyHeader, usize, bool
    );
    envoy_dynamic_module_on_http_filter_http_stream_data(EnvoyPtr, ModulePtr, u64, *const EnvoyBuffer, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(EnvoyPtr, ModulePtr, u64, *const EnvoyHeader, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(EnvoyPtr, ModulePtr, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(EnvoyPtr, ModulePtr, u64, u32);
}
