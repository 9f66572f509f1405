//! `POST /v1/verify`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
};
use bulla::Realm;
use serde::{Deserialize, Serialize};

use crate::{
    action::issue::IssuedApiKey,
    server::{
        App,
        body::{self, Bounds},
        problem::Problem,
    },
    view::{
        accepted::Accepted,
        verdict::{Answer, Wanted},
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    api_key: String,
    #[serde(default)]
    realms: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    audience: Option<String>,
    ip: Option<String>,
}

/// What a verification answers, and a sealed key for an imported one, this once.
#[derive(Serialize)]
pub(super) struct Verification {
    #[serde(flatten)]
    answer: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<IssuedApiKey>,
}

pub(super) async fn verify(State(app): State<Arc<App>>, request: Request) -> Result<Json<Verification>, Problem> {
    let body: Body = body::json(request, Bounds::single(&app.config.server)).await?;
    let address = body.ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let wanted = Wanted {
        realms: accepted_realms(&app, &body.realms)?,
        scopes: body.scopes,
        audience: body.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
    };
    let verdict = app.judge(&body.api_key, &wanted).await;
    let answer = Answer::for_caller(&verdict).ok_or_else(Problem::could_not_tell)?;
    let replacement = match verdict {
        Ok(Accepted::Imported(key)) => app.replace_imported(key).await,
        _ => None,
    };
    Ok(Json(Verification { answer, replacement }))
}

/// The realms that a request names, or the configured default. The administrators' realm is never accepted here.
pub(super) fn accepted_realms(app: &App, named: &[String]) -> Result<Vec<Realm>, Problem> {
    if named.is_empty() {
        return Ok(app.snapshot().default_realms.clone());
    }
    let realms: Result<Vec<Realm>, _> = named.iter().map(|name| name.parse()).collect();
    let mut realms = realms.map_err(|error| Problem::bad_request(format!("`realms`: {error}")))?;
    realms.retain(|realm| *realm != Realm::ADMIN);
    Ok(realms)
}
