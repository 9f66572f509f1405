//! The endpoints that clients of OAuth 2.0 speak: introspection (RFC 7662), revocation (RFC 7009), and where both are
//! (RFC 8414). A client presents an API key of the realm `bulla`, as `client_secret_basic` or `client_secret_post` say
//! (RFC 6749, section 2.3.1), or as everywhere else.

pub(super) mod introspect;
pub(super) mod metadata;
pub(super) mod revoke;

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bulla::layer::{Credential, CredentialRules};
use serde::{Deserialize, Serialize};

use crate::{
    api::problem::Document,
    server::{
        auth::{Caller, Permission},
        core::{CoreParts, Door},
        extract::{Form, body::Bounds},
        listener::Peer,
        problem::Problem,
        snapshot::Snapshot,
        stream_credential::RECHECK_INTERVAL,
    },
    tls::ClientCertificate,
};

/// No cache keeps what is said about a key.
const NO_STORE: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// A problem with the members of RFC 6749, section 5.2, beside its own.
pub(super) struct OauthProblem(Problem);

impl From<Problem> for OauthProblem {
    fn from(problem: Problem) -> Self {
        OauthProblem(problem)
    }
}

impl IntoResponse for OauthProblem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            problem: Document<'a>,
            error: &'static str,
            error_description: &'a str,
        }
        let OauthProblem(problem) = self;
        let error = match problem.status {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN => "unauthorized_client",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let body = serde_json::to_vec(&Body { problem: problem.document(), error, error_description: &problem.detail });
        let body = body.unwrap_or_default();
        let (mut head, _same) = problem.into_response().into_parts();
        head.headers.extend([NO_STORE]);
        Response::from_parts(head, body.into())
    }
}

/// A form with the client's credential or without it, from a client that was identified.
pub(super) struct OauthRequest {
    pub(super) caller: Caller,
    /// What the client calls itself, where that is not its API key.
    pub(super) client_id: Option<String>,
    pub(super) form: Form,
}

/// How a form names its client (RFC 6749, section 2.3.1).
#[derive(Default, Deserialize)]
#[serde(default)]
struct PostedClient {
    client_id: String,
    client_secret: String,
}

/// Reads the form of a client that has one of the permissions. The caller is accepted in the state that the request
/// goes by.
pub(super) async fn ask(
    door: Door,
    headers: &HeaderMap,
    client: Option<&Arc<ClientCertificate>>,
    peer: Peer,
    request: Request,
    permissions: &[Permission],
) -> Result<OauthRequest, Problem> {
    let (core, client) = (door.core().clone(), client.map(|client| &**client));
    let core = &core;
    let bounds = Bounds::single(&core.config.server);
    // A certificate counts where no API key is presented; so the form may be a client's that posts its key.
    let in_header = CredentialRules::usual().is_presented(headers) || client.is_some();
    if !in_header {
        // The request has no credential, which comes before any other error.
        let form = Form::read(request, bounds).await.map_err(|problem| match problem.status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => refused(core),
            _ => problem,
        })?;
        let (caller, client_id) = posted(core, door.enter(), &form, peer).await?;
        caller.needs_one_of(core, permissions)?;
        return Ok(OauthRequest { caller, client_id, form });
    }
    let mut caller = core.callers.identify(core, door.look(), headers, client, peer).await?;
    caller.needs_one_of(core, permissions)?;
    let asked = Instant::now();
    let form = Form::read(request, bounds).await?;
    let snapshot = door.enter();
    if !caller.was_accepted_in(&snapshot) || asked.elapsed() >= RECHECK_INTERVAL {
        // While the body was on its way the caller's key may have ended, and another state may have come into force.
        caller = core.callers.identify(core, snapshot, headers, client, peer).await?;
        caller.needs_one_of(core, permissions)?;
    }
    let name = match CredentialRules::usual().read(headers, |text| core.callers.knows(caller.snapshot(), text)) {
        Credential::One(key) => user_name(headers).filter(|name| name != key.expose()),
        _ => None,
    };
    let PostedClient { client_id, .. } = form.parse()?;
    Ok(OauthRequest { caller, client_id: name.or(Some(client_id).filter(|id| !id.is_empty())), form })
}

/// `client_secret_post`: the API key is `client_id` or `client_secret`, and the other one may be anything.
async fn posted(
    core: &CoreParts,
    snapshot: Arc<Snapshot>,
    form: &Form,
    peer: Peer,
) -> Result<(Caller, Option<String>), Problem> {
    let PostedClient { client_id: id, client_secret: secret } = form.parse()?;
    let (key, name) = match (core.callers.knows(&snapshot, &id), core.callers.knows(&snapshot, &secret)) {
        (true, true) => return Err(Problem::several_credentials()),
        (true, false) => (id, None),
        (false, _) if !secret.is_empty() => (secret, Some(id).filter(|id| !id.is_empty())),
        (false, _) => (id, None),
    };
    if key.is_empty() {
        return Err(refused(core));
    }
    Ok((core.callers.identify_by(core, snapshot, &key, peer).await?, name))
}

fn refused(core: &CoreParts) -> Problem {
    core.metrics.admin_refused.inc();
    Problem::unauthorized()
}

/// The user name of Basic, decoded.
fn user_name(headers: &HeaderMap) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?.1;
    let pair = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let name = pair.split_once(':')?.0;
    // Form-encoded (RFC 6749, section 2.3.1), which a plain name is, too.
    let pair = format!("{name}=");
    let (decoded, _) = form_urlencoded::parse(pair.as_bytes()).next()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

/// An answer in JSON, which no cache keeps.
fn answer(body: impl Serialize) -> Response {
    ([NO_STORE], Json(body)).into_response()
}
