//! Signals that would end a command where an error is enough.

use std::sync::{Arc, atomic::AtomicBool};

use signal_hook::{consts::SIGXFSZ, flag};

/// A write beyond the limit on the size of files fails from now on, as on a full disk; by default the signal ends the process
/// without a word. A handler does it and not `SIG_IGN`, because programs that are started would inherit that.
pub(super) fn survive_file_size_limit() {
    // Where no handler can be installed everything is as it was.
    let _installed = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
