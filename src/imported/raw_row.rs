//! The fields of one row, not yet parsed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    fields::{self, ENABLED, FIELDS, STATES, TEXTS},
    row_error::RowErrorKind,
    row_time::{self, TimeError, Zone},
};

/// One row.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawRow {
    texts: [Option<String>; TEXTS],
    /// The old id that the app id is made of.
    pub(super) app: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) meta: BTreeMap<String, String>,
}

/// Scopes as they stand in a row.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Scopes {
    #[default]
    None,
    List(Vec<String>),
    /// A text whose form is to be found out.
    Text(String),
}

impl RawRow {
    /// A text field, unless it is empty.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.texts.get(fields::place(name)?)?.as_deref().filter(|text| !text.is_empty())
    }

    /// Returns whether the field's columns are there and all empty.
    pub(super) fn is_blank(&self, name: &'static str) -> bool {
        fields::place(name).and_then(|at| self.texts.get(at)?.as_deref()).is_some_and(str::is_empty)
    }

    /// A text field that must be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<&str, RowErrorKind> {
        self.text(name).ok_or(RowErrorKind::Missing(name))
    }

    /// A time, unless the field is empty; `zone` is that of times which name none.
    pub(super) fn time(&self, name: &'static str, zone: Option<&Zone>) -> Result<Option<Timestamp>, RowErrorKind> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let at = row_time::read(text, zone).map_err(|error| match error {
            TimeError::NoZone => RowErrorKind::Zone(name),
            TimeError::Unreadable => RowErrorKind::Time(name),
        })?;
        // Times inside keys are unsigned seconds of 32 bits.
        if u32::try_from(at.as_second()).is_ok() { Ok(Some(at)) } else { Err(RowErrorKind::Time(name)) }
    }

    /// Puts another text into a field.
    pub(super) fn put(&mut self, name: &'static str, text: Option<String>) {
        if let Some(field) = fields::place(name).and_then(|at| self.texts.get_mut(at)) {
            *field = text;
        }
    }

    /// Sets a text. Two columns that are one field are refused, unless one is empty.
    pub(super) fn set(&mut self, at: usize, text: String) -> Result<(), RowErrorKind> {
        match self.texts.get_mut(at) {
            // Of several columns that a key may have ended by, one is enough.
            Some(Some(before)) if STATES.contains(&at) => {
                if before.is_empty() || !text.is_empty() && says_good(at, before) {
                    *before = text;
                }
                Ok(())
            }
            Some(Some(before)) if !before.is_empty() && !text.is_empty() => Err(RowErrorKind::Twice(FIELDS[at])),
            // No value says neither that a key is enabled nor that it is not.
            Some(_) if text.is_empty() && at != ENABLED => Ok(()),
            Some(field) => {
                *field = Some(text);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Returns whether a state field says that a key is good.
fn says_good(at: usize, text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    match at {
        ENABLED => ["true", "t", "1", "yes", "y"].contains(&&*text),
        _ => ["false", "f", "0", "no", "n"].contains(&&*text),
    }
}
