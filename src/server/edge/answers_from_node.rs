//! What stands behind an edge's verifier: no store, and a node where it may ask one.

use std::{io, sync::Arc};

use bulla::{SecretCheck, feed::SecretVerdict};
use futures_util::future::BoxFuture;
use rand::{TryRng, rngs::SysRng};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    asking::Sources,
    report::first_node_that,
    secret_changes::{HeardChanges, Told},
};
use crate::{
    api::issue::IssuedApiKey,
    config::SecretConfig,
    imported::Key,
    server::{blocking, key_verifier::Behind, old_system::Memory, secrets::cache::SecretCache, snapshot::Snapshot},
    telemetry::metrics::Metrics,
    verification::{Checked, DigestSearch, Learned, OldSystem, Question, Wanted},
};

/// An edge has no store: a key with a secret half is "could not tell" there, unless a node is asked.
pub(in crate::server) struct BehindEdge {
    metrics: Arc<Metrics>,
    /// The sources, where their nodes may be asked, and what these say of changed secret halves.
    asked: Option<(Sources, Arc<HeardChanges>)>,
    /// What a node found right a moment ago, until it is heard of as changed.
    cache: SecretCache,
}

impl BehindEdge {
    pub(in crate::server) fn new(
        metrics: Arc<Metrics>,
        asked: Option<(Sources, Arc<HeardChanges>)>,
        config: &SecretConfig,
    ) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(key.as_mut_slice()).map_err(io::Error::other)?;
        Ok(BehindEdge { metrics, asked, cache: SecretCache::new(&key, config.cache_size, config.cache_ttl.0) })
    }

    /// Everything about the key holds, except perhaps its secret half. A node says whether it accepts the whole: of
    /// what the caller expects it hears all but the scopes, which are judged here.
    async fn ask(
        &self,
        (sources, heard): (&Sources, &Arc<HeardChanges>),
        text: &str,
        wanted: &Wanted,
        check: &SecretCheck,
    ) -> Checked {
        let (id, era) = (check.id(), heard.era());
        let key = era.map(|era| self.cache.key_in(era, text));
        if let Some(key) = &key
            && let Some(proof) = self.cache.get(key).await
        {
            if heard.still_holds(&id, &proof) {
                self.metrics.secret_cache_hits.inc();
                return Checked::Right;
            }
            self.cache.forget(key).await;
        }
        let question = json!({
            "api_key": text,
            "realms": [id.realm().as_str()],
            "audience": wanted.audience,
            "ip": wanted.address.map(|address| address.to_string()),
        });
        let (body, sources) = (Zeroizing::new(question.to_string()), Arc::clone(sources));
        let known = Arc::clone(heard);
        let asked = blocking::run(move || {
            // One that has not heard of a change yet is no reason not to ask the next one.
            let counts = |verdict: &SecretVerdict| {
                !verdict.active || !matches!(known.told(era, &id, verdict.proof.as_ref()), Told::Outdated)
            };
            first_node_that(&sources, |node| node.check_secret(&body), counts)
        });
        let asked = asked.await;
        let Ok(Some(Ok(verdict))) = asked else { return self.could_not_tell("node") };
        if !verdict.active {
            return Checked::Wrong;
        }
        match (heard.told(era, &id, verdict.proof.as_ref()), key) {
            (Told::Outdated, _) => return self.could_not_tell("node"),
            (Told::Lasting(proof), Some(key)) => self.cache.renew(key, proof).await,
            (Told::Lasting(_) | Told::Once, _) => {}
        }
        Checked::Right
    }

    fn could_not_tell(&self, why: &'static str) -> Checked {
        self.metrics.secret_unchecked(why);
        Checked::CouldNotTell
    }
}

impl Behind for BehindEdge {
    fn check<'a>(
        &'a self,
        _: &'a Snapshot,
        text: &'a str,
        wanted: &'a Wanted,
        question: Question<'a>,
    ) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            match (question, &self.asked) {
                (Question::SecretHalf(check), Some((sources, heard))) => {
                    self.ask((sources, heard), text, wanted, check).await
                }
                _ => self.could_not_tell("edge"),
            }
        })
    }

    fn slow_digest<'a>(&'a self, _: &'a DigestSearch) -> BoxFuture<'a, Option<Arc<[u8]>>> {
        Box::pin(async { None })
    }

    fn ask_old_system<'a>(
        &'a self,
        _: &'a Snapshot,
        _: &'a OldSystem,
        _: &'a str,
        _: Memory,
    ) -> BoxFuture<'a, Learned> {
        Box::pin(async { Learned::Unknown })
    }

    fn replacement(&self, _: Arc<Snapshot>, _: Arc<Key>) -> BoxFuture<'_, Option<IssuedApiKey>> {
        Box::pin(async { None })
    }
}
