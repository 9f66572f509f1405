//! The fields of one row, from a JSON object or a CSV record, nothing of them understood yet.

use std::collections::BTreeMap;

use csv::StringRecord;
use serde_json::Value;

use super::refusal::Reason;
use crate::json::{self, Unique};

/// The fields that a row may have.
pub(super) const FIELDS: [&str; 9] =
    ["app_id", "hash", "salt", "public", "name", "issued_at", "expires_at", "scopes", "meta"];

/// One row.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line {
    texts: [Option<String>; 7],
    pub(super) scopes: Vec<String>,
    pub(super) meta: BTreeMap<String, String>,
}

const SCOPES: usize = 7;
const META: usize = 8;

impl Line {
    /// A text field; an empty one is none.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        self.texts.get(at)?.as_deref().filter(|text| !text.is_empty())
    }

    /// A text field that has to be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<&str, Reason> {
        self.text(name).ok_or(Reason::Missing(name))
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, Reason> {
        let Ok(Unique(Value::Object(object))) = serde_json::from_slice(bytes) else { return Err(Reason::Json) };
        let mut line = Line::default();
        for (name, value) in object {
            let at = FIELDS.iter().position(|field| *field == name).ok_or(Reason::Field)?;
            let wrong = || Reason::Type(FIELDS[at]);
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

    /// `columns` are the fields of the header, by their places in `FIELDS`.
    pub(super) fn from_csv(record: &StringRecord, columns: &[usize]) -> Result<Self, Reason> {
        let mut line = Line::default();
        for (at, text) in columns.iter().zip(record) {
            match *at {
                _ if text.is_empty() => {}
                SCOPES => line.scopes = words(text),
                META => {
                    let mut meta = serde_json::Deserializer::from_str(text);
                    line.meta = json::texts(&mut meta)
                        .and_then(|read| meta.end().map(|()| read))
                        .map_err(|_| Reason::Type("meta"))?;
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
