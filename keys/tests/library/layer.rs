//! The tower layers and the axum extractor, in front of a small API.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::Response,
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    IssueRequest as KeyRequest, Issuer, Realm, Rejection, SharedVerifier, Verified, Verifier,
    claims::Claims,
    forged::with_checksum,
    keyring::{Keyring, Suite, VersionState},
    layer::{CredentialRules, Refusal, RequireScopes, VerifyLayer},
};
use tower::ServiceExt;

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

const X_API_KEY: &str = "x-api-key";

/// What the worked keyring issues, and verifies at `now`.
struct World {
    keyring: Keyring,
    verifier: SharedVerifier,
    now: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let versions = [
            Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7),
            Version::new(8, Suite::Xaes256Gcm, VersionState::Staged, MASTER_8),
        ];
        let keyring = fixture::keyring(&versions, &[realm(), fixture::realm("acme_test")]);
        let verifier = SharedVerifier::new(Verifier::new(&keyring));
        World { keyring, verifier, now: Arc::new(AtomicU64::new(ISSUED)) }
    }

    fn issue_in(&self, realm: Realm, claims: Claims) -> String {
        let request = KeyRequest { realm, app_id: uuid::Uuid::max(), expires_at: Some(ISSUED + 100), claims };
        Issuer::new(&self.keyring).issue(&request, ISSUED).expect("should issue").expose().to_owned()
    }

    fn issue(&self, claims: Claims) -> String {
        self.issue_in(realm(), claims)
    }

    fn layer(&self) -> VerifyLayer {
        let now = Arc::clone(&self.now);
        VerifyLayer::new(self.verifier.clone(), [realm()], move || now.load(Ordering::Relaxed))
    }
}

fn realm() -> Realm {
    fixture::realm("acme_live")
}

/// `/open` wants a key, `/orders` a key with two scopes, `/headers` tells which headers got through.
fn api(layer: VerifyLayer) -> Router {
    let seen = async |headers: HeaderMap| {
        let shown = headers.iter().map(|(name, value)| format!("{name}: {value:?}\n"));
        shown.collect::<String>()
    };
    Router::new()
        .route("/orders", get(async |key: Verified| key.id().to_string()))
        .route_layer(RequireScopes::all(["orders.read", "orders.write"]))
        .route("/open", get(async |key: Verified| key.app_id().to_string()))
        .route("/headers", get(seen))
        .layer(layer)
}

async fn ask(api: &Router, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    api.clone().oneshot(request).await.expect("infallible")
}

async fn body(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
    String::from_utf8(bytes.into()).expect("text")
}

/// Status and challenge.
async fn answer(api: &Router, path: &str, headers: &[(&str, &str)]) -> (u16, Option<String>) {
    let response = ask(api, path, headers).await;
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    (response.status().as_u16(), challenge.map(|value| value.to_str().expect("ASCII").to_owned()))
}

fn challenged(status: u16, challenge: &str) -> (u16, Option<String>) {
    (status, Some(challenge.to_owned()))
}

const INVALID: &str = r#"Basic realm="bulla", Bearer error="invalid_token""#;
const UNAUTHORIZED: &str = r#"Basic realm="bulla", Bearer"#;

#[tokio::test]
async fn a_key_opens_in_every_header_that_may_carry_it() {
    let world = World::new();
    let (api, key) = (api(world.layer()), world.issue(Claims::new()));
    let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", basic(&format!("{key}:ignored"))),
        ("authorization", basic(&format!("anybody:{key}"))),
        ("authorization", basic(&format!("{}:", key.replace('_', "%5F")))),
        (X_API_KEY, key.clone()),
    ] {
        let response = ask(&api, "/open", &[(name, &value)]).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(body(response).await, uuid::Uuid::max().to_string());
    }
}

#[tokio::test]
async fn no_key_and_several_are_told_apart() {
    let world = World::new();
    let (api, key) = (api(world.layer()), world.issue(Claims::new()));
    let bearer = format!("Bearer {key}");
    assert_eq!(answer(&api, "/open", &[]).await, challenged(401, UNAUTHORIZED));
    assert_eq!(
        answer(&api, &format!("/open?api_key={key}&access_token={key}"), &[]).await,
        challenged(401, UNAUTHORIZED)
    );
    assert_eq!(answer(&api, "/open", &[("authorization", &key)]).await, challenged(401, UNAUTHORIZED));
    let several = challenged(401, r#"Basic realm="bulla", Bearer error="invalid_request""#);
    let twice = [("authorization", bearer.as_str()), ("authorization", &bearer)];
    let both = [("authorization", bearer.as_str()), (X_API_KEY, &key)];
    for headers in [twice.as_slice(), &both, &[(X_API_KEY, &format!("{key},{key}"))]] {
        assert_eq!(answer(&api, "/open", headers).await, several);
    }
}

#[tokio::test]
async fn every_key_that_is_not_good_gets_the_same_answer_and_the_operator_the_reason() {
    let world = World::new();
    let api = api(world.layer().address(|_| "192.0.2.1".parse().ok()).audience("shop"));
    let good = world.issue(Claims::new());
    let revoked = world.issue(Claims::new());
    let id = |key: &str| key.parse::<bulla::ApiKey>().expect("a key").id();
    world.verifier.set_revocations(Arc::new([id(&revoked)].into_iter().collect()), &[], None);
    let not_yet = world.issue(Claims::new().with_not_before(ISSUED + 1));
    let elsewhere = world.issue(Claims::new().with_cidr(["10.0.0.0/8".parse().expect("a block")]));
    let of_others = world.issue(Claims::new().with_audience(["bank"]));
    let secret = world.issue(Claims::new().with_secret());
    let half = secret.rsplit_once('_').expect("a secret half").0.to_owned();
    let cases = [
        ("x".to_owned(), "malformed"),
        (good.replacen("0000", "0001", 1), "checksum"),
        (world.issue_in(fixture::realm("acme_test"), Claims::new()), "realm"),
        (revoked, "revoked"),
        (not_yet, "not_yet_valid"),
        (elsewhere, "address"),
        (of_others, "audience"),
        (with_checksum(&half), "secret_missing"),
    ];
    let mut seen = Vec::new();
    for (key, reason) in cases {
        let response = ask(&api, "/orders", &[(X_API_KEY, &key)]).await;
        let refusal = response.extensions().get::<Refusal>().cloned().expect("a reason");
        assert_eq!(refusal.code(), reason);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], INVALID, "{reason}");
        seen.push((response.status(), response.headers().clone(), body(response).await));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:?}");
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &good)]).await.0, 200);
    world.now.store(ISSUED + 100, Ordering::Relaxed);
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &good)]).await, challenged(401, INVALID), "expired");
}

#[tokio::test]
async fn a_route_that_wants_scopes_says_which() {
    let world = World::new();
    let api = api(world.layer());
    let with = |scopes: &[&str]| world.issue(Claims::new().with_scopes(scopes.iter().copied()));
    let all = with(&["orders.write", "other", "orders.read"]);
    let response = ask(&api, "/orders", &[(X_API_KEY, &all)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(all.starts_with(&body(response).await));
    let missing = challenged(403, r#"Bearer error="insufficient_scope", scope="orders.read orders.write""#);
    for scopes in [&["orders.read"][..], &["orders"], &["ORDERS.READ", "orders.write"], &[]] {
        let key = match scopes {
            [] => world.issue(Claims::new()),
            scopes => with(scopes),
        };
        assert_eq!(answer(&api, "/orders", &[(X_API_KEY, &key)]).await, missing, "{scopes:?}");
        assert_eq!(answer(&api, "/open", &[(X_API_KEY, &key)]).await.0, 200, "{scopes:?}");
    }
}

#[test]
fn a_scope_that_fits_in_no_challenge_is_left_unsaid() {
    for scope in ["", "a\"b", "a\\b", "a\nb", "é"] {
        let challenge =
            Refusal::InsufficientScope(scope.into()).challenge(CredentialRules::usual()).expect("a challenge");
        assert_eq!(challenge, r#"Bearer error="insufficient_scope""#, "{scope:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_503() {
    let world = World::new();
    let api = api(world.layer());
    let (secret, good) = (world.issue(Claims::new().with_secret()), world.issue(Claims::new()));
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &secret)]).await, (503, None));
    world.verifier.set_revocations(Arc::default(), &[], Some(0..=ISSUED - 1));
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &good)]).await, (503, None));
    let response = ask(&api, "/open", &[(X_API_KEY, &good)]).await;
    assert_eq!(response.extensions().get(), Some(&Refusal::Stale));
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, "x")]).await, challenged(401, INVALID));
    assert_eq!(answer(&api, "/open", &[]).await, challenged(401, UNAUTHORIZED));
}

#[tokio::test]
async fn bound_keys_need_the_address_and_the_audience_that_the_api_tells() {
    let world = World::new();
    let address =
        |parts: &axum::http::request::Parts| parts.headers.get("x-peer")?.to_str().ok()?.parse::<IpAddr>().ok();
    let key =
        world.issue(Claims::new().with_cidr(["10.0.0.0/8".parse().expect("a block")]).with_audience(["shop", "bank"]));
    let told = api(world.layer().address(address).audience("bank"));
    let good = [(X_API_KEY, key.as_str()), ("x-peer", "10.1.2.3")];
    assert_eq!(answer(&told, "/open", &good).await.0, 200);
    assert_eq!(answer(&told, "/open", &good[..1]).await, challenged(401, INVALID));
    assert_eq!(answer(&told, "/open", &[good[0], ("x-peer", "11.1.2.3")]).await, challenged(401, INVALID));
    for untold in [world.layer().audience("bank"), world.layer().address(address)] {
        assert_eq!(answer(&api(untold), "/open", &good).await, challenged(401, INVALID));
    }
}

#[tokio::test]
async fn the_header_with_the_key_does_not_reach_the_inner_service_unless_wanted() {
    let world = World::new();
    let key = world.issue(Claims::new());
    let headers = async |layer: VerifyLayer, headers: &[(&str, &str)]| {
        let response = ask(&api(layer), "/headers", headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        body(response).await
    };
    let bearer = format!("Bearer {key}");
    assert_eq!(headers(world.layer(), &[(X_API_KEY, &key), ("x-other", "1")]).await, "x-other: \"1\"\n");
    assert_eq!(headers(world.layer(), &[("authorization", &bearer)]).await, "");
    let kept = world.layer().keeping_credential();
    assert_eq!(headers(kept, &[("authorization", &bearer)]).await, "authorization: Sensitive\n");
    let named = world.layer().header(HeaderName::from_static("x-key"));
    let shown = headers(named.clone(), &[("x-key", &key), ("authorization", "Bearer jwt")]).await;
    assert_eq!(shown, "authorization: \"Bearer jwt\"\n");
    assert_eq!(answer(&api(named), "/open", &[("authorization", &bearer)]).await, challenged(401, "Bearer"));
}

#[tokio::test]
async fn without_the_layer_around_it_a_route_is_shut() {
    let (scoped, extracting) = (get(async || "in").layer(RequireScopes::all(["a"])), get(async |_: Verified| "in"));
    let api = Router::new().route("/scoped", scoped).route("/extracting", extracting);
    for path in ["/scoped", "/extracting"] {
        let response = ask(&api, path, &[(X_API_KEY, "x")]).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body(response).await, "");
    }
}

#[tokio::test]
async fn the_next_request_meets_the_verifier_that_was_stored_meanwhile() {
    let world = World::new();
    let (api, key) = (api(world.layer()), world.issue(Claims::new()));
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &key)]).await.0, 200);
    let compromised = Version::new(7, Suite::Aes256Gcm, VersionState::Compromised, MASTER_7);
    world.verifier.store(Verifier::new(&fixture::keyring(&[compromised], &[realm()])));
    assert_eq!(answer(&api, "/open", &[(X_API_KEY, &key)]).await, challenged(401, INVALID));
}

#[test]
fn every_refusal_has_a_code_of_its_own_and_no_debug_shows_a_key() {
    let mut refusals: Vec<Refusal> = Rejection::ALL.into_iter().map(Refusal::Rejected).collect();
    refusals.extend([Refusal::NoCredential, Refusal::SeveralCredentials, Refusal::SecretUnchecked]);
    refusals.extend([Refusal::Stale, Refusal::NotVerified]);
    let codes: std::collections::BTreeSet<_> = refusals.iter().map(Refusal::code).collect();
    assert_eq!(codes.len(), refusals.len());
    assert_eq!(Refusal::InsufficientScope("a".into()).code(), "scope");
    let world = World::new();
    assert!(format!("{:?} {:?}", world.layer(), world.verifier).contains("acme_live"));
}
