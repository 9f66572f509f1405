//! Checking a secret half again that was right before: of a key whose stream or wait goes on.

use std::sync::Arc;

use bulla::{ApiKeyId, SecretCheck};

use super::{Proof, SecretChecks};
use crate::{secret::Peppers, verification::Checked};

/// That a secret half was right.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct FoundRight {
    id: ApiKeyId,
    era: u64,
    proof: Proof,
}

impl SecretChecks {
    /// What is known of a text that was accepted just now.
    pub(in crate::server) async fn found_right(&self, id: ApiKeyId, text: &str) -> FoundRight {
        // Before the look at the cache. A text that is not remembered was right by all that was seen.
        let (era, seen) = (self.changes.era(), self.changes.seen());
        let proof = self.cache.get(&self.cache.key_in(era, text)).await;
        FoundRight { id, era, proof: proof.unwrap_or(Proof { as_of: seen, end: None }) }
    }

    /// Checks a secret half again. That takes no attempt at the key: those who try other texts must not keep it from
    /// being checked, and it is one text, whose stream ends where it is wrong.
    pub(in crate::server) async fn check_again(
        self: &Arc<Self>,
        peppers: Option<&Arc<Peppers>>,
        text: &str,
        check: &SecretCheck,
    ) -> Result<FoundRight, Checked> {
        let era = self.changes.era();
        let proof = self.prove(peppers, text, (check, true)).await?;
        Ok(FoundRight { id: check.id(), era, proof })
    }

    /// Returns whether the secret half was changed since, or its end has come, or that cannot be known any more.
    pub(in crate::server) fn may_have_changed(&self, found: &FoundRight) -> bool {
        self.changes.era() != found.era
            || !self.changes.knows_all_behind(found.proof.as_of)
            || !self.still_holds(&found.id, found.proof)
    }
}
