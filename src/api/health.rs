//! `GET /readyz`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether keys are verified, and what does not work as it should.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) keyring_serial: u64,
    /// The version that seals new API keys; null if none can be issued.
    #[schema(required)]
    pub(crate) active_version: Option<u32>,
    /// What does not work as it should, while keys are verified all the same.
    pub(crate) degraded: Vec<Failing>,
}

/// Since when, and why, something fails.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Failing {
    pub(crate) what: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) detail: String,
}
