//! What an administrator should know of how the database is set up: whether a failover may lose something, and whether
//! this role could change the audit.

use super::{counts::count, session::Session};
use crate::store::{Remark, StoreError};

/// Returns whether commits wait for a standby.
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
             the last transactions. Nodes that run append lost revocations again, to a new log; keys that were issued in them are not \
             on record"
        )),
    }])
}

/// What this role may do to the audit.
pub(super) fn of_audit(session: &Session) -> Result<Vec<Remark>, StoreError> {
    let rows = session.query(
        "SELECT current_user::text, pg_has_role(relowner, 'USAGE'), has_table_privilege(oid, 'INSERT'),
                has_table_privilege(oid, 'UPDATE') OR has_any_column_privilege(oid, 'UPDATE'), has_table_privilege(oid, 'DELETE'),
                has_table_privilege(oid, 'TRUNCATE'), has_table_privilege(oid, 'TRIGGER')
         FROM pg_class WHERE oid = to_regclass('bulla.audit')",
        &[],
    )?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let (role, may): (&str, [bool; 6]) = (row.get(0), [1, 2, 3, 4, 5, 6].map(|column| row.get(column)));
    let [owns, inserts, updates, deletes, empties, triggers] = may;
    let mut remarks = Vec::new();
    if !inserts {
        remarks.push(Remark::warning(format!(
            "the role {role} may not insert into the audit, so nothing can be issued or revoked: run docs/examples/postgresql/roles.sql"
        )));
    }
    let too_much = [(updates, "change"), (deletes, "delete"), (empties, "remove all"), (triggers, "put triggers on")];
    let too_much: Vec<&str> = too_much.into_iter().filter_map(|(may, what)| may.then_some(what)).collect();
    remarks.push(match (owns, too_much.is_empty()) {
        (true, _) => Remark::warning(format!(
            "the role {role} owns the audit, or may act as its owner, so somebody who has its password can drop the trigger that keeps it \
             append-only: let the service have a role of its own (docs/examples/postgresql/roles.sql)"
        )),
        (false, false) => Remark::warning(format!(
            "the role {role} may {} records of the audit, and only a trigger stops it: run docs/examples/postgresql/roles.sql",
            too_much.join(", ")
        )),
        (false, true) => Remark::good(format!("the role {role} can neither change nor delete a record of the audit")),
    });
    Ok(remarks)
}
