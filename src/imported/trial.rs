//! Trying real keys on rows before they are imported: which row each finds, and whether it verifies.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{Record, Set, key_layout::MAX_KEY};

/// A few keys, and what became of each.
pub(crate) struct Trial<'a> {
    set: &'a Set,
    /// The keys by what finds their rows.
    by: HashMap<Vec<u8>, Vec<usize>>,
    hashed: Vec<Zeroizing<Vec<u8>>>,
    tried: Vec<Tried>,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// The text is not a key of this layout.
    OtherForm(String),
    NoRow,
    /// The row on this line is found, and is not of this key.
    Wrong(u64),
    /// The row on this line could not be checked.
    Unchecked(u64, String),
    /// The row on this line is of this key.
    Verified(u64),
}

impl<'a> Trial<'a> {
    /// Tries the keys of this text, one on each line.
    pub(crate) fn new(set: &'a Set, keys: &str) -> Self {
        let mut trial = Trial { set, by: HashMap::new(), hashed: Vec::new(), tried: Vec::new() };
        keys.lines()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.is_empty())
            .for_each(|key| trial.take(key));
        trial
    }

    fn take(&mut self, key: &str) {
        let (at, layout) = (self.tried.len(), &self.set.layout);
        let mut prepared = Zeroizing::default();
        let tried = match layout.split(key) {
            None if key.len() > MAX_KEY => Tried::OtherForm(format!("it is longer than {MAX_KEY} bytes")),
            None if !key.starts_with(&layout.prefix) => {
                Tried::OtherForm(format!("it does not begin with the prefix `{}`", layout.prefix))
            }
            None => Tried::OtherForm("it does not have the parts that the options say".to_owned()),
            Some(split) => match self.set.prepared(split.hashed.bytes()) {
                None => Tried::OtherForm("the secret that it is hashed with is not loaded".to_owned()),
                Some(bytes) => {
                    let found_by = match split.public {
                        Some(public) => Some(public.to_vec()),
                        None => self.set.digest(&bytes, &[], layout.digest_len()).map(|digest| digest.to_vec()),
                    };
                    if let Some(found_by) = found_by {
                        self.by.entry(found_by).or_default().push(at);
                    }
                    prepared = bytes;
                    Tried::NoRow
                }
            },
        };
        self.hashed.push(prepared);
        self.tried.push(tried);
    }

    /// Holds a row against the keys.
    pub(crate) fn see(&mut self, record: &Record) {
        let Some(keys) = self.by.get(record.found_by()) else { return };
        for at in keys {
            if matches!(self.tried[*at], Tried::Verified(_)) {
                continue;
            }
            self.tried[*at] = if record.public.is_none() {
                Tried::Verified(record.line)
            } else {
                match self.set.matches(&record.check, &self.hashed[*at]) {
                    Ok(true) => Tried::Verified(record.line),
                    Ok(false) => Tried::Wrong(record.line),
                    Err(error) => Tried::Unchecked(record.line, error.to_string()),
                }
            };
        }
    }

    /// What became of each key, in the order of their lines.
    pub(crate) fn tried(&self) -> &[Tried] {
        &self.tried
    }
}

impl Tried {
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self, Tried::Verified(_))
    }

    /// The line of the row that was found.
    pub(crate) fn line(&self) -> Option<u64> {
        match self {
            Tried::Wrong(line) | Tried::Unchecked(line, _) | Tried::Verified(line) => Some(*line),
            Tried::OtherForm(_) | Tried::NoRow => None,
        }
    }
}

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tried::OtherForm(why) => write!(f, "no key of these: {why}"),
            Tried::NoRow => f.write_str("no row is found by it"),
            Tried::Wrong(_) => {
                f.write_str("does not verify: another scheme, another part was hashed, or another key's row")
            }
            Tried::Unchecked(_, why) => write!(f, "could not be checked: {why}"),
            Tried::Verified(_) => f.write_str("verifies"),
        }
    }
}
