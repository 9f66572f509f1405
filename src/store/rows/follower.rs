//! A row of the fleet. An unreadable field hides no member: the member counts as one with the worst that the field may
//! have said, and the row says so.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{Field, damaged};
use crate::store::{FollowerRow, Role};

/// Its columns, as the store has them; `None` where one that must be a text is none.
pub(in crate::store) struct FollowerColumns<'a> {
    pub(in crate::store) name: &'a str,
    pub(in crate::store) role: Option<&'a str>,
    pub(in crate::store) owner: Option<&'a str>,
    pub(in crate::store) address: Field<&'a str>,
    pub(in crate::store) version: Option<&'a str>,
    /// JSON arrays.
    pub(in crate::store) formats: Option<&'a str>,
    pub(in crate::store) versions: Option<&'a str>,
    pub(in crate::store) realms: Option<&'a str>,
    pub(in crate::store) log_id: Field<&'a str>,
    pub(in crate::store) seq: i64,
    pub(in crate::store) this_update: i64,
    pub(in crate::store) keyring_serial: i64,
    pub(in crate::store) refused: i64,
    pub(in crate::store) last_error: Field<&'a str>,
    pub(in crate::store) started_at: i64,
    pub(in crate::store) last_contact: i64,
    pub(in crate::store) instance: Option<&'a str>,
    pub(in crate::store) doubled_at: i64,
    pub(in crate::store) reported_by: Option<&'a str>,
}

impl FollowerColumns<'_> {
    /// The member.
    pub(in crate::store) fn read(self) -> FollowerRow {
        let mut wrong = Wrong(Vec::new());
        let role = wrong.or("role", self.role.and_then(Role::parse), Role::Edge);
        let last_contact = Timestamp::from_second(self.last_contact).ok();
        let mut row = FollowerRow {
            name: self.name.to_owned(),
            role,
            owner: wrong.text("owner", self.owner),
            address: wrong.maybe("address", self.address),
            version: wrong.text("version", self.version),
            formats: wrong.list("formats", self.formats),
            log_id: wrong.maybe("log_id", self.log_id),
            seq: wrong.number("seq", self.seq),
            this_update: wrong.number("this_update", self.this_update),
            keyring_serial: wrong.number("keyring_serial", self.keyring_serial),
            versions: wrong.list("versions", self.versions),
            realms: wrong.list("realms", self.realms),
            refused: wrong.number("refused", self.refused),
            last_error: wrong.maybe("last_error", self.last_error),
            started_at: wrong.number("started_at", self.started_at),
            last_contact: wrong.or("last_contact", last_contact, Timestamp::MIN),
            instance: Some(wrong.text("instance", self.instance)).filter(|instance| !instance.is_empty()),
            doubled_at: wrong.number("doubled_at", self.doubled_at),
            reported_by: Some(wrong.text("reported_by", self.reported_by)).filter(|id| !id.is_empty()),
        };
        if !wrong.0.is_empty() {
            tracing::error!("{}", damaged("the followers", &row.name));
            row.last_error = Some(format!(
                "{} of its row in the store cannot be read: `bulla fleet forget {}`, and it is there again with its next report",
                wrong.0.join(", "),
                row.name
            ));
        }
        row
    }
}

/// The columns that cannot be read.
struct Wrong(Vec<&'static str>);

impl Wrong {
    fn or<T>(&mut self, column: &'static str, read: Option<T>, worst: T) -> T {
        read.unwrap_or_else(|| {
            self.0.push(column);
            worst
        })
    }

    fn text(&mut self, column: &'static str, text: Option<&str>) -> String {
        self.or(column, text, "").to_owned()
    }

    fn maybe(&mut self, column: &'static str, text: Field<&str>) -> Option<String> {
        match text {
            Field::None => None,
            Field::Is(text) => Some(text.to_owned()),
            Field::Damaged => {
                self.0.push(column);
                None
            }
        }
    }

    fn list<T: DeserializeOwned>(&mut self, column: &'static str, json: Option<&str>) -> Vec<T> {
        self.or(column, json.and_then(|json| serde_json::from_str(json).ok()), Vec::new())
    }

    fn number(&mut self, column: &'static str, number: i64) -> u64 {
        self.or(column, u64::try_from(number).ok(), 0)
    }
}
