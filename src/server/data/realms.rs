//! The realms that a request names.

use bulla::Realm;

use crate::{
    api::verify::{MAX_REALMS, NamedRealms},
    server::{problem::Problem, snapshot::Snapshot},
};

/// Realms that every request may name, however few are configured.
const MAX_USUAL_REALMS: usize = 64;

/// The realms to accept, which the request names in `field`: the named ones, each once, or the configured defaults. A
/// realm that is not configured is a typing error. The administrators' realm is never accepted here.
pub(super) fn accepted_realms(snapshot: &Snapshot, named: &NamedRealms, field: &str) -> Result<Vec<Realm>, Problem> {
    let named = named.entries();
    if named.is_empty() {
        return Ok(snapshot.default_realms.clone());
    }
    let most = snapshot.config.realms.len().clamp(MAX_USUAL_REALMS, MAX_REALMS);
    if named.len() > most {
        let detail = format!("`{field}` names {} realms and may name {most}: name each once", named.len());
        return Err(Problem::bad_request(detail));
    }
    let mut accepted = Vec::new();
    for name in named {
        let realm: Realm = name.parse().map_err(|error| Problem::bad_request(format!("`{field}`: {error}")))?;
        if realm != Realm::ADMIN && !snapshot.config.realms.contains_key(name) {
            return Err(Problem::bad_request(format!("`{field}`: there is no realm `{name}` in the configuration")));
        }
        if realm != Realm::ADMIN && !accepted.contains(&realm) {
            accepted.push(realm);
        }
    }
    Ok(accepted)
}
