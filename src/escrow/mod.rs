//! Escrow: API keys that can be revealed again, encrypted to a recipient whose identity the service does not have (C2SP
//! age-encryption, age v1).

#[cfg(feature = "escrow")]
mod identity;
#[cfg_attr(not(feature = "escrow"), path = "disabled.rs")]
mod recipient;

use bulla::{ApiKey, Realm};
use jiff::Timestamp;

#[cfg(feature = "escrow")]
pub(crate) use self::identity::{Identity, IdentityError};
pub(crate) use self::recipient::{Recipient, RecipientError};
use crate::{
    config::{Config, ConfigError},
    store::EscrowRow,
};

/// Refuses an invalid recipient; `origin` is where the configuration came from.
pub(crate) fn check(config: &Config, origin: &str) -> Result<(), ConfigError> {
    for (realm, policy) in &config.realms {
        if let Some(Err(error)) = policy.escrow.as_deref().map(str::parse::<Recipient>) {
            return Err(ConfigError::check(origin, &format!("[realms.{realm}]: escrow: {error}")));
        }
    }
    Ok(())
}

/// The recipient of a realm's keys, if it has escrow.
pub(crate) fn recipient_of(config: &Config, realm: Realm) -> Result<Option<Recipient>, RecipientError> {
    let named = config.realms.get(realm.as_str()).and_then(|policy| policy.escrow.as_deref());
    named.map(str::parse).transpose()
}

/// The escrow row of a new key, if its realm names a recipient.
pub(crate) fn row_of(
    config: &Config,
    key: &ApiKey,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<Option<EscrowRow>, RecipientError> {
    let Some(recipient) = recipient_of(config, key.id().realm())? else { return Ok(None) };
    Ok(Some(EscrowRow {
        id: key.id(),
        ciphertext: recipient.encrypt(key.expose())?,
        recipient: recipient.to_string(),
        ending: None,
        created_at,
        ends_at: expires_at,
    }))
}
