//! Signals whose default action ends the process, where an error is better.

use std::sync::{Arc, atomic::AtomicBool};

use signal_hook::{consts::SIGXFSZ, flag};

/// From now on, a write beyond the file-size limit fails like one to a full disk. By default SIGXFSZ ends the process silently. This
/// installs a handler instead of `SIG_IGN`, which child processes would inherit.
pub(super) fn survive_file_size_limit() {
    // Without the handler the default action remains.
    let _installed = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
