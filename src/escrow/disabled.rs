//! Stub in place of recipients, in a build without the feature `escrow`.

use std::{fmt, str::FromStr};

/// No value exists: this build encrypts to no recipient.
pub(crate) enum Recipient {}

/// A realm's recipient cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipientError {
    #[error("this bulla was built without the feature escrow: use a build that has it")]
    Disabled,
}

impl Recipient {
    pub(crate) fn encrypt(&self, _: &str) -> Result<String, RecipientError> {
        match *self {}
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    /// Always [`RecipientError::Disabled`].
    fn from_str(_: &str) -> Result<Self, RecipientError> {
        Err(RecipientError::Disabled)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, DEFAULT};

    #[test]
    fn a_configuration_that_names_a_recipient_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bulla.toml");
        let named = "[realms.live]\nescrow = \"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"\n";
        std::fs::write(&path, DEFAULT.replace("[realms.live]\n", named)).expect("written");
        let config = Config::load_file(&path).expect("a configuration");
        let refused = crate::escrow::check(&config, "bulla.toml").expect_err("refused").to_string();
        assert!(
            refused.contains("[realms.live]: escrow: this bulla was built without the feature escrow"),
            "{refused}"
        );
    }
}
