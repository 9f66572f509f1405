//! The search for a text by slow digests: it is hashed for one set after the other, as no row is found without.

use std::sync::Arc;

use crate::imported::{Candidate, ImportedKeys, SlowText, Table};

/// A search that waits for a digest.
pub(crate) struct DigestSearch {
    /// The rows of one moment.
    table: Arc<Table>,
    /// What is hashed now, and what follows; the last one is next.
    asked: SlowText,
    rest: Vec<SlowText>,
    found: Vec<Candidate>,
    all_tried: bool,
}

/// How a search goes on.
pub(super) enum Digested {
    More(DigestSearch),
    /// The keys that were found, and whether every digest could be computed.
    All {
        found: Vec<Candidate>,
        all_tried: bool,
    },
}

impl DigestSearch {
    /// Begins one; `None` where no set of slow digests has keys of this form.
    pub(super) fn begin(imported: &ImportedKeys, text: &str) -> Option<Self> {
        if !imported.has_slow_digests() {
            return None;
        }
        let table = imported.table();
        let mut rest = table.slow_texts(text);
        rest.reverse();
        let asked = rest.pop()?;
        Some(DigestSearch { table, asked, rest, found: Vec::new(), all_tried: true })
    }

    /// What the shell is to hash.
    pub(crate) fn text(&self) -> &SlowText {
        &self.asked
    }

    /// Returns whether this digest of it finds a key.
    pub(crate) fn finds(&self, digest: &[u8]) -> bool {
        !self.table.find_slow(&self.asked, digest).is_empty()
    }

    /// Goes on with the digest; `None` where it could not be computed.
    pub(super) fn resume(mut self, digest: Option<&[u8]>) -> Digested {
        match digest {
            Some(digest) => self.found.extend(self.table.find_slow(&self.asked, digest)),
            None => self.all_tried = false,
        }
        match self.rest.pop() {
            Some(asked) => Digested::More(DigestSearch { asked, ..self }),
            None => Digested::All { found: self.found, all_tried: self.all_tried },
        }
    }
}
