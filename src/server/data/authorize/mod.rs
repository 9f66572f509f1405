//! Forward authentication for gateways: one verification, over HTTP and over gRPC. The key comes from the client's
//! header, what is required from the gateway's route.

mod check_request;
mod check_response;
mod credential_rules;
mod description;
mod grpc;
mod http;
mod identity;
mod wire;

use std::{net::IpAddr, time::Instant};

use axum::http::HeaderMap;
use bulla::{
    gateway::Required,
    layer::{Credential, CredentialRules, Presented, Refusal},
};

use self::identity::Identity;
use crate::{
    server::{key_verifier::KeyVerifier, problem::Problem, rejection::Denied, snapshot::Snapshot},
    telemetry::rate_limit::LineLimit,
    verification::{Accepted, Verdict, Wanted},
};

pub(super) use self::{
    description::description,
    grpc::{PATH as EXT_AUTHZ, ext_authz},
    http::{authorize, is_authorize},
};

/// Reads the requirements of a server that is not a gateway.
pub(super) fn requirements_of(snapshot: &Snapshot, text: &str) -> Result<Required, Denied> {
    requirements(snapshot, Ok(Some(text)))
}

/// Reads the requirements of a route; the defaults without a text.
fn requirements(snapshot: &Snapshot, route: Result<Option<&str>, String>) -> Result<Required, Denied> {
    static LINES: LineLimit = LineLimit::new();
    let parse = |text: &str| Required::parse(text).map_err(|error| error.to_string());
    let required = route.and_then(|text| text.map_or(Ok(Required::default()), parse));
    required.and_then(|required| known_realms(snapshot, required)).map_err(|detail| {
        if let Some(kept_back) = LINES.allow(Instant::now()) {
            tracing::error!(detail, kept_back, "requirements of a gateway's route do not parse");
        }
        Denied::Failed(Problem::misconfigured_route(detail))
    })
}

/// An unknown realm is an error of the route: no key of it could ever be accepted.
fn known_realms(snapshot: &Snapshot, required: Required) -> Result<Required, String> {
    match required.realms.iter().find(|realm| !snapshot.config.realms.contains_key(realm.as_str())) {
        Some(realm) => Err(format!("the route requires the realm `{realm}`, and there is no [realms.{realm}]")),
        None => Ok(required),
    }
}

/// The credential in a client's headers, and what is expected of it: by the client's address if that is known.
fn read<'h>(
    verification: &KeyVerifier,
    snapshot: &Snapshot,
    required: Required,
    rules: &CredentialRules,
    headers: &'h HeaderMap,
    address: Option<IpAddr>,
) -> Result<(Presented<'h>, Wanted), Denied> {
    let presented = match verification.credential(snapshot, headers, rules) {
        Credential::One(presented) => presented,
        Credential::None => return Err(Denied::refused(Refusal::NoCredential, rules)),
        Credential::Several => return Err(Denied::refused(Refusal::SeveralCredentials, rules)),
    };
    let realms = if required.realms.is_empty() { snapshot.default_realms.clone() } else { required.realms };
    Ok((presented, Wanted { realms, scopes: required.scopes, audience: required.audience, address }))
}

/// The answer about a key: its identity, as `write` writes it, or why not.
fn conclude<T>(
    verdict: &Verdict,
    snapshot: &Snapshot,
    wanted: &Wanted,
    rules: &CredentialRules,
    write: impl FnOnce(&Accepted, Identity) -> T,
) -> Result<T, Denied> {
    let accepted = verdict.as_ref().map_err(|error| Denied::by(*error, &wanted.scopes, rules))?;
    match Identity::of(accepted, snapshot.assertions(), wanted.audience.as_deref()) {
        Some(identity) => Ok(write(accepted, identity)),
        None => {
            static LINES: LineLimit = LineLimit::new();
            if let Some(kept_back) = LINES.allow(Instant::now()) {
                tracing::error!(id = %accepted.id(), kept_back, "identity of the key does not fit into headers");
            }
            Err(Denied::Failed(Problem::internal()))
        }
    }
}
