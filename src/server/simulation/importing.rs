//! Keys that were issued elsewhere: imported, and replaced by sealed ones.

use std::io;

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    acting::{By, INTRUDER},
    keys::{APPS, key, new, realms},
    model::{Effect, Text},
    world::{Broken, World},
};
use crate::{
    action::{
        Actor,
        import::{Import, Progress, Summary},
        replace::replace,
    },
    api::issue::IssuedApiKey,
    clock,
    imported::{Check, Format, KeyLayout, Reader, Reading, RowError, Scheme, Set},
};

impl World {
    pub(super) fn import(&mut self) -> Result<(), Broken> {
        let by = self.somebody();
        let now = self.clock_of(by);
        let app = Uuid::from_u128(self.random.pick(&APPS));
        let expires_at = self.random.pick(&[None, None, Some(now + 60), Some(now + 30 * 86_400)]);
        self.import_one(by, app, expires_at)
    }

    pub(super) fn import_one(&mut self, by: By, app: Uuid, expires_at: Option<i64>) -> Result<(), Broken> {
        self.names += 1;
        let (text, live) = (format!("sk_{:032}", self.names), realms()[0]);
        // Every other row says when its key was issued; the others are older than every rule.
        let issued_at = self.names.is_multiple_of(2).then(|| self.clock_of(by));
        let row = row(&text, app, issued_at, expires_at);
        let layout = layout();
        self.tell(format!("{} imports a key that expires {expires_at:?}", self.name(by)));
        let guest = self.disturb(by, None);
        let done = self.run_import(by, &layout, &row, false);
        self.read_audit()?;
        self.take_in(&guest);
        let id = self.id_of_imported(live, &layout, &text);
        let entry = id.and_then(|id| self.command.store.find(&id).ok().flatten());
        if let (Some(id), Some(entry)) = (id, entry) {
            let (issued_at, texts) = (entry.row.issued_at.as_second(), vec![Text { text, end: None }]);
            self.model.apply(Effect::New(new(id, app, issued_at, expires_at, texts)));
            self.touched.insert(self.model.keys.len() - 1);
            self.saw("a key is imported");
        }
        self.tell(format!("    {done:?}, #{}", self.model.keys.len().saturating_sub(1)));
        match done.map(|summary| summary.imported) {
            Ok(1) | Err(_) => Ok(()),
            // A row that expires before 1970 or after 2106 is refused.
            Ok(_) if expires_at.is_none_or(|at| u32::try_from(at).is_err()) => Ok(()),
            Ok(_) => Err(format!("a row is refused that expires {expires_at:?}")),
        }
    }

    /// The row of a key comes again, with another app, another time of issue or another expiry.
    pub(super) fn import_again(&mut self) -> Result<(), Broken> {
        // Nobody knows of a time ahead that the log has dropped whether it was in effect.
        let keys = self
            .model
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| key.id.version() == 0 && key.revoked.is_none_or(|end| end.at.is_none()));
        let keys: Vec<usize> = keys.map(|(at, _)| at).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let (by, key) = (self.somebody(), self.random.pick(&keys));
        let (now, before) = (self.clock_of(by), self.model.keys[key].app);
        let other = Uuid::from_u128(self.random.pick(&APPS));
        let app = self.random.pick(&[before, before, other]);
        let issued_at = self.random.pick(&[None, None, Some(now)]);
        let expires_at = self.random.pick(&[None, Some(now + 60), Some(now + 86_400), Some(now + 30 * 86_400)]);
        self.import_one_again(by, key, app, (issued_at, expires_at))
    }

    pub(super) fn import_one_again(
        &mut self,
        by: By,
        key: usize,
        app: Uuid,
        (issued_at, expires_at): (Option<i64>, Option<i64>),
    ) -> Result<(), Broken> {
        let (id, text) = (self.model.keys[key].id, self.model.keys[key].texts[0].text.clone());
        self.touched.insert(key);
        self.tell(format!(
            "{} imports #{key} again, for {app}, issued {issued_at:?}, expiring {expires_at:?}",
            self.name(by)
        ));
        let guest = self.disturb(by, Some(key));
        let done = self.run_import(by, &layout(), &row(&text, app, issued_at, expires_at), true);
        self.tell(format!("    {done:?}"));
        let (name, records) = (format!("cert:{}", self.name(by)), self.read_audit()?);
        let own = records.iter().position(|one| one.record.actor == name && one.record.action == "keys.import_replace");
        let intruder = records.iter().position(|one| one.record.actor.ends_with(INTRUDER));
        let entry = self.command.store.find(&id).map_err(|error| format!("the ledger: {error}"))?;
        let row = entry.ok_or_else(|| format!("#{key} is not in the ledger"))?.row;
        let (issued, expires) = (row.issued_at.as_second(), row.expires_at.map(Timestamp::as_second));
        let corrected = own.map(|_| Effect::Corrected { key, app: row.app_id, issued_at: issued, expires_at: expires });
        let theirs = self.leave(&guest);
        // The first one in the audit was first.
        let theirs_first = own.is_none() || intruder < own;
        let in_order: Vec<Effect> = if theirs_first {
            theirs.into_iter().chain(corrected).collect()
        } else {
            corrected.into_iter().chain(theirs).collect()
        };
        let ended = self.model.keys[key].revoked.is_some() || self.model.keys[key].suspended;
        in_order.into_iter().for_each(|effect| self.model.apply(effect));
        self.take_in(&guest);
        if own.is_some() {
            self.saw("an imported key is corrected");
        }
        if own.is_some() && ended {
            self.saw("an ended imported key is corrected");
        }
        match done {
            Ok(summary) if summary.refused == 0 && (row.app_id, expires) != (app, expires_at) => {
                Err(format!("#{key} is on record for {} until {expires:?}, in spite of its row", row.app_id))
            }
            _ => Ok(()),
        }
    }

    fn run_import(&self, by: By, layout: &KeyLayout, row: &str, replace: bool) -> Result<Summary, String> {
        let realm = realms()[0];
        self.clock_of(by);
        let (actor, now) = (Actor::certificate(self.name(by), None), clock::now());
        let store = self.store_of(by);
        let set = Set::new(0, realm, layout.clone(), [0; 16], None);
        let reader = Reader::new(Box::new(row.as_bytes()), Format::Jsonl, Reading::new(&set, now));
        let mut reader = reader.map_err(|error| error.to_string())?;
        let fleet = &self.command.deployment.config.fleet;
        let import = Import { store: &*store, fleet, actor: &actor, now, realm, layout, dry_run: false, replace };
        import.run(&mut reader, &mut Silent).map_err(|error| error.to_string())
    }

    fn id_of_imported(&self, realm: Realm, layout: &KeyLayout, text: &str) -> Option<ApiKeyId> {
        let sets = self.command.store.imported_sets().ok()?;
        let stored = sets.into_iter().find(|set| set.realm == realm && set.layout == *layout)?;
        let set = Set::new(stored.number, realm, stored.layout, stored.id_key, None);
        let digest = Check::Fast { digest: Sha256::digest(text).as_slice().into(), salt: [].into() };
        Some(set.id_of(None, &digest))
    }

    /// A sealed key for an imported one, as its first verification hands it out.
    pub(super) fn replace(&mut self) -> Result<(), Broken> {
        let Some(old) = self.any_key().filter(|key| self.model.keys[*key].id.version() == 0) else { return Ok(()) };
        let (by, id) = (self.somebody(), self.model.keys[old].id);
        let effects = |_: &World, issued: Option<&Option<IssuedApiKey>>, _: &[_]| {
            issued.and_then(|issued| issued.as_ref().map(key)).into_iter().collect()
        };
        let answer = self.act(by, Some(old), format!("replaces #{old}"), |issuing| replace(id, issuing), effects)?;
        self.told_new("an imported key is replaced", &answer);
        Ok(())
    }
}

/// A row of a key, as JSON.
fn row(text: &str, app: Uuid, issued_at: Option<i64>, expires_at: Option<i64>) -> String {
    let digest: String = hex::encode(Sha256::digest(text));
    json!({"app_id": app, "hash": digest, "issued_at": issued_at, "expires_at": expires_at}).to_string()
}

fn layout() -> KeyLayout {
    KeyLayout { prefix: "sk_".to_owned(), ..KeyLayout::new(Scheme::Sha256) }
}

/// Tells nobody of what an import does.
struct Silent;

impl Progress for Silent {
    fn refused(&mut self, _: &RowError) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, _: u64, _: u64) {}
}
