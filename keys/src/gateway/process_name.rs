//! What the fleet calls the processes of a gate: `follow.name`, or the host's name and what tells the gate from others
//! on it.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

/// A number goes behind it, and a name in the fleet has 128 characters.
const MAX_LENGTH: usize = 112;

pub(super) const WRONG: &str =
    "follow.name must be 1 to 112 of the letters A-Z and a-z, digits, `.`, `_`, `:`, `-` and `@`";

pub(super) fn is_good(name: &str) -> bool {
    (1..=MAX_LENGTH).contains(&name.len()) && name.chars().all(is_plain)
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || "._:-@".contains(char)
}

/// The name of a gate whose files are in this folder. It stays the same over restarts.
pub(super) fn default_name(folder: &Path) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.chars().filter(|char| is_plain(*char)).take(MAX_LENGTH / 2).collect();
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    format!("{}-{}", if host.is_empty() { "gate" } else { &host }, hex::encode(&digest[..3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_s_name_stays_and_differs_from_that_of_another_folder() {
        let [one, other] = ["/etc/bulla", "/etc/other"].map(|folder| default_name(folder.as_ref()));
        assert!(is_good(&one) && one != other, "{one} {other}");
        assert_eq!(one, default_name("/etc/bulla".as_ref()));
        for wrong in ["", "a b", "a/b", &"a".repeat(113)] {
            assert!(!is_good(wrong), "{wrong}");
        }
    }
}
