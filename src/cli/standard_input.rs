//! Standard input. Where it is a terminal, somebody sits there and has to be told what the command waits for.

use std::io::{self, IsTerminal, Read, Write};

use zeroize::Zeroizing;

/// Reads a secret, of up to so many bytes. On a terminal it is one line, which does not show.
pub(super) fn secret(what: &str, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    if io::stdin().is_terminal() {
        let _nowhere_to_ask = write!(anstream::stderr(), "Paste {what} and press Enter. It does not show: ");
        return rpassword::read_password().map(|line| Zeroizing::new(line.into_bytes()));
    }
    // As much as may come, so that the buffer never moves and leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or_default()));
    io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells that the command now reads `what` to its end.
pub(super) fn tell_awaited(what: &str) {
    if io::stdin().is_terminal() {
        let _nowhere_to_tell = write!(anstream::stderr(), "Type or paste {what}. Ctrl-D in an empty line ends them: ");
    }
}
