//! Reads columns of rows that may have been changed with SQL. SQLite keeps any bytes as a text, also those that are no
//! UTF-8, and a row that has such a text must not stop the reading of the others.

use std::borrow::Cow;

use rusqlite::{Row, types::ValueRef};

/// The text in a column; `None` for NULL, and where it is no text.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a str> {
    row.get_ref(column).ok().and_then(|value| value.as_str().ok())
}

/// The same as far as it is readable: bytes that are no text are replaced.
pub(super) fn readable_text<'a>(row: &'a Row<'_>, column: usize) -> Option<Cow<'a, str>> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    }
}
