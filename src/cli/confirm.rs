//! Asks before what cannot be undone.

use std::io::{IsTerminal, Write, stderr, stdin};

use clap::Args;

use super::{Failure, output::CARE};

#[derive(Args)]
pub(super) struct Confirmation {
    /// Do it without asking; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Whether `--yes` stands, so that nothing is asked. What is only told with the question need not be found out.
    pub(super) fn is_given(&self) -> bool {
        self.yes
    }

    /// Goes on where `--yes` stands, or `word` is typed on the terminal after it was told what this `ends`.
    pub(super) fn ask(&self, ends: &str, word: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return Err(Failure::Usage(format!("nothing was done. {ends} It cannot be undone: --yes does it")));
        }
        write!(anstream::stderr(), "{CARE}{ends}{CARE:#} It cannot be undone. Type `{word}` to do it: ")?;
        stderr().flush()?;
        let mut typed = String::new();
        stdin().read_line(&mut typed)?;
        if typed.trim() == word {
            Ok(())
        } else {
            Err(Failure::Usage(format!("nothing was done: that is not `{word}`")))
        }
    }
}

/// A count as people read it: `1,034 active API keys`.
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
    }
}
