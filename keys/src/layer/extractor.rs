//! axum: a handler that takes a `Verified` gets the key that the layer let through.

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use super::{CredentialRules, Refusal};
use crate::verifier::Verified;

impl<S: Send + Sync> FromRequestParts<S> for Verified {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Verified>().cloned().ok_or(Refusal::NotVerified)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Refusal::into_response(self, CredentialRules::usual())
    }
}
