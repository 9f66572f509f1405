//! Examples of requests and answers, with the worked API keys of `docs/FORMAT.md`: what a service on that page's
//! keyring takes and says.

use serde_json::{Value, json};

const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
const ISSUED: &str = "2026-11-18T11:06:40Z";
const LATER: &str = "2026-11-25T11:06:40Z";

/// The page's second example, with scopes.
const KEY: &str =
    "acme_live_00000YHqiQd7Eu4eUpRFdL2o5fO0uDZE41dnzlCyuUwj94mSgZIZlOIHIgXJG4piaMGGSIJzHB3e09TuxrYTr9LZGtchLxy3hlYgs";
const ID: &str = "acme_live_00000YHqiQd7Eu4eUpRFdL";
/// Of its first example.
const OLD_ID: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
/// Of its third, with that key's ending.
const SECRET_ID: &str = "acme_live_00000YsKCmZ9zuH4PcLyd1";
/// Of a revocation log.
const LOG_ID: &str = "e0e1e2e3e4e5e6e7e8e9eaebecedeeef";
const ENDING: &str = "_B226E8ACFV9BimeKbrQQkZCPXCR5YebzzD6HkXZFsnFP3z6hnV";

/// An edge's recipient.
const EDGE: &str = "bulla-edge--Y-lttxDusbsQbKvUQpYLPu05nzTLzj4UVuoisnh0j7aywCl";

/// Puts an example beside what it is one of.
pub(super) fn add(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.flat_map(|item| item.as_object_mut().into_iter().flat_map(|item| item.values_mut())) {
        let Some((request, answer)) = operation["operationId"].as_str().and_then(of) else { continue };
        if let (Some(request), Some(content)) = (request, operation.pointer_mut("/requestBody/content")) {
            put(content, request);
        }
        let done = ["201", "200"].iter().find(|status| operation["responses"].get(status).is_some());
        if let Some(content) = done.and_then(|status| operation["responses"][status].get_mut("content")) {
            put(content, answer);
        }
    }
}

/// Beside the first of several media types.
fn put(content: &mut Value, example: Value) {
    if let Some(media) = content.as_object_mut().and_then(|content| content.values_mut().next()) {
        media["example"] = example;
    }
}

/// The request of an operation, where it has a body, and the answer when all goes well.
fn of(operation: &str) -> Option<(Option<Value>, Value)> {
    Some(match operation {
        "verify" => (Some(json!({"api_key": KEY, "realms": ["acme_live"], "scopes": ["read"]})), active()),
        "verify_batch" => (
            Some(json!({"api_keys": [KEY, "nope"], "realms": ["acme_live"]})),
            json!({"results": [active(), {"active": false}]}),
        ),
        "introspect" => (Some(json!({"token": KEY, "realm": "acme_live"})), introspected()),
        "oauth_metadata" => (None, metadata()),
        "self_revoke" | "revoke" => (None, taken("revoked", true)),
        "healthy" => (None, json!("ok\n")),
        "ready" => (None, json!({"ready": true, "keyring_serial": 2, "active_version": 1, "degraded": []})),
        "issue" => (Some(wanted()), issued()),
        "issue_batch" => (Some(json!({"api_keys": [wanted()]})), json!({"api_keys": [issued()]})),
        "list_api_keys" => (None, json!({"api_keys": [on_record()], "next_cursor": null})),
        "show_api_key" => (None, on_record()),
        "suspend" => (Some(json!({"reason": "a look at it"})), taken("suspended", false)),
        "resume" => (Some(json!({"reason": "all is well"})), taken("active", false)),
        "reroll" => (Some(json!({"grace": "7d", "expires_in": "never"})), {
            let mut rerolled = issued();
            rerolled["replaces"] = OLD_ID.into();
            rerolled["revoked_at"] = LATER.into();
            rerolled
        }),
        "reroll_secret" => (
            Some(json!({"grace": "7d"})),
            json!({"api_key_id": SECRET_ID, "ending": ENDING, "old_secret_until": LATER}),
        ),
        "revoke_many" => (
            Some(json!({"ids": [ID], "reason": "leaked"})),
            json!({"revoked": 1, "already_revoked": 0, "not_on_record": 0}),
        ),
        "report_followers" => (Some(json!({"followers": [reported()]})), json!({"noted": 1})),
        "report_uses" => (
            Some(json!({"uses": [{"api_key_id": ID, "last_used_at": 1_795_000_000, "count": 3}]})),
            json!({"noted": 1}),
        ),
        "secret_changes" => (None, json!({"log_id": LOG_ID, "seq": 17})),
        "check_secret" => (Some(json!({"api_key": KEY, "realms": ["acme_live"]})), json!({"active": true})),
        "list_followers" => (None, fleet()),
        "forget_followers" => (None, json!({"app_id": APP, "forgotten": 3})),
        "forget_follower" => (None, json!({"name": "edge-1", "changed": true})),
        "audit" => (None, json!({"records": [recorded()], "next_after": null})),
        "show_keyring" => (None, keyring()),
        "stage" => (Some(json!({"sources": ["file:master-2.key"]})), changed(2, "staged")),
        "activate" => (Some(json!({"rollback": true})), changed(1, "active")),
        "compromise" => (Some(json!({"successor": 2})), changed(1, "compromised")),
        "destroy" => (Some(json!({})), changed(1, "destroyed")),
        "export_realm" => (
            Some(json!({"realm": "acme_live", "recipient": EDGE})),
            json!({"realm": "acme_live", "recipient": EDGE, "export": "{\"bulla\":\"export/1\",…}\n…\n"}),
        ),
        _ => return None,
    })
}

fn active() -> Value {
    json!({
        "active": true, "api_key_id": ID, "realm": "acme_live", "app_id": APP, "version": 7, "issued_at": ISSUED,
        "expires_at": null, "scopes": ["read", "write"], "meta": {},
    })
}

/// A follower as it reports itself.
fn reported() -> Value {
    json!({
        "name": "edge-1", "role": "edge", "version": "0.1.0", "formats": ["feed/1"], "log_id": LOG_ID, "seq": 17,
        "this_update": 1_795_000_000, "keyring_serial": 2, "versions": [7], "realms": ["acme_live"], "refused": 0,
        "started_at": 1_795_000_000,
    })
}

fn fleet() -> Value {
    let mut shown = reported();
    let more = json!({
        "app_id": APP, "address": "192.0.2.7", "state": "current", "trouble": null, "this_update": ISSUED,
        "last_error": null, "started_at": ISSUED, "last_contact": ISSUED,
    });
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    json!({"log_id": LOG_ID, "end": 17, "followers": [shown], "next_after": null})
}

/// What clients of OAuth 2.0 get, without assertions.
fn metadata() -> Value {
    let methods = ["client_secret_basic", "client_secret_post"];
    json!({
        "issuer": "https://bulla.example", "response_types_supported": [], "grant_types_supported": [],
        "introspection_endpoint": "https://bulla.example/v1/introspect",
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": "https://bulla.example/v1/revoke", "revocation_endpoint_auth_methods_supported": methods,
    })
}

fn introspected() -> Value {
    let mut token = active();
    let more = json!({
        "token_type": "Bearer", "scope": "read write", "client_id": APP, "username": APP, "sub": APP, "jti": ID, "iat": 1_795_000_000,
        "exp": 1_795_000_060,
    });
    if let (Some(token), Value::Object(more)) = (token.as_object_mut(), more) {
        token.extend(more);
    }
    token
}

fn wanted() -> Value {
    json!({"realm": "acme_live", "app_id": APP, "name": "shop", "expires_in": "never", "scopes": ["read", "write"]})
}

fn issued() -> Value {
    json!({
        "api_key": KEY, "api_key_id": ID, "realm": "acme_live", "app_id": APP, "version": 7, "issued_at": ISSUED,
        "expires_at": null, "scopes": ["read", "write"], "meta": {},
    })
}

fn on_record() -> Value {
    json!({
        "api_key_id": ID, "realm": "acme_live", "app_id": APP, "version": 7, "state": "active", "name": "shop",
        "issued_at": ISSUED, "expires_at": null, "revoked_at": null, "revoke_reason": null, "suspended_at": null,
        "last_used_at": null, "use_count": 0, "scopes": ["read", "write"], "audience": [], "cidr": [], "meta": {},
        "issued_by": "cli:root", "rerolled_from": null,
    })
}

fn taken(state: &str, revoked: bool) -> Value {
    let mut taken = json!({"api_key_id": ID, "state": state});
    if revoked {
        taken["revoked_at"] = LATER.into();
    }
    taken["changed"] = true.into();
    taken["on_record"] = true.into();
    taken
}

fn recorded() -> Value {
    json!({
        "seq": 44, "at": ISSUED, "actor": "cli:root", "address": null, "action": "api_key.issue", "target": ID,
        "detail": {"app_id": APP, "expires_at": null, "scopes": ["read", "write"]},
    })
}

fn keyring() -> Value {
    json!({
        "keyring_id": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "serial": 14, "active": 7, "feed_public_key": null,
        "versions": [{
            "version": 7, "state": "active", "suite": "aes-256-gcm", "created_at": ISSUED, "activated_at": ISSUED,
            "seal_until": null, "verify_until": null, "key_check_value": "70b2c58fcd188361", "sources": ["file:master-7.key"],
            "sealed": {"acme_live": 3}, "seal_budget": 3_865_470_561_u64,
        }],
    })
}

fn changed(version: u32, state: &str) -> Value {
    json!({"version": version, "state": state, "serial": 5})
}
