//! No request mixes two states, however often configuration and keys are loaded anew.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::Request as HttpRequest,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bulla::{IssueRequest, claims::Claims, keyring::Reload, source::SourceUri};
use futures_util::{FutureExt, stream};
use http_body_util::BodyExt;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use uuid::Uuid;

use crate::{
    cli::throw_away,
    clock,
    config::{Clients, Config, Span, TlsConfig, TlsVersion},
    deployment::Deployment,
    server::{Node, Unbound},
    tls::ClientCertificate,
};

const RELOADS: usize = 100;
/// How many answers everybody gets while a state is in force. The first may be by the one before.
const ANSWERS: usize = 3;
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

/// Issues a key, and asks with it until `done`: how often it was accepted, and how often it was not. It counts the
/// answers.
fn ask(node: &Node, realm: &'static str, (done, answered): (&AtomicBool, &AtomicUsize)) -> [usize; 2] {
    let (runtime, plane) = (Runtime::new().expect("a runtime"), Unbound::data(node.app()));
    let (realm_of_key, claims) = (realm.parse().expect("a realm"), Claims::new());
    let request = IssueRequest { realm: realm_of_key, app_id: Uuid::nil(), expires_at: None, claims };
    let key = node.snapshot().issuer.issue(&request, clock::now_seconds()).expect("issued");
    let mut answers = [0, 0];
    while !done.load(Ordering::Relaxed) {
        let asked = HttpRequest::get("/v1/authorize").header("x-api-key", key.expose()).body(Body::empty());
        let answer = runtime.block_on(plane.answer(asked.expect("a request")));
        answered.fetch_add(1, Ordering::Relaxed);
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

fn put_in_force(node: &Node, config: &Config) {
    node.reloader.publish(Some(config.clone())).expect("published");
    assert_eq!(node.reloader.ask_sources(Reload::All).failed, Vec::<String>::new());
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
    let node = &Node::load(Deployment::of(configs[0].clone()), false).expect("loaded");
    let (done, answered) = (&AtomicBool::new(false), [(); 2].map(|()| AtomicUsize::new(0)));
    let asked = std::thread::scope(|scope| {
        let answered = &answered;
        let asking = [0, 1].map(|at| scope.spawn(move || ask(node, REALMS[at], (done, &answered[at]))));
        for reload in 1..=RELOADS {
            put_in_force(node, &configs[reload % 2]);
            let enough = answered.each_ref().map(|answered| answered.load(Ordering::Relaxed) + ANSWERS);
            let some_lack = || (0..2).any(|at| answered[at].load(Ordering::Relaxed) < enough[at]);
            while some_lack() && !asking.iter().any(|asking| asking.is_finished()) {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
        asking.map(|asking| asking.join().expect("no mixture"))
    });
    for (realm, [accepted, refused]) in REALMS.into_iter().zip(asked) {
        assert!(accepted >= RELOADS && refused >= RELOADS, "{realm}: {accepted} accepted, {refused} refused");
    }
}

/// The configuration in which the certificate of `ops.example` may issue in `realm`, where keys live for `ttl`.
fn administered(base: &Config, realm: &str, ttl: Duration) -> Config {
    let mut config = base.clone();
    let file = |name: &str| base.folder.join(name);
    config.admin.tls = Some(TlsConfig {
        certificate: file("ops.crt"),
        key: file("ops.key"),
        min_version: TlsVersion::default(),
        client_ca: Some(file("ops.crt")),
        clients: Clients::from([("ops.example".to_owned(), vec![format!("issue:{realm}")])]),
    });
    for policy in config.realms.values_mut() {
        policy.default_ttl = Some(Span(ttl));
    }
    config
}

/// A certificate that leads to itself, which server and client hold.
fn certificate(folder: &Path) -> Arc<ClientCertificate> {
    let params = CertificateParams::new(vec!["ops.example".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let signed = params.self_signed(&key).expect("a certificate");
    fs::write(folder.join("ops.crt"), signed.pem()).expect("written");
    fs::write(folder.join("ops.key"), key.serialize_pem()).expect("written");
    fs::set_permissions(folder.join("ops.key"), fs::Permissions::from_mode(0o600)).expect("private");
    Arc::new(ClientCertificate::new(&[signed.der().clone()]).expect("a certificate"))
}

/// What comes of it without waiting for anything.
fn as_far_as_it_goes<F: Future + Unpin>(runtime: &Runtime, answer: &mut F) -> Option<F::Output> {
    runtime.block_on(async { answer.now_or_never() })
}

/// Asks for a key of the realm `live`. `ahead` is done once its credential is accepted and before its body is there,
/// `behind` once the endpoint has it all and before the key is issued.
fn issue(
    plane: &Unbound,
    certificate: &Arc<ClientCertificate>,
    ahead: impl FnOnce(),
    behind: impl FnOnce(),
) -> (u16, Value) {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    // The one thread that may wait for a disk waits for this test, so the endpoint's work does not begin.
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    let (send, body) = oneshot::channel::<Bytes>();
    let body = Body::from_stream(stream::once(body));
    let request = HttpRequest::post("/v1/api-keys").header("content-type", "application/json");
    let mut request = request.body(body).expect("a request");
    request.extensions_mut().insert(Arc::clone(certificate));
    let mut answer = Box::pin(plane.answer(request));
    assert!(as_far_as_it_goes(&runtime, &mut answer).is_none(), "it waits for the body");
    ahead();
    send.send(Bytes::from(format!(r#"{{"realm":"live","app_id":"{}"}}"#, Uuid::nil()))).expect("read");
    // A request that is refused has no work to wait for.
    let answer = as_far_as_it_goes(&runtime, &mut answer).unwrap_or_else(|| {
        behind();
        drop(release);
        runtime.block_on(answer)
    });
    let (head, body) = answer.into_parts();
    let body = runtime.block_on(body.collect()).expect("a body").to_bytes();
    (head.status.as_u16(), serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn an_administrator_s_request_goes_by_one_state_from_its_credential_to_its_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
    let (certificate, hour) = (&certificate(folder.path()), Duration::from_secs(3_600));
    let [short, long, other] = [("live", hour), ("live", hour * 48), ("test", hour * 48)]
        .map(|(realm, ttl)| administered(&deployment.config, realm, ttl));
    let node = &Node::load(Deployment::of(short.clone()), false).expect("loaded");
    let plane = &Unbound::admin(node.app());
    let lifetime = |issued: &Value| {
        let at = |field: &str| issued[field].as_str().expect("a time").parse::<Timestamp>().expect("a time");
        Duration::try_from(at("expires_at").duration_since(at("issued_at"))).expect("a lifetime")
    };

    let nothing = || {};
    let (status, issued) = issue(plane, certificate, nothing, nothing);
    assert_eq!((status, lifetime(&issued)), (201, hour), "{issued}");
    let (status, issued) = issue(plane, certificate, nothing, || put_in_force(node, &other));
    assert_eq!((status, lifetime(&issued)), (201, hour), "allowed by one state, and issued by another");
    put_in_force(node, &short);
    let (status, issued) = issue(plane, certificate, || put_in_force(node, &long), nothing);
    assert_eq!((status, lifetime(&issued)), (201, hour * 48), "the state that is in force when the body is there");
    put_in_force(node, &short);
    let (status, refused) = issue(plane, certificate, || put_in_force(node, &other), nothing);
    assert_eq!(
        (status, &refused["type"]),
        (403, &Value::from("urn:bulla:problem:forbidden")),
        "accepted by one state, and issued by another"
    );
    let (status, _) = issue(plane, certificate, || put_in_force(node, &short), nothing);
    assert_eq!(status, 201, "the scope that it lacks in one state it has in the next");
}
