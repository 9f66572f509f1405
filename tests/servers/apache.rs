//! Apache httpd: introspection with two modules, and a FastCGI authorizer.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::stage::Stage;
use crate::support::{authority::Authority, deployment::Deployment};

fn start(stage: &mut Stage, file: &str, changes: &[(&str, &str)]) {
    let file = stage.place(file, changes);
    let reader = stage.deployment.issue_text("bulla", &["--scope", "read"]);
    let port = stage.port;
    stage.start(&Stage::find("apache2"), port, |command| {
        // One process, which is all that has to be ended.
        command.args(["-X", "-f"]).arg(file).env("BULLA_API_KEY", reader);
    });
}

fn bearer(key: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {key}"))]
}

#[test]
fn mod_oauth2_introspects() {
    let mut stage = Stage::new(Deployment::new());
    start(&mut stage, "apache-oauth2.conf", &[]);
    stage.hold_orders(bearer, 401);
}

#[test]
fn mod_auth_openidc_introspects_over_tls() {
    let deployment = Deployment::new();
    let authority = Authority::new("servers");
    authority.serve(&deployment);
    let file = deployment.file("bulla.toml");
    let tls = "\n[data.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n";
    fs::write(&file, fs::read_to_string(&file).expect("the configuration") + tls).expect("written");
    let mut stage = Stage::new(deployment);
    stage.server.data = stage.server.data.over_tls(&authority, None);
    let ca = authority.file().display().to_string();
    start(&mut stage, "apache-openidc.conf", &[("/etc/bulla/ca.crt", &ca)]);
    stage.hold_orders(bearer, 401);
}

#[test]
fn mod_authnz_fcgi_asks_an_authorizer() {
    let mut stage = Stage::new(Deployment::new());
    stage.start_helper();
    start(&mut stage, "apache-fcgi.conf", &[]);
    stage.hold_orders(bearer, 401);
    stage.hold_orders(|key| vec![("x-api-key", key.to_owned())], 401);
    stage.hold_orders(|key| vec![("authorization", format!("Basic {}", STANDARD.encode(format!("me:{key}"))))], 401);
}

#[test]
fn apache_behind_a_gateway_checks_an_assertion_in_es256() {
    let deployment = Deployment::new();
    deployment.secret_file("assertion.key", &STANDARD.encode([7; 32]));
    let key = "signing_keys = [{ source = \"file:assertion.key\", algorithm = \"ES256\" }]";
    deployment.configure("signing_keys = []", key);
    deployment.configure("audience = \"\"", "audience = \"shop\"");
    deployment.configure("issuer = \"\"", "issuer = \"https://bulla.example\"");
    let mut stage = Stage::new(deployment);
    start(&mut stage, "apache-assertion.conf", &[]);
    let assertion = |key: &str, route: &str| {
        let answer = stage.server.data.request("GET", route, &[("x-api-key", key)], "");
        answer.header("x-bulla-assertion").expect("an assertion").to_owned()
    };
    let (good, poor) = (stage.issue(&["--scope", "orders.read"]), stage.issue(&[]));
    let ask = |assertion: &str| stage.get("/orders/7", &[("x-bulla-assertion", assertion)]).0;
    let signed = assertion(&good, "/v1/authorize");
    assert_eq!(ask(&signed), 200, "{}", stage.log());
    for refused in [
        assertion(&poor, "/v1/authorize"),
        assertion(&good, "/v1/authorize/aud:another"),
        format!("{}xx", &signed[..signed.len() - 2]),
        good.clone(),
        String::new(),
    ] {
        assert_eq!(ask(&refused), 401, "{refused}: {}", stage.log());
    }
}
