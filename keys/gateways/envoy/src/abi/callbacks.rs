//! Envoy's functions, which the dynamic linker has under their names. They are looked up once, when the module is
//! loaded, so that an Envoy without one of them refuses the module with a reason.

use std::{
    ffi::{CStr, c_char, c_void},
    mem,
    sync::OnceLock,
};

use super::types::{EnvoyBuffer, EnvoyHeader, EnvoyPtr, ModuleBuffer, ModuleHeader, ModulePtr};

unsafe extern "C" {
    /// POSIX. A null handle looks in the program itself and in what it is linked to.
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

static CALLBACKS: OnceLock<Callbacks> = OnceLock::new();

/// Looks all functions up; the name of one that this Envoy does not have.
pub(super) fn look_up() -> Result<(), &'static str> {
    let found = Callbacks::look_up()?;
    CALLBACKS.get_or_init(|| found);
    Ok(())
}

/// The functions. Envoy calls no hook before [`look_up`], and none at all after it failed.
pub(super) fn callbacks() -> Option<&'static Callbacks> {
    CALLBACKS.get()
}

/// The type and the name of each function, without what all names begin with.
macro_rules! callbacks {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?, $symbol:literal;)*) => {
        /// Every pointer is a function of this type in each Envoy that [`super::hooks`] names.
        pub(super) struct Callbacks {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// Since Envoy 1.40.
            pub(super) set_struct: Option<unsafe extern "C" fn(EnvoyPtr, ModuleBuffer, ModuleBuffer)>,
        }

        impl Callbacks {
            fn look_up() -> Result<Self, &'static str> {
                Ok(Callbacks {
                    $($name: {
                        let found = symbol(concat!("envoy_dynamic_module_callback_", $symbol, "\0"));
                        let found = found.ok_or(concat!("envoy_dynamic_module_callback_", $symbol))?;
                        // SAFETY: the symbol is Envoy's function of this name, which has this type.
                        unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found) }
                    },)*
                    set_struct: symbol("envoy_dynamic_module_callback_http_set_dynamic_metadata_struct\0").map(|found| {
                        // SAFETY: likewise.
                        unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(EnvoyPtr, ModuleBuffer, ModuleBuffer)>(found) }
                    }),
                })
            }
        }
    };
}

callbacks! {
    log: fn(u32, ModuleBuffer), "log";
    is_validation: fn() -> bool, "is_validation_mode";
    route: fn(EnvoyPtr) -> ModulePtr, "get_most_specific_route_config";
    count_headers: fn(EnvoyPtr, u32) -> usize, "http_get_headers_size";
    get_headers: fn(EnvoyPtr, u32, *mut EnvoyHeader) -> bool, "http_get_headers";
    add_header: fn(EnvoyPtr, u32, ModuleBuffer, ModuleBuffer) -> bool, "http_add_header";
    set_header: fn(EnvoyPtr, u32, ModuleBuffer, ModuleBuffer) -> bool, "http_set_header";
    attribute: fn(EnvoyPtr, u32, *mut EnvoyBuffer) -> bool, "http_filter_get_attribute_string";
    send_response: fn(EnvoyPtr, u32, *const ModuleHeader, usize, ModuleBuffer, ModuleBuffer), "http_send_response";
    set_texts: fn(EnvoyPtr, ModuleBuffer, *const ModuleHeader, usize), "http_set_dynamic_metadata_string_batch";
    define_counter: fn(EnvoyPtr, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32, "http_filter_config_define_counter";
    define_gauge: fn(EnvoyPtr, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32, "http_filter_config_define_gauge";
    increment_counter: fn(EnvoyPtr, usize, *const ModuleBuffer, usize, u64) -> u32, "http_filter_config_increment_counter";
    set_gauge: fn(EnvoyPtr, usize, *const ModuleBuffer, usize, u64) -> u32, "http_filter_config_set_gauge";
    new_scheduler: fn(EnvoyPtr) -> EnvoyPtr, "http_filter_config_scheduler_new";
    delete_scheduler: fn(EnvoyPtr), "http_filter_config_scheduler_delete";
    schedule: fn(EnvoyPtr, u64), "http_filter_config_scheduler_commit";
}

/// The address of a symbol of the program; `name` ends in NUL.
fn symbol(name: &'static str) -> Option<*mut c_void> {
    let name = CStr::from_bytes_with_nul(name.as_bytes()).ok()?;
    // SAFETY: the name ends in NUL, and the call changes nothing.
    let found = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
