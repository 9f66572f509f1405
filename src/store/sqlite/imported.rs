//! The tables of imported keys.

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{readable_text, text},
    ledger,
};
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
pub(super) fn sets(connection: &Connection) -> Result<Vec<StoredSet>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT set_id, realm, rule, id_key FROM imported_sets ORDER BY set_id")?;
    let mut sets = Vec::new();
    for row in query.query_map([], read_set)? {
        match row? {
            Ok(set) => sets.push(set),
            // Its keys count as damaged; the keys of other sets are read.
            Err(error) => tracing::error!("{error}"),
        }
    }
    Ok(sets)
}

/// The set of this layout, which is made if it does not exist.
pub(super) fn set(
    connection: &Connection,
    realm: Realm,
    layout: &KeyLayout,
    id_key: [u8; 16],
) -> Result<StoredSet, StoreError> {
    let text = serde_json::to_string(layout).map_err(|error| StoreError::Failed(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO imported_sets (realm, rule, id_key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![realm.as_str(), text, id_key])?;
    let mut query = connection
        .prepare_cached("SELECT set_id, realm, rule, id_key FROM imported_sets WHERE realm = ?1 AND rule = ?2")?;
    query.query_row(params![realm.as_str(), text], read_set)?
}

fn read_set(row: &Row<'_>) -> rusqlite::Result<Result<StoredSet, StoreError>> {
    let number: i64 = row.get(0)?;
    let realm = text(row, 1).and_then(|realm| realm.parse().ok());
    let layout = text(row, 2).and_then(|rule| serde_json::from_str(rule).ok());
    Ok(match (realm, layout, row.get(3)) {
        (Some(realm), Some(layout), Ok(id_key)) => Ok(StoredSet { number, realm, layout, id_key }),
        _ => Err(damaged("the sets of imported keys", number)),
    })
}

/// Records a key, unless it is on record.
pub(super) fn insert(connection: &Connection, new: &NewImported) -> Result<Imported, StoreError> {
    let (hash, salt) = check_columns(&new.check);
    let Some(place) = ledger::insert_row(connection, &new.row)? else {
        let mut query = connection.prepare_cached(
            "SELECT app_id, name, issued_at, expires_at, scopes, meta, hash, salt
             FROM imported_keys JOIN api_keys USING (seq) WHERE api_key_id = ?1",
        )?;
        // What cannot be read is not the same, and stops no other row of the import.
        let compared = query.query_row(params![new.row.id.to_string()], |row| {
            Ok(on_record(row).map_or(Imported::Other, |on_record| on_record.compare(new)))
        });
        return Ok(compared.optional()?.unwrap_or(Imported::Other));
    };
    connection
        .prepare_cached("INSERT INTO imported_keys (seq, set_id, public, hash, salt) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![place, new.set, new.public.as_deref(), hash, salt])?;
    Ok(Imported::New)
}

fn on_record<'a>(row: &'a Row<'_>) -> rusqlite::Result<OnRecord<'a>> {
    Ok(OnRecord {
        app_id: row.get_ref(0)?.as_str()?,
        name: row.get_ref(1)?.as_str_or_null()?,
        issued_at: row.get(2)?,
        expires_at: row.get(3)?,
        scopes: row.get_ref(4)?.as_str()?,
        meta: row.get_ref(5)?.as_str()?,
        hash: row.get_ref(6)?.as_blob()?,
        salt: row.get_ref(7)?.as_blob_or_null()?,
    })
}

/// Corrects a key that is on record.
pub(super) fn correct(connection: &Connection, new: &NewImported) -> Result<(), StoreError> {
    let (hash, salt) = check_columns(&new.check);
    let meta = serde_json::to_string(&new.row.meta).map_err(|error| StoreError::Failed(error.to_string()))?;
    let id = new.row.id.to_string();
    connection
        .prepare_cached(
            "UPDATE imported_keys SET hash = ?2, salt = ?3 WHERE seq = (SELECT seq FROM api_keys WHERE api_key_id = ?1)",
        )?
        .execute(params![id, hash, salt])?;
    connection
        .prepare_cached(
            "UPDATE api_keys SET app_id = ?2, name = ?3, issued_at = coalesce(?4, issued_at), expires_at = ?5, scopes = ?6,
                    meta = ?7
             WHERE api_key_id = ?1",
        )?
        .execute(params![
            id,
            new.row.app_id.to_string(),
            new.row.name,
            new.dated.then(|| new.row.issued_at.as_second()),
            new.row.expires_at.map(Timestamp::as_second),
            new.row.scopes.join(" "),
            meta,
        ])?;
    note_change(connection, new.set)
}

/// Removes the keys of a set that did not end here, unless one of the set was used.
pub(super) fn remove_set(connection: &Connection, set: i64) -> Result<Option<RemovedSet>, StoreError> {
    let used: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM imported_keys JOIN api_keys USING (seq)
                            WHERE set_id = ?1 AND (last_used_at IS NOT NULL OR replaced_by IS NOT NULL))",
        )?
        .query_row(params![set], |row| row.get(0))?;
    if used {
        return Ok(None);
    }
    // The rows of imported keys refer to those of the ledger, so they go first, and the places are kept for that long.
    let places: Vec<i64> = connection
        .prepare_cached(&format!(
            "SELECT seq FROM imported_keys JOIN api_keys USING (seq)
             WHERE set_id = ?1 AND revoked_at IS NULL AND suspended_at IS NULL AND issued_at >= {}
                   AND NOT EXISTS (SELECT 1 FROM revocations AS own
                                   WHERE own.api_key_id = api_keys.api_key_id AND own.kind <> 'resume')",
            ledger::ruled_before()
        ))?
        .query_map(params![set], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM imported_keys WHERE seq = ?1")?;
    let mut delete_key = connection.prepare_cached("DELETE FROM api_keys WHERE seq = ?1")?;
    for place in &places {
        delete.execute(params![place])?;
        delete_key.execute(params![place])?;
    }
    note_change(connection, set)?;
    let kept: i64 = connection
        .prepare_cached("SELECT count(*) FROM imported_keys WHERE set_id = ?1")?
        .query_row(params![set], |row| row.get(0))?;
    Ok(Some(RemovedSet { removed: places.len() as u64, kept: kept.unsigned_abs() }))
}

fn note_change(connection: &Connection, set: i64) -> Result<(), StoreError> {
    let mut note = connection.prepare_cached("UPDATE imported_sets SET changes = changes + 1 WHERE set_id = ?1")?;
    note.execute(params![set])?;
    Ok(())
}

/// How far the table goes.
pub(super) fn end(connection: &Connection) -> Result<ImportedEnd, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT (SELECT coalesce(max(seq), 0) FROM imported_keys), (SELECT coalesce(sum(changes), 0) FROM imported_sets)",
    )?;
    Ok(query.query_row([], |row| Ok(ImportedEnd { place: row.get(0)?, changes: row.get(1)? }))?)
}

/// All sets that have keys, and what became of these.
pub(super) fn set_counts(connection: &Connection) -> Result<Vec<SetCount>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT set_id, count(*), count(last_used_at), count(replaced_by)
         FROM imported_keys JOIN api_keys USING (seq) GROUP BY set_id",
    )?;
    let rows = query.query_map([], |row| {
        let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok((row.get::<_, i64>(0)?, [count(1)?, count(2)?, count(3)?]))
    })?;
    let counts: Vec<(i64, [u64; 3])> = rows.collect::<Result<_, _>>()?;
    let counted = sets(connection)?.into_iter().filter_map(|set| {
        let (_, [keys, used, replaced]) = counts.iter().find(|(number, _)| *number == set.number)?;
        Some(SetCount { set, keys: *keys, used: *used, replaced: *replaced })
    });
    Ok(counted.collect())
}

/// Imported keys behind a place of the ledger, at most `limit` of them.
pub(super) fn after(connection: &Connection, place: i64, limit: u32) -> Result<ImportedPart, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, set_id, api_key_id, app_id, issued_at, expires_at, scopes, meta, public, hash, salt, rule,
                replaced_by IS NOT NULL
         FROM imported_keys JOIN api_keys USING (seq) JOIN imported_sets USING (set_id)
         WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let (mut layouts, mut part) = (Vec::<(i64, Option<bool>)>::new(), ImportedPart::default());
    let mut rows = query.query(params![place, limit])?;
    while let Some(row) = rows.next()? {
        let (place, set): (i64, i64) = (row.get(0)?, row.get(1)?);
        let known = layouts.iter().find(|(number, _)| *number == set).map(|(_, is_text)| *is_text);
        let is_text = known.unwrap_or_else(|| {
            let text = row.get_ref(11).ok();
            let layout = text.and_then(|text| serde_json::from_str::<KeyLayout>(text.as_str().ok()?).ok());
            let is_text = layout.map(|layout| layout.holds_text());
            layouts.push((set, is_text));
            is_text
        });
        part.through = Some(place);
        match is_text.and_then(|is_text| read(row, is_text).ok().flatten()) {
            Some(row) => part.rows.push(row),
            None => {
                tracing::error!("{}", damaged("imported keys", place));
                part.damaged += 1;
            }
        }
    }
    Ok(part)
}

/// Digests and public parts of all keys of a realm that are not in this set.
pub(super) fn elsewhere(connection: &Connection, realm: Realm, set: i64) -> Result<Elsewhere, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT hash, public, realm = ?1 FROM imported_keys JOIN imported_sets USING (set_id) WHERE set_id <> ?2",
    )?;
    let mut rows = query.query(params![realm.as_str(), set])?;
    let mut found = Elsewhere::default();
    while let Some(row) = rows.next()? {
        let bytes = |column| Ok::<_, StoreError>(row.get_ref(column)?.as_blob_or_null().ok().flatten());
        found.add(bytes(0)?, bytes(1)?, row.get(2)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>, is_text: bool) -> rusqlite::Result<Option<ImportedRow>> {
    let bytes = |column: usize| -> rusqlite::Result<Option<&[u8]>> { Ok(row.get_ref(column)?.as_blob_or_null()?) };
    let text = |column: usize| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
    let columns = ImportedColumns {
        place: row.get(0)?,
        set: row.get(1)?,
        id: text(2)?,
        app_id: text(3)?,
        issued_at: row.get(4)?,
        expires_at: row.get(5)?,
        scopes: text(6)?,
        meta: text(7)?,
        public: bytes(8)?,
        hash: row.get_ref(9)?.as_blob()?,
        salt: bytes(10)?.unwrap_or_default(),
        replaced: row.get(12)?,
    };
    Ok(columns.row(is_text))
}

/// Notes the sealed key that replaced an imported one. `false` where it was replaced before, or is not an imported key.
pub(super) fn replace(connection: &Connection, id: &ApiKeyId, by: &ApiKeyId) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE imported_keys SET replaced_by = ?2
             WHERE seq = (SELECT seq FROM api_keys WHERE api_key_id = ?1) AND replaced_by IS NULL",
        )?
        .execute(params![id.to_string(), by.to_string()])?;
    Ok(changed == 1)
}

/// Progress of each realm's migration.
pub(super) fn migrations(
    connection: &Connection,
    realm: Option<Realm>,
    now: Timestamp,
) -> Result<Vec<Migration>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT old.realm, count(*), sum(active), sum(used), count(replaced_by), sum(taken_over),
                sum(active AND used AND NOT taken_over)
         FROM (SELECT key.realm, imported_keys.replaced_by,
                      (key.revoked_at IS NULL OR key.revoked_at > ?2)
                          AND (key.expires_at IS NULL OR key.expires_at > ?2) AS active,
                      key.last_used_at IS NOT NULL AS used,
                      new.last_used_at IS NOT NULL AS taken_over
               FROM imported_keys JOIN api_keys AS key USING (seq)
                    LEFT JOIN api_keys AS new ON new.api_key_id = imported_keys.replaced_by
               WHERE ?1 IS NULL OR key.realm = ?1) AS old
         GROUP BY old.realm ORDER BY old.realm",
    )?;
    let realm = realm.map(|realm| realm.to_string());
    let rows = query.query_map(params![realm, now.as_second()], |row| {
        let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Migration {
            realm: readable_text(row, 0).unwrap_or_default().into_owned(),
            imported: count(1)?,
            active: count(2)?,
            used: count(3)?,
            replaced: count(4)?,
            taken_over: count(5)?,
            still_in_use: count(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// At most `limit` imported keys that are not revoked, and whose sealed replacements were used.
pub(super) fn taken_over(connection: &Connection, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT key.seq, key.api_key_id FROM imported_keys JOIN api_keys AS key USING (seq)
                JOIN api_keys AS new ON new.api_key_id = imported_keys.replaced_by
         WHERE key.realm = ?1 AND key.revoked_at IS NULL AND new.last_used_at IS NOT NULL
         ORDER BY key.seq",
    )?;
    let mut rows = query.query([realm.as_str()])?;
    let mut ids = Vec::new();
    // A row without a readable id is of no key that could be accepted, and another one takes its place.
    while ids.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        match text(row, 1).and_then(|id| id.parse().ok()) {
            Some(id) => ids.push(id),
            None => tracing::error!("{}", damaged("the ledger", row.get::<_, i64>(0)?)),
        }
    }
    Ok(ids)
}
