//! `ANY /v1/authorize`: forward authentication.

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
    envoy::Envoy,
    http::Answer,
    server::Server,
};

const IDENTITY: [&str; 6] = [
    "x-bulla-app-id",
    "x-bulla-api-key-id",
    "x-bulla-realm",
    "x-bulla-scopes",
    "x-bulla-expires-at",
    "x-bulla-assertion",
];

const UNAUTHORIZED: &str = "Basic realm=\"bulla\", Bearer";
const AMBIGUOUS: &str = "Basic realm=\"bulla\", Bearer error=\"invalid_request\"";

struct Gateway {
    server: Server,
    deployment: Deployment,
}

impl Gateway {
    fn new() -> Self {
        let deployment = Deployment::new();
        Gateway { server: Server::start(&deployment), deployment }
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = self.server.data.request("GET", path, headers, "");
        if answer.status != 200 {
            let told = IDENTITY.iter().any(|name| answer.header(name).is_some());
            assert!(!told, "identity only with a 200: {path}");
        }
        answer
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[test]
fn every_identity_header_is_in_every_200() {
    let gateway = Gateway::new();
    let bare = gateway.deployment.issue("live", &[]);
    let full = gateway.deployment.issue("live", &["--scope", "a", "--scope", "b", "--ttl", "1h"]);
    for (issued, scopes) in [(&bare, ""), (&full, "a b")] {
        let key = issued["api_key"].as_str().expect("a key");
        let forged =
            [("x-bulla-app-id", "forged"), ("x-bulla-assertion", "a.forged.one")].map(|(n, v)| (n, v.to_owned()));
        let forged = [&[("authorization", bearer(key))][..], &forged].concat();
        let headers: Vec<_> = forged.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = gateway.server.data.request(method, "/v1/authorize", &headers, "");
            assert_eq!(answer.status, 200, "{method}");
            let expires_at = issued["expires_at"].as_str().unwrap_or("");
            let told = IDENTITY.map(|name| answer.header(name).unwrap_or_else(|| panic!("{name} is missing")));
            assert_eq!(told, [APP, issued["api_key_id"].as_str().expect("an id"), "live", scopes, expires_at, ""]);
        }
    }
}

#[test]
fn the_key_comes_from_one_header_and_never_from_the_query() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    use base64::{Engine, engine::general_purpose::STANDARD};
    let basic = |pair: &[u8]| format!("Basic {}", STANDARD.encode(pair));
    let other = gateway.deployment.issue_text("live", &[]);
    let encoded = key.replace('_', "%5F");
    let latin_1 = basic(&[key.as_bytes(), b":p\xe4ss"].concat());
    let (as_password, both) = (basic(format!("alice:{key}").as_bytes()), basic(format!("{key}:{other}").as_bytes()));
    let (of_oauth, encoded_password) =
        (basic(format!("{encoded}:%2B").as_bytes()), basic(format!("__token__:{encoded}").as_bytes()));
    let (plain, basic) = (bearer(&key), basic(format!("{key}:").as_bytes()));
    for headers in [
        &[("authorization", plain.as_str())][..],
        &[("authorization", &basic)],
        &[("authorization", &latin_1)],
        &[("authorization", &as_password)],
        &[("authorization", &of_oauth)],
        &[("authorization", &encoded_password)],
        &[("x-api-key", &key)],
        &[("x-api-key", ""), ("authorization", &plain)],
        &[("x-api-key", &key), ("authorization", "")],
        &[("x-api-key", &key), ("authorization", "Bearer")],
    ] {
        assert_eq!(gateway.ask("/v1/authorize", headers).status, 200, "{headers:?}");
    }
    let elsewhere = gateway.ask("/v1/authorize/from:x-api-key", &[("authorization", &plain)]);
    assert_eq!((elsewhere.status, elsewhere.header("www-authenticate")), (401, Some("Bearer")), "Basic is of no use");
    for (headers, challenge) in [
        (vec![], UNAUTHORIZED),
        (vec![("x_api_key", key.as_str()), ("x.api.key", &key), ("api-key", &key)], UNAUTHORIZED),
        (vec![("authorization", &key)], UNAUTHORIZED),
        (vec![("authorization", "Bearer nothing")], UNAUTHORIZED),
        (vec![("authorization", &plain), ("x-api-key", &key)], AMBIGUOUS),
        (vec![("x-api-key", &key), ("x-api-key", &key)], AMBIGUOUS),
        (vec![("authorization", "Bearer a, Bearer b")], AMBIGUOUS),
        (vec![("authorization", &format!("{plain},{plain}"))], AMBIGUOUS),
        (vec![("authorization", &format!("{basic}, {basic}"))], AMBIGUOUS),
        (vec![("authorization", &both)], AMBIGUOUS),
        (vec![("x-api-key", "")], UNAUTHORIZED),
        (vec![("authorization", "Bearer")], UNAUTHORIZED),
        (vec![("x-api-key", &format!("{key},{key}"))], AMBIGUOUS),
        (vec![("x-api-key", &format!("{key}, "))], AMBIGUOUS),
        (vec![("x-api-key", &"k".repeat(10 << 10))], UNAUTHORIZED),
        (vec![("authorization", &bearer(&"k".repeat(10 << 10)))], UNAUTHORIZED),
    ] {
        let answer = gateway.ask(&format!("/v1/authorize?api_key={key}&access_token={key}"), &headers);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)), "{headers:?}");
    }
}

#[test]
fn clients_that_wait_for_a_challenge_send_their_credential() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let url = format!("http://{}/v1/authorize", gateway.server.data.address);
    for (login, status) in [(format!("alice:{key}"), "200"), (format!("{key}:"), "200"), ("alice:x".to_owned(), "401")]
    {
        let curl = ["--silent", "--anyauth", "--output", "/dev/null", "--write-out", "%{http_code}", "--user", &login];
        let ran = std::process::Command::new("curl").args(curl).arg(&url).output().expect("tests/parts installs curl");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), status);
    }
}

#[test]
fn heads_of_any_size_get_an_answer() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let envoy = Envoy::new(&gateway.server.data);
    for (size, status) in [(10 << 10, 200), (40 << 10, 431)] {
        let large = "x".repeat(size);
        let headers = [("x-api-key", key.as_str()), ("cookie", &large)];
        assert_eq!(gateway.ask("/v1/authorize", &headers).status, status, "{size}");
        assert_eq!(envoy.http2("GET", "/v1/authorize", &headers).0, status, "{size} over HTTP/2");
    }
}

#[test]
fn http_2_and_upgrades_are_judged_like_anything() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let envoy = Envoy::new(&gateway.server.data);
    let asked = "/v1/authorize/realm:live/any/path?api_key=x";
    let (status, headers, _) = envoy.http2("GET", asked, &[("x-api-key", &key)]);
    assert_eq!((status, headers["x-bulla-app-id"].as_bytes()), (200, APP.as_bytes()));
    let (status, headers, _) = envoy.http2("GET", "/v1/authorize", &[("x-api-key", &key), ("x-api-key", &key)]);
    assert_eq!((status, headers["www-authenticate"].as_bytes()), (401, AMBIGUOUS.as_bytes()));
    // A gateway asks as its client does.
    let wrong = "/v1/authorize/nope";
    let (status, _, length) = envoy.http2("GET", wrong, &[("x-api-key", &key)]);
    assert!(status == 500 && length > 0);
    for (path, status) in [(asked, 200), (wrong, 500), ("/envoy.service.auth.v3.Authorization/Check", 405)] {
        let (heard, headers, length) = envoy.http2("HEAD", path, &[("x-api-key", &key)]);
        assert_eq!((heard, headers.contains_key("x-bulla-realm"), length), (status, status == 200, 0), "HEAD {path}");
    }
    for (key, status) in [(key.as_str(), "200"), ("x", "401")] {
        for upgrade in ["upgrade: websocket", "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__"] {
            let answer = gateway.server.data.raw(
                format!(
                    "GET /v1/authorize HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nconnection: upgrade, close\r\n{upgrade}\r\n\r\n"
                )
                .as_bytes(),
            );
            assert_eq!(answer.split(' ').nth(1), Some(status), "{upgrade}: {answer}");
        }
    }
}

#[test]
fn the_route_says_what_is_required() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &["--scope", "orders.read", "--audience", "https://shop"]);
    let key = bearer(&key);
    let ask = |path: &str| gateway.ask(path, &[("authorization", &key), ("x-api-key", "an upstream's own")]);
    let audience = "aud:https%3A%2F%2Fshop,from:authorization";
    assert_eq!(ask(&format!("/v1/authorize/{audience}")).status, 200);
    assert_eq!(
        ask(&format!("/v1/authorize/realm:live,scope:orders.read,{audience}/the/client's/path?and=query")).status,
        200
    );
    assert_eq!(ask(&format!("/v1/authorize/realm:test,{audience}/realm:live")).status, 401, "another realm's key");
    assert_eq!(ask("/v1/authorize/aud:store,from:authorization").status, 401);
    let missing = ask(&format!("/v1/authorize/scope:orders.write,{audience}/{audience}?scope=orders.read"));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders.write\"";
    assert_eq!((missing.status, missing.header("www-authenticate")), (403, Some(challenge)));
}

#[test]
fn a_route_that_does_not_parse_lets_nobody_in_and_is_logged() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    for path in [
        "/v1/authorize/",
        "/v1/authorize//x",
        "/v1/authorize/orders",
        "/v1/authorize/realm:bulla",
        "/v1/authorize/realm:nosuch",
        "/v1/authorize/scope:",
    ] {
        let answer = gateway.ask(path, &[("x-api-key", &key)]);
        assert_eq!((answer.status, answer.problem().as_str()), (500, "misconfigured-route"), "{path}");
    }
    gateway.ask(&format!("/v1/authorize/{key}/x"), &[("x-api-key", &key)]);
    let log = gateway.server.stop();
    assert!(log.contains("requirements of a gateway's route do not parse"), "{log}");
    assert!(!log.contains(&key), "what stands there may be a client's, and secret");
}

#[test]
fn every_bad_key_hears_the_same() {
    let gateway = Gateway::new();
    let good = gateway.deployment.issue_text("live", &[]);
    let other_realm = gateway.deployment.issue_text("test", &[]);
    let bound = gateway.deployment.issue_text("live", &["--audience", "shop"]);
    let forged = crate::support::deployment::altered(&good, 59, if &good[59..60] == "0" { '1' } else { '0' });
    let answers: Vec<_> = [other_realm.as_str(), &bound, &forged, "x", &good[1..]]
        .iter()
        .map(|key| {
            let answer = gateway.ask("/v1/authorize", &[("x-api-key", key)]);
            (answer.status, answer.header("www-authenticate").map(str::to_owned), answer.body)
        })
        .collect();
    assert_eq!(answers[0], (401, Some(UNAUTHORIZED.to_owned()), String::new()));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(gateway.server.data.post("/v1/verify", &json!({"api_key": good})).json()["active"], true);
}
