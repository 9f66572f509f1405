//! `POST /v1/introspect`: token introspection (RFC 7662) for callers with a credential of their own.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Extension, Request, State},
    http::HeaderMap,
};
use bulla::VerifyError;
use serde::Serialize;
use utoipa::ToSchema;

use super::realms::accepted_realms;
use crate::{
    schema,
    scope::Scope,
    server::{
        App,
        admin::auth::{self, Permission},
        body::{self, Bounds},
        listener::Peer,
        openapi::problems::{CouldNotTellOrBusy, Credential, JsonBody},
        problem::Problem,
        standing::LOOK,
    },
    view::verdict::{ActiveKey, Wanted, scope_list},
};

/// RFC 7662 §2.1, and what a key may be bound to beside it. Further parameters are not read.
#[derive(ToSchema)]
#[schema(as = IntrospectionRequest)]
pub(super) struct Form {
    /// The API key, or anything else.
    token: String,
    /// The realm that counts; the configured defaults, where none is named.
    #[schema(value_type = Option<schema::Realm>, nullable = false)]
    realm: Option<String>,
    /// Who was asked.
    #[schema(nullable = false)]
    audience: Option<String>,
    /// The client's address.
    #[schema(value_type = Option<schema::Address>, nullable = false)]
    ip: Option<String>,
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let once = |wanted: &str| {
            let mut values =
                form_urlencoded::parse(body).filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                (_, Some(_)) => Err(Problem::bad_request(format!("the form may hold `{wanted}` once"))),
            }
        };
        let token = once("token")?.ok_or_else(|| Problem::bad_request("the form has to hold `token`"))?;
        Ok(Form { token, realm: once("realm")?, audience: once("audience")?, ip: once("ip")? })
    }
}

/// RFC 7662 §2.2, and what `POST /v1/verify` says beside it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Introspection {
    Active(Box<ActiveToken>),
    Inactive {
        #[schema(schema_with = schema::no)]
        active: bool,
    },
}

#[derive(Serialize, ToSchema)]
pub(super) struct ActiveToken {
    #[serde(flatten)]
    key: ActiveKey,
    #[schema(schema_with = schema::bearer)]
    token_type: &'static str,
    /// None where the key has no scopes: RFC 6749 has no empty list.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    client_id: String,
    sub: String,
    #[schema(value_type = schema::ApiKeyId)]
    jti: String,
    iat: u64,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aud: Vec<String>,
}

/// Introspects an API key (RFC 7662).
///
/// With an administrator's API key that has the scope `read`. Without `audience` and `ip` a key that is bound to some is
/// inactive.
#[utoipa::path(
    post, path = "/v1/introspect",
    request_body(content_type = "application/x-www-form-urlencoded", content = Form),
    responses(
        (status = 200, description = "Active, or not.", body = Introspection),
        JsonBody, Credential, CouldNotTellOrBusy,
    )
)]
pub(super) async fn introspect(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<Introspection>, Problem> {
    let permission = Permission::anywhere(Scope::Read);
    auth::identify(&app, &headers, peer).await?.needs(&app, permission)?;
    let asked = Instant::now();
    let body = body::form(request, Bounds::single(&app.config.server)).await?;
    if asked.elapsed() >= LOOK {
        // The caller's key may have been ended while the body was on its way.
        auth::identify(&app, &headers, peer).await?.needs(&app, permission)?;
    }
    let form = Form::read(&body)?;
    let snapshot = app.snapshot();
    let address = form.ip.map(|ip| ip.parse()).transpose();
    // A key bound to audiences or addresses is active only where the caller says who, and from where, it was used.
    let wanted = Wanted {
        realms: accepted_realms(&snapshot, &form.realm.into())?,
        audience: form.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
        ..Wanted::default()
    };
    let answer = match app.judge(&snapshot, &form.token, &wanted).await {
        Ok(accepted) => {
            let key = ActiveKey::new(&accepted);
            Introspection::Active(Box::new(ActiveToken {
                token_type: "Bearer",
                scope: scope_list(&key.scopes),
                client_id: key.app_id.to_string(),
                sub: key.app_id.to_string(),
                jti: key.api_key_id.clone(),
                iat: accepted.issued_at(),
                exp: accepted.expires_at(),
                nbf: accepted.claims().and_then(|claims| claims.not_before()),
                aud: accepted.claims().map(|claims| claims.audience().to_vec()).unwrap_or_default(),
                key,
            }))
        }
        Err(VerifyError::SecretUnchecked | VerifyError::Stale) => return Err(Problem::could_not_tell()),
        Err(VerifyError::Rejected(_)) => Introspection::Inactive { active: false },
    };
    Ok(Json(answer))
}
