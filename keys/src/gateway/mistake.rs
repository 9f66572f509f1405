//! Errors of a settings file, without its values: the file may be the wrong one, and hold a secret.

use std::fmt;

use toml::Value;

use crate::{api_key::ApiKey, keyring::EdgeKey};

/// Longer than the names of all fields, and shorter than every API key.
const LONGEST_NAME: usize = 32;

/// How a relay's token begins.
const TOKEN: &str = "caller-";
/// Shorter than any token's rest, and longer than that of a file's name is likely to be.
const SHORTEST_TOKEN: usize = 32;

/// What is wrong with a TOML file: the place, and what is expected there. It shows no value of the file, which may be
/// the wrong one and hold a secret.
///
/// ```
/// # use bulla::gateway::Mistake;
/// let text = "keyring = 'hunter2'";
/// let error = toml::from_str::<std::collections::BTreeMap<String, u32>>(text).expect_err("a text is no number");
/// let mistake = Mistake::new(&error, Some(text)).to_string();
/// assert_eq!(mistake, "line 1, column 11: invalid type: string, expected u32, in `keyring`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    field: Option<String>,
    message: String,
}

impl Mistake {
    /// The parser's error in `text`, with its place if there is the text.
    pub fn new(error: &toml::de::Error, text: Option<&str>) -> Self {
        let mut shown = error.clone();
        // Without the text the parser shows the field, and no line of the text.
        shown.set_input(None);
        let shown = shown.to_string();
        let field = shown.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
        let field = field.filter(|field| field.split('.').all(is_name)).map(str::to_owned);
        let place = text.zip(error.span()).and_then(|(text, span)| text.get(..span.start)).map(|before| {
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {}, column {column}: ", line_behind(before))
        });
        Mistake { field, message: format!("{}{}", place.unwrap_or_default(), told(error.message())) }
    }

    /// The field, such as `data.listen`, where the parser knows it.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}, in `{field}`", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The number of the line that stands behind this beginning of a text.
pub(super) fn line_behind(before: &str) -> usize {
    before.matches('\n').count() + 1
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
    ApiKey::redact(message).chars().map(|char| if char.is_control() && char != '\n' { ' ' } else { char }).collect()
}

/// The field that has an API key, an edge's key or a relay's token, where a file's name or something else belongs:
/// later errors would show it. A table is named by the one that it is in.
pub(super) fn field_with_key(value: &Value) -> Option<String> {
    walk("", value)
}

fn walk(path: &str, value: &Value) -> Option<String> {
    let here = || if path.is_empty() { "the name of a table".to_owned() } else { format!("`{path}`") };
    match value {
        Value::String(text) => is_key(text).then(here),
        Value::Array(all) => all.iter().find_map(|one| walk(path, one)),
        Value::Table(table) => table.iter().find_map(|(name, value)| {
            if is_key(name) {
                return Some(here());
            }
            let name = if is_name(name) { name.as_str() } else { "…" };
            walk(&if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }, value)
        }),
        _ => None,
    }
}

fn is_key(text: &str) -> bool {
    let is_token = |rest: &str| {
        rest.len() >= SHORTEST_TOKEN && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    ApiKey::is_within(text) || text.strip_prefix(TOKEN).is_some_and(is_token) || EdgeKey::parse(text).is_ok()
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

    #[test]
    fn a_key_in_a_value_is_found() {
        let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        let token = format!("caller-{}", "a".repeat(43));
        let edge = EdgeKey::generate().expect("a key").to_text();
        let edge = edge.lines().find(|line| !line.starts_with('#')).expect("the key");
        let found = |text: String| field_with_key(&toml::from_str(&text).expect("TOML"));
        for one in [key, &token, edge] {
            assert_eq!(found(format!("[follow]\napi_key = '{one}'")).as_deref(), Some("`follow.api_key`"), "{one}");
            assert_eq!(found(format!("a = [['x', '{one}']]")).as_deref(), Some("`a`"));
            assert_eq!(found(format!("['{one}']")).as_deref(), Some("the name of a table"));
        }
        assert_eq!(found("[follow]\napi_key = 'caller-token.txt'\nkey = 'edge.key'\n['a b']\nx = 1".to_owned()), None);
    }
}
