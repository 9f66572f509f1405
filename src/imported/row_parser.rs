//! Reads the fields of one row from a JSON object or a CSV record.

use csv::StringRecord;
use serde_json::Value;

use super::{
    columns::{Column, Columns},
    fields::{ENABLED, FIELDS, META, STATES, TEXTS, TIMES},
    raw_row::{RawRow, Scopes},
    row_error::RowErrorKind,
};
use crate::input::json::{self, Unique};

/// Texts of columns that hold nothing, such as an empty array of PostgreSQL or of JSON.
const NOTHING: [&str; 5] = ["", "{}", "[]", "null", "NULL"];

/// The row that a JSON object is.
pub(super) fn from_json(bytes: &[u8], columns: &Columns) -> Result<RawRow, RowErrorKind> {
    let Ok(Unique(Value::Object(object))) = serde_json::from_slice(bytes) else { return Err(RowErrorKind::Json) };
    let mut line = RawRow::default();
    for (name, value) in object {
        let at = match columns.find(&name).ok_or(RowErrorKind::Field)? {
            Column::Field(at) => at,
            Column::Ignored => continue,
            Column::Restricts if is_nothing(&value) => continue,
            Column::Restricts => return Err(RowErrorKind::Restricted),
            Column::Only(only) if is_nothing(&value) || value == only => continue,
            Column::Only(_) => return Err(RowErrorKind::OtherKind),
            Column::App => {
                line.app = match value {
                    Value::Null => None,
                    // As in CSV nobody is called so.
                    Value::String(text) => Some(text).filter(|text| !text.is_empty()),
                    Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
                    _ => return Err(RowErrorKind::App),
                };
                continue;
            }
        };
        let wrong = || RowErrorKind::Type(FIELDS[at]);
        match (at, value) {
            (ENABLED, Value::Null) => line.set(ENABLED, String::new())?,
            (_, Value::Null) => {}
            (META, _) if !line.meta.is_empty() => return Err(RowErrorKind::Twice("meta")),
            (TEXTS, _) if line.scopes != Scopes::None => return Err(RowErrorKind::Twice("scopes")),
            (META, value) => line.meta = serde_json::from_value(value).map_err(|_| wrong())?,
            (at, Value::String(text)) if at < TEXTS => line.set(at, text)?,
            // A number that is not an integer has more than one text, and finds nothing.
            (at, Value::Number(number)) if at < TEXTS && (number.as_i64().is_some() || TIMES.contains(&at)) => {
                line.set(at, number.to_string())?;
            }
            (at, Value::Bool(is)) if STATES.contains(&at) => line.set(at, is.to_string())?,
            (TEXTS, Value::String(text)) => line.scopes = Scopes::Text(text),
            (TEXTS, value) => line.scopes = Scopes::List(serde_json::from_value(value).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    Ok(line)
}

/// The row that a CSV record is; `columns` are those of the header, in their order.
pub(super) fn from_csv(record: &StringRecord, columns: &[Column]) -> Result<RawRow, RowErrorKind> {
    let mut line = RawRow::default();
    for (column, text) in columns.iter().zip(record) {
        match *column {
            Column::Field(ENABLED) if text == "\\N" => line.set(ENABLED, String::new())?,
            Column::Field(ENABLED) => line.set(ENABLED, text.to_owned())?,
            // MySQL writes null so.
            _ if text.is_empty() || text == "\\N" => {}
            Column::Ignored => {}
            Column::Restricts if NOTHING.contains(&text) => {}
            Column::Restricts => return Err(RowErrorKind::Restricted),
            Column::Only(only) if text == only => {}
            Column::Only(_) => return Err(RowErrorKind::OtherKind),
            Column::App => line.app = Some(text.to_owned()),
            Column::Field(TEXTS) if line.scopes != Scopes::None => return Err(RowErrorKind::Twice("scopes")),
            Column::Field(META) if !line.meta.is_empty() => return Err(RowErrorKind::Twice("meta")),
            Column::Field(TEXTS) => line.scopes = Scopes::Text(text.to_owned()),
            Column::Field(META) => {
                let mut meta = serde_json::Deserializer::from_str(text);
                line.meta = json::texts(&mut meta)
                    .and_then(|read| meta.end().map(|()| read))
                    .map_err(|_| RowErrorKind::Type("meta"))?;
            }
            Column::Field(at) => line.set(at, text.to_owned())?,
        }
    }
    Ok(line)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => NOTHING.contains(&text.trim()),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::System;

    fn read(system: &str, json: &str) -> Result<RawRow, RowErrorKind> {
        from_json(json.as_bytes(), &Columns { system: System::named(system), ..Columns::default() })
    }

    #[test]
    fn of_several_columns_one_that_ends_a_key_is_enough_in_any_order() {
        for (system, json, field, expected) in [
            ("medusa", r#"{"revoked_at":"2026-01-02T03:04:05Z","deleted_at":null}"#, "revoked", "2026-01-02T03:04:05Z"),
            ("elasticsearch", r#"{"invalidated":false,"invalidation_time":1770000000000}"#, "revoked", "1770000000000"),
            ("elasticsearch", r#"{"invalidated":true,"invalidation_time":1770000000000}"#, "revoked", "true"),
            ("elasticsearch", r#"{"invalidated":false,"invalidation_time":null}"#, "revoked", "false"),
            ("payload", r#"{"enable_a_p_i_key":true,"_verified":false}"#, "enabled", "false"),
            ("payload", r#"{"_verified":false,"enable_a_p_i_key":true}"#, "enabled", "false"),
            ("payload", r#"{"enable_a_p_i_key":true,"_verified":null}"#, "enabled", "true"),
            ("payload", r#"{"_verified":null,"enable_a_p_i_key":true}"#, "enabled", "true"),
        ] {
            assert_eq!(read(system, json).expect("a row").text(field), Some(expected), "{system} {json}");
        }
        for (json, is_blank) in [
            (r#"{"enable_a_p_i_key":null,"_verified":""}"#, true),
            (r#"{"enable_a_p_i_key":null}"#, true),
            (r#"{"enable_a_p_i_key":"0.0"}"#, false),
            (r#"{"id":1}"#, false),
        ] {
            assert_eq!(read("payload", json).expect("a row").is_blank("enabled"), is_blank, "{json}");
        }
    }

    #[test]
    fn an_app_is_a_text_or_an_integer_and_scopes_stand_in_one_column() {
        let columns = Columns {
            app: Some("user".to_owned()),
            named: vec![("scopes".to_owned(), "a".to_owned()), ("scopes".to_owned(), "b".to_owned())],
            ..Columns::default()
        };
        let read = |json: &str| from_json(json.as_bytes(), &columns);
        for (json, app) in [
            (r#"{"user":"7"}"#, Ok(Some("7"))),
            (r#"{"user":7}"#, Ok(Some("7"))),
            (r#"{"user":18446744073709551615}"#, Ok(Some("18446744073709551615"))),
            (r#"{"user":""}"#, Ok(None)),
            (r#"{"user":null}"#, Ok(None)),
            (r#"{"user":7.0}"#, Err(RowErrorKind::App)),
            (r#"{"user":[7]}"#, Err(RowErrorKind::App)),
            (r#"{"a":"x","b":null}"#, Ok(None)),
            (r#"{"a":"x","b":"y"}"#, Err(RowErrorKind::Twice("scopes"))),
            (r#"{"a":["x"],"b":["y"]}"#, Err(RowErrorKind::Twice("scopes"))),
        ] {
            let found = read(json).map(|row| row.app);
            assert_eq!(found.as_ref().map(Option::as_deref), app.as_ref().copied(), "{json}");
        }
    }

    #[test]
    fn rows_that_are_restricted_are_refused_and_empty_restrictions_are_none() {
        for nothing in ["null", "[]", "\"\"", "\"{}\"", "\"[]\""] {
            assert!(read("netbox", &format!("{{\"allowed_ips\":{nothing}}}")).is_ok(), "{nothing}");
        }
        for some in ["[\"10.0.0.0/8\"]", "\"{10.0.0.0/8}\"", "0"] {
            let row = read("netbox", &format!("{{\"allowed_ips\":{some}}}"));
            assert_eq!(row.err(), Some(RowErrorKind::Restricted), "{some}");
        }
        let csv = |text: &str| from_csv(&StringRecord::from(vec![text]), &[Column::Restricts]).err();
        assert_eq!((csv("{}"), csv(""), csv("{10.0.0.1}")), (None, None, Some(RowErrorKind::Restricted)));
        for (audience, error) in
            [("\"public-api\"", None), ("null", None), ("\"other\"", Some(RowErrorKind::OtherKind))]
        {
            assert_eq!(read("n8n", &format!("{{\"audience\":{audience}}}")).err(), error, "{audience}");
        }
        let csv = |text: &str| from_csv(&StringRecord::from(vec![text]), &[Column::Only("rest")]).err();
        assert_eq!((csv("rest"), csv(""), csv("cross_cluster")), (None, None, Some(RowErrorKind::OtherKind)));
    }
}
