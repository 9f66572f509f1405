//! The fleet: who has a revocation in force, who has loaded a key version, and forgetting one that is gone for good.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bulla::keyring::KeyVersion;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{ActionError, Actor, invalid};
use crate::{
    api::{
        condition::{Condition, SILENCE, condition},
        fleet::{Forgotten, ForgottenApp},
        followers,
        propagation::{Goal, MAX_NAMED, Propagation},
    },
    clock,
    config::{FleetConfig, Span},
    store::{LogPlace, Role, Store, StoreError, transact},
};

/// How often a command that waits looks into the store.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often what a revoked API key registered is removed during a wait.
pub(crate) const DROP_INTERVAL: Duration = Duration::from_secs(1);
/// Names in a message.
const MAX_NAMES: usize = 5;

/// A member of the fleet that did not report since this is not registered any more.
pub(crate) fn heard_after(forget_after: Span, now: Timestamp) -> Timestamp {
    let span = SignedDuration::try_from(forget_after.0).unwrap_or(SignedDuration::MAX);
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// Removes what an API key registered that is revoked: nothing waits for it.
pub(crate) fn drop_revoked(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let dropped = store.drop_followers_of_revoked(now)?;
    if dropped > 0 {
        tracing::warn!(dropped, "followers whose API key is revoked are not in the fleet any more");
    }
    Ok(())
}

/// Who has a change in force.
pub(crate) fn propagation(
    store: &dyn Store,
    goal: &Goal,
    config: &FleetConfig,
    now: Timestamp,
) -> Result<Propagation, StoreError> {
    let heard_after = heard_after(config.forget_after, now);
    let short = match goal {
        Goal::Log(place) => store.followers_short_of(&place.log_id, place.seq, MAX_NAMED, heard_after)?,
        Goal::Keyring(serial) => store.followers_short_of_keyring(*serial, MAX_NAMED, heard_after)?,
    };
    Ok(Propagation::new(goal, short, now))
}

/// Waits until every member has the whole log of this moment in force, for `limit` at most.
pub(crate) fn log_reached_by_all(store: &dyn Store, config: &FleetConfig, limit: Duration) -> Propagation {
    match store.log_end() {
        Ok(end) => {
            let goal = Goal::Log(LogPlace { newest_at: Some(clock::now()), ..end });
            reached_by_all(store, &goal, config, limit)
        }
        Err(error) => {
            let nowhere = Goal::Log(LogPlace { log_id: String::new(), seq: 0, newest_at: None });
            Propagation::unknown(&nowhere, error.to_string())
        }
    }
}

/// Waits until every member has it in force, for `limit` at most. A command hears of reports only by looking into the
/// store.
pub(crate) fn reached_by_all(store: &dyn Store, goal: &Goal, config: &FleetConfig, limit: Duration) -> Propagation {
    let (begun, mut drop_at) = (Instant::now(), Instant::now());
    loop {
        let now = clock::now();
        let dropped = if Instant::now() >= drop_at {
            drop_at = Instant::now() + DROP_INTERVAL;
            drop_revoked(store, now)
        } else {
            Ok(())
        };
        let looked = dropped.and_then(|()| propagation(store, goal, config, now));
        let over = begun.elapsed() >= limit;
        match looked {
            Ok(propagation) if over || propagation.is_complete() => return propagation,
            Err(error) if over => return Propagation::unknown(goal, error.to_string()),
            _ => std::thread::sleep(LOOK_INTERVAL.min(limit.saturating_sub(begun.elapsed()))),
        }
    }
}

/// Who has not loaded a key version, for a message; `None` if everybody has.
pub(crate) fn lacking(
    store: &dyn Store,
    version: KeyVersion,
    config: &FleetConfig,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let (mut names, mut count) = (Vec::new(), 0_usize);
    store.each_follower(heard_after(config.forget_after, now), &mut |row| {
        // A relay opens no API key.
        if row.role == Role::Relay || (row.versions.contains(&version.number()) && !row.is_doubled()) {
            return;
        }
        count += 1;
        if names.len() < MAX_NAMES {
            let silent = now.duration_since(row.last_contact) > SILENCE;
            let since = if silent { format!(", silent since {}", row.last_contact) } else { String::new() };
            names.push(format!("{} ({}{since})", row.name, row.role.name()));
        }
    })?;
    if count > names.len() {
        names.push(format!("and {} more", count - names.len()));
    }
    Ok((count > 0).then(|| names.join(", ")))
}

/// The names under which two processes report, for a message; `None` without any.
pub(crate) fn doubled(store: &dyn Store, now: Timestamp) -> Result<Option<String>, StoreError> {
    let heard_after = now.checked_sub(SILENCE).unwrap_or(Timestamp::MIN);
    let mut names = store.doubled_followers(MAX_NAMES as u32 + 1, heard_after)?;
    if names.len() > MAX_NAMES {
        names.truncate(MAX_NAMES);
        names.push("and others".to_owned());
    }
    Ok((!names.is_empty()).then(|| names.join(", ")))
}

/// How many are registered, by role and state, and the lowest place among them.
pub(crate) struct Census {
    pub(crate) counts: Vec<((&'static str, &'static str), i64)>,
    pub(crate) lowest: Option<u64>,
}

/// Counts those that are registered. Roles and states that nobody has are zero.
pub(crate) fn census(
    store: &dyn Store,
    config: &FleetConfig,
    active: Option<u32>,
    now: Timestamp,
) -> Result<Census, StoreError> {
    let states = |role: Role| Condition::ALL.map(|state| ((role.name(), state.name()), 0));
    let mut counts: BTreeMap<_, i64> = Role::ALL.into_iter().flat_map(states).collect();
    let (end, mut lowest, mut ahead) = (store.log_end()?, None, Vec::new());
    store.each_follower(heard_after(config.forget_after, now), &mut |row| {
        match condition(&row, &end, active, now).0 {
            // The log may have gone on since its end was read.
            Condition::Ahead => ahead.push((row.role, row.seq)),
            state => *counts.entry((row.role.name(), state.name())).or_default() += 1,
        }
        lowest = Some(lowest.map_or(row.seq, |lowest: u64| lowest.min(row.seq)));
    })?;
    if !ahead.is_empty() {
        let end = store.log_end()?;
        for (role, seq) in ahead {
            let state = if seq > end.seq { Condition::Ahead } else { Condition::Current };
            *counts.entry((role.name(), state.name())).or_default() += 1;
        }
    }
    Ok(Census { counts: counts.into_iter().collect(), lowest })
}

/// Forgets a member that is gone for good. One that still reports is there again with its next report.
pub(crate) fn forget(store: &dyn Store, actor: &Actor, name: &str, now: Timestamp) -> Result<Forgotten, ActionError> {
    followers::check_name(name).map_err(|error| invalid("name", error.trim_start_matches("name: ")))?;
    transact(store, |transaction| {
        let changed = transaction.forget_follower(name)?;
        if changed {
            transaction.append_audit(&actor.record(now, "follower.forget", Some(name.to_owned()), json!({})))?;
        }
        Ok(Forgotten { name: name.to_owned(), changed })
    })
}

/// Forgets everything that an app registered. What still reports is there again with its next report.
pub(crate) fn forget_app(
    store: &dyn Store,
    actor: &Actor,
    app_id: Uuid,
    now: Timestamp,
) -> Result<ForgottenApp, ActionError> {
    transact(store, |transaction| {
        let forgotten = transaction.forget_followers_of(&app_id.to_string())?;
        if forgotten > 0 {
            let details = json!({"app_id": app_id, "forgotten": forgotten});
            transaction.append_audit(&actor.record(now, "follower.forget", None, details))?;
        }
        Ok(ForgottenApp { app_id, forgotten })
    })
}
