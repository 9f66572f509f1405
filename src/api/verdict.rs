//! The answer of a verification, on the command line and over HTTP.

use std::{borrow::Cow, collections::BTreeMap};

use bulla::{Rejection, VerifyError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::schema;
use crate::{
    clock,
    verification::{Accepted, Verdict},
};

/// The scopes as one text (RFC 6749, section 3.3), which has no form for an empty list: clients take `""` for one empty scope.
pub(crate) fn scope_list(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// The answer: everything about an active key, and of any other only that it is not, or that a scope is missing.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Answer)]
#[serde(untagged)]
pub(crate) enum VerifyAnswer {
    Active(Box<ActiveKey>),
    Inactive {
        #[schema(schema_with = schema::no)]
        active: bool,
        #[schema(schema_with = schema::inactive_error)]
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Cow<'static, str>>,
        /// For operators alone, never for a caller of the data plane.
        #[schema(ignore)]
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Cow<'static, str>>,
    },
}

/// An accepted API key.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ActiveKey {
    #[schema(schema_with = schema::yes)]
    active: bool,
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    /// Null for an imported key.
    #[schema(required)]
    pub(crate) version: Option<u32>,
    pub(crate) issued_at: Timestamp,
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
}

/// Why a key is not active that lacks only scopes, as callers are told.
pub(crate) const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

impl VerifyAnswer {
    /// The answer within a batch for a key that could not be verified; alone it is a 503.
    pub(crate) const COULD_NOT_TELL: VerifyAnswer =
        VerifyAnswer::Inactive { active: false, error: Some(Cow::Borrowed("could_not_tell")), reason: None };

    /// The answer for a caller. `None` is "could not tell".
    pub(crate) fn for_caller(verdict: &Verdict) -> Option<Self> {
        match verdict {
            Ok(accepted) => Some(VerifyAnswer::Active(Box::new(ActiveKey::new(accepted)))),
            Err(VerifyError::Rejected(rejection)) => Some(VerifyAnswer::Inactive {
                active: false,
                error: (*rejection == Rejection::Scope).then_some(INSUFFICIENT_SCOPE.into()),
                reason: None,
            }),
            Err(VerifyError::SecretUnchecked | VerifyError::Stale) => None,
        }
    }

    /// The answer for an operator, with the reason.
    pub(crate) fn for_operator(verdict: &Verdict) -> Self {
        match (Self::for_caller(verdict).unwrap_or(Self::COULD_NOT_TELL), verdict) {
            (VerifyAnswer::Inactive { active, error, .. }, Err(why)) => {
                VerifyAnswer::Inactive { active, error, reason: Some(why.code().into()) }
            }
            (answer, _) => answer,
        }
    }
}

impl ActiveKey {
    pub(crate) fn new(accepted: &Accepted) -> Self {
        ActiveKey {
            active: true,
            api_key_id: accepted.id().to_string(),
            realm: accepted.id().realm().to_string(),
            app_id: accepted.app_id(),
            version: accepted.version(),
            issued_at: clock::timestamp(accepted.issued_at()),
            expires_at: accepted.expires_at().map(clock::timestamp),
            scopes: accepted.scopes().to_vec(),
            meta: accepted.meta(),
        }
    }
}
