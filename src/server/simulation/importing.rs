//! Keys that were issued elsewhere: imported, and replaced by sealed ones.

use std::io;

use bulla::{ApiKeyId, Realm};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    acting::By,
    keys::{APPS, key, new, realms},
    model::{Effect, Text},
    world::{Broken, World},
};
use crate::{
    action::{
        Actor,
        import::{Import, Progress},
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
        self.names += 1;
        let (text, live) = (format!("sk_{:032}", self.names), realms()[0]);
        let app = Uuid::from_u128(self.random.pick(&APPS));
        let expires_at = self.random.pick(&[None, None, Some(now + 60), Some(now + 30 * 86_400)]);
        let digest: String = hex::encode(Sha256::digest(&text));
        let row = json!({"app_id": app, "hash": digest, "expires_at": expires_at}).to_string();
        let layout = layout();
        self.tell(format!("{} imports a key that expires {expires_at:?}", self.name(by)));
        let guest = self.disturb(by, None);
        let done = self.run_import(by, &layout, &row, live);
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
        match done {
            Ok(1) | Err(_) => Ok(()),
            // A row that expires before 1970 or after 2106 is refused.
            Ok(_) if expires_at.is_none_or(|at| u32::try_from(at).is_err()) => Ok(()),
            Ok(_) => Err(format!("a row is refused that expires {expires_at:?}")),
        }
    }

    fn run_import(&self, by: By, layout: &KeyLayout, row: &str, realm: Realm) -> Result<u64, String> {
        self.clock_of(by);
        let (actor, now) = (Actor::certificate(self.name(by), None), clock::now());
        let store = self.store_of(by);
        let set = Set::new(0, realm, layout.clone(), [0; 16], None);
        let reader = Reader::new(Box::new(row.as_bytes()), Format::Jsonl, Reading::new(&set, now));
        let mut reader = reader.map_err(|error| error.to_string())?;
        let fleet = &self.command.deployment.config.fleet;
        let import =
            Import { store: &*store, fleet, actor: &actor, now, realm, layout, dry_run: false, replace: false };
        import.run(&mut reader, &mut Silent).map(|summary| summary.imported).map_err(|error| error.to_string())
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
