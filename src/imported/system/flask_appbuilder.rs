//! Flask-AppBuilder (Apache Superset, Airflow): found by `lookup_hash`, a keyed scrypt of next to no cost.

use super::{PLAIN, System, Times};
use crate::imported::{Cost, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "flask-appbuilder",
    about: "Flask-AppBuilder 5, so Apache Superset",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT lookup_hash, name, created_on, expires_on, revoked_on, active, user_id FROM ab_api_key) TO keys.csv CSV HEADER",
    secret: Some("SECRET_KEY, as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("uuid", ""),
        ("key_hash", ""),
        ("lookup_hash", "hash"),
        ("key_prefix", ""),
        ("scopes", ""),
        ("active", "enabled"),
        ("created_on", "issued_at"),
        ("expires_on", "expires_at"),
        ("revoked_on", "revoked"),
        ("last_used_on", ""),
    ],
    // datetime.now(), without a zone.
    times: Times::Local("of the service's clock"),
    layout: || KeyLayout { cost: Some(Cost::Scrypt { log_n: 1, r: 1, p: 1 }), ..KeyLayout::new(Scheme::Scrypt) },
    cost: Some(Cost::Scrypt { log_n: 1, r: 1, p: 1 }),
    ..PLAIN
};
