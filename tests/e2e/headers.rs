//! Keys in the headers that the clients of other systems send.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::support::{deployment::Deployment, server::Server};

/// A request's answer: its status, and its challenge.
fn ask(server: &Server, route: &str, header: &str, value: &str) -> (u16, String) {
    let answer = server.data.request("GET", &format!("/v1/authorize/{route}/orders"), &[(header, value)], "");
    (answer.status, answer.header("www-authenticate").unwrap_or_default().to_owned())
}

#[test]
fn a_route_reads_keys_as_the_clients_of_another_system_send_them() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = &deployment.issue_text("live", &[]);
    let basic = format!("Basic {}", STANDARD.encode(format!("{key}:")));
    for (route, header, value, challenge) in [
        ("like:django-rest-knox", "authorization", format!("Token {key}"), "Token"),
        ("like:djangorestframework-api-key", "authorization", format!("Api-Key {key}"), "Api-Key"),
        ("like:jupyterhub", "authorization", format!("token {key}"), "Token, Bearer"),
        ("like:payload", "authorization", format!("users API-Key {key}"), "Bearer"),
        ("from:authorization=users%20API-Key", "authorization", format!("users API-Key {key}"), "Bearer"),
        ("like:medusa", "authorization", basic, "Basic realm=\"bulla\""),
        ("like:elasticsearch", "authorization", format!("ApiKey {key}"), "ApiKey"),
        ("from:authorization=apikey", "authorization", format!("ApiKey {key}"), "apikey"),
        ("like:unleash", "authorization", key.clone(), "Bearer"),
        ("like:n8n", "x-n8n-api-key", key.clone(), "Bearer"),
        ("like:gitlab", "private-token", key.clone(), "Basic realm=\"bulla\", Bearer"),
        ("like:litellm", "x-litellm-api-key", format!("Bearer {key}"), "Bearer"),
        ("from:x-any-name", "X-Any-Name", key.clone(), "Bearer"),
        (
            "from:authorization,like:django-rest-knox",
            "authorization",
            format!("Token {key}"),
            "Basic realm=\"bulla\", Token, Bearer",
        ),
    ] {
        assert_eq!(ask(&server, route, header, &value), (200, String::new()), "{route}");
        assert_eq!(ask(&server, route, header, ""), (401, challenge.to_owned()), "{route}");
        assert_eq!(
            ask(&server, "-", header, &value).0,
            if route == "like:medusa" { 200 } else { 401 },
            "{route}: the usual"
        );
    }
    assert_eq!(ask(&server, "like:django-rest-knox", "authorization", &format!("Bearer {key}")).0, 401, "nothing else");
    for mistaken in ["like:nothing", "from:authorization=a%2Cb", "from:a%20b"] {
        assert_eq!(ask(&server, mistaken, "authorization", key).0, 500, "{mistaken}");
    }
}

#[test]
fn a_realm_says_where_its_keys_are() {
    let deployment = Deployment::new();
    deployment.configure("[realms.live]", "[realms.live]\nheaders = [\"like:django-rest-knox\"]");
    let server = Server::start(&deployment);
    let [live, test] = ["live", "test"].map(|realm| deployment.issue_text(realm, &[]));
    let (token, bearer) = (format!("Token {live}"), format!("Bearer {test}"));
    assert_eq!(ask(&server, "realm:live", "authorization", &token).0, 200);
    assert_eq!(ask(&server, "-", "authorization", &token).0, 200, "a default realm");
    assert_eq!(ask(&server, "realm:live", "authorization", &format!("Bearer {live}")), (401, "Token".to_owned()));
    assert_eq!(ask(&server, "realm:test", "authorization", &bearer).0, 200);
    assert_eq!(ask(&server, "realm:test", "authorization", &format!("Token {test}")).0, 401);
    assert_eq!(ask(&server, "realm:test,realm:live", "authorization", &token).0, 200);
    assert_eq!(ask(&server, "realm:test,realm:live", "authorization", &bearer).0, 200);
    assert_eq!(ask(&server, "realm:live,from:x-key", "x-key", &live).0, 200, "the route says otherwise");
    assert_eq!(ask(&server, "realm:live,from:x-key", "authorization", &token).0, 401);
    let revoked = server.data.request("POST", "/v1/self-revoke", &[("authorization", &token)], "");
    assert_eq!(revoked.status, 200, "the holder sends it as to the API: {}", revoked.body);
    assert_eq!(ask(&server, "realm:live", "authorization", &token).0, 401);
}

#[test]
fn a_mistake_in_a_realms_headers_is_told_at_the_start() {
    let deployment = Deployment::new();
    deployment.configure("[realms.live]", "[realms.live]\nheaders = [\"x-api-key\"]");
    let ran = deployment.run(&["keys", "list"]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("`x-api-key` is neither from nor like: write from:HEADER"), "{}", ran.err);
}
