//! The environment laid over the configuration file: `BULLA_TABLE__FIELD`.

use std::ffi::OsString;

use toml::{Table, Value};

use super::{Config, ConfigError};

const PREFIX: &str = "BULLA_";

/// `text` with every `BULLA_TABLE__FIELD` of `variables` in place of what the file says.
pub(super) fn overlay(
    text: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let fail = |name: &str, message: String| ConfigError::Environment { name: name.to_owned(), message };
    let mut table: Table = toml::from_str(text).map_err(|error| fail("", error.to_string()))?;
    let mut names = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && name.contains("__")) else { continue };
        let value = value.to_str().ok_or_else(|| fail(name, "its value is not UTF-8".to_owned()))?;
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        set(&mut table, &path, parse(value)).map_err(|message| fail(name, message))?;
        names.push(name.to_owned());
    }
    Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| fail(&names.join(", "), error.to_string().trim_end().to_owned()))
}

/// A TOML value where it is one, else a text: `true`, `65536`, `["live"]`, and `127.0.0.1:8181` as it stands.
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
        overlay(super::super::DEFAULT, variables.iter().map(|(name, value)| (name.into(), value.into())))
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
    }
}
