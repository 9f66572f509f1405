//! An API key that was issued and could not be shown: it is revoked, because nobody has it.

use std::io;

use super::{Failure, backend::Backend};

const REASON: &str = "it could not be shown to anybody";

/// Revokes the key with this id; the failure that tells it.
pub(super) fn revoke(backend: &dyn Backend, id: &str, error: &io::Error) -> Failure {
    let revoked = backend
        .ids_of(id)
        .and_then(|found| backend.revoke(&found.ids, Some(REASON.to_owned()), None))
        .map(|_already_or_now| ());
    let outcome = match revoked {
        Ok(()) => "it is revoked".to_owned(),
        Err(failure) => format!("it could not be revoked either ({failure}): run `bulla revoke {id}`"),
    };
    Failure::Undone(format!("the API key {id} was issued but could not be shown ({error}): {outcome}"))
}
