//! Signed assertions, as an application behind a gateway checks them: with another library, from the published keys.

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{JwkSet, ThumbprintHash},
};
use serde_json::{Map, Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    envoy::{Envoy, Question},
    server::Server,
    stop::StopOnDrop,
};

const OFF: &str = "signing_keys = []\n# The issuer";

/// A deployment that signs with these keys, made of these bytes.
fn signing(keys: &[u8]) -> Deployment {
    let deployment = Deployment::new();
    for byte in keys {
        write_key(&deployment, *byte);
    }
    deployment.configure("issuer = \"\"", "issuer = \"https://bulla.example\"");
    deployment.configure("audience = \"\"", "audience = \"upstreams\"");
    deployment.configure(OFF, &listed(keys));
    deployment
}

fn listed(keys: &[u8]) -> String {
    let uris: Vec<String> = keys.iter().map(|byte| format!("\"file:assertion-{byte}.key\"")).collect();
    format!("signing_keys = [{}]\n# The issuer", uris.join(", "))
}

fn write_key(deployment: &Deployment, byte: u8) {
    use std::os::unix::fs::PermissionsExt;
    let path = deployment.file(&format!("assertion-{byte}.key"));
    std::fs::write(&path, STANDARD.encode([byte; 32])).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("private");
}

fn assertion(server: &Server, path: &str, key: &str) -> String {
    let forged = [("x-api-key", key), ("x-bulla-assertion", "a.forged.one")];
    let answer = server.data.request("GET", path, &forged, "");
    assert_eq!(answer.status, 200, "{path}");
    answer.header("x-bulla-assertion").expect("an assertion").to_owned()
}

fn published(server: &Server) -> JwkSet {
    serde_json::from_str(&server.data.get("/.well-known/jwks.json").body).expect("a JWK set")
}

/// What an application does: finds the key by its name, and holds the assertion to issuer, audience and time.
fn check(token: &str, keys: &JwkSet, audience: &str) -> Result<Map<String, Value>, ErrorKind> {
    let header = decode_header(token).map_err(|error| error.into_kind())?;
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("JWT")));
    let key = keys.find(header.kid.as_deref().expect("a name")).ok_or(ErrorKind::InvalidKeyFormat)?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[audience]);
    rules.set_issuer(&["https://bulla.example"]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    rules.leeway = 0;
    let checked = decode(token, &DecodingKey::from_jwk(key).expect("a key"), &rules);
    checked.map(|token| token.claims).map_err(|error| error.into_kind())
}

#[test]
fn an_application_checks_it_with_what_is_published() {
    let deployment = signing(&[1]);
    let server = Server::start(&deployment);
    let issued = deployment.issue("live", &["--scope", "a", "--scope", "b"]);
    let key = issued["api_key"].as_str().expect("a key");
    let token = assertion(&server, "/v1/authorize", key);
    let keys = published(&server);
    let claims = check(&token, &keys, "upstreams").expect("an assertion that holds");
    let issued_at = claims["iat"].as_u64().expect("when");
    let expected = json!({
        "iss": "https://bulla.example", "sub": APP, "aud": "upstreams", "iat": issued_at, "exp": issued_at + 60,
        "api_key_id": issued["api_key_id"], "realm": "live", "scope": "a b",
    });
    assert_eq!(Value::Object(claims), expected, "this and nothing else, no secret among it");
    assert_eq!(check(&token, &keys, "others"), Err(ErrorKind::InvalidAudience));
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let other = assertion(&server, "/v1/authorize", &deployment.issue_text("live", &[]));
    let swapped = format!("{}.{signature}", other.rsplit_once('.').expect("a signature").0);
    assert_eq!(check(&swapped, &keys, "upstreams"), Err(ErrorKind::InvalidSignature), "{signed}");
}

#[test]
fn it_is_for_whom_the_route_says_and_ends_with_the_key() {
    let deployment = signing(&[1]);
    let server = Server::start(&deployment);
    // An assertion is valid for 60 s, and may be 5 s old: the key ends before each.
    let issued = deployment.issue("live", &["--ttl", "50s", "--audience", "shop"]);
    let key = issued["api_key"].as_str().expect("a key");
    let claims = check(&assertion(&server, "/v1/authorize/aud:shop", key), &published(&server), "shop").expect("holds");
    let ends: jiff::Timestamp = issued["expires_at"].as_str().expect("an end").parse().expect("a time");
    assert_eq!(claims["exp"], ends.as_second());
    assert_eq!(claims.get("scope"), None, "RFC 6749 has no empty list of scopes");
    let envoy = Envoy::new(&server.data);
    let answer = envoy.ask(Question::default().headers(&[("x-api-key", key)]).route("aud:shop"));
    let claims = check(answer.set("x-bulla-assertion"), &published(&server), "shop").expect("over gRPC as well");
    assert_eq!(claims["sub"], APP);
}

#[test]
fn keys_are_published_as_the_standards_have_it() {
    let deployment = signing(&[1, 2]);
    let server = Server::start(&deployment);
    let answer = server.data.get("/.well-known/jwks.json");
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let published: JwkSet = serde_json::from_str(&answer.body).expect("a JWK set");
    for key in &published.keys {
        let thumbprint = key.thumbprint(ThumbprintHash::SHA256).expect("a thumbprint");
        assert_eq!(key.common.key_id, Some(thumbprint));
    }
    let shown = answer.json();
    let members: Vec<Vec<&String>> = shown["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| key.as_object().expect("a key").keys().collect())
        .collect();
    assert_eq!(members, [["kty", "crv", "x", "kid", "alg", "use"]; 2], "the public half alone");
    let doctor = deployment.run(&["doctor"]).out;
    assert!(doctor.contains(published.keys[0].common.key_id.as_deref().expect("a name")), "{doctor}");
}

#[test]
fn keys_change_without_a_moment_in_which_an_application_knows_none() {
    let deployment = signing(&[1]);
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let before = assertion(&server, "/v1/authorize", &key);
    let kid = |token: &str| decode_header(token).expect("a header").kid.expect("a name");
    write_key(&deployment, 2);
    deployment.configure(&listed(&[1]), &listed(&[1, 2]));
    server.until("the new key", |server| published(server).keys.len() == 2);
    let known = published(&server);
    assert_eq!(kid(&assertion(&server, "/v1/authorize", &key)), kid(&before), "the first one signs");
    deployment.configure(&listed(&[1, 2]), &listed(&[2, 1]));
    server.until("the new key to sign", |server| kid(&assertion(server, "/v1/authorize", &key)) != kid(&before));
    let after = assertion(&server, "/v1/authorize", &key);
    for token in [&before, &after] {
        check(token, &known, "upstreams").expect("holds by what was known before");
        check(token, &published(&server), "upstreams").expect("holds by what is known now");
    }
    // The same file with another key in it is seen when the service is told.
    write_key(&deployment, 3);
    std::fs::rename(deployment.file("assertion-3.key"), deployment.file("assertion-2.key")).expect("replaced");
    server.signal("HUP");
    server.until("another key", |server| kid(&assertion(server, "/v1/authorize", &key)) != kid(&after));
    assert_eq!(
        check(&after, &published(&server), "upstreams"),
        Err(ErrorKind::InvalidKeyFormat),
        "nobody knows it now"
    );
}

#[test]
fn a_key_that_cannot_be_had_is_an_error_at_the_start_and_changes_nothing_later() {
    let deployment = signing(&[1]);
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let keys = published(&server);
    let feed = std::fs::copy(deployment.file("feed-signing.key"), deployment.file("assertion-2.key"));
    assert!(feed.expect("copied") > 0);
    for (list, complaint) in [
        (listed(&[2]), "is the key that signs the revocation feed"),
        (listed(&[1, 1]), "is in the list twice"),
        (listed(&[4]), "cannot open"),
    ] {
        deployment.configure(&listed(&[1]), &list);
        server.signal("HUP");
        server.until(complaint, |server| server.log().contains(complaint));
        check(&assertion(&server, "/v1/authorize", &key), &keys, "upstreams").expect("as before");
        let started = deployment.run(&["serve", "--data-listen", "127.0.0.1:0"]);
        assert_eq!(started.code, 2);
        assert!(started.err.contains("assertion.signing_keys") && started.err.contains(complaint), "{}", started.err);
        deployment.configure(&list, &listed(&[1]));
    }
    deployment.configure("issuer = \"https://bulla.example\"", "issuer = \"\"");
    let started = deployment.run(&["serve"]);
    assert!(started.code == 2 && started.err.contains("assertion.issuer"), "{}", started.err);
}

#[test]
fn without_a_key_there_is_none_and_a_clients_own_does_not_get_through() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    assert_eq!(assertion(&server, "/v1/authorize", &key), "");
    let answer = server.data.get("/.well-known/jwks.json");
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"));
}

/// The audience of an assertion, which is not checked here.
fn audience(token: &str) -> Value {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = token.split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64"));
    serde_json::from_slice::<Value>(&claims.expect("claims")).expect("JSON")["aud"].clone()
}

#[test]
fn no_request_mixes_two_states_of_the_configuration() {
    let deployment = signing(&[1]);
    let server = Server::start(&deployment);
    let keys = ["live", "test"].map(|realm| deployment.issue_text(realm, &[]));
    let states = [("live", "upstreams"), ("test", "others")];
    let stop = std::sync::atomic::AtomicBool::new(false);
    let allowed = |at: usize| {
        let answer = server.data.request("GET", "/v1/authorize", &[("x-api-key", &keys[at])], "");
        (answer.status == 200).then(|| audience(answer.header("x-bulla-assertion").expect("an assertion")))
    };
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        let askers: Vec<_> = (0..4)
            .map(|number| {
                let (stop, allowed) = (&stop, &allowed);
                scope.spawn(move || {
                    let mut seen = 0;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let at = number % 2;
                        if let Some(audience) = allowed(at) {
                            assert_eq!(audience, states[at].1, "the default realms and the audience are of one state");
                            seen += 1;
                        }
                    }
                    seen
                })
            })
            .collect();
        for round in 0..40 {
            let (from, to) = (states[round % 2], states[(round + 1) % 2]);
            let path = deployment.file("bulla.toml");
            let text = std::fs::read_to_string(&path).expect("the configuration");
            let text = text
                .replace(&format!("default_realms = [\"{}\"]", from.0), &format!("default_realms = [\"{}\"]", to.0))
                .replace(&format!("audience = \"{}\"", from.1), &format!("audience = \"{}\"", to.1));
            crate::support::authority::replace(&path, &text);
            server.signal("HUP");
            server.until("the other state", |_| allowed((round + 1) % 2).is_some());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let seen: u64 = askers.into_iter().map(|asker| asker.join().expect("no request mixed two")).sum();
        assert!(seen > 100, "{seen}");
    });
}
