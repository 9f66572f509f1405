//! Which column of a file is which field: by its own name, by an option, or as the system has it that the table comes
//! from.

use std::cell::Cell;

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
    /// Which of `named` stood in the file so far, one bit each.
    pub(crate) seen: Cell<u64>,
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
        if let Some(at) = self.named.iter().position(|(_, column)| column == name) {
            self.seen.set(self.seen.get() | bit(at));
            return field(&self.named[at].0);
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

    /// Fields whose columns did not stand in the file so far.
    pub(super) fn unseen(&self) -> Vec<&str> {
        let unseen = self.named.iter().enumerate().filter(|(at, _)| self.seen.get() & bit(*at) == 0);
        unseen.map(|(_, (field, _))| &**field).collect()
    }

    /// The first column that is to be more than one thing.
    pub(crate) fn twice(&self) -> Option<&str> {
        let named = self.named.iter().map(|(_, column)| column);
        let all: Vec<&String> = named.chain(&self.ignored).chain(&self.app).collect();
        all.iter().enumerate().find(|(at, column)| all[..*at].contains(column)).map(|(_, column)| column.as_str())
    }

    /// The first field that is named and does not exist.
    pub(crate) fn unknown(&self) -> Option<&str> {
        let known = |field: &str| FIELDS.contains(&field);
        self.named.iter().map(|(field, _)| &**field).find(|field| !known(field))
    }
}

/// There are fewer fields than bits.
fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1u64.checked_shl(at)).unwrap_or_default()
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
            ..Columns::default()
        };
        let field = |name: &str| fields::place(name).map(Column::Field);
        assert_eq!(columns.find("token_hash"), field("hash"));
        assert_eq!((columns.find("hash"), columns.find("salt")), (None, field("salt")));
        assert_eq!((columns.find("created_by"), columns.find("user_id")), (Some(Column::Ignored), Some(Column::App)));
        assert_eq!(columns.find("secret"), None);
        assert_eq!((columns.twice(), columns.unseen()), (None, Vec::new()));
    }

    #[test]
    fn a_column_that_is_not_there_or_is_two_things_is_noticed() {
        let pair = |field: &str, column: &str| (field.to_owned(), column.to_owned());
        let named = vec![pair("hash", "h"), pair("revoked", "is_dead")];
        let columns = Columns { named: named.clone(), ..Columns::default() };
        columns.find("h");
        columns.find("is_daed");
        assert_eq!(columns.unseen(), ["revoked"]);
        for (named, ignored, app, twice) in [
            (named.clone(), vec![], Some("h"), Some("h")),
            (named.clone(), vec!["is_dead".to_owned()], None, Some("is_dead")),
            (vec![pair("name", "h"), pair("hash", "h")], vec![], None, Some("h")),
            (named, vec!["a".to_owned()], Some("user_id"), None),
        ] {
            let columns = Columns { named, ignored, app: app.map(str::to_owned), ..Columns::default() };
            assert_eq!(columns.twice(), twice);
        }
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
            ("django-oauth-toolkit", "resource", Some(Column::Restricts)),
            ("directus", "ip_access", Some(Column::Restricts)),
            ("directus", "text_direction", unused),
            ("directus", "status", field("enabled")),
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
