//! A loaded PKCS#11 module. `C_Initialize` is once per process and module, so all sources on one path share it.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};

use super::{super::SourceErrorKind, error::Pkcs11Error, pin::WrongPins};

static MODULES: Mutex<Vec<(PathBuf, Arc<Module>)>> = Mutex::new(Vec::new());

/// The module of one path.
pub(super) struct Module {
    path: PathBuf,
    /// None while somebody uses it. No lock is held during a call: one that never returns must not keep others waiting
    /// for ever.
    idle: Mutex<Option<State>>,
    returned: Condvar,
}

/// What is known between two uses.
#[derive(Default)]
pub(super) struct State {
    context: Option<Pkcs11>,
    started: bool,
    /// Whether this file initialized it, and not the program around this library, whose sessions would end with it.
    ours: bool,
    pub(super) wrong_pins: WrongPins,
}

/// The module while one caller has it to itself. Every session lives within one such use, so none outlives a new start.
pub(super) struct InUse<'a> {
    module: &'a Module,
    pub(super) state: State,
}

impl Module {
    /// The module of this path, the same one for every source in the process.
    pub(super) fn shared(path: &str, base: &Path) -> Arc<Module> {
        // A bare name is looked for where the system keeps its libraries.
        let path = if path.contains('/') { base.join(path) } else { PathBuf::from(path) };
        let path = path.canonicalize().unwrap_or(path);
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, module)) = modules.iter().find(|(known, _)| *known == path) {
            return Arc::clone(module);
        }
        let idle = Mutex::new(Some(State::default()));
        let module = Arc::new(Module { path: path.clone(), idle, returned: Condvar::new() });
        modules.push((path, Arc::clone(&module)));
        module
    }

    /// Waits for the callers before, at most for `limit`.
    pub(super) fn use_within(&self, limit: Duration) -> Result<InUse<'_>, Pkcs11Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.returned.wait_timeout_while(idle, limit, |idle| idle.is_none());
        let (mut idle, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let state = idle.take().ok_or_else(|| {
            let detail = "the device does not answer: an earlier call to its PKCS#11 module has not returned; see that the \
                          device, and the path to it, is up";
            Pkcs11Error::new(SourceErrorKind::Unreachable, detail.to_owned())
        })?;
        Ok(InUse { module: self, state })
    }
}

impl<'a> InUse<'a> {
    pub(super) fn path(&self) -> &'a Path {
        &self.module.path
    }

    /// Returns whether it was initialized before this use.
    pub(super) fn is_started(&self) -> bool {
        self.state.started
    }

    /// The module, loaded and initialized.
    pub(super) fn context(&mut self) -> Result<Pkcs11, Pkcs11Error> {
        let library = match &self.state.context {
            Some(library) => library.clone(),
            None => self.state.context.insert(self.load()?).clone(),
        };
        if self.state.started {
            return Ok(library);
        }
        let start = |flags| library.initialize(CInitializeArgs::new(flags));
        let started = match start(CInitializeFlags::OS_LOCKING_OK) {
            // It has no locks. It needs none: here its calls come one after the other.
            Err(Error::Pkcs11(RvError::CantLock, _)) => start(CInitializeFlags::empty()),
            other => other,
        };
        match started {
            Ok(()) => self.state.ours = true,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        self.state.started = true;
        Ok(library)
    }

    fn load(&self) -> Result<Pkcs11, Pkcs11Error> {
        Pkcs11::new(&self.module.path).map_err(|error| match error {
            Error::LibraryLoading(error) => {
                let detail = format!("module-path {} cannot be loaded: {error}", self.module.path.display());
                Pkcs11Error::new(SourceErrorKind::Missing, detail)
            }
            other => other.into(),
        })
    }

    /// Ends the module's state, so that the next use starts it anew. The library stays loaded: it may have threads.
    pub(super) fn stop(&mut self) {
        if let Some(library) = self.state.context.clone().filter(|_| self.state.ours) {
            // A device that is gone may refuse even this; the new start tells.
            let _ = library.finalize();
        }
        self.state.started = false;
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        *self.module.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(mem::take(&mut self.state));
        self.module.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_return_keeps_others_waiting_for_their_limit_and_no_longer() {
        let module = Module::shared("/nowhere/hangs.so", Path::new("/"));
        let same = Module::shared("hangs.so", Path::new("/nowhere"));
        let hangs = module.use_within(Duration::ZERO).ok().expect("nobody uses it");
        assert!(Module::shared("/nowhere/hangs.so", Path::new("")).use_within(Duration::from_millis(1)).is_err());
        drop(hangs);
        assert!(module.use_within(Duration::ZERO).is_ok());
        assert!(same.use_within(Duration::ZERO).is_ok(), "a bare name is another path");
    }
}
