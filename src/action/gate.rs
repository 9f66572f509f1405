//! The gate before new kinds of event: one that an older follower does not know is recorded only once every registered
//! node and follower reads the format that introduced it, or the operator says so. A follower refuses what it does not
//! know, and all behind it.

use bulla::{feed::Format, revocation::Change};
use jiff::Timestamp;

use super::{ActionError, fleet::heard_after};
use crate::{config::FleetConfig, store::Transaction};

/// Those that are named in the error.
const MAX_NAMED: u32 = 5;

/// Refuses an event of a kind that somebody does not know.
pub(super) fn admit(
    transaction: &dyn Transaction,
    change: &Change,
    fleet: &FleetConfig,
    now: Timestamp,
) -> Result<(), ActionError> {
    admit_format(transaction, Format::of(change), fleet, now)
}

fn admit_format(
    transaction: &dyn Transaction,
    format: Format,
    fleet: &FleetConfig,
    now: Timestamp,
) -> Result<(), ActionError> {
    if format <= fleet.assumed() {
        return Ok(());
    }
    let names =
        transaction.followers_not_reading(format.name(), MAX_NAMED + 1, heard_after(fleet.forget_after, now))?;
    if names.is_empty() {
        return Ok(());
    }
    let mut named = names.iter().take(MAX_NAMED as usize).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMED as usize {
        named.push_str(" and others");
    }
    Err(ActionError::Conflict(format!(
        "this event is of a kind that came with {format}, which {named} do not read: they would refuse it, and everything behind \
         it. Replace them by a newer version, `bulla fleet forget` those that are gone, or say `fleet.assume_reads = \"{format}\"`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::StoreConfig,
        store::{FollowerRow, open, transact},
    };

    fn row(name: &str, formats: &[&str], last_contact: Timestamp) -> FollowerRow {
        FollowerRow {
            formats: formats.iter().map(|format| (*format).to_owned()).collect(),
            ..FollowerRow::edge(name, last_contact)
        }
    }

    #[test]
    fn an_event_of_a_new_kind_waits_for_every_registered_follower() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&StoreConfig::at("sqlite:bulla.db"), folder.path(), true).expect("a store");
        let now: Timestamp = "2026-11-22T11:36:03Z".parse().expect("a time");
        let ask = |format, fleet: &FleetConfig, now| -> Result<(), String> {
            transact(&*store, |transaction| admit_format(transaction, format, fleet, now))
                .map_err(|error: ActionError| error.to_string())
        };
        let fleet = FleetConfig::default();
        assert_eq!(ask(Format::V2, &fleet, now), Ok(()), "nobody is registered");
        let note = |rows: &[FollowerRow]| store.note_followers(rows, Timestamp::MIN).expect("noted");
        note(&[row("new", &["feed/1", "feed/2"], now), row("old", &["feed/1"], now), row("older", &[], now)]);
        let refused = ask(Format::V2, &fleet, now).expect_err("two do not read it");
        assert!(refused.contains("came with feed/2, which old, older do not read"), "{refused}");
        assert_eq!(ask(Format::V1, &fleet, now), Ok(()), "what came first needs no leave");
        let operator = FleetConfig { assume_reads: "feed/2".to_owned(), ..FleetConfig::default() };
        assert_eq!(ask(Format::V2, &operator, now), Ok(()), "the operator says so");
        let later = now.checked_add(operator.forget_after.0).expect("a time");
        assert_eq!(ask(Format::V2, &fleet, later), Ok(()), "they are not registered any more");
        note(&[row("old", &["feed/1", "feed/2"], now), row("older", &["feed/2"], now)]);
        assert_eq!(ask(Format::V2, &fleet, now), Ok(()), "all read it");
        let many: Vec<FollowerRow> = (0..9).map(|at| row(&format!("e{at}"), &["feed/1"], now)).collect();
        note(&many);
        let refused = ask(Format::V2, &fleet, now).expect_err("nine do not");
        assert!(refused.contains("e0, e1, e2, e3, e4 and others"), "{refused}");
    }
}
