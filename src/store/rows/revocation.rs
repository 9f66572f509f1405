//! A row of the revocation log. An unreadable row stops no reader: the id, app or realm that it names is rejected, and
//! reported.

use bulla::{
    ApiKeyId, Realm,
    revocation::{Change, RevocationEvent},
};
use uuid::Uuid;

use crate::store::DamagedRow;

/// How far ahead of its record a rule may reach: the clock difference that verifiers allow.
const AHEAD: i64 = bulla::CLOCK_DIFFERENCE as i64;
const _: () = assert!(AHEAD == 300, "RULED_BEFORE of each store repeats it in SQL");

/// A row as it was read.
pub(in crate::store) enum Read {
    Whole(RevocationEvent),
    Damaged(Option<RevocationEvent>, DamagedRow),
}

/// A field of a row.
#[derive(Clone, Copy)]
pub(in crate::store) enum Field<T> {
    None,
    Is(T),
    /// It is there and of another kind.
    Damaged,
}

impl<T: Copy> Field<T> {
    fn value(self) -> Option<T> {
        match self {
            Field::Is(value) => Some(value),
            Field::None | Field::Damaged => None,
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::None, Field::Is)
    }
}

/// The columns of a row, as the store has them. Times are in Unix seconds.
pub(in crate::store) struct RevocationColumns<'a> {
    pub(in crate::store) kind: Option<&'a str>,
    pub(in crate::store) id: Option<&'a str>,
    pub(in crate::store) app_id: Option<&'a str>,
    pub(in crate::store) realm: Field<&'a str>,
    pub(in crate::store) issued_before: Field<i64>,
    pub(in crate::store) expires_at: Field<i64>,
    pub(in crate::store) effective_at: Field<i64>,
    pub(in crate::store) recorded_at: Option<i64>,
    pub(in crate::store) in_effect: Option<i64>,
}

/// A number of 32 bits.
enum Number {
    None,
    Fits(u32),
    Damaged,
}

fn number(field: Field<i64>) -> Number {
    match field {
        Field::None => Number::None,
        Field::Is(number) => u32::try_from(number).map_or(Number::Damaged, Number::Fits),
        Field::Damaged => Number::Damaged,
    }
}

impl RevocationColumns<'_> {
    /// Reads a row: of an id, or a rule.
    pub(in crate::store) fn read(&self, seq: u64) -> Read {
        let mut wrong: Vec<&str> = Vec::new();
        let event = match (self.kind, self.id.and_then(|id| id.parse::<ApiKeyId>().ok())) {
            (Some(kind @ ("revoke" | "suspend" | "resume")), Some(id)) => {
                Some(self.about_id(seq, kind, id, &mut wrong))
            }
            (_, Some(id)) => {
                wrong.push("kind");
                Some(RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None }))
            }
            (Some("revoke_app"), None) => self.app_id.and_then(|app_id| app_id.parse::<Uuid>().ok()).map(|app_id| {
                let realm = self.realm.value().and_then(|realm| realm.parse::<Realm>().ok());
                if realm.is_none() && !matches!(self.realm, Field::None) {
                    wrong.push("realm");
                }
                let issued_before = self.rule_time(&mut wrong);
                RevocationEvent::at_once(seq, Change::RevokeApp { app_id, realm, issued_before })
            }),
            (Some("revoke_realm"), None) => {
                self.realm.value().and_then(|realm| realm.parse::<Realm>().ok()).map(|realm| {
                    let issued_before = self.rule_time(&mut wrong);
                    RevocationEvent::at_once(seq, Change::RevokeRealm { realm, issued_before })
                })
            }
            _ => None,
        };
        match event {
            Some(event) if wrong.is_empty() => Read::Whole(event),
            Some(event) => {
                let what = format!("{} cannot be read: {}", wrong.join(", "), rejected(&event.change));
                Read::Damaged(Some(event), DamagedRow { seq, what })
            }
            None => {
                let what = "it names no id, app or realm that can be read: nothing is rejected for it".to_owned();
                Read::Damaged(None, DamagedRow { seq, what })
            }
        }
    }

    fn about_id(&self, seq: u64, kind: &str, id: ApiKeyId, wrong: &mut Vec<&str>) -> RevocationEvent {
        let expires_at = match number(self.expires_at) {
            Number::Fits(at) => Some(at),
            Number::None => None,
            Number::Damaged if kind == "resume" => None,
            Number::Damaged => {
                wrong.push("expires_at");
                None
            }
        };
        match kind {
            "revoke" => {
                let effective_at = self.effective_at.value();
                let now = self.in_effect != Some(0) || effective_at.is_some_and(|at| Some(at) <= self.recorded_at);
                let effective_at = match number(self.effective_at) {
                    Number::Fits(at) => Some(at).filter(|_| !now),
                    _ if now => None,
                    _ => {
                        wrong.push("effective_at");
                        None
                    }
                };
                RevocationEvent { seq, change: Change::Revoke { id, expires_at }, effective_at }
            }
            "suspend" => RevocationEvent::at_once(seq, Change::Suspend { id, expires_at }),
            _ => RevocationEvent::at_once(seq, Change::Resume { id }),
        }
    }

    /// The time of a rule. Where it is unreadable, it is the latest that the rule could have when it was recorded.
    fn rule_time(&self, wrong: &mut Vec<&str>) -> u32 {
        if let Number::Fits(before) = number(self.issued_before) {
            return before;
        }
        wrong.push("issued_before");
        let latest = self.recorded_at.map_or(i64::MAX, |at| at.saturating_add(AHEAD));
        u32::try_from(latest.max(0)).unwrap_or(u32::MAX)
    }
}

/// The effect of a damaged row.
fn rejected(change: &Change) -> String {
    match change {
        Change::Suspend { id, .. } => format!("{id} counts as suspended"),
        Change::Revoke { id, .. } | Change::Resume { id } => format!("{id} counts as revoked"),
        Change::RevokeApp { app_id, .. } => format!("everything that {app_id} was issued until then counts as revoked"),
        Change::RevokeRealm { realm, .. } => format!("everything that {realm} issued until then counts as revoked"),
        Change::ForgetVersion { .. } => String::new(),
    }
}

/// Id, app, realm, `issued_before` and `expires_at` of a change, as columns of its row.
pub(in crate::store) type ChangeColumns = (Option<ApiKeyId>, Option<Uuid>, Option<Realm>, Option<u32>, Option<u32>);

/// The columns that a change writes.
pub(in crate::store) fn change_columns(change: &Change) -> ChangeColumns {
    match *change {
        Change::Revoke { id, expires_at } | Change::Suspend { id, expires_at } => {
            (Some(id), None, None, None, expires_at)
        }
        Change::Resume { id } => (Some(id), None, None, None, None),
        Change::RevokeApp { app_id, realm, issued_before } => (None, Some(app_id), realm, Some(issued_before), None),
        Change::RevokeRealm { realm, issued_before } => (None, None, Some(realm), Some(issued_before), None),
        Change::ForgetVersion { .. } => (None, None, None, None, None),
    }
}
