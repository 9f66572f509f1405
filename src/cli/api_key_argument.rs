//! The API key that a command reads: an argument, or standard input, which `ps` does not show.

use std::io;

use bulla::{ApiKey, ApiKeyId};
use clap::Args;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::standard_input;

/// Longer than any API key, in bytes: of a wrong file no more is read.
const MAX_INPUT: u64 = 64 << 10;

#[derive(Args)]
pub(super) struct ApiKeyArgument {
    /// The API key, or `-` to read it from standard input: a key on the command line shows in `ps`
    #[arg(value_name = "KEY | -", default_value = "-", hide_default_value = true)]
    key: String,
}

impl ApiKeyArgument {
    /// Returns whether the user gave the name of a file by mistake.
    pub(super) fn is_file(&self) -> bool {
        self.key != "-" && std::path::Path::new(&self.key).is_file()
    }

    /// The key's text.
    pub(super) fn read(&self) -> io::Result<SecretString> {
        read(&self.key, "the API key")
    }
}

/// The argument, or standard input, which is to hold `what`, if the argument is `-`. Removes white space around a key
/// or id of bulla's own; from any other text only the line end, because an imported key may end in a blank.
pub(super) fn read(argument: &str, what: &str) -> io::Result<SecretString> {
    if argument != "-" {
        return Ok(SecretString::from(bare(argument)));
    }
    let bytes = standard_input::secret(what, MAX_INPUT)?;
    // Bytes that are not UTF-8 become a text that is rejected.
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Ok(SecretString::from(bare(&text)))
}

fn bare(text: &str) -> &str {
    let (trimmed, line) = (text.trim(), text.trim_end_matches(['\r', '\n']));
    let own = trimmed.parse::<ApiKey>().is_ok() || trimmed.parse::<ApiKeyId>().is_ok();
    if own { trimmed } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_belong_to_imported_keys_alone() {
        let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        for own in [key, &key[..32]] {
            assert_eq!(bare(&format!(" \t{own} \r\n")), own);
        }
        assert_eq!(bare("sk_old_7 \r\n"), "sk_old_7 ");
        assert_eq!(bare(" sk_old_7"), " sk_old_7");
    }
}
