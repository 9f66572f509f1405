//! The fields of one row, from a JSON object or a CSV record, not yet parsed.

use std::collections::BTreeMap;

use csv::StringRecord;
use serde_json::Value;

use super::row_error::RowErrorKind;
use crate::json::{self, Unique};

/// The fields that a row may have.
pub(super) const FIELDS: [&str; 9] =
    ["app_id", "hash", "salt", "public", "name", "issued_at", "expires_at", "scopes", "meta"];

/// One row.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawRow {
    texts: [Option<String>; 7],
    pub(super) scopes: Vec<String>,
    pub(super) meta: BTreeMap<String, String>,
}

const SCOPES: usize = 7;
const META: usize = 8;

impl RawRow {
    /// A text field, unless it is empty.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        self.texts.get(at)?.as_deref().filter(|text| !text.is_empty())
    }

    /// A text field that must be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<&str, RowErrorKind> {
        self.text(name).ok_or(RowErrorKind::Missing(name))
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, RowErrorKind> {
        let Ok(Unique(Value::Object(object))) = serde_json::from_slice(bytes) else { return Err(RowErrorKind::Json) };
        let mut line = RawRow::default();
        for (name, value) in object {
            let at = FIELDS.iter().position(|field| *field == name).ok_or(RowErrorKind::Field)?;
            let wrong = || RowErrorKind::Type(FIELDS[at]);
            match (at, value) {
                (_, Value::Null) => {}
                (SCOPES, Value::String(text)) => line.scopes = words(&text),
                (SCOPES, value) => line.scopes = serde_json::from_value(value).map_err(|_| wrong())?,
                (META, value) => line.meta = serde_json::from_value(value).map_err(|_| wrong())?,
                (_, Value::String(text)) => line.texts[at] = Some(text),
                (_, Value::Number(number)) => line.texts[at] = Some(number.to_string()),
                _ => return Err(wrong()),
            }
        }
        Ok(line)
    }

    /// `columns` are the fields of the header, as indices of `FIELDS`.
    pub(super) fn from_csv(record: &StringRecord, columns: &[usize]) -> Result<Self, RowErrorKind> {
        let mut line = RawRow::default();
        for (at, text) in columns.iter().zip(record) {
            match *at {
                _ if text.is_empty() => {}
                SCOPES => line.scopes = words(text),
                META => {
                    let mut meta = serde_json::Deserializer::from_str(text);
                    line.meta = json::texts(&mut meta)
                        .and_then(|read| meta.end().map(|()| read))
                        .map_err(|_| RowErrorKind::Type("meta"))?;
                }
                at => line.texts[at] = Some(text.to_owned()),
            }
        }
        Ok(line)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
