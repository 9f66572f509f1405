//! One gate for all who ask for it in a process: a gateway may have a state of its language for each thread.

use std::{
    ffi::{c_char, c_int},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{Misuse, gate::OpenGate, text};
use crate::gateway::{Gate, Settings};

/// The gates by their settings. They live as long as the process.
static SHARED: Mutex<Vec<(PathBuf, &'static OpenGate)>> = Mutex::new(Vec::new());

/// # Safety
///
/// As the header says: `settings_path` is NULL or ends in a NUL; `gate` is NULL or may be written; `error` is NULL or
/// has room for `error_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_shared(
    settings_path: *const c_char,
    gate: *mut *mut OpenGate,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let mut found = std::ptr::null_mut();
    let share = || {
        // SAFETY: it is NULL or ends in a NUL, as the caller promises.
        let path = Path::new(unsafe { text::required(settings_path) }?);
        if gate.is_null() {
            return Err(Misuse::NullPointer.into());
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shared.iter().find(|(settings, _)| settings == path).map(|(_, gate)| *gate);
        let open = match known {
            Some(known) => known,
            None => {
                let new: &OpenGate = Box::leak(Box::new(OpenGate::of(Gate::open(&Settings::read(path)?)?)));
                shared.push((path.to_owned(), new));
                new
            }
        };
        found = std::ptr::from_ref(open).cast_mut();
        Ok(())
    };
    // SAFETY: there is room for so many, as the caller promises.
    let status = unsafe { text::done((error, error_size), share) };
    if !gate.is_null() {
        // SAFETY: it is not NULL, and may be written, as the caller promises.
        unsafe { gate.write(found) };
    }
    status
}
