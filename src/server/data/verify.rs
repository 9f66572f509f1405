//! `POST /v1/verify`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::realms::{NamedRealms, accepted_realms};
use crate::{
    action::issue::IssuedApiKey,
    schema,
    server::{
        App,
        body::{self, Bounds},
        bounded::Bounded,
        openapi::problems::{CouldNotTellOrBusy, JsonBody},
        problem::Problem,
    },
    view::{
        accepted::Accepted,
        verdict::{Answer, Wanted},
    },
};

/// A key's claims have room for fewer.
const MAX_SCOPES: usize = 256;

const TOO_MANY_SCOPES: &str = "`scopes` may name 256 scopes: name each once";

#[derive(Deserialize, ToSchema)]
#[schema(as = VerifyRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// What was presented: an API key, or anything else.
    api_key: String,
    /// The realms that count; the configured defaults, where none is named. At most 64, or as many as are configured.
    #[schema(value_type = Vec<schema::Realm>)]
    #[serde(default)]
    realms: NamedRealms,
    /// All of these are needed. At most 256: no key holds more.
    #[schema(value_type = Vec<String>)]
    #[serde(default)]
    scopes: Bounded<MAX_SCOPES>,
    /// Who asks. A key that is bound to audiences is rejected without.
    audience: Option<String>,
    /// The client's address. A key that is bound to addresses is rejected without.
    #[schema(value_type = Option<schema::Address>)]
    ip: Option<String>,
}

/// What a verification answers, and a sealed key for an imported one, this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Verification {
    #[serde(flatten)]
    answer: Answer,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<IssuedApiKey>,
}

/// Verifies an API key.
///
/// 200 whether it is accepted or not: `active` tells. Why a key is not active stands in metrics and log alone, but for a
/// missing scope.
#[utoipa::path(
    post, path = "/v1/verify", request_body = Body,
    responses((status = 200, description = "Accepted, or not.", body = Verification), JsonBody, CouldNotTellOrBusy)
)]
pub(super) async fn verify(State(app): State<Arc<App>>, request: Request) -> Result<Json<Verification>, Problem> {
    let body: Body = body::json(request, Bounds::single(&app.config.server)).await?;
    let snapshot = app.snapshot();
    let address = body.ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let wanted = Wanted {
        realms: accepted_realms(&snapshot, &body.realms)?,
        scopes: body.scopes.all().ok_or_else(|| Problem::bad_request(TOO_MANY_SCOPES))?,
        audience: body.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
    };
    let verdict = app.judge(&snapshot, &body.api_key, &wanted).await;
    let answer = Answer::for_caller(&verdict).ok_or_else(Problem::could_not_tell)?;
    let replacement = match verdict {
        Ok(Accepted::Imported(key)) => app.replace_imported(key).await,
        _ => None,
    };
    Ok(Json(Verification { answer, replacement }))
}
