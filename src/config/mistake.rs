//! Errors of a configuration, without its values: the file may be the wrong one, and hold a secret.

pub(super) use bulla::gateway::Mistake;
use toml::{Table, Value};

use crate::input::text;

/// Refuses a setting with a control character, which an editor or a shell left behind, or with an API key. The error
/// has the field. Names go on record: of realms, certificates and callers.
pub(super) fn refuse(table: &Table) -> Result<(), (String, text::TextError)> {
    walk("", &Value::Table(table.clone()))
}

fn walk(path: &str, value: &Value) -> Result<(), (String, text::TextError)> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::String(text) => text::check(text).map_err(|error| (path.to_owned(), error)),
        Value::Array(all) => all.iter().try_for_each(|one| walk(path, one)),
        Value::Table(table) => table.iter().try_for_each(|(name, value)| {
            text::check_for_record(name)
                .map_err(|error| (if path.is_empty() { "a table" } else { path }.to_owned(), error))?;
            walk(&below(name), value)
        }),
        _ => Ok(()),
    }
}
