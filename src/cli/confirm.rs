//! Asks before a command ends many API keys.

use std::io::{IsTerminal, Write, stderr, stdin};

use clap::Args;

use super::{Failure, output::WARNING};

#[derive(Args)]
pub(super) struct Confirmation {
    /// Do it without asking; required without a terminal
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Returns whether `--yes` was given. The command need not count then.
    pub(super) fn is_given(&self) -> bool {
        self.yes
    }

    /// Tells `consequences`, and asks for `word` on the terminal. Succeeds if the user types it, or gave `--yes`.
    pub(super) fn ask(&self, consequences: &str, word: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return Err(Failure::Usage(format!("nothing was done. {consequences} Add --yes to do it")));
        }
        write!(anstream::stderr(), "{WARNING}{consequences}{WARNING:#} Type `{word}` to do it: ")?;
        stderr().flush()?;
        let mut typed = String::new();
        stdin().read_line(&mut typed)?;
        if typed.trim() == word {
            Ok(())
        } else {
            Err(Failure::Undone(format!("nothing was done: that is not `{word}`")))
        }
    }
}

/// Counted keys as people read it: `1,034 active API keys, including 1 administrator's key`.
pub(super) fn counted_keys(active: u64, administrators: u64) -> String {
    let all = counted(active, "active API key");
    match administrators {
        0 => all,
        1 => format!("{all}, including 1 administrator's key"),
        _ => format!("{all}, including {}", counted(administrators, "administrators' key")),
    }
}

/// A count as people read it: `1,034 API keys`.
pub(super) fn counted(count: u64, one: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (count, text) in
            [(0, "0 keys"), (1, "1 key"), (999, "999 keys"), (1_034, "1,034 keys"), (1_000_000, "1,000,000 keys")]
        {
            assert_eq!(counted(count, "key"), text);
        }
        for (administrators, text) in [
            (0, "9 active API keys"),
            (1, "9 active API keys, including 1 administrator's key"),
            (5, "9 active API keys, including 5 administrators' keys"),
        ] {
            assert_eq!(counted_keys(9, administrators), text);
        }
    }
}
