//! Exporting a realm's keys to an edge.

use bulla::{
    Realm,
    keyring::{RealmExport, Recipient},
};
use jiff::Timestamp;
use serde_json::json;

use super::{Actor, seconds};
use crate::{
    config::SecretPolicy,
    deployment::{Deployment, DeploymentError},
    store::{Store, transact},
};

/// The keys of `realm`, sealed to `recipient`. The audit has the record of it before anybody has the keys.
pub(crate) fn export(
    (deployment, store): (&Deployment, &dyn Store),
    (realm, recipient): (Realm, &Recipient),
    actor: &Actor,
    now: Timestamp,
) -> Result<String, DeploymentError> {
    let signed_by = deployment.feed_key()?.ok_or(DeploymentError::ExportUnsigned)?;
    let document = deployment.document(store)?;
    let export = RealmExport::of(&document, &deployment.sources, realm, seconds(now))?;
    let policy = deployment.config.realms.get(realm.as_str());
    let requires_secret = policy.is_some_and(|policy| policy.secret == SecretPolicy::Required);
    let text = export.requiring_secrets(requires_secret).seal(recipient, &signed_by)?;
    let opens = document.versions().iter().filter(|record| record.state.opens());
    let detail = json!({
        "keyring_id": document.id().to_string(),
        "serial": document.serial(),
        "recipient": recipient.to_string(),
        "versions": opens.map(|record| record.number.number()).collect::<Vec<_>>(),
    });
    let record = actor.record(now, "keyring.export", Some(realm.to_string()), detail);
    transact(store, |transaction| transaction.append_audit(&record))?;
    Ok(text)
}
