//! Errors as clients see them: `application/problem+json` (RFC 9457), with a stable `type` and no secret.

use axum::http::{HeaderValue, StatusCode};
use bulla::layer::{CredentialRules, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::input::text;

/// An error as a client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The last part of the `type`.
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    /// A challenge for `WWW-Authenticate`.
    pub(crate) challenge: Option<HeaderValue>,
    /// Whether the same request may succeed in a second.
    pub(crate) again: bool,
}

/// A problem as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// What is wrong, as a stable name.
    r#type: String,
    /// The same for people.
    title: &'a str,
    status: u16,
    /// What was wrong this time, and what to do.
    detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        // It may quote a text of the client, but no API key.
        let detail = text::shown(&detail.into());
        Problem { status, kind, title, detail, challenge: None, again: false }
    }

    fn challenging(self, refusal: &Refusal) -> Self {
        Problem { challenge: refusal.challenge(CredentialRules::usual()), ..self }
    }

    /// The document for the client.
    pub(crate) fn document(&self) -> Document<'_> {
        Document { r#type: self.r#type(), title: self.title, status: self.status.as_u16(), detail: &self.detail }
    }

    /// Its name.
    pub(crate) fn r#type(&self) -> String {
        format!("urn:bulla:problem:{}", self.kind)
    }

    /// The request cannot be parsed, or holds something that is not allowed.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is malformed", detail)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("the body may have {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    pub(crate) fn timed_out() -> Self {
        let detail = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timed-out", "The request took too long", detail)
    }

    pub(crate) fn media_type(wanted: &'static str) -> Self {
        let detail = format!("send the body as `Content-Type: {wanted}`, in UTF-8, and say so once");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body has the wrong media type", detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", "no endpoint has this path")
    }

    pub(crate) fn method() -> Self {
        let detail = "see the Allow header for the methods this endpoint has";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The endpoint does not have this method", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "present an API key of the realm `bulla` as `Authorization: Bearer …`, as user name or password of \
            `Authorization: Basic …`, or in `X-API-Key`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A login by Basic that a page of another site may have made the browser send.
    pub(crate) fn login_of_a_page() -> Self {
        let detail = "a page of another site may have sent this: present the API key as `Authorization: Bearer …` or in \
            `X-API-Key`, which no browser adds by itself";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A client certificate that is not accepted, and no API key.
    pub(crate) fn certificate(detail: &str) -> Self {
        let detail = format!("{detail}, or present an API key of the realm `bulla`");
        Self::new(StatusCode::UNAUTHORIZED, "certificate", "The client certificate is not accepted", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A request to revoke its own key, without a key that can be revoked.
    pub(crate) fn no_such_key() -> Self {
        let detail = "present the API key that is to be revoked, which has to be genuine, and of a realm and a key version \
            that this server has, as `Authorization: Bearer …`, as user name or password of `Authorization: Basic …`, or in \
            `X-API-Key`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    pub(crate) fn several_credentials() -> Self {
        let detail =
            "present one API key, in one header, once; in `Authorization: Basic …` as user name or as password";
        Self::new(StatusCode::UNAUTHORIZED, "several-credentials", "More than one credential", detail)
            .challenging(&Refusal::SeveralCredentials)
    }

    pub(crate) fn forbidden(needed: &str) -> Self {
        let detail = format!("the credential lacks the scope `{needed}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The credential does not allow this", detail)
            .challenging(&Refusal::InsufficientScope("".into()))
    }

    /// A key that could not be verified just now.
    pub(crate) fn could_not_tell() -> Self {
        let detail = "the API key could not be verified just now: try again";
        let again =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "could-not-tell", "The API key could not be verified", detail);
        Problem { again: true, ..again }
    }

    /// The same of a key that is to be revoked, for this reason.
    pub(crate) fn not_told(detail: impl Into<String>) -> Self {
        Problem { detail: detail.into(), ..Self::could_not_tell() }
    }

    /// A request that there is no memory for.
    pub(crate) fn busy() -> Self {
        let detail = "other requests use all the memory for bodies: try again";
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server has no room for the body", detail);
        Problem { again: true, ..busy }
    }

    /// The same, while there are stored hashes that do not fit the pepper: to ask again may not help.
    pub(crate) fn hashes_do_not_fit() -> Self {
        let detail = "the API key could not be verified just now: try again. Stored hashes of secret halves do not fit the pepper, or \
                      were changed: where trying again does not help, the service's /readyz and log say what does";
        Problem { detail: detail.into(), ..Self::could_not_tell() }
    }

    /// The requirements of a gateway's route are wrong: an error of the operator.
    pub(crate) fn misconfigured_route(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "misconfigured-route",
            "The gateway's route is misconfigured",
            detail,
        )
    }

    pub(crate) fn unknown_api_key() -> Self {
        let detail = "the ledger has no API key of this id";
        Self::new(StatusCode::NOT_FOUND, "unknown-api-key", "There is no such API key on record", detail)
    }

    pub(crate) fn unknown_version(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-version", "There is no such key version", detail)
    }

    /// The realm's policy does not allow it.
    pub(crate) fn policy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "policy", "The realm's policy does not allow this", detail)
    }

    /// An idempotency key that was used with another request.
    pub(crate) fn key_reused(detail: impl Into<String>) -> Self {
        let title = "The Idempotency-Key came with another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", title, detail)
    }

    /// The API key is not in the state that the action needs.
    pub(crate) fn api_key_state(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "api-key-state", "The API key does not allow this now", detail)
    }

    /// The keyring is not in the state that the change needs.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "The keyring does not allow this now", detail)
    }

    /// A follower's name that another app registered.
    pub(crate) fn name_taken(name: &str) -> Self {
        let detail = format!(
            "the name `{name}` is registered by a node or by the API key of another app: name the follower otherwise, or, if the \
             old one is gone, `bulla fleet forget {name}`"
        );
        Self::new(StatusCode::CONFLICT, "name-taken", "The follower's name is taken", detail)
    }

    pub(crate) fn read_only_keyring(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "read-only-keyring", "The keyring is read-only here", detail)
    }

    pub(crate) fn no_feed() -> Self {
        Self::unavailable("this server signs no feed: set feed.signing_key in its configuration")
    }

    pub(crate) fn no_assertions() -> Self {
        let detail = "this server signs no assertions: set assertion.signing_keys in its configuration";
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", detail)
    }

    /// A follower that is ahead of this server's log.
    pub(crate) fn no_snapshot() -> Self {
        let detail =
            "no snapshot has a body of this name, or it was replaced by a newer one: ask for the manifest again";
        Self::new(StatusCode::NOT_FOUND, "no-snapshot", "There is no such snapshot", detail)
    }

    pub(crate) fn ahead_of_log(after: u64, end: u64) -> Self {
        let detail = match after > end {
            true => format!("the log of this server ends at {end}, before {after}: ask again, or start again from 0"),
            false => format!("the log does not go on from {after}: ask again, or start again from 0"),
        };
        Self::new(StatusCode::CONFLICT, "ahead-of-log", "The follower is ahead of this server", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "This cannot be done right now", detail)
    }

    /// An administrator's API key may have been revoked, and nobody knows that here.
    pub(crate) fn lost_end() -> Self {
        Self::unavailable(
            "the revocation log of this server has lost its end, so that this API key may have been revoked: it reads the feed and \
             revokes, and does nothing else here. Use the command `bulla` on the server's machine, as `An older disk` in \
             docs/RECOVERY.md says",
        )
    }

    /// A change whose commit was sent, and not confirmed.
    pub(crate) fn may_have_happened(detail: impl Into<String>) -> Self {
        let title = "Whether this was done is not known yet";
        let again = Self::new(StatusCode::SERVICE_UNAVAILABLE, "may-have-happened", title, detail);
        Problem { again: true, ..again }
    }

    pub(crate) fn internal() -> Self {
        let detail = "the server's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong with the server", detail)
    }
}
