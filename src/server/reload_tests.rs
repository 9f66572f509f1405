//! No request mixes two states, however often configuration and keys are loaded anew.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request as HttpRequest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bulla::{IssueRequest, claims::Claims, keyring::Reload, source::SourceUri};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{App, Unbound};
use crate::{cli::throw_away, clock, config::Config, deployment::Deployment};

const RELOADS: usize = 100;
/// How long each state is in force.
const HELD: Duration = Duration::from_millis(20);
const REALMS: [&str; 2] = ["live", "test"];

/// The configuration whose default realm is `realm`, and whose assertions say so.
fn configured(base: &Config, realm: &str) -> Config {
    let mut config = base.clone();
    config.verify.default_realms = vec![realm.to_owned()];
    config.assertion.signing_keys =
        vec![format!("file:assertion-{realm}.key").parse::<SourceUri>().expect("a URI").into()];
    (config.assertion.issuer, config.assertion.audience) = (realm.to_owned(), realm.to_owned());
    config
}

/// Issues a key, and asks with it until `done`: how often it was accepted, and how often it was not.
fn ask(app: &Arc<App>, realm: &'static str, done: &AtomicBool) -> [usize; 2] {
    let (runtime, plane) = (Runtime::new().expect("a runtime"), Unbound::data(Arc::clone(app)));
    let (realm_of_key, claims) = (realm.parse().expect("a realm"), Claims::new());
    let request = IssueRequest { realm: realm_of_key, app_id: Uuid::nil(), expires_at: None, claims };
    let key = app.snapshot().issuer.issue(&request, clock::now_seconds()).expect("issued");
    let mut answers = [0, 0];
    while !done.load(Ordering::Relaxed) {
        let asked = HttpRequest::get("/v1/authorize").header("x-api-key", key.expose()).body(Body::empty());
        let answer = runtime.block_on(plane.answer(asked.expect("a request")));
        if answer.status() != 200 {
            assert_eq!(answer.status(), 401);
            answers[1] += 1;
            continue;
        }
        answers[0] += 1;
        let assertion = answer.headers()["x-bulla-assertion"].to_str().expect("ASCII");
        let payload = assertion.split('.').nth(1).expect("a payload");
        let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON");
        assert_eq!(payload["iss"], realm, "accepted by one state, and signed by another");
    }
    answers
}

#[test]
fn no_request_mixes_two_states() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
    for (seed, realm) in REALMS.iter().enumerate() {
        let path = folder.path().join(format!("assertion-{realm}.key"));
        fs::write(&path, STANDARD.encode([seed as u8 + 1; 32])).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
    }
    let configs = REALMS.map(|realm| configured(&deployment.config, realm));
    let app = &Arc::new(App::load(Deployment::of(configs[0].clone()), false).expect("loaded"));
    let done = &AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let asking = REALMS.map(|realm| scope.spawn(move || ask(app, realm, done)));
        for reload in 1..=RELOADS {
            app.reloader.publish(Some(configs[reload % 2].clone())).expect("published");
            assert_eq!(app.reloader.ask_sources(Reload::All).failed, Vec::<String>::new());
            std::thread::sleep(HELD);
        }
        done.store(true, Ordering::Relaxed);
        asking.map(|asking| asking.join().expect("no mixture"))
    });
    for (realm, [accepted, refused]) in REALMS.into_iter().zip(asked) {
        assert!(accepted >= RELOADS && refused >= RELOADS, "{realm}: {accepted} accepted, {refused} refused");
    }
}
