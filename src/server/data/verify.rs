//! `POST /v1/verify`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
};
use bulla::Realm;
use serde::Deserialize;

use crate::{
    server::{
        App,
        body::{self, Bounds},
        problem::Problem,
    },
    view::verdict::{Answer, Wanted},
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

pub(super) async fn verify(State(app): State<Arc<App>>, request: Request) -> Result<Json<Answer>, Problem> {
    let body: Body = body::json(request, Bounds::single(&app.config.server)).await?;
    let address = body.ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let wanted = Wanted {
        realms: accepted_realms(&app, &body.realms)?,
        scopes: body.scopes,
        audience: body.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
    };
    let verdict = app.verify(&body.api_key, &wanted).await;
    Answer::for_caller(&verdict).map(Json).ok_or_else(Problem::could_not_tell)
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
