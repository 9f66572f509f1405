//! The one gate of HAProxy's process, for all its threads and states of Lua.

use std::{
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use bulla::gateway::{Gate, Running, Settings, now};

/// The gate and what it was opened with.
pub(crate) struct Opened {
    pub(crate) gate: Gate,
    settings: String,
    /// The header in which HAProxy says where the client is; empty for none.
    pub(crate) address_header: String,
}

static OPENED: OnceLock<Opened> = OnceLock::new();
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// The gate, once it is open.
pub(crate) fn opened() -> Option<&'static Opened> {
    OPENED.get()
}

/// Opens the gate, as HAProxy loads its configuration: before it forks, and before it drops its rights. Every state of
/// Lua asks for it; the first one opens it.
pub(crate) fn open(settings: &str, address_header: &str) -> Result<(), String> {
    if OPENED.get().is_none() {
        let read = Settings::read(Path::new(settings)).and_then(|settings| Gate::open(&settings));
        let gate = read.map_err(|error| format!("bulla cannot open {settings}: {error}"))?;
        let address_header = address_header.to_ascii_lowercase();
        let _first = OPENED.set(Opened { gate, settings: settings.to_owned(), address_header });
    }
    match OPENED.get() {
        Some(opened) if opened.settings == settings => Ok(()),
        Some(opened) => Err(format!("bulla is open with {}; a process has one file of settings", opened.settings)),
        None => Err("bulla is not open".to_owned()),
    }
}

/// Starts to follow the feed, in the process that serves. Further calls do nothing.
pub(crate) fn start() -> Result<(), String> {
    let Some(opened) = OPENED.get() else { return Err("bulla is not open".to_owned()) };
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if running.is_none() {
        *running = Some(opened.gate.start().map_err(|error| format!("bulla cannot follow the feed: {error}"))?);
    }
    Ok(())
}

/// What keeps the gate from being current: of the feed, of the keys, or of the state on the disk; or why the fleet does
/// not know its place.
pub(crate) fn problem() -> String {
    let Some(opened) = OPENED.get() else { return String::new() };
    let counters = opened.gate.counters(now());
    let found = [counters.last_error, counters.reload_error, counters.state_error, counters.report_error];
    found.into_iter().flatten().next().unwrap_or_default()
}
