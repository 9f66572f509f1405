//! Introspection and revocation as clients of OAuth 2.0 speak them (RFC 6749, 7009, 7662, 8414).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    http::Answer,
    server::Server,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let answer = server.data.request("POST", path, &[&[FORM][..], headers].concat(), body);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}: {}", answer.body);
    answer
}

#[test]
fn a_client_authenticates_in_its_header_or_in_its_form() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (reader, token) = (deployment.issue_text("bulla", &["--scope", "read"]), deployment.issue_text("live", &[]));
    let encoded = reader.replace('_', "%5F");
    for body in [
        format!("client_id=gateway&client_secret={reader}"),
        format!("client_id={encoded}&client_secret="),
        format!("client_id={reader}&client_secret=anything"),
        format!("client_secret={reader}"),
    ] {
        let answer =
            post(&server, "/v1/introspect", &[], &format!("token={token}&token_type_hint=access_token&{body}"));
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{}", answer.body);
    }
    let header = basic(&format!("gateway:{encoded}"));
    let in_header = [("authorization", header.as_str())];
    let unset = format!("token={token}&client_id=&client_secret=");
    assert_eq!(post(&server, "/v1/introspect", &in_header, &unset).json()["active"], true, "as Dovecot sends it");
    let wrong = basic("gateway:wrong");
    for (headers, body, kind, error) in [
        (&[][..], "", "unauthorized", "invalid_client"),
        (&[], "&client_id=gateway&client_secret=wrong", "unauthorized", "invalid_client"),
        (&[], &format!("&client_id={token}&client_secret="), "unauthorized", "invalid_client"),
        (&[], &format!("&client_id={reader}&client_secret={reader}"), "several-credentials", "invalid_client"),
        (&[], &format!("&client_id={reader}&client_id={reader}"), "bad-request", "invalid_request"),
        (&[("authorization", wrong.as_str())], "", "unauthorized", "invalid_client"),
    ] {
        let answer = post(&server, "/v1/introspect", headers, &format!("token={token}{body}"));
        let problem = answer.json();
        assert_eq!((answer.problem().as_str(), &problem["error"]), (kind, &json!(error)), "{body}: {problem}");
        assert_eq!(problem["error_description"], problem["detail"]);
        let challenged = answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic"));
        assert_eq!(challenged, answer.status == 401, "{body}");
    }
    let asked = format!("token={token}&client_id=x&client_secret={reader}&realm=nope");
    let detail = post(&server, "/v1/introspect", &[], &asked).json()["detail"].clone();
    assert_eq!(detail, "`realm`: there is no realm `nope` in the configuration", "the field that was sent");
    let issuer = deployment.issue_text("bulla", &["--scope", "issue"]);
    let refused = post(&server, "/v1/introspect", &[], &format!("token={token}&client_id=x&client_secret={issuer}"));
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("unauthorized_client")));
}

#[test]
fn an_answer_says_what_clients_look_for() {
    let deployment = Deployment::new();
    deployment.configure("max_exp = \"60s\"", "max_exp = \"10m\"");
    deployment.configure("audiences = {}", &format!("audiences = {{ \"{APP}\" = \"mail\" }}"));
    deployment.configure("issuer = \"\"", "issuer = \"https://keys.example\"");
    let server = Server::start(&deployment);
    let reader = deployment.issue_text("bulla", &["--scope", "read"]);
    let introspect = |key: &str| -> Value {
        let body = format!("token={key}&client_id=mail&client_secret={reader}");
        post(&server, "/v1/introspect", &[], &body).json()
    };
    let forever = introspect(&deployment.issue_text("live", &["--meta", "username=alice", "--audience", "mail"]));
    assert_eq!((&forever["username"], &forever["aud"]), (&json!("alice"), &json!(["mail"])), "the caller's audience");
    assert_eq!((&forever["iss"], &forever["expires_at"]), (&json!("https://keys.example"), &json!(null)));
    let kept_for = |answer: &Value| answer["exp"].as_u64().expect("exp") - answer["iat"].as_u64().expect("iat");
    assert!((600..620).contains(&kept_for(&forever)), "{forever}");
    let short = introspect(&deployment.issue_text("live", &["--ttl", "5m"]));
    assert_eq!((kept_for(&short), short.get("scope")), (300, None), "the key ends before");
    let elsewhere = introspect(&deployment.issue_text("live", &["--audience", "shop"]));
    assert_eq!(elsewhere, json!({"active": false}));
}

#[test]
fn a_client_revokes_the_key_that_it_names_and_not_its_own() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let may = |scope: &str| deployment.issue_text("bulla", &["--scope", scope]);
    let (revoker, of_test, reader) = (may("revoke"), may("revoke:test"), may("read"));
    let revoke = |client: &str, token: &str| {
        let header = basic(&format!("client:{client}"));
        post(
            &server,
            "/v1/revoke",
            &[("authorization", &header)],
            &format!("token={token}&token_type_hint=access_token"),
        )
    };
    let active = |key: &str| {
        server.data.post("/v1/verify", &json!({"api_key": key, "realms": ["live", "test"]})).json()["active"] == true
    };
    let [live, test] = ["live", "test"].map(|realm| deployment.issue_text(realm, &[]));
    for (client, token, status) in [(&reader, &live, 403), (&of_test, &live, 403), (&live, &live, 401)] {
        assert_eq!(revoke(client, token).status, status);
    }
    assert!(active(&live) && active(&test));
    let revoked = revoke(&of_test, &test);
    assert_eq!((revoked.status, revoked.body.as_str()), (200, ""));
    assert!(!active(&test) && active(&live));
    for token in [&live, &live, "nothing"] {
        assert_eq!(revoke(&revoker, token).status, 200, "again, or nothing to revoke");
    }
    assert_eq!(revoke(&revoker, "live_00000XzbyFf5rOyRXQyt8V").status, 400, "an id is no key");
    assert!(!active(&live));
    let administrator = may("read");
    assert_eq!(revoke(&revoker, &administrator).status, 403, "an administrator's key needs `admin`");
    assert_eq!(revoke(&deployment.admin_key, &administrator).status, 200);
    let secret = deployment.issue_text("live", &["--secret"]);
    assert_eq!(revoke(&revoker, &secret).status, 200);
    assert!(!active(&secret));
    assert_eq!(
        post(&server, "/v1/revoke", &[("authorization", &basic(&format!("x:{revoker}")))], "").problem(),
        "bad-request"
    );
    let audit = deployment.run(&["audit", "--json"]);
    let by_client =
        |line: &&str| line.contains("api_key.revoke\"") && line.contains(&format!("\"actor\":\"{}", &revoker[..20]));
    assert!(audit.ok().out.lines().any(|line| by_client(&line)), "{}", audit.out);
    let body = [("authorization", basic(&format!("x:{revoker}"))), (FORM.0, FORM.1.to_owned())];
    let headers: Vec<_> = body.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let own = server.data.request("POST", "/v1/self-revoke", &headers, &format!("token={live}"));
    assert_eq!(
        (own.status, own.json()["detail"].as_str().is_some_and(|told| told.contains("/v1/revoke"))),
        (400, true)
    );
}

#[test]
fn a_client_finds_the_endpoints() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let metadata = server.data.get("/.well-known/oauth-authorization-server").json();
    let here = format!("http://{}", server.data.address);
    assert_eq!(metadata["issuer"], json!(here));
    assert_eq!(metadata["introspection_endpoint"], json!(format!("{here}/v1/introspect")));
    assert_eq!(metadata["revocation_endpoint"], json!(format!("{here}/v1/revoke")));
    assert_eq!(
        metadata["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
    assert_eq!(metadata.get("jwks_uri"), None, "nothing is signed");
    let deployment = Deployment::new();
    deployment.configure("issuer = \"\"", "issuer = \"https://keys.example/\"");
    let server = Server::start(&deployment);
    let metadata = server.data.get("/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["issuer"], "https://keys.example");
    assert_eq!(metadata["introspection_endpoint"], "https://keys.example/v1/introspect");
}

#[test]
fn no_username_is_the_name_of_another_app_or_key() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let reader = deployment.issue_text("bulla", &["--scope", "read"]);
    let (other_app, id) = ("11111111-2222-3333-4444-555555555555", "live_00000XzbyFf5rOyRXQyt8V");
    for (username, counts) in [("alice", true), (other_app, false), (&other_app.replace('-', ""), false), (id, false)] {
        let key = deployment.issue_text("live", &["--meta", &format!("username={username}")]);
        let log_in = |user: &str| {
            let form = format!("username={user}&password={key}");
            let answer = server.data.request("POST", "/v1/rabbitmq/realm:live/user", &[FORM], &form);
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.body
        };
        let (own, of_app) = (log_in(username), log_in(APP));
        assert_eq!((own.as_str(), of_app.as_str()), (if counts { "allow" } else { "deny" }, "allow"), "{username}");
        let form = format!("token={key}&client_id=mail&client_secret={reader}");
        let told = post(&server, "/v1/introspect", &[], &form).json();
        assert_eq!(told["username"], if counts { username } else { APP });
    }
}
