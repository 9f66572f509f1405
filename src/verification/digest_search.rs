//! The search for a text by slow digests: it is hashed for one set after the other, as no row is found without.

use std::sync::Arc;

use bulla::Realm;

use crate::imported::{Candidate, ImportedKeys, SlowText, Table};

/// The sets of slow digests that have keys of a text's form, as far as it was not looked for in them.
#[derive(Default)]
pub(super) struct SlowSets {
    /// The rows of one moment; `None` where no set has slow digests.
    table: Option<Arc<Table>>,
    /// The last one is next.
    untried: Vec<SlowText>,
    /// Those that the bounds on unknown texts kept back: they are tried again when the text is known as a key.
    put_off: Vec<SlowText>,
    /// Where the digest of a known key could not be computed either.
    failed: Vec<Realm>,
}

/// A search in one of them, which waits for a digest.
pub(crate) struct DigestSearch {
    table: Arc<Table>,
    asked: SlowText,
    is_known_key: bool,
}

impl SlowSets {
    /// Those of all realms.
    pub(super) fn of(imported: &ImportedKeys, text: &str) -> Self {
        if !imported.has_slow_digests() {
            return SlowSets::default();
        }
        let table = imported.table();
        let mut untried = table.slow_texts(text);
        untried.reverse();
        SlowSets { table: Some(table), untried, ..SlowSets::default() }
    }

    /// Returns whether there is one of such a realm that was not searched.
    pub(super) fn remain(&self, is_sought: impl Fn(Realm) -> bool) -> bool {
        let mut texts = self.untried.iter().chain(&self.put_off);
        texts.any(|text| is_sought(text.realm())) || self.failed.iter().any(|realm| is_sought(*realm))
    }

    /// Begins to search the next one of such a realm. `None` where there is none, or none that can be searched.
    /// `is_known_key` tells that another row is this text and no other one.
    pub(super) fn next(&mut self, is_known_key: bool, is_sought: impl Fn(Realm) -> bool) -> Option<DigestSearch> {
        let table = Arc::clone(self.table.as_ref()?);
        let last = |texts: &mut Vec<SlowText>| {
            let at = texts.iter().rposition(|text| is_sought(text.realm()))?;
            Some(texts.remove(at))
        };
        let untried = last(&mut self.untried);
        let asked = untried.or_else(|| if is_known_key { last(&mut self.put_off) } else { None })?;
        Some(DigestSearch { table, asked, is_known_key })
    }

    /// The keys that a digest finds; `None` where it could not be computed.
    pub(super) fn found(&mut self, search: DigestSearch, digest: Option<&[u8]>) -> Vec<Candidate> {
        match digest {
            Some(digest) => return search.table.find_slow(&search.asked, digest),
            None if search.is_known_key => self.failed.push(search.asked.realm()),
            None => self.put_off.push(search.asked),
        }
        Vec::new()
    }
}

impl DigestSearch {
    /// What the shell is to hash.
    pub(crate) fn text(&self) -> &SlowText {
        &self.asked
    }

    /// Returns whether the text is known as a key. Then it is no attempt, and no flood of attempts keeps it back.
    pub(crate) fn is_known_key(&self) -> bool {
        self.is_known_key
    }

    /// Returns whether this digest of it finds a key.
    pub(crate) fn finds(&self, digest: &[u8]) -> bool {
        !self.table.find_slow(&self.asked, digest).is_empty()
    }
}
