//! The tables of imported keys.

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{counts::count, ledger, params::param, params::params, session::Session, transaction::Writing};
use crate::{
    imported::{ImportedRow, KeyLayout},
    store::{
        Elsewhere, Imported, ImportedEnd, ImportedPart, Migration, NewImported, RemovedSet, SetCount, StoreError,
        StoredSet,
        imported::OnRecord,
        rows::{ImportedColumns, check_columns, damaged},
    },
};

/// All sets.
pub(super) fn sets(session: &Session) -> Result<Vec<StoredSet>, StoreError> {
    let rows = session.query("SELECT set_id, realm, rule, id_key FROM bulla.imported_sets ORDER BY set_id", &[])?;
    let sets = rows.iter().filter_map(|row| match read_set(row) {
        Ok(set) => Some(set),
        // Its keys count as damaged; the keys of other sets are read.
        Err(error) => {
            tracing::error!("{error}");
            None
        }
    });
    Ok(sets.collect())
}

/// The set of this layout, which is made if it does not exist.
pub(super) fn set(
    writing: &mut Writing<'_>,
    realm: Realm,
    layout: &KeyLayout,
    id_key: [u8; 16],
) -> Result<StoredSet, StoreError> {
    let text = serde_json::to_string(layout).map_err(|error| StoreError::Failed(error.to_string()))?;
    let session = writing.writes();
    session.execute(
        "INSERT INTO bulla.imported_sets (set_id, realm, rule, id_key)
         SELECT coalesce(max(set_id), 0) + 1, $1, $2, $3 FROM bulla.imported_sets ON CONFLICT (realm, rule) DO NOTHING",
        &params![realm.as_str(), text, id_key.as_slice()],
    )?;
    let row = session.only(
        "SELECT set_id, realm, rule, id_key FROM bulla.imported_sets WHERE realm = $1 AND rule = $2",
        &params![realm.as_str(), text],
    )?;
    read_set(&row)
}

fn read_set(row: &Row) -> Result<StoredSet, StoreError> {
    let (number, realm, rule, id_key): (i64, &str, &str, &[u8]) = (row.get(0), row.get(1), row.get(2), row.get(3));
    match (realm.parse(), serde_json::from_str(rule), id_key.try_into()) {
        (Ok(realm), Ok(layout), Ok(id_key)) => Ok(StoredSet { number, realm, layout, id_key }),
        _ => Err(damaged("the sets of imported keys", number)),
    }
}

/// Records a key, unless it is on record.
pub(super) fn insert(writing: &mut Writing<'_>, new: &NewImported) -> Result<Imported, StoreError> {
    let (hash, salt) = check_columns(&new.check);
    let public = new.public.as_deref();
    let columns = ledger::Columns::of(&new.row, writing.numbers.key + 1)?;
    let mut values = columns.params().to_vec();
    values.extend([param(&new.set), param(&public), param(&hash), param(&salt)]);
    let session = writing.writes();
    let inserted = session.execute(
        &format!(
            "WITH key AS ({} RETURNING seq)
             INSERT INTO bulla.imported_keys (seq, set_id, public, hash, salt) SELECT seq, $15, $16, $17, $18 FROM key",
            ledger::INSERT
        ),
        &values,
    )?;
    if inserted > 0 {
        writing.numbers.key += 1;
        return Ok(Imported::New);
    }
    let on_record = session.first(
        "SELECT app_id, name, issued_at, expires_at, scopes, meta, hash, salt
         FROM bulla.imported_keys JOIN bulla.api_keys USING (seq) WHERE api_key_id = $1",
        &params![new.row.id.to_string()],
    )?;
    let compared = on_record.map(|row| {
        let (app_id, name, issued_at, expires_at) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let (scopes, meta, hash, salt) = (row.get(4), row.get(5), row.get(6), row.get(7));
        OnRecord { app_id, name, issued_at, expires_at, scopes, meta, hash, salt }.compare(new)
    });
    Ok(compared.unwrap_or(Imported::Other))
}

/// Corrects a key that is on record.
pub(super) fn correct(session: &Session, new: &NewImported) -> Result<(), StoreError> {
    let (hash, salt) = check_columns(&new.check);
    let meta = serde_json::to_string(&new.row.meta).map_err(|error| StoreError::Failed(error.to_string()))?;
    let id = new.row.id.to_string();
    session.execute(
        "UPDATE bulla.imported_keys SET hash = $2, salt = $3
         WHERE seq = (SELECT seq FROM bulla.api_keys WHERE api_key_id = $1)",
        &params![id, hash, salt],
    )?;
    session.execute(
        "UPDATE bulla.api_keys SET app_id = $2, name = $3, issued_at = coalesce($4, issued_at), expires_at = $5, scopes = $6,
                meta = $7
         WHERE api_key_id = $1",
        &params![
            id,
            new.row.app_id.to_string(),
            new.row.name,
            new.dated.then(|| new.row.issued_at.as_second()),
            new.row.expires_at.map(Timestamp::as_second),
            new.row.scopes.join(" "),
            meta,
        ],
    )?;
    note_change(session, new.set)
}

/// Removes the keys of a set that did not end here, unless one of the set was used.
pub(super) fn remove_set(session: &Session, set: i64) -> Result<Option<RemovedSet>, StoreError> {
    let used = session.only(
        "SELECT EXISTS (SELECT 1 FROM bulla.imported_keys JOIN bulla.api_keys USING (seq)
                        WHERE set_id = $1 AND (last_used_at IS NOT NULL OR replaced_by IS NOT NULL))",
        &params![set],
    )?;
    if used.get(0) {
        return Ok(None);
    }
    let allowed =
        session.only("SELECT has_table_privilege('bulla.api_keys', 'DELETE'), current_user::text AS role", &[])?;
    if !allowed.get::<_, bool>(0) {
        let role: &str = allowed.get(1);
        return Err(StoreError::Failed(format!(
            "the role {role} may delete no key of the ledger: do this as the role that owns the tables, with its URL in \
             BULLA_STORE__URL"
        )));
    }
    let removed = session.only(
        &format!(
            "WITH old AS (DELETE FROM bulla.imported_keys USING bulla.api_keys
                          WHERE set_id = $1 AND api_keys.seq = imported_keys.seq
                                AND revoked_at IS NULL AND suspended_at IS NULL AND api_keys.issued_at >= {}
                                AND NOT EXISTS (SELECT 1 FROM bulla.revocations AS own
                                                WHERE own.api_key_id = api_keys.api_key_id AND own.kind <> 'resume')
                          RETURNING imported_keys.seq),
                  gone AS (DELETE FROM bulla.api_keys WHERE seq IN (SELECT seq FROM old) RETURNING seq)
             SELECT count(*) FROM gone",
            ledger::ruled_before()
        ),
        &params![set],
    )?;
    note_change(session, set)?;
    let kept = session.only("SELECT count(*) FROM bulla.imported_keys WHERE set_id = $1", &params![set])?;
    Ok(Some(RemovedSet { removed: count(&removed, 0), kept: count(&kept, 0) }))
}

fn note_change(session: &Session, set: i64) -> Result<(), StoreError> {
    session.execute("UPDATE bulla.imported_sets SET changes = changes + 1 WHERE set_id = $1", &params![set])?;
    Ok(())
}

/// How far the table goes.
pub(super) fn end(session: &Session) -> Result<ImportedEnd, StoreError> {
    let row = session.only(
        "SELECT (SELECT coalesce(max(seq), 0) FROM bulla.imported_keys),
                (SELECT coalesce(sum(changes), 0)::bigint FROM bulla.imported_sets)",
        &[],
    )?;
    Ok(ImportedEnd { place: row.get(0), changes: row.get(1) })
}

/// All sets that have keys, and what became of these.
pub(super) fn set_counts(session: &Session) -> Result<Vec<SetCount>, StoreError> {
    let rows = session.query(
        "SELECT set_id, count(*), count(last_used_at), count(replaced_by)
         FROM bulla.imported_keys JOIN bulla.api_keys USING (seq) GROUP BY set_id",
        &[],
    )?;
    let counted = sets(session)?.into_iter().filter_map(|set| {
        let row = rows.iter().find(|row| row.get::<_, i64>(0) == set.number)?;
        Some(SetCount { set, keys: count(row, 1), used: count(row, 2), replaced: count(row, 3) })
    });
    Ok(counted.collect())
}

/// Imported keys behind a place of the ledger, at most `limit` of them.
pub(super) fn after(session: &Session, place: i64, limit: u32) -> Result<ImportedPart, StoreError> {
    let rows = session.query(
        "SELECT seq, set_id, api_key_id, app_id, issued_at, expires_at, scopes, meta, public, hash, salt,
                replaced_by IS NOT NULL
         FROM bulla.imported_keys JOIN bulla.api_keys USING (seq) WHERE seq > $1 ORDER BY seq LIMIT $2",
        &params![place, i64::from(limit)],
    )?;
    // Of each set whether its hashes are strings; a set that cannot be read has no readable keys.
    let rules = session.query("SELECT set_id, rule FROM bulla.imported_sets", &[])?;
    let is_text: Vec<(i64, bool)> = rules
        .iter()
        .filter_map(|row| Some((row.get(0), serde_json::from_str::<KeyLayout>(row.get(1)).ok()?.holds_text())))
        .collect();
    let mut part = ImportedPart::default();
    for row in &rows {
        let (place, set): (i64, i64) = (row.get(0), row.get(1));
        part.through = Some(place);
        let is_text = is_text.iter().find(|(number, _)| *number == set).map(|(_, is_text)| *is_text);
        match is_text.and_then(|is_text| read(row, is_text)) {
            Some(row) => part.rows.push(row),
            None => {
                tracing::error!("{}", damaged("imported keys", place));
                part.damaged += 1;
            }
        }
    }
    Ok(part)
}

fn read(row: &Row, is_text: bool) -> Option<ImportedRow> {
    let columns = ImportedColumns {
        place: row.get(0),
        set: row.get(1),
        id: row.get(2),
        app_id: row.get(3),
        issued_at: row.get(4),
        expires_at: row.get(5),
        scopes: row.get(6),
        meta: row.get(7),
        public: row.get(8),
        hash: row.get(9),
        salt: row.get::<_, Option<&[u8]>>(10).unwrap_or_default(),
        replaced: row.get(11),
    };
    columns.row(is_text)
}

/// Digests and public parts of all keys of a realm that are not in this set.
pub(super) fn elsewhere(session: &Session, realm: Realm, set: i64) -> Result<Elsewhere, StoreError> {
    let rows = session.query(
        "SELECT hash, public, realm = $1 FROM bulla.imported_keys JOIN bulla.imported_sets USING (set_id)
         WHERE set_id <> $2",
        &params![realm.as_str(), set],
    )?;
    let mut found = Elsewhere::default();
    rows.iter().for_each(|row| found.add(row.get(0), row.get(1), row.get(2)));
    Ok(found)
}

/// Notes the sealed key that replaced an imported one. `false` where it was replaced before, or is not an imported key.
pub(super) fn replace(session: &Session, id: &ApiKeyId, by: &ApiKeyId) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE bulla.imported_keys SET replaced_by = $2
         WHERE seq = (SELECT seq FROM bulla.api_keys WHERE api_key_id = $1) AND replaced_by IS NULL",
        &params![id.to_string(), by.to_string()],
    )?;
    Ok(changed == 1)
}

/// Progress of each realm's migration.
pub(super) fn migrations(
    session: &Session,
    realm: Option<Realm>,
    now: Timestamp,
) -> Result<Vec<Migration>, StoreError> {
    let rows = session.query(
        "SELECT realm, count(*), count(*) FILTER (WHERE active), count(*) FILTER (WHERE used), count(replaced_by),
                count(*) FILTER (WHERE taken_over), count(*) FILTER (WHERE active AND used AND NOT taken_over)
         FROM (SELECT key.realm COLLATE \"C\" AS realm, imported_keys.replaced_by,
                      (key.revoked_at IS NULL OR key.revoked_at > $2)
                          AND (key.expires_at IS NULL OR key.expires_at > $2) AS active,
                      key.last_used_at IS NOT NULL AS used,
                      new.last_used_at IS NOT NULL AS taken_over
               FROM bulla.imported_keys JOIN bulla.api_keys AS key USING (seq)
                    LEFT JOIN bulla.api_keys AS new ON new.api_key_id = imported_keys.replaced_by
               WHERE $1 IS NULL OR key.realm = $1) AS old
         GROUP BY realm ORDER BY realm",
        &params![realm.map(|realm| realm.to_string()), now.as_second()],
    )?;
    let migrations = rows.iter().map(|row| Migration {
        realm: row.get(0),
        imported: count(row, 1),
        active: count(row, 2),
        used: count(row, 3),
        replaced: count(row, 4),
        taken_over: count(row, 5),
        still_in_use: count(row, 6),
    });
    Ok(migrations.collect())
}

/// At most `limit` imported keys that are not revoked, and whose sealed replacements were used.
pub(super) fn taken_over(session: &Session, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError> {
    let (mut ids, mut after) = (Vec::new(), i64::MIN);
    // A row without a readable id is of no key that could be accepted, and another one takes its place.
    loop {
        let left = limit as usize - ids.len();
        let rows = session.query(
            "SELECT key.seq, key.api_key_id FROM bulla.imported_keys JOIN bulla.api_keys AS key USING (seq)
                    JOIN bulla.api_keys AS new ON new.api_key_id = imported_keys.replaced_by
             WHERE key.realm = $1 AND key.revoked_at IS NULL AND new.last_used_at IS NOT NULL AND key.seq > $3
             ORDER BY key.seq LIMIT $2",
            &params![realm.as_str(), i64::try_from(left).unwrap_or(i64::MAX), after],
        )?;
        for row in &rows {
            match row.get::<_, &str>(1).parse() {
                Ok(id) => ids.push(id),
                Err(_) => tracing::error!("{}", damaged("the ledger", row.get::<_, i64>(0))),
            }
        }
        match rows.last() {
            Some(last) if rows.len() == left && ids.len() < limit as usize => after = last.get(0),
            _ => return Ok(ids),
        }
    }
}
