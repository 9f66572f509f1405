//! The verifiers of this process, one for each settings file. Envoy makes a new configuration before it destroys the
//! old one, and makes one for each listener: all of them share a verifier and its follower.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bulla::{
    gateway::{Gate, Running, Settings},
    source::read_regular_file,
};

use crate::{abi, metrics::Exported};

/// More than any settings have.
const MAX_SETTINGS: u64 = 1 << 20;

/// An open verifier. Its follower ends with it.
pub(crate) struct Opened {
    pub(crate) gate: Gate,
    /// No other verifier of this process has it.
    pub(crate) number: u64,
    pub(crate) exported: Mutex<Exported>,
    _running: Option<Running>,
}

#[derive(Default)]
struct Gates {
    open: Vec<Entry>,
    /// The texts of routes that were made before there was a verifier: Envoy reads a listener's routes first.
    unread: Vec<String>,
}

struct Entry {
    path: PathBuf,
    settings: String,
    opened: Weak<Opened>,
}

static GATES: Mutex<Gates> = Mutex::new(Gates { open: Vec::new(), unread: Vec::new() });

/// The verifier of this settings file as it is now, opened and started unless that is done.
pub(crate) fn open(path: &Path) -> Result<Arc<Opened>, String> {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let shown = path.display();
    // A named pipe would hold up Envoy's main thread.
    let text = read_regular_file(path, MAX_SETTINGS).and_then(|text| String::from_utf8(text).map_err(io::Error::other));
    let text = text.map_err(|error| format!("cannot read the settings {shown}: {error}"))?;
    let mut gates = lock();
    gates.open.retain(|entry| entry.opened.strong_count() > 0);
    let same = gates.open.iter().filter(|entry| entry.path == path && entry.settings == text);
    if let Some(opened) = same.filter_map(|entry| entry.opened.upgrade()).next() {
        return Ok(opened);
    }
    let failed = |error| format!("the settings {shown}: {error}");
    let settings = Settings::parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let gate = Gate::open(&settings).map_err(failed)?;
    for route in std::mem::take(&mut gates.unread) {
        gate.requirements(&route).map_err(|error| format!("the requirements of a route: {error}"))?;
    }
    let running = (!abi::is_validation()).then(|| gate.start()).transpose().map_err(failed)?;
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let opened = Arc::new(Opened { gate, number, exported: Mutex::default(), _running: running });
    gates.open.push(Entry { path: path.to_owned(), settings: text, opened: Arc::downgrade(&opened) });
    Ok(opened)
}

/// Refuses the text of a route that no verifier can read.
pub(crate) fn check_route(text: &str) -> Result<(), String> {
    let mut gates = lock();
    let open: Vec<_> = gates.open.iter().filter_map(|entry| entry.opened.upgrade()).collect();
    if open.is_empty() {
        gates.unread.push(text.to_owned());
    }
    let mut errors = Vec::new();
    for opened in &open {
        match opened.gate.requirements(text) {
            Ok(_) => return Ok(()),
            Err(error) => errors.push(error),
        }
    }
    errors.first().map_or(Ok(()), |error| Err(format!("the requirements of a route: {error}")))
}

/// Nothing is half done where a panic ended a holder: a verifier is entered last.
fn lock() -> MutexGuard<'static, Gates> {
    GATES.lock().unwrap_or_else(PoisonError::into_inner)
}
