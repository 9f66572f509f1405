//! An API key given to a command: as an argument, or on standard input, where `ps` does not show it.

use std::io::{self, Read};

use clap::Args;
use zeroize::Zeroizing;

/// Longer than any API key, so that a wrong file is not read to its end.
const MAX_INPUT: u64 = 64 << 10;

#[derive(Args)]
pub(super) struct ApiKeyArgument {
    /// The API key, or `-` to read it from standard input: a key on the command line shows in `ps`
    #[arg(value_name = "KEY | -", default_value = "-", hide_default_value = true)]
    key: String,
}

impl ApiKeyArgument {
    /// The key's text, without white space around it.
    pub(super) fn read(&self) -> io::Result<Zeroizing<String>> {
        read(&self.key)
    }
}

/// What `argument` says, or standard input where it is `-`, without white space around it.
pub(super) fn read(argument: &str) -> io::Result<Zeroizing<String>> {
    if argument != "-" {
        return Ok(Zeroizing::new(argument.trim().to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)?;
    // What is not UTF-8 is no API key, and is to be rejected as one.
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Ok(Zeroizing::new(text.trim().to_owned()))
}
