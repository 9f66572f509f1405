//! The check of an old system, which is asked about keys that nobody imported.

use std::path::PathBuf;

use axum::http::{Uri, uri::Authority};
use bulla::source::SourceUri;
use serde::Deserialize;

use super::{SHORTEST, Span};

/// Shortest key that is asked about, in bytes: everything that is shorter may be a guess.
const MIN_LENGTH: usize = 16;
/// Longest key that is asked about, in bytes.
const MAX_LENGTH: usize = 512;

/// `[realms.NAME.old_system]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OldSystemConfig {
    /// The address of its introspection (RFC 7662).
    pub(crate) introspect: Option<String>,
    /// A file that holds CLIENT:SECRET, which is sent to it as HTTP Basic, encoded as RFC 6749 says.
    pub(crate) credential: Option<SourceUri>,
    /// A program that reads a key on standard input, and prints the same answer.
    pub(crate) exec: Option<Vec<PathBuf>>,
    /// What its keys begin with.
    #[serde(default)]
    pub(crate) prefix: String,
    #[serde(default = "min_length")]
    pub(crate) min_length: usize,
    /// The member of an answer that says whose the key is: a UUID, or a text that one is made of.
    #[serde(default = "app")]
    pub(crate) app: String,
    /// What this realm is called as an audience. A key that is for an audience is taken over where it is for this one.
    pub(crate) audience: Option<String>,
    #[serde(default = "timeout")]
    pub(crate) timeout: Span,
    /// Questions in a second.
    #[serde(default = "per_second")]
    pub(crate) per_second: u32,
    /// Questions at a time.
    #[serde(default = "concurrent")]
    pub(crate) concurrent: usize,
    /// For how long it is remembered that a text is not a key of the old system.
    #[serde(default = "negative_ttl")]
    pub(crate) negative_ttl: Span,
}

fn min_length() -> usize {
    MIN_LENGTH
}

fn app() -> String {
    "app_id".to_owned()
}

fn timeout() -> Span {
    Span(std::time::Duration::from_secs(2))
}

fn per_second() -> u32 {
    10
}

fn concurrent() -> usize {
    4
}

fn negative_ttl() -> Span {
    Span(std::time::Duration::from_secs(60))
}

impl OldSystemConfig {
    /// Returns whether this text may be a key of the old system. Only visible ASCII may be in one: many systems, and the
    /// shells and databases behind them, pass over blanks and line ends around a key, or read other letters as the same.
    /// Each such text would be accepted, and go on record as one more key that a revocation of the key does not reach.
    pub(crate) fn may_have(&self, text: &str) -> bool {
        let is_visible = || text.bytes().all(|byte| byte.is_ascii_graphic());
        text.len() >= self.min_length && text.len() <= MAX_LENGTH && text.starts_with(&self.prefix) && is_visible()
    }

    /// Refuses a table that names no system, or two.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.introspect, &self.exec) {
            (Some(_), Some(_)) | (None, None) => return Err("name either introspect or exec".to_owned()),
            (Some(address), None) => check_address(address)?,
            (None, Some(program)) if !program.first().is_some_and(|program| program.is_absolute()) => {
                return Err("exec must begin with the absolute path of a program".to_owned());
            }
            _ => {}
        }
        if self.credential.is_some() && self.exec.is_some() {
            return Err("credential goes with introspect".to_owned());
        }
        if !self.prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            let rule = "no key with other characters is asked about";
            return Err(format!("prefix must be visible ASCII characters without blanks: {rule}"));
        }
        if self.audience.as_deref() == Some("") {
            return Err("audience must not be empty: leave it out".to_owned());
        }
        if self.min_length < MIN_LENGTH || self.per_second == 0 || self.concurrent == 0 {
            return Err(format!(
                "min_length must be {MIN_LENGTH} or more, per_second and concurrent greater than zero"
            ));
        }
        self.timeout.at_least(SHORTEST, "timeout")
    }
}

/// Returns whether keys that are sent there are protected on their way: by TLS, or because they stay on this machine.
fn is_protected(address: &Uri) -> bool {
    match address.scheme_str() {
        Some("https") => true,
        Some("http") => address.authority().is_some_and(is_local),
        _ => false,
    }
}

/// Returns whether this is this machine: one of its names, and a port at most.
fn is_local(authority: &Authority) -> bool {
    let is_port = |rest: &str| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|one| one.is_ascii_digit()))
    };
    ["127.0.0.1", "localhost", "[::1]"]
        .into_iter()
        .any(|host| authority.as_str().strip_prefix(host).is_some_and(is_port))
}

/// The address of the introspection. A user's name before the host hides which host it is.
fn check_address(address: &str) -> Result<(), String> {
    let address: Uri =
        address.parse().map_err(|_| "introspect is not an address such as https://old.example/introspect")?;
    if address.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err("introspect must have a host and no user: the user belongs into credential".to_owned());
    }
    if is_protected(&address) {
        return Ok(());
    }
    Err("introspect must be an https:// address: keys are sent there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<OldSystemConfig, String> {
        let config: OldSystemConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn it_names_one_system_that_keys_may_be_sent_to() {
        assert!(read("introspect = \"https://old.example/introspect\"").is_ok());
        for local in ["127.0.0.1:8000", "127.0.0.1", "localhost:80", "[::1]", "[::1]:8000"] {
            assert!(read(&format!("introspect = \"http://{local}/introspect\"")).is_ok(), "{local}");
        }
        assert!(read("exec = [\"/usr/local/bin/check\"]").is_ok());
        for bad in [
            "",
            "introspect = \"http://old.example/introspect\"",
            "introspect = \"http://127.0.0.1.example/introspect\"",
            "introspect = \"http://127.0.0.1:80@old.example/introspect\"",
            "introspect = \"http://localhost@old.example/\"",
            "introspect = \"https://user:word@old.example/\"",
            "introspect = \"http://[::1].example/\"",
            "introspect = \"ftp://127.0.0.1/\"",
            "introspect = \"/introspect\"",
            "introspect = \"https://\"",
            "exec = [\"check\"]",
            "exec = []",
            "exec = [\"/x\"]\nintrospect = \"https://old.example\"",
            "exec = [\"/x\"]\ncredential = \"file:x\"",
            "exec = [\"/x\"]\nmin_length = 4",
            "exec = [\"/x\"]\nper_second = 0",
            "exec = [\"/x\"]\naudience = \"\"",
            "exec = [\"/x\"]\nprefix = \"sk \"",
            "exec = [\"/x\"]\nprefix = \"clé_\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_texts_of_its_shape_are_asked_about() {
        let config = read("exec = [\"/x\"]\nprefix = \"sk_\"").expect("a table");
        assert!(config.may_have("sk_0123456789abcdef"));
        assert!(!config.may_have("sk_0123456789") && !config.may_have("pk_0123456789abcdef"));
        assert!(config.may_have(&format!("sk_{}", "a".repeat(509))));
        assert!(!config.may_have(&format!("sk_{}", "a".repeat(510))));
    }

    #[test]
    fn a_key_has_one_form_that_is_asked_about() {
        let key = "sk_0123456789-._~+/=:!";
        for prefix in ["", "sk_"] {
            let config = read(&format!("exec = [\"/x\"]\nprefix = \"{prefix}\"")).expect("a table");
            assert!(config.may_have(key));
            for added in [
                " ",
                "\t",
                "\n",
                "\r\n",
                "\0",
                "\u{1b}",
                "\u{7f}",
                "\u{85}",
                "\u{a0}",
                "\u{ad}",
                "\u{200b}",
                "\u{2028}",
                "\u{3000}",
                "\u{feff}",
                "é",
                "\u{301}",
                "ｋ",
                "\nalias 1",
                " x",
            ] {
                assert!(!config.may_have(&format!("{key}{added}")), "{prefix:?} {added:?}");
                assert!(!config.may_have(&format!("{added}{key}")), "{prefix:?} {added:?}");
                assert!(!config.may_have(&format!("sk_{added}{}", &key[3..])), "{prefix:?} {added:?}");
            }
        }
    }
}
