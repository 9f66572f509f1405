//! Envoy's ABI for dynamic modules, `v0.2.0`, as far as this module needs it. All unsafe code is in this folder: types,
//! Envoy's functions, the hooks that Envoy calls, and what stands between them and safe code.

mod callbacks;
mod hooks;
mod stream;
mod types;

use std::ptr;

use self::{
    callbacks::callbacks,
    types::{EnvoyPtr, ModuleBuffer, SUCCESS},
};
pub(crate) use self::{
    stream::{Room, Stream},
    types::{Level, Status},
};

/// Writes a line into Envoy's own log.
pub(crate) fn log(level: Level, line: &str) {
    match callbacks() {
        // SAFETY: Envoy copies the line. Any thread may log.
        Some(envoy) => unsafe { (envoy.log)(level as u32, ModuleBuffer::of(line.as_bytes())) },
        None => eprintln!("{line}"),
    }
}

/// Whether Envoy only reads its configuration (`--mode validate`). For the main thread.
pub(crate) fn is_validation() -> bool {
    // SAFETY: no arguments; configurations are made on the main thread.
    callbacks().is_some_and(|envoy| unsafe { (envoy.is_validation)() })
}

/// Whether this is Envoy 1.39, which has less.
pub(crate) fn is_envoy_1_39() -> bool {
    callbacks().is_some_and(|envoy| envoy.set_struct.is_none())
}

/// A filter's configuration, as Envoy has it. It is valid in the hook that hands it over, on the main thread.
pub(crate) struct EnvoyConfig(EnvoyPtr);

/// A metric that was defined with a configuration.
#[derive(Clone, Copy)]
pub(crate) struct Metric(usize);

impl EnvoyConfig {
    /// A counter, with one label or without. Only while the configuration is made.
    pub(crate) fn counter(&self, name: &str, label: Option<&str>) -> Option<Metric> {
        let label = label.map(|label| ModuleBuffer::of(label.as_bytes()));
        let (labels, count) = pointer(label.as_ref());
        let mut id = 0;
        // SAFETY: the configuration is valid in this hook; Envoy copies the texts and writes one number.
        let made = unsafe {
            (callbacks()?.define_counter)(self.0, ModuleBuffer::of(name.as_bytes()), labels, count, &raw mut id)
        };
        (made == SUCCESS).then_some(Metric(id))
    }

    /// A gauge without labels, likewise.
    pub(crate) fn gauge(&self, name: &str) -> Option<Metric> {
        let mut id = 0;
        // SAFETY: as above.
        let made = unsafe {
            (callbacks()?.define_gauge)(self.0, ModuleBuffer::of(name.as_bytes()), ptr::null(), 0, &raw mut id)
        };
        (made == SUCCESS).then_some(Metric(id))
    }

    /// Adds to a counter of this configuration.
    pub(crate) fn add(&self, metric: Metric, label: Option<&str>, more: u64) {
        let label = label.map(|label| ModuleBuffer::of(label.as_bytes()));
        let (labels, count) = pointer(label.as_ref());
        if let Some(envoy) = callbacks() {
            // SAFETY: the configuration is valid in this hook; Envoy looks the number up and copies the text. It
            // refuses what does not fit, and there is nobody to tell.
            let _refused = unsafe { (envoy.increment_counter)(self.0, metric.0, labels, count, more) };
        }
    }

    /// Sets a gauge of this configuration.
    pub(crate) fn set(&self, metric: Metric, value: u64) {
        if let Some(envoy) = callbacks() {
            // SAFETY: as above.
            let _refused = unsafe { (envoy.set_gauge)(self.0, metric.0, ptr::null(), 0, value) };
        }
    }

    /// Has Envoy call the configuration on its main thread, from any thread.
    pub(crate) fn scheduler(&self) -> Option<Scheduler> {
        // SAFETY: the configuration is valid in this hook. The scheduler is this module's until it is deleted.
        let scheduler = unsafe { (callbacks()?.new_scheduler)(self.0) };
        (!scheduler.is_null()).then_some(Scheduler(scheduler))
    }
}

fn pointer(label: Option<&ModuleBuffer>) -> (*const ModuleBuffer, usize) {
    label.map_or((ptr::null(), 0), |label| (ptr::from_ref(label), 1))
}

/// Calls the configuration on Envoy's main thread.
pub(crate) struct Scheduler(EnvoyPtr);

// SAFETY: Envoy lets every thread use it.
unsafe impl Send for Scheduler {}

impl Scheduler {
    /// Soon. Nothing happens once the configuration is gone.
    pub(crate) fn call(&self) {
        if let Some(envoy) = callbacks() {
            // SAFETY: the scheduler is not deleted yet.
            unsafe { (envoy.schedule)(self.0, 0) };
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Some(envoy) = callbacks() {
            // SAFETY: it is this module's own, and nobody has it any more.
            unsafe { (envoy.delete_scheduler)(self.0) };
        }
    }
}
