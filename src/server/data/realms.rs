//! The realms that a request names.

use bulla::Realm;

use crate::server::{bounded::Bounded, problem::Problem, snapshot::Snapshot};

/// The most that a request may name where so many are configured. Each text is held against each.
const MOST: usize = 1_000;
/// What a request may name in any case.
const USUAL: usize = 64;

/// The realms as a request names them.
pub(super) type NamedRealms = Bounded<MOST>;

/// The realms that count: those that are named, each once, or the configured default. One that is not configured is a typing
/// error, and the administrators' is never accepted here.
pub(super) fn accepted_realms(snapshot: &Snapshot, named: &NamedRealms) -> Result<Vec<Realm>, Problem> {
    if named.count() == 0 {
        return Ok(snapshot.default_realms.clone());
    }
    let most = snapshot.config.realms.len().clamp(USUAL, MOST);
    if named.count() > most {
        let detail = format!("`realms` names {} realms and may name {most}: name each once", named.count());
        return Err(Problem::bad_request(detail));
    }
    let mut accepted = Vec::new();
    for name in named.kept() {
        let realm: Realm = name.parse().map_err(|error| Problem::bad_request(format!("`realms`: {error}")))?;
        if realm != Realm::ADMIN && !snapshot.config.realms.contains_key(name) {
            return Err(Problem::bad_request(format!("`realms`: there is no realm `{name}` in the configuration")));
        }
        if realm != Realm::ADMIN && !accepted.contains(&realm) {
            accepted.push(realm);
        }
    }
    Ok(accepted)
}
