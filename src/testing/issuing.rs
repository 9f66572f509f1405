//! A deployment that issues, on any store, for benchmarks.

use std::{error::Error, path::Path, sync::Arc};

use bulla::{Issuer, Realm};
use uuid::Uuid;

use crate::{
    action::{Actor, issue::IssueContext},
    api::issue::NewApiKey,
    cli, clock,
    deployment::Deployment,
    store::Store,
};

/// What issues: with ledger and audit, as the service does it.
pub struct Issuing {
    deployment: Deployment,
    store: Arc<dyn Store>,
    issuer: Issuer,
    actor: Actor,
}

impl Issuing {
    /// A new deployment in `folder`, with its store at `url`, where statements are prepared if `statement_cache` says
    /// so.
    pub fn new(folder: &Path, url: &str, statement_cache: bool) -> Result<Self, Box<dyn Error>> {
        let mut deployment = Deployment::open(&cli::throw_away_on(folder, url)?)?;
        deployment.config.store.statement_cache = statement_cache;
        let store = deployment.store()?;
        let (_, keyring) = deployment.keyring(&*store)?;
        Ok(Issuing { issuer: Issuer::new(&keyring), deployment, store, actor: Actor::service() })
    }

    /// Issues one key.
    pub fn issue(&self, app_id: Uuid) -> Result<(), Box<dyn Error>> {
        let realm: Realm = "live".parse()?;
        let state = (&self.issuer, &self.deployment.config, None);
        IssueContext::new(state, &*self.store, &self.actor, clock::now()).one(NewApiKey::plain(realm, app_id))?;
        Ok(())
    }

    /// Issues one key for each of these apps, all in one transaction.
    pub fn issue_all(&self, apps: &[Uuid]) -> Result<(), Box<dyn Error>> {
        let realm: Realm = "live".parse()?;
        let state = (&self.issuer, &self.deployment.config, None);
        let new = apps.iter().map(|app_id| NewApiKey::plain(realm, *app_id)).collect();
        IssueContext::new(state, &*self.store, &self.actor, clock::now()).all(new, None)?;
        Ok(())
    }
}
