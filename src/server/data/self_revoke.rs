//! `POST /v1/self-revoke`: whoever holds a key can end it, its finder too.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use bulla::{ApiKey, Rejection, VerifyError, layer::Credential};

use crate::{
    action::{Actor, take_back::TakeBack},
    api::{
        responses::{BadRequest, Internal, TimedOut, TooLarge, Unauthorized, Unavailable},
        revoke::RevokeOutcome,
        verdict::Wanted,
    },
    clock,
    server::{
        App,
        auth::browser,
        blocking, client_address,
        extract::body::{self, Bounds},
        listener::Peer,
        problem::Problem,
    },
};

/// A client of RFC 7009 shows its own key, and names in the body the one that is to end. It must not lose its own and be told
/// that all is well.
const NAMES_ANOTHER: &str = "this endpoint revokes the API key in the header, and takes neither a body nor a query: a key that \
    these name would live on. Show the key that is to be revoked in the header, or revoke it by its id on the admin plane \
    (`DELETE /v1/api-keys/{id}`)";

/// Ends the API key that is shown.
///
/// For good, and whichever realm it is of. Of a key with a secret half all but that is enough. The key is in a header: a
/// request that may name another one, in its body or in its query, is a 400.
#[utoipa::path(
    post, path = "/v1/self-revoke",
    responses(
        (status = 200, description = "It is revoked, now or already.", body = RevokeOutcome),
        BadRequest, Unauthorized, TimedOut, TooLarge, Internal, Unavailable,
    )
)]
pub(super) async fn self_revoke(
    State(app): State<Arc<App>>,
    peer: Peer,
    request: Request,
) -> Result<Json<RevokeOutcome>, Problem> {
    let (head, body) = request.into_parts();
    let (headers, named) = (head.headers, head.uri.query().is_some_and(|query| !query.is_empty()));
    let body = body::bytes(Request::new(body), Bounds::single(&app.config.server)).await?;
    if named || !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(Problem::bad_request(NAMES_ANOTHER));
    }
    if browser::may_use_a_login(&headers) {
        return Err(Problem::login_of_a_page());
    }
    let text = match app.credential(&headers, None) {
        Credential::One(text) => text,
        Credential::None => return Err(Problem::no_such_key()),
        Credential::Several => return Err(Problem::several_credentials()),
    };
    let snapshot = app.snapshot();
    let wanted = Wanted { realms: snapshot.config.all_realms(), ..Wanted::default() };
    // Half of a key is enough to end it: its seal is genuine, and hashes would only take time.
    let ids = match (app.open(&snapshot, text.expose(), &wanted), text.expose().parse::<ApiKey>()) {
        (Ok(_), Ok(key)) => vec![key.id()],
        (Err(VerifyError::Rejected(rejection)), Ok(key)) if is_genuine(rejection) => vec![key.id()],
        // In every set that has it: in another one it would be good.
        (_, Err(_)) => app.imported_keys_of(text.expose()).await.map_err(|_| Problem::could_not_tell())?,
        (Err(_), Ok(_)) => Vec::new(),
    };
    let id = *ids.first().ok_or_else(Problem::no_such_key)?;
    let told = client_address::behind_gateway(&snapshot.config.data, peer, &headers);
    let actor = Actor::api_key(id, told.or(peer.0.map(|peer| peer.ip())));
    let taken = blocking::run(move || {
        let take_back = TakeBack { store: &*app.store, actor: &actor, now: clock::now(), reason: None };
        let taken = take_back.revoke_same(&ids, "api_key.self_revoke")?;
        app.catch_up()?;
        Ok::<_, Problem>(taken)
    });
    taken.await?.map(Json)
}

/// Whether a key that was rejected for this is one that was issued. Where, for whom and with what it may be used is no
/// reason to let it live on, and to end a suspended key for good, or a revoked one again, is what was asked for.
fn is_genuine(rejection: Rejection) -> bool {
    use Rejection::{Address, Audience, Revoked, SecretMissing, SecretSurplus};
    matches!(rejection, Revoked | Address | Audience | SecretMissing | SecretSurplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_before_the_seal_and_the_times_is_genuine() {
        use Rejection::{Address, Audience, Revoked, SecretMissing, SecretSurplus};
        let genuine: Vec<Rejection> = Rejection::ALL.into_iter().filter(|one| is_genuine(*one)).collect();
        assert_eq!(genuine, [Revoked, Address, Audience, SecretMissing, SecretSurplus], "and nothing else");
    }
}
