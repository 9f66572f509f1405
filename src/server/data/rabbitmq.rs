//! `POST /v1/rabbitmq/…`: what RabbitMQ's HTTP backend asks (`rabbitmq_auth_backend_http`), in its own form: a form in,
//! and a text out that begins with `allow` or `deny`.

use axum::{
    extract::{Path, Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use bulla::{ApiKey, VerifyError};

use super::authorize::requirements_of;
use crate::{
    api::{
        rabbitmq::{RabbitMqPath, RabbitMqRequest},
        responses::{BodyProblems, CouldNotTellOrBusy, Misconfigured, NoEndpoint},
    },
    server::{
        core::{Core, Door},
        extract::{Form, body::Bounds},
        problem::Problem,
        rejection::Denied,
    },
    verification::{Accepted, Wanted},
};

/// A scope that begins so gives the rest of it as a tag to RabbitMQ: `rabbitmq.management`.
const TAG: &str = "rabbitmq.";

/// Answers RabbitMQ.
///
/// `user` verifies the API key, which is the password, or the user name. Beside a password the user name has to be the
/// key's app, its id, or its metadata `username`, so that nobody takes another one's; a `username` that reads as an app
/// or an id does not count. `vhost`, `resource` and `topic` come from RabbitMQ for a user that it let in before: they are
/// allowed, and verify the key again where it is the user name.
#[utoipa::path(
    post, path = "/v1/rabbitmq/{required}/{question}", operation_id = "rabbitmq", params(RabbitMqPath),
    request_body(content_type = "application/x-www-form-urlencoded", content = RabbitMqRequest),
    responses(
        (status = 200, description = "`allow` with tags, or `deny`.", body = String, content_type = "text/plain"),
        BodyProblems, Misconfigured, CouldNotTellOrBusy, NoEndpoint,
    )
)]
pub(super) async fn rabbitmq(
    State(core): State<Core>,
    door: Door,
    Path((required, question)): Path<(String, String)>,
    request: Request,
) -> Response {
    match ask(&core, door, &required, &question, request).await {
        Ok(said) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], said)
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn ask(core: &Core, door: Door, required: &str, question: &str, request: Request) -> Result<String, Problem> {
    let is_user = match question {
        "user" => true,
        "vhost" | "resource" | "topic" => false,
        _ => return Err(Problem::not_found()),
    };
    let form = Form::read(request, Bounds::single(&core.config.server)).await?;
    let asked: RabbitMqRequest = form.parse()?;
    if asked.username.is_empty() {
        return Err(Problem::bad_request("the form has to hold `username`"));
    }
    let snapshot = door.enter();
    let required = requirements_of(&snapshot, required).map_err(|denied| match denied {
        Denied::Failed(problem) => problem,
        Denied::Refused(..) => Problem::internal(),
    })?;
    // By the shape of bulla's own keys: an imported one may look like any name.
    let user_is_key = asked.username.parse::<ApiKey>().is_ok();
    if !is_user && !user_is_key {
        // RabbitMQ asks this for those alone whom it let in.
        return Ok("allow".to_owned());
    }
    let realms = if required.realms.is_empty() { snapshot.default_realms.clone() } else { required.realms };
    let wanted = Wanted { realms, scopes: required.scopes, audience: required.audience, address: None };
    let key = if user_is_key { &asked.username } else { &asked.password };
    match core.verification.verify(&snapshot, key, &wanted).await {
        Ok(accepted) if user_is_key || names(&accepted).contains(&asked.username) => {
            let tags = accepted.scopes().iter().filter_map(|scope| scope.strip_prefix(TAG)).filter(|_| is_user);
            Ok(tags.fold("allow".to_owned(), |said, tag| said + " " + tag))
        }
        Ok(_) | Err(VerifyError::Rejected(_)) => Ok("deny".to_owned()),
        Err(VerifyError::SecretUnchecked | VerifyError::Stale) => Err(Problem::could_not_tell()),
    }
}

/// What the holder of a key may be called.
fn names(accepted: &Accepted) -> Vec<String> {
    let own = [accepted.app_id().to_string(), accepted.id().to_string()];
    own.into_iter().chain(accepted.username().map(str::to_owned)).collect()
}
