//! `POST /v1/followers` and `POST /v1/followers/uses`: what followers of the feed report.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use bulla::{ApiKeyId, Realm, feed::Message};

use crate::{
    api::{
        followers::{FollowerReports, FollowerUses, MAX_FOLLOWERS, MAX_USES, Noted},
        responses::{BodyProblems, Credential, Internal, NameTaken, Unavailable},
    },
    clock,
    last_used::Use,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{Batch, JsonBody},
        fleet::Refused,
        listener::Peer,
        problem::Problem,
    },
    store::FollowerRow,
};

/// Reports the places of followers.
///
/// With the API key that the feed is read with, of the scope `feed` or `feed:REALM`. A name belongs to the app of the
/// API key that reported it first. A follower reports after each message that it applied, and every ten seconds.
#[utoipa::path(
    post, path = "/v1/followers", operation_id = "report_followers", request_body = FollowerReports,
    responses(
        (status = 200, description = "They are noted.", body = Noted),
        BodyProblems, Credential, NameTaken, Internal, Unavailable,
    )
)]
pub(super) async fn report(
    State(app): State<Arc<App>>,
    peer: Peer,
    caller: Caller,
    body: JsonBody<FollowerReports, Batch>,
) -> Result<Json<Noted>, Problem> {
    let caller = caller.after_body(&app, body.headers(), peer).await?;
    caller.needs_for_some_realm(&app, &[Scope::Feed])?;
    let owner = caller.app_id().ok_or_else(Problem::unauthorized)?.to_string();
    let FollowerReports { followers } = body.parse()?;
    check_count("followers", followers.len(), MAX_FOLLOWERS)?;
    let signed: HashMap<String, String> =
        followers.iter().filter_map(|one| Some((one.name.clone(), one.signed_message.clone()?))).collect();
    let former = followers.iter().filter_map(|one| Some((one.former_name.clone()?, one.instance.clone())));
    let former: Vec<_> = former.collect();
    let reported_by = caller.name();
    let (now, from) = (clock::now(), peer.0.map(|peer| peer.ip().to_string()));
    let rows = followers.into_iter().enumerate().map(|(at, report)| {
        let row = report.row(&owner, from.clone(), now);
        let row = row.map_err(|error| Problem::bad_request(format!("followers[{at}].{error}")))?;
        Ok(FollowerRow { reported_by: Some(reported_by.clone()), ..row })
    });
    let rows = rows.collect::<Result<Vec<_>, Problem>>()?;
    let noted = rows.len();
    let keyring_id = caller.snapshot().document.id();
    let note = move || {
        let open = app.fleet.behind.open(&rows);
        app.fleet.note(rows, now).map(|()| app.fleet.note_gone(former, &owner))?;
        let proves = |row: &FollowerRow| {
            let (message, feed) = (signed.get(&row.name)?, app.feed.as_ref()?);
            let message = Message::read(message.as_bytes(), keyring_id, &feed.public_key()).ok()?;
            let is_of_this_log = row.log_id.as_ref() == Some(&message.head().log_id.to_string());
            is_of_this_log.then_some(message.head().seq)
        };
        app.fleet.behind.look(&*app.store, (&open, &proves), &app.health, now).map_err(Refused::Store)
    };
    blocking::run(note).await?.map_err(|refused| match refused {
        Refused::Taken(name) => Problem::name_taken(&name),
        Refused::Full => Problem::unavailable(
            "too many followers are registered: `bulla fleet` lists them, and `bulla fleet forget` forgets one",
        ),
        Refused::TooMany => Problem::unavailable(
            "this app has registered as many followers as one app may: `bulla fleet` lists them, and `bulla fleet \
             forget` forgets one of them, or all of an app",
        ),
        Refused::Store(error) => error.into(),
    })?;
    Ok(Json(Noted { noted }))
}

/// Reports uses of API keys at a follower.
///
/// With the API key that the feed is read with; one of `feed:REALM` reports uses of that realm's keys. They count
/// towards `last_used_at` and `use_count`. A report whose answer is lost may be sent again, and then counts twice.
#[utoipa::path(
    post, path = "/v1/followers/uses", operation_id = "report_uses", request_body = FollowerUses,
    responses((status = 200, description = "They are noted.", body = Noted), BodyProblems, Credential, Internal, Unavailable)
)]
pub(super) async fn uses(
    State(app): State<Arc<App>>,
    peer: Peer,
    caller: Caller,
    body: JsonBody<FollowerUses, Batch>,
) -> Result<Json<Noted>, Problem> {
    let caller = caller.after_body(&app, body.headers(), peer).await?;
    caller.needs_for_some_realm(&app, &[Scope::Feed])?;
    let FollowerUses { uses } = body.parse()?;
    check_count("uses", uses.len(), MAX_USES)?;
    let (mut noted, now) = (Vec::new(), clock::now_seconds());
    for (at, one) in uses.into_iter().enumerate() {
        let wrong = |error: &dyn std::fmt::Display| Problem::bad_request(format!("uses[{at}].{error}"));
        let id: ApiKeyId = one.api_key_id.parse().map_err(|error| wrong(&format_args!("api_key_id: {error}")))?;
        // No follower verifies the administrators' keys.
        if id.realm() == Realm::ADMIN {
            return Err(wrong(&"api_key_id: no follower verifies keys of the realm `bulla`"));
        }
        caller.needs(&app, Permission::in_realm(Scope::Feed, id.realm()))?;
        if one.count == 0 {
            return Err(wrong(&"count: it must be at least 1"));
        }
        // A clock that is ahead makes no key look used in the future.
        noted.push(Use { id, last_used: u64::from(one.last_used_at).min(now), count: one.count.into() });
    }
    let count = noted.len();
    blocking::run(move || app.verification.last_used.put_back(noted)).await?;
    Ok(Json(Noted { noted: count }))
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), Problem> {
    match count {
        0 => Err(Problem::bad_request(format!("`{field}` is empty"))),
        count if count > most => {
            Err(Problem::bad_request(format!("`{field}` holds {count} entries and may hold {most}")))
        }
        _ => Ok(()),
    }
}
