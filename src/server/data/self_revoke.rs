//! `POST /v1/self-revoke`: whoever holds a key can end it, its finder too.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, State},
    http::HeaderMap,
};
use bulla::{ApiKey, Rejection, VerifyError, layer::Credential};

use crate::{
    action::{
        Actor,
        take_back::{TakeBack, Taken},
    },
    clock,
    server::{
        App, blocking, client_address,
        listener::Peer,
        openapi::problems::{Internal, Unauthorized, Unavailable},
        problem::Problem,
    },
    view::verdict::Wanted,
};

/// Ends the API key that is shown.
///
/// For good, and whichever realm it is of. Of a key with a secret half all but that is enough.
#[utoipa::path(
    post, path = "/v1/self-revoke",
    responses((status = 200, description = "It is revoked, now or already.", body = Taken), Unauthorized, Internal, Unavailable)
)]
pub(super) async fn self_revoke(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Taken>, Problem> {
    let text = match Credential::read(&headers, None) {
        Credential::One(text) => text,
        Credential::None => return Err(Problem::no_such_key()),
        Credential::Several => return Err(Problem::several_credentials()),
    };
    let wanted = Wanted { realms: app.snapshot().config.all_realms(), ..Wanted::default() };
    // Half of a key is enough to end it: its seal is genuine, and hashes would only take time.
    let id = match (app.open(text.expose(), &wanted), text.expose().parse::<ApiKey>()) {
        (Ok(_), Ok(key)) => key.id(),
        (Err(VerifyError::Rejected(rejection)), Ok(key)) if is_genuine(rejection) => key.id(),
        (_, Err(_)) => match app.judge_imported(text.expose(), &wanted).await {
            Some(Ok(key)) => key.id,
            Some(Err(VerifyError::SecretUnchecked)) => return Err(Problem::could_not_tell()),
            Some(Err(_)) | None => return Err(Problem::no_such_key()),
        },
        (Err(_), Ok(_)) => return Err(Problem::no_such_key()),
    };
    let told = client_address::behind_gateway(&app.snapshot().config.data, peer, &headers);
    let actor = Actor::api_key(id, told.or(peer.0.map(|peer| peer.ip())));
    let taken = blocking::run(move || {
        let take_back = TakeBack { store: &*app.store, actor: &actor, now: clock::now(), reason: None };
        let taken = take_back.revoke(id, "api_key.self_revoke")?;
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
