//! Integrity check of stored hashes (scrub): finds hashes that were changed, or that were made with another pepper.

use std::collections::BTreeMap;

use bulla::{ApiKeyId, keyring::KeyVersion};

use super::{Altered, Peppers, intact};
use crate::store::SecretRow;

/// The findings so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScrubFindings {
    /// For each version of the pepper: checked hashes, and altered ones among them.
    under: BTreeMap<KeyVersion, Checked>,
    unreadable: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checked {
    hashes: usize,
    altered: usize,
    missing: bool,
}

impl ScrubFindings {
    /// Checks one hash, and notes what is wrong with it.
    pub(crate) fn check(&mut self, id: &ApiKeyId, row: &SecretRow, peppers: &Peppers) -> Result<(), Altered> {
        let checked = intact(id, row, peppers);
        let (version, altered, missing) = match &checked {
            Ok(hash) => (hash.pepper_version(), false, false),
            Err(Altered::Row(version)) => (*version, true, false),
            Err(Altered::NoPepper(version)) => (*version, true, true),
            Err(Altered::Unreadable(_)) => {
                self.unreadable += 1;
                return checked.map(drop);
            }
        };
        let under = self.under.entry(version).or_default();
        under.hashes += 1;
        under.altered += usize::from(altered);
        under.missing |= missing;
        checked.map(drop)
    }

    /// Notes a row that could not be read at all.
    pub(crate) fn note_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// What is wrong, and what to do about it; `None` where every hash is as it was stored.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut messages: Vec<String> =
            self.under.iter().filter_map(|(version, checked)| checked.trouble(*version)).collect();
        if self.unreadable > 0 {
            messages.push(format!(
                "{} stored hashes of secret halves cannot be read: somebody changed them",
                self.unreadable
            ));
        }
        (!messages.is_empty()).then(|| messages.join("; "))
    }
}

impl Checked {
    fn trouble(self, version: KeyVersion) -> Option<String> {
        let Checked { hashes, altered, missing } = self;
        if missing {
            return Some(format!(
                "{hashes} stored hashes of secret halves are under version {version} of the pepper, which is not in the \
                 configuration: put it back into [pepper.sources]"
            ));
        }
        // One may have been changed by hand; not all of them.
        if altered == hashes && hashes > 0 {
            return Some(format!(
                "none of the {hashes} stored hashes of secret halves fits version {version} of the pepper: its source holds \
                 another key than the one they were made with. Put the right one back (docs/SECRETS.md, \"A lost pepper\"): \
                 until then no key with a secret half can be checked, administrators' included"
            ));
        }
        (altered > 0).then(|| {
            format!(
                "{altered} of {hashes} stored hashes of secret halves under version {version} of the pepper are not as they \
                 were stored: somebody wrote to the store (docs/SECRETS.md, \"Somebody wrote to the store\")"
            )
        })
    }
}
