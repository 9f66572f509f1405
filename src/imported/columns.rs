//! Which column of a file is which field: by its own name, by an option, or as the system has it that the table comes
//! from.

use super::{
    System,
    fields::{self, FIELDS},
    system::{ONLY, RESTRICTS},
};

/// What columns mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// A field and the column that holds it.
    pub(crate) named: Vec<(String, String)>,
    /// Columns that are not read.
    pub(crate) ignored: Vec<String>,
    /// The column whose values make the app ids.
    pub(crate) app: Option<String>,
    pub(crate) system: Option<&'static System>,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// A field, by its place among all.
    Field(usize),
    /// The old id that an app id is made of.
    App,
    Ignored,
    /// It restricts the key: only rows without a value there can be imported.
    Restricts,
    /// Only rows with this value, or with none, can be imported.
    Only(&'static str),
}

impl Columns {
    /// What the column of this name is; `None` where nobody said.
    pub(super) fn find(&self, name: &str) -> Option<Column> {
        let field = |name: &str| fields::place(name).map(Column::Field);
        if self.app.as_deref() == Some(name) {
            return Some(Column::App);
        }
        if let Some((named, _)) = self.named.iter().find(|(_, column)| column == name) {
            return field(named);
        }
        if self.ignored.iter().any(|column| column == name) {
            return Some(Column::Ignored);
        }
        let of_system = self.system.map_or(&[][..], |system| system.columns);
        if let Some((_, named)) = of_system.iter().find(|(column, _)| *column == name) {
            return match (*named, named.strip_prefix(ONLY)) {
                ("", _) => Some(Column::Ignored),
                (RESTRICTS, _) => Some(Column::Restricts),
                (_, Some(value)) => Some(Column::Only(value)),
                (named, None) => field(named),
            };
        }
        let elsewhere =
            self.named.iter().any(|(named, _)| named == name) || of_system.iter().any(|(_, named)| *named == name);
        let own = field(name).filter(|_| !elsewhere);
        own.or_else(|| (self.system.is_some() && !tells(name)).then_some(Column::Ignored))
    }

    /// The first field that is named and does not exist.
    pub(crate) fn unknown(&self) -> Option<&str> {
        let known = |field: &str| FIELDS.contains(&field);
        self.named.iter().map(|(field, _)| &**field).find(|field| !known(field))
    }
}

/// Returns whether a column of this name may say that a key is not good any more: such a one is never passed over in
/// silence.
fn tells(name: &str) -> bool {
    const TELLING: [&str; 18] = [
        "revok",
        "disab",
        "enabl",
        "expir",
        "activ",
        "suspend",
        "block",
        "ban",
        "delet",
        "archiv",
        "status",
        "state",
        "valid",
        "until",
        "scope",
        "permission",
        "ttl",
        "inactive",
    ];
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_what_the_options_say_or_its_name() {
        let columns = Columns {
            named: vec![("hash".to_owned(), "token_hash".to_owned())],
            ignored: vec!["created_by".to_owned()],
            app: Some("user_id".to_owned()),
            system: None,
        };
        let field = |name: &str| fields::place(name).map(Column::Field);
        assert_eq!(columns.find("token_hash"), field("hash"));
        assert_eq!((columns.find("hash"), columns.find("salt")), (None, field("salt")));
        assert_eq!((columns.find("created_by"), columns.find("user_id")), (Some(Column::Ignored), Some(Column::App)));
        assert_eq!(columns.find("secret"), None);
    }

    #[test]
    fn of_a_known_system_no_column_that_ends_keys_is_passed_over() {
        let columns = Columns { system: System::named("django-rest-knox"), ..Columns::default() };
        assert_eq!(columns.find("digest"), Some(Column::Field(1)));
        assert_eq!((columns.find("note"), columns.find("is_blocked")), (Some(Column::Ignored), None));
    }

    #[test]
    fn columns_of_a_known_system_are_what_they_are_there() {
        let find = |system: &str, column: &str| {
            let columns = Columns { system: System::named(system), ..Columns::default() };
            columns.find(column)
        };
        let field = |name: &str| fields::place(name).map(Column::Field);
        let unused = Some(Column::Ignored);
        for (system, column, expected) in [
            ("payload", "hash", unused),
            ("payload", "salt", unused),
            ("payload", "lock_until", unused),
            ("payload", "reset_password_expiration", unused),
            ("payload", "_verified", field("enabled")),
            ("medusa", "revoked_by", unused),
            ("netbox", "write_enabled", unused),
            ("netbox", "allowed_ips", Some(Column::Restricts)),
            ("n8n", "audience", Some(Column::Only("public-api"))),
            ("elasticsearch", "type", Some(Column::Only("rest"))),
            ("netbox", "name", unused),
            ("netbox", "enabled", field("enabled")),
            ("netbox", "expires_at", None),
            ("netbox", "app_id", field("app_id")),
            ("better-auth", "remaining", Some(Column::Restricts)),
            ("gitlab", "expire_notification_delivered", unused),
            ("gitlab", "advanced_scopes", unused),
            ("gitlab", "expires_at", field("expires_at")),
            ("litellm", "object_permission_id", unused),
            ("litellm", "last_active", unused),
        ] {
            assert_eq!(find(system, column), expected, "{system}: {column}");
        }
        let ignored = vec!["allowed_ips".to_owned()];
        let columns = Columns { ignored, system: System::named("netbox"), ..Columns::default() };
        assert_eq!(columns.find("allowed_ips"), unused, "options come first");
    }
}
