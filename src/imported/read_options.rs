//! How the rows of one file are read.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Columns, Set, Zone,
    digest::Algorithm,
    encoding::SaltEncoding,
    raw_row::{RawRow, Scopes},
    row_error::RowErrorKind,
    scheme::Cost,
};

/// All that is needed to read a row.
#[derive(Clone)]
pub(crate) struct Reading<'a> {
    /// The set that the keys go into: the layout, and the secret that keys in plaintext are hashed with.
    pub(crate) set: &'a Set,
    pub(crate) columns: Columns,
    pub(crate) salts: SaltEncoding,
    /// The costs of hashes whose salts stand in another column.
    pub(crate) cost: Option<Cost>,
    /// Whether rows hold the keys themselves, of which the hashes are stored.
    pub(crate) plain: bool,
    pub(crate) apps: Apps,
    pub(crate) scopes: ScopesForm,
    pub(crate) zone: Option<Zone>,
    pub(crate) now: Timestamp,
}

/// Whose keys they are where a row has no `app_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Apps {
    /// Each row has to say it.
    #[default]
    InRows,
    /// All belong to this one.
    One(Uuid),
}

/// Marks that may stand between scopes, or belong to them.
const MARKS: [char; 3] = [',', ';', '|'];

/// How a text holds scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ScopesForm {
    /// Words; texts with other marks are asked about.
    #[default]
    Ask,
    /// Spaces between them, and other marks are part of them.
    Words,
    /// Such marks between them, with or without spaces.
    Separated(char),
    /// An array of PostgreSQL: `{a,b}`.
    Postgres,
}

impl<'a> Reading<'a> {
    /// Rows with the fields of bulla's own, for keys of this set.
    pub(crate) fn new(set: &'a Set, now: Timestamp) -> Self {
        Reading {
            set,
            columns: Columns::default(),
            salts: SaltEncoding::Text,
            cost: None,
            plain: false,
            apps: Apps::InRows,
            scopes: ScopesForm::Ask,
            zone: None,
            now,
        }
    }

    /// The app of a row, and the old id that it is made of.
    pub(super) fn app(&self, row: &RawRow) -> Result<(Uuid, Option<(String, String)>), RowErrorKind> {
        if let Some(text) = row.text("app_id") {
            return text.parse().map(|app| (app, None)).map_err(|_| RowErrorKind::AppId);
        }
        if let (Some(column), Some(old)) = (&self.columns.app, &row.app) {
            return Ok((app_of(column, old), Some((column.clone(), old.clone()))));
        }
        match self.apps {
            Apps::One(app) => Ok((app, None)),
            Apps::InRows => Err(RowErrorKind::Missing("app_id")),
        }
    }

    pub(super) fn scopes(&self, scopes: Scopes) -> Result<Vec<String>, RowErrorKind> {
        let list = match scopes {
            Scopes::None => return Ok(Vec::new()),
            Scopes::List(list) => list,
            Scopes::Text(text) if text.starts_with('[') => {
                serde_json::from_str(&text).map_err(|_| RowErrorKind::Type("scopes"))?
            }
            Scopes::Text(text) => return self.scopes_in(&text),
        };
        match self.scopes {
            ScopesForm::Ask if list.iter().any(|one| one.contains(MARKS)) => Err(RowErrorKind::ScopesForm),
            ScopesForm::Separated(mark) => Ok(list.iter().flat_map(|one| parted(one, mark)).collect()),
            _ => Ok(list),
        }
    }

    fn scopes_in(&self, text: &str) -> Result<Vec<String>, RowErrorKind> {
        let words = || text.split_whitespace().map(str::to_owned).collect();
        let braced = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match self.scopes {
            ScopesForm::Words => Ok(words()),
            ScopesForm::Separated(mark) => Ok(parted(text, mark)),
            ScopesForm::Postgres => braced.map(|within| parted(within, ',')).ok_or(RowErrorKind::Type("scopes")),
            ScopesForm::Ask if text.contains(MARKS) || braced.is_some() => Err(RowErrorKind::ScopesForm),
            ScopesForm::Ask => Ok(words()),
        }
    }
}

fn parted(text: &str, mark: char) -> Vec<String> {
    let parts = text.split(mark).map(|part| part.trim().trim_matches('"').to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// A version 5 UUID (RFC 9562) of `COLUMN:VALUE` in the namespace of URLs: the same for each import.
pub(crate) fn app_of(column: &str, old: &str) -> Uuid {
    let digest = Algorithm::Sha1.digest(&[Uuid::NAMESPACE_URL.as_bytes(), column.as_bytes(), b":", old.as_bytes()]);
    let bytes = digest.first_chunk().copied().unwrap_or_default();
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::{KeyLayout, Scheme};

    #[test]
    fn app_ids_are_made_of_old_ids_and_stay() {
        // Python: uuid.uuid5(uuid.NAMESPACE_URL, "user_id:42")
        assert_eq!(app_of("user_id", "42").to_string(), "85fa1c07-90d3-5fc2-9a63-4ac85dc3ec39");
    }

    #[test]
    fn scopes_whose_form_is_not_clear_are_asked_about() {
        let set = Set::new(1, "live".parse().expect("a realm"), KeyLayout::new(Scheme::Sha256), [0; 16], None);
        let read = |form: ScopesForm, text: &str| {
            let reading = Reading { scopes: form, ..Reading::new(&set, Timestamp::UNIX_EPOCH) };
            reading.scopes(Scopes::Text(text.to_owned())).map(|scopes| scopes.join(" "))
        };
        for (form, text, expected) in [
            (ScopesForm::Ask, "a b", Ok("a b")),
            (ScopesForm::Ask, r#"["a","b"]"#, Ok("a b")),
            (ScopesForm::Ask, "a,b", Err(RowErrorKind::ScopesForm)),
            (ScopesForm::Ask, "{a}", Err(RowErrorKind::ScopesForm)),
            (ScopesForm::Ask, "a;b", Err(RowErrorKind::ScopesForm)),
            (ScopesForm::Ask, "a|b", Err(RowErrorKind::ScopesForm)),
            (ScopesForm::Ask, r#"["a,b"]"#, Err(RowErrorKind::ScopesForm)),
            (ScopesForm::Words, "a,b c;d|e", Ok("a,b c;d|e")),
            (ScopesForm::Words, r#"["a,b","c"]"#, Ok("a,b c")),
            (ScopesForm::Separated(','), "a, b,", Ok("a b")),
            (ScopesForm::Separated(','), r#"["a,b","c"]"#, Ok("a b c")),
            (ScopesForm::Separated(';'), "a; b,c", Ok("a b,c")),
            (ScopesForm::Separated('|'), "a|b", Ok("a b")),
            (ScopesForm::Postgres, r#"{a,"b"}"#, Ok("a b")),
            (ScopesForm::Postgres, "{}", Ok("")),
            (ScopesForm::Postgres, "a", Err(RowErrorKind::Type("scopes"))),
        ] {
            assert_eq!(read(form, text), expected.map(str::to_owned), "{form:?} {text}");
        }
        let list = Scopes::List(vec!["a".to_owned(), "b;c".to_owned()]);
        assert_eq!(Reading::new(&set, Timestamp::UNIX_EPOCH).scopes(list), Err(RowErrorKind::ScopesForm));
    }
}
