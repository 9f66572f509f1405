//! The mark of a store that moved: its row says that a bulla must know more steps than there will ever be. So each
//! transaction and each reading of the revocation log notices it, also those of an older bulla.

use super::{PostgresStore, migrations::needed, params::params, pool::Lane, session::Session};
use crate::store::{StoreError, moved::Moved};

/// What `needs` says of a store that moved.
pub(super) const MOVED: i64 = i64::MAX - 1;

/// The mark, if there is one.
pub(super) fn read(session: &Session) -> Result<Option<Moved>, StoreError> {
    let row = session.only(
        "SELECT needs, coalesce(moved_to, ''), coalesce(moved_mark, ''), coalesce(moved_at, 0) FROM bulla.store WHERE id = 1",
        &[],
    )?;
    let is_moved = row.get::<_, i64>(0) == MOVED;
    Ok(is_moved.then(|| Moved::stored(row.get(1), row.get(2), row.get(3))))
}

/// Marks the store, which must have no mark.
pub(super) fn mark(store: &PostgresStore, moved: &Moved) -> Result<(), StoreError> {
    store.write(|writing| {
        let update = "UPDATE bulla.store SET needs = $1, moved_to = $2, moved_mark = $3, moved_at = $4 WHERE id = 1";
        let (to, mark, at) = (moved.to.as_str(), moved.mark.as_str(), moved.at.as_second());
        writing.writes().execute(update, &params![MOVED, to, mark, at]).map(drop)
    })
}

/// Removes the mark.
pub(super) fn unmark(store: &PostgresStore) -> Result<(), StoreError> {
    store.read(Lane::Write, |session| {
        let update = "UPDATE bulla.store SET needs = $1, moved_to = NULL, moved_mark = NULL, moved_at = NULL
                      WHERE id = 1 AND needs = $2";
        session.execute(update, &params![needed(), MOVED]).map(drop)
    })
}
