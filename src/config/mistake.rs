//! Errors of a configuration file, without its values: the file may be the wrong one, and hold a secret.

use toml::{Table, Value};

use crate::input::text;

/// Longer than the names of all fields, and shorter than every API key.
const LONGEST_NAME: usize = 32;

/// An error, and its place.
pub(super) struct Mistake {
    /// The field, such as `data.listen`, where the parser knows it.
    pub(super) field: Option<String>,
    message: String,
}

impl Mistake {
    /// The parser's error in `text`: its place, and its message without any value.
    pub(super) fn new(error: &toml::de::Error, text: Option<&str>) -> Self {
        let shown = error.to_string();
        let field = shown.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`')).map(text::shown);
        let field = field.filter(|field| field.split('.').all(is_name));
        let place = text.zip(error.span()).and_then(|(text, span)| text.get(..span.start)).map(|before| {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}: ")
        });
        Mistake { field, message: format!("{}{}", place.unwrap_or_default(), told(error.message())) }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}, in `{field}`", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The parser's message without the value that it quotes. Messages of bulla's own types quote no value.
fn told(message: &str) -> String {
    if let Some((kind, rest)) = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|kind| message.strip_prefix(*kind).map(|rest| (*kind, rest)))
    {
        let what = rest.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
        let expected = rest.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
        return format!("{kind}{what}, expected {expected}");
    }
    for kind in ["unknown variant", "unknown field"] {
        let Some(rest) = message.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" `")) else { continue };
        let (name, expected) = rest.rsplit_once("`, ").map_or((rest, ""), |_| {
            // The name may contain the separator.
            rest.rfind("`, expected").map_or((rest, ""), |at| (&rest[..at], &rest[at + 3..]))
        });
        return if kind == "unknown field" && is_name(name) {
            format!("{kind} `{name}`, {expected}")
        } else {
            format!("{kind}, {expected}")
        };
    }
    if message.starts_with("UUID parsing failed") {
        return "it must be a UUID".to_owned();
    }
    text::shown(message)
}

/// Refuses a setting with a control character, which an editor or a shell left behind, or with an API key. The error
/// has the field.
pub(super) fn refuse(table: &Table) -> Result<(), (String, text::TextError)> {
    walk("", &Value::Table(table.clone()))
}

fn walk(path: &str, value: &Value) -> Result<(), (String, text::TextError)> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::String(text) => text::check(text).map_err(|error| (path.to_owned(), error)),
        Value::Array(all) => all.iter().try_for_each(|one| walk(path, one)),
        Value::Table(table) => table.iter().try_for_each(|(name, value)| {
            text::check(name).map_err(|error| (if path.is_empty() { "a table" } else { path }.to_owned(), error))?;
            walk(&below(name), value)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_what_was_expected_and_lose_what_was_there() {
        for (message, kept) in [
            ("invalid type: string \"hunter2, expected `x`\", expected u32", "invalid type: string, expected u32"),
            ("invalid type: integer `4711`, expected a string", "invalid type: integer, expected a string"),
            ("unknown variant `hunter2`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            ("unknown field `lissten`, expected `listen`", "unknown field `lissten`, expected `listen`"),
            ("unknown field `hunter 2`, expected `listen`", "unknown field, expected `listen`"),
            ("UUID parsing failed: invalid character: found `h` at 0", "it must be a UUID"),
            ("missing field `store`", "missing field `store`"),
        ] {
            assert_eq!(told(message), kept);
        }
    }
}
