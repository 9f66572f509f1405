//! Systems whose tables are imported as they are, one file each: their columns, how they hash keys, how clients send
//! them.

macro_rules! systems {
    ($($file:ident),+ $(,)?) => {
        $(mod $file;)+
        /// All of them.
        pub(crate) const SYSTEMS: &[&System] = &[$(&$file::SYSTEM),+];
    };
}

systems!(
    adonisjs,
    better_auth,
    directus,
    django_oauth_toolkit,
    django_rest_knox,
    django_rest_knox_3,
    django_rest_knox_4,
    djangorestframework_api_key,
    elasticsearch,
    flask_appbuilder,
    flowise,
    flowise_scrypt,
    gitea,
    gitlab,
    grafana,
    grafana_api_key,
    indico,
    jupyterhub,
    keyshield,
    keyshield_bcrypt,
    kong,
    langflow,
    laravel_sanctum,
    litellm,
    medusa,
    n8n,
    netbox,
    open_webui,
    payload,
    payload_sha1,
    posthog,
    prefixed_api_key,
    strapi,
    unleash,
    unleash_v2,
    zenml,
);

use super::{Cost, KeyLayout, SaltEncoding, Scheme, raw_row::RawRow, row_error::RowErrorKind};

/// A system, by the name of its package or project.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    /// Which versions of it, and what it is.
    pub(crate) about: &'static str,
    /// How its clients send a key.
    pub(crate) header: &'static str,
    /// The command or the query that takes the rows out.
    pub(crate) export: &'static str,
    /// What secret of the old system is needed, if any.
    pub(crate) secret: Option<&'static str>,
    /// What the prefix is, where each deployment of the system has its own.
    pub(crate) prefix: Option<&'static str>,
    /// Columns, and the fields that they are; an empty field is of no use here. Other columns are passed over, unless
    /// their names tell that a key may have ended. A field that has a column here is not found under its own name.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    pub(crate) layout: fn() -> KeyLayout,
    pub(crate) salts: SaltEncoding,
    /// The zone of times that name none.
    pub(crate) times: Times,
    /// The costs of hashes that stand alone in their column.
    pub(crate) cost: Option<Cost>,
    /// Whether it stores keys in plaintext.
    pub(crate) plain: bool,
    /// Brings a row into the form of bulla's own fields.
    pub(super) read: fn(&mut RawRow) -> Result<(), RowErrorKind>,
}

/// The zone of the times that a system stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// They name it.
    Zoned,
    /// UTC, where they name none.
    Utc,
    /// One that each deployment has, and what says it.
    Local(&'static str),
}

/// In place of a field: the column restricts a key in a way that an imported key cannot be restricted.
pub(in crate::imported) const RESTRICTS: &str = "!";
/// In place of a field, before a value: rows with another one are of another kind of key, which the table holds, too.
pub(in crate::imported) const ONLY: &str = "=";

/// What most systems have in common.
const PLAIN: System = System {
    name: "",
    about: "",
    header: "Authorization: Bearer KEY",
    export: "",
    secret: None,
    prefix: None,
    columns: &[],
    layout: || KeyLayout::new(Scheme::Sha256),
    salts: SaltEncoding::Text,
    times: Times::Zoned,
    cost: None,
    plain: false,
    read: |_| Ok(()),
};

impl System {
    /// The system of this name.
    pub(crate) fn named(name: &str) -> Option<&'static System> {
        SYSTEMS.iter().copied().find(|system| system.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::fields::FIELDS;

    #[test]
    fn each_system_has_rules_for_the_headers_of_its_clients() {
        for system in SYSTEMS {
            let mut rules = bulla::layer::CredentialRules::none();
            assert_eq!(rules.add("like", system.name), Ok(()), "{}", system.name);
        }
    }

    #[test]
    fn each_system_has_a_name_a_layout_that_holds_together_and_fields_that_exist() {
        for (at, system) in SYSTEMS.iter().enumerate() {
            assert_eq!(SYSTEMS.iter().position(|other| other.name == system.name), Some(at), "{}", system.name);
            let mut layout = (system.layout)();
            layout.secret = system.secret.map(|_| "old".to_owned());
            assert_eq!(layout.check(), Ok(()), "{}", system.name);
            for (column, field) in system.columns {
                let is_known = ["", RESTRICTS].contains(field) || field.starts_with(ONLY) || FIELDS.contains(field);
                assert!(is_known, "{}: {column}", system.name);
            }
            assert!(!system.export.is_empty() && !system.about.is_empty(), "{}", system.name);
        }
    }
}
