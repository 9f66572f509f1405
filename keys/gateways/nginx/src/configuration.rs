//! nginx's configuration file: the gate is opened and every location's requirements are parsed while nginx reads it, as
//! root and before it starts workers. So `nginx -t` refuses what is wrong, and a reload that fails leaves the running
//! configuration in force.

use std::{path::PathBuf, ptr, rc::Rc};

use bulla::gateway::{Gate, GateError, Requirements, Settings};
use bulla_nginx_bindings::{
    NGX_CONF_UNSET, NGX_LOG_EMERG, NGX_OK, ngx_array_push, ngx_conf_t, ngx_cycle_t, ngx_flag_t, ngx_http_conf_ctx_t,
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_handler_pt, ngx_http_module, ngx_http_phases,
    ngx_http_phases_NGX_HTTP_ACCESS_PHASE, ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, ngx_int_t, ngx_pool_cleanup_add,
    ngx_pool_t,
};
use libc::{c_char, c_void};

use crate::{
    access,
    directives::ERROR,
    guard::{self, guard},
    module, process, variables,
};

/// What stands in `http`.
#[derive(Default)]
pub(crate) struct Main {
    /// The file that `bulla_settings` names.
    pub(crate) settings: Option<PathBuf>,
    pub(crate) gate: Option<Gate>,
}

/// What stands in a server or location.
pub(crate) struct Location {
    pub(crate) wanted: Wanted,
    /// `bulla_keep_credentials`.
    pub(crate) keep: ngx_flag_t,
    /// What requests have to show here, once the file is read.
    pub(crate) check: Option<Rc<Check>>,
    /// Whether there is a gate at all, so that no identity of a client's own gets through.
    pub(crate) gated: bool,
}

/// The argument of `bulla`.
pub(crate) enum Wanted {
    /// As the level above.
    Inherited,
    Nothing,
    /// Requirements, and where they stand.
    Requirements {
        text: String,
        place: String,
    },
}

/// What a request has to show.
pub(crate) struct Check {
    pub(crate) gate: Gate,
    pub(crate) requirements: Requirements,
    /// The headers that may hold the key, in lower case: what an application may take for one of them goes, too.
    pub(crate) credentials: Vec<String>,
    /// Whether a test wants the check to panic.
    #[cfg(debug_assertions)]
    pub(crate) panics: bool,
}

impl Check {
    fn new(gate: &Gate, text: &str) -> Result<Check, GateError> {
        #[cfg(debug_assertions)]
        let (panics, text) = (text == "panic", if text == "panic" { "realm:live" } else { text });
        let requirements = gate.requirements(text)?;
        let credentials = requirements.headers().map(str::to_owned).collect();
        Ok(Check {
            gate: gate.clone(),
            requirements,
            credentials,
            #[cfg(debug_assertions)]
            panics,
        })
    }
}

/// Gives `value` to a pool, which drops it when nginx drops the configuration.
unsafe fn give<T>(pool: *mut ngx_pool_t, value: T) -> *mut c_void {
    unsafe extern "C" fn drop_it<T>(value: *mut c_void) {
        // SAFETY: it is the box of below, and nginx calls a handler once.
        guard(ptr::null_mut(), (), || drop(unsafe { Box::from_raw(value.cast::<T>()) }));
    }
    // SAFETY: a pool of nginx.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(pool, 0);
        if cleanup.is_null() {
            return ptr::null_mut();
        }
        let value: *mut c_void = Box::into_raw(Box::new(value)).cast();
        (*cleanup).handler = Some(drop_it::<T>);
        (*cleanup).data = value;
        value
    }
}

pub(crate) unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    guard::install();
    // SAFETY: nginx calls it with its own.
    unsafe { give((*cf).pool, Main::default()) }
}

pub(crate) unsafe extern "C" fn create_location(cf: *mut ngx_conf_t) -> *mut c_void {
    let location =
        Location { wanted: Wanted::Inherited, keep: NGX_CONF_UNSET as ngx_flag_t, check: None, gated: false };
    // SAFETY: nginx calls it with its own.
    unsafe { give((*cf).pool, location) }
}

/// Opens the gate.
pub(crate) unsafe extern "C" fn init_main(cf: *mut ngx_conf_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx calls it with its own, and with what `create_main` made.
    let (log, main) = unsafe { ((*cf).log, &mut *conf.cast::<Main>()) };
    guard(log, ERROR, || {
        let Some(path) = main.settings.as_ref().filter(|_| !process::is_signaller()) else { return ptr::null_mut() };
        match Settings::read(path).and_then(|settings| Gate::open(&settings)) {
            Ok(gate) => {
                main.gate = Some(gate);
                ptr::null_mut()
            }
            Err(error) => {
                guard::write(log, NGX_LOG_EMERG, &format!("bulla_settings {}: {error}", path.display()));
                ERROR
            }
        }
    })
}

/// Parses the requirements of a location, or takes those of the level above.
pub(crate) unsafe extern "C" fn merge_location(
    cf: *mut ngx_conf_t,
    above: *mut c_void,
    here: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls it with its own, and with what `create_location` and `create_main` made.
    let (log, above, here, main) = unsafe {
        let contexts = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let main = (*(*contexts).main_conf.add(module::index())).cast::<Main>();
        ((*cf).log, &mut *above.cast::<Location>(), &mut *here.cast::<Location>(), &*main)
    };
    guard(log, ERROR, || {
        // Nobody merges the level of `http` itself.
        let resolved = above.resolve(main, None).and_then(|()| here.resolve(main, Some(above)));
        match resolved {
            Ok(()) => ptr::null_mut(),
            Err(error) => {
                guard::write(log, NGX_LOG_EMERG, &error);
                ERROR
            }
        }
    })
}

impl Location {
    fn resolve(&mut self, main: &Main, above: Option<&Location>) -> Result<(), String> {
        self.gated = main.gate.is_some();
        if self.keep == NGX_CONF_UNSET as ngx_flag_t {
            self.keep = above.map_or(0, |above| above.keep);
        }
        match (&self.wanted, &main.gate) {
            _ if self.check.is_some() => {}
            (Wanted::Nothing, _) => {}
            _ if process::is_signaller() => {}
            (Wanted::Inherited, _) => self.check = above.and_then(|above| above.check.clone()),
            (Wanted::Requirements { place, .. }, None) => {
                return Err(format!(
                    "\"bulla\" needs \"bulla_settings FILE;\" in http, which names the keys, in {place}"
                ));
            }
            (Wanted::Requirements { text, place }, Some(gate)) => {
                let check = Check::new(gate, text).map_err(|error| format!("\"bulla\": {error} in {place}"))?;
                self.check = Some(Rc::new(check));
            }
        }
        Ok(())
    }
}

/// Adds the variables, before nginx reads what is in `http`.
pub(crate) unsafe extern "C" fn before(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it with its own.
    unsafe { variables::add(cf) }
}

/// Adds the handlers of the phases.
pub(crate) unsafe extern "C" fn after(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it with its own; `add` writes to the new element of an array of handlers.
    unsafe {
        let contexts = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*contexts).main_conf.add((&raw const ngx_http_core_module.ctx_index).read()))
            .cast::<ngx_http_core_main_conf_t>();
        let add = |phase: ngx_http_phases, handler: ngx_http_handler_pt| {
            let new = ngx_array_push(&raw mut (*core).phases[phase as usize].handlers).cast::<ngx_http_handler_pt>();
            if !new.is_null() {
                new.write(handler);
            }
            !new.is_null()
        };
        let added = add(ngx_http_phases_NGX_HTTP_ACCESS_PHASE, Some(access::check))
            && add(ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, Some(access::remove_credentials));
        if added { NGX_OK as ngx_int_t } else { bulla_nginx_bindings::NGX_ERROR as ngx_int_t }
    }
}

/// The gate of a configuration, if it has one.
pub(crate) unsafe fn gate<'a>(cycle: *mut ngx_cycle_t) -> Option<&'a Gate> {
    // SAFETY: the caller's cycle; without `http` its context is null.
    unsafe {
        let http = *(*cycle).conf_ctx.add((&raw const ngx_http_module.index).read());
        if http.is_null() {
            return None;
        }
        let contexts = http.cast::<ngx_http_conf_ctx_t>();
        let main = (*(*contexts).main_conf.add(module::index())).cast::<Main>();
        (*main).gate.as_ref()
    }
}
