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
