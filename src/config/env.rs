//! Environment variables that override the configuration file: `BULLA_TABLE__FIELD`.

use std::{ffi::OsString, path::Path};

use toml::{Table, Value};

use super::{
    Config, ConfigError,
    mistake::{self, Mistake},
};
use crate::input::text;

const PREFIX: &str = "BULLA_";

/// Parses `text`, the file at `path`, with every `BULLA_TABLE__FIELD` of `variables` instead of the file's field.
pub(super) fn overlay(
    path: &Path,
    text: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let fail = |name: &str, message: String| ConfigError::Environment { name: name.to_owned(), message };
    let mut table: Table =
        toml::from_str(text).map_err(|error| fail("", text::shown(&Mistake::new(&error, None).to_string())))?;
    let (mut names, mut huge) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && name.contains("__")) else { continue };
        let value = value.to_str().ok_or_else(|| fail(name, "its value is not UTF-8".to_owned()))?;
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        set(&mut table, &path, parse(value)).map_err(|message| fail(name, message))?;
        // TOML has no such number, so it was taken for a text.
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<i64>().is_err() {
            huge.push(name.to_owned());
        }
        names.push(name.to_owned());
    }
    // The variable that set the field, or all of them where that is unknown.
    let of = |field: Option<&str>| {
        let set = |name: &&String| field.is_some_and(|field| field.starts_with(&field_of(name)));
        names.iter().find(set).cloned().unwrap_or_else(|| names.join(", "))
    };
    if let Err((field, error)) = mistake::refuse(&table) {
        let set = names.iter().any(|name| field.starts_with(&field_of(name)));
        return Err(if set {
            fail(&of(Some(&field)), error.to_string())
        } else {
            ConfigError::Check {
                origin: path.display().to_string(),
                message: format!("{}: {error}", text::shown(&field)),
            }
        });
    }
    Value::Table(table).try_into().map_err(|error: toml::de::Error| {
        let mistake = Mistake::new(&error, None);
        let name = of(mistake.field());
        let mut message = text::shown(&mistake.to_string());
        if error.message().ends_with("expected a string") {
            message += &format!("; a text that reads as a number or as true or false keeps its quotes: {name}='\"…\"'");
        }
        if error.message().starts_with("invalid type: string") && huge.contains(&name) {
            message = format!("the number is too large: no setting takes more than {}", i64::MAX);
        }
        fail(&name, message)
    })
}

/// The field that a variable sets.
fn field_of(name: &str) -> String {
    name[PREFIX.len()..].replace("__", ".").to_ascii_lowercase()
}

/// A TOML value if it is one, otherwise a text: `true`, `65536`, `["live"]`, and `127.0.0.1:8181` as a text.
fn parse(value: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()))
}

fn set(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Err("names no field".to_owned()),
        [field] => {
            table.insert(field.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            let inner = inner.as_table_mut().ok_or_else(|| format!("`{first}` is not a table"))?;
            set(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        overlay(
            Path::new("bulla.toml"),
            super::super::DEFAULT,
            variables.iter().map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn variables_override_the_file() {
        let config = with(&[
            ("BULLA_DATA__LISTEN", "127.0.0.1:1"),
            ("BULLA_SERVER__MAX_BODY", "1000"),
            ("BULLA_VERIFY__DEFAULT_REALMS", "[\"test\"]"),
            ("BULLA_CONFIG", "not a field"),
        ])
        .expect("good values");
        assert_eq!(config.data.listen.to_string(), "127.0.0.1:1");
        assert_eq!(config.server.max_body, 1000);
        assert_eq!(config.verify.default_realms, ["test"]);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value) in
            [("BULLA_SERVER__MAX_BODY", "many"), ("BULLA_SERVER__NO_SUCH", "1"), ("BULLA_DATA__LISTEN", "x")]
        {
            let error = with(&[(name, value)]).expect_err("a wrong value").to_string();
            assert!(error.contains(name), "{error}");
        }
        let error = with(&[("BULLA_SECRET__QUEUE", "18446744073709551615")]).expect_err("too large").to_string();
        assert!(error.contains("BULLA_SECRET__QUEUE") && error.contains("too large"), "{error}");
        let error = with(&[("BULLA_ASSERTION__AUDIENCE", "123"), ("BULLA_SERVER__MAX_BODY", "1000")]);
        let error = error.expect_err("a number").to_string();
        assert!(error.contains("BULLA_ASSERTION__AUDIENCE='\"…\"'") && !error.contains("MAX_BODY"), "{error}");
        assert_eq!(with(&[("BULLA_ASSERTION__AUDIENCE", "\"123\"")]).expect("a text").assertion.audience, "123");
    }

    #[test]
    fn a_time_without_its_unit_is_answered_with_an_example() {
        let error = with(&[("BULLA_KEYRING__REFRESH_INTERVAL", "60")]).expect_err("no unit").to_string();
        assert!(error.contains("BULLA_KEYRING__REFRESH_INTERVAL") && error.contains("\"60s\""), "{error}");
        assert!(!error.contains("quotes"), "60 in quotes is no time: {error}");
    }

    #[test]
    fn what_no_setting_can_be_is_refused_and_named() {
        for (name, value, told) in [
            ("BULLA_ASSERTION__AUDIENCE", "shop\r", "one line"),
            ("BULLA_ASSERTION__ISSUER", "\u{202e}pohs", "one line"),
            ("BULLA_DATA__LISTEN", "unix:x.sock\r", "one line"),
            ("BULLA_LOG__LEVEL", "warn\r", "one line"),
            ("BULLA_REALMS__LIVE__SCOPES", "[\"a\\rb\"]", "one line"),
            (
                "BULLA_ASSERTION__AUDIENCE",
                "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw",
                "an API key",
            ),
        ] {
            let error = with(&[(name, value)]).expect_err("no setting").to_string();
            assert!(error.contains(name) && error.contains(told), "{error}");
            assert!(!error.contains(['\r', '\u{202e}']) && !error.contains("BSvX0"), "{error}");
        }
        let text = super::super::DEFAULT.replace("audience = \"\"", "audience = \"shop\\u202e\"");
        let error = overlay(Path::new("bulla.toml"), &text, std::iter::empty()).expect_err("no setting").to_string();
        assert!(error.contains("bulla.toml: assertion.audience"), "{error}");
    }
}
