//! What an administrator should know of how the database is set up: whether a failover may lose something.

use super::{counts::count, session::Session};
use crate::store::{Remark, StoreError};

/// Whether commits wait for a standby.
pub(super) fn of_failover(session: &Session) -> Result<Vec<Remark>, StoreError> {
    // A role without the right to see more sees that there are standbys.
    let row = session
        .only("SELECT current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)", &[])?;
    let (synchronous, standbys): (&str, u64) = (row.get(0), count(&row, 1));
    Ok(vec![match (synchronous.is_empty(), standbys) {
        (false, 0) => Remark::warning(format!(
            "each commit waits for a standby (synchronous_standby_names = '{synchronous}'), and no standby is connected: nothing can \
             be issued or revoked until one is"
        )),
        (false, _) => Remark::good(format!(
            "each commit waits for a standby (synchronous_standby_names = '{synchronous}'): a failover loses nothing"
        )),
        (true, 0) => Remark::good("a commit waits for no standby, and none is connected".to_owned()),
        (true, standbys) => Remark::warning(format!(
            "a commit waits for no standby (synchronous_standby_names is empty), and {standbys} are connected: a promoted one may lack \
             the last transactions. Nodes that run append lost revocations again, to a new log; keys that were issued in them are on \
             nobody's record"
        )),
    }])
}
