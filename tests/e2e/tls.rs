//! TLS on the listeners: what is spoken, certificates that change, and what is no TLS.

use std::{
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use bulla::{
    SharedVerifier, Verifier,
    feed::{Follower, WhenStale},
    keyring::{Keyring, KeyringDocument},
    source::Sources,
};
use serde_json::json;

use crate::support::{
    authority::{Authority, replace},
    command::{bulla, finish},
    deployment::{APP, Deployment},
    http::Http,
    server::Server,
    tls::Connection,
};

const FILES: &str = "certificate = \"tls.crt\"\nkey = \"tls.key\"\n";

/// A deployment with TLS on all listeners.
fn deployment(authority: &Authority, more: &str) -> Deployment {
    let deployment = Deployment::new();
    authority.serve(&deployment);
    configure(&deployment, &["data", "admin", "metrics"], more);
    deployment
}

fn configure(deployment: &Deployment, listeners: &[&str], more: &str) {
    let path = deployment.file("bulla.toml");
    let mut text = std::fs::read_to_string(&path).expect("the configuration");
    for listener in listeners {
        text += &format!("[{listener}.tls]\n{FILES}{more}\n");
    }
    std::fs::write(&path, text).expect("written");
}

/// What curl makes of a request: exit code, and what `--write-out` says.
fn curl(authority: &Authority, listener: &Http, path: &str, arguments: &[&str]) -> (i32, String) {
    let ran = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", "--cacert"])
        .arg(authority.file())
        .args(arguments)
        .arg(format!("https://{}{path}", listener.address))
        .output()
        .expect("curl runs");
    (ran.status.code().expect("an exit code"), String::from_utf8(ran.stdout).expect("text"))
}

/// curl's exit code for a handshake that came to nothing.
const NO_TLS: i32 = 35;

#[test]
fn every_listener_speaks_tls_1_3_and_both_versions_of_http() {
    let authority = Authority::new("servers");
    let server = Server::start(&deployment(&authority, ""));
    for (listener, path) in [(&server.data, "/healthz"), (&server.metrics, "/metrics")] {
        assert_eq!(curl(&authority, listener, path, &["--http2", "--tlsv1.3"]), (0, "2 200".to_owned()));
        assert_eq!(curl(&authority, listener, path, &["--http1.1"]), (0, "1.1 200".to_owned()));
        assert_eq!(curl(&authority, listener, path, &["--tls-max", "1.2"]).0, NO_TLS, "1.2 was not asked for");
    }
    let key = format!("X-API-Key: {}", server.admin.key());
    assert_eq!(curl(&authority, &server.admin, "/v1/keyring", &["--header", &key]), (0, "2 200".to_owned()));
    assert_eq!(curl(&authority, &server.admin, "/v1/keyring", &[]), (0, "2 401".to_owned()));
    let other = Authority::new("others");
    assert_eq!(curl(&other, &server.data, "/healthz", &[]).0, 60, "curl knows no such authority");
}

#[test]
fn tls_1_2_is_spoken_where_it_is_asked_for() {
    let authority = Authority::new("servers");
    let server = Server::start(&deployment(&authority, "min_version = \"1.2\""));
    assert_eq!(curl(&authority, &server.data, "/healthz", &["--tls-max", "1.2"]), (0, "2 200".to_owned()));
    assert_eq!(curl(&authority, &server.data, "/healthz", &["--tlsv1.3"]), (0, "2 200".to_owned()));
}

#[test]
fn other_machines_may_be_listened_to_with_tls() {
    let authority = Authority::new("servers");
    let deployment = Deployment::new();
    authority.serve(&deployment);
    let listen = ("BULLA_METRICS__LISTEN", "0.0.0.0:0");
    let refused = finish(bulla(deployment.path()).arg("serve").env(listen.0, listen.1), "");
    assert!(refused.code == 2 && refused.err.contains("[metrics.tls]"), "{}", refused.err);
    configure(&deployment, &["metrics"], "");
    let server = Server::start_with(&deployment, &[listen]);
    assert!(server.log().contains("0.0.0.0:"), "{}", server.log());
}

#[test]
fn a_new_certificate_is_for_new_connections_and_an_open_one_goes_on() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let mut open = Connection::open(&server.data, &authority, None);
    assert_eq!(open.get("/healthz"), 200);
    let shown = |server: &Server| Connection::open(&server.data, &authority, None).server();
    for announce in [false, true] {
        let new = authority.serve(&deployment);
        if announce {
            server.signal("HUP");
        }
        server.until("the new certificate", |server| shown(server) == new.der);
        assert_ne!(open.server(), new.der);
        assert_eq!(open.get("/healthz"), 200, "the open connection goes on");
    }
    server.until("the record", |_| deployment.run(&["audit", "--jsonl"]).ok().out.contains("config.reload"));
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_old_one_in_force() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let data = server.data.over_tls(&authority, None);
    let before = Connection::open(&server.data, &authority, None).server();
    let key = std::fs::read_to_string(deployment.file("tls.key")).expect("the key");
    authority.serve(&deployment);
    // The key of before and the certificate of now, as half a renewal leaves them.
    replace(&deployment.file("tls.key"), &key);
    let degraded = |data: &Http| data.get("/readyz").json()["degraded"].clone();
    server.until("the failure", |_| degraded(&data).to_string().contains("[data.tls]"));
    assert!(degraded(&data)[0]["detail"].to_string().contains("is not the key of"), "{}", degraded(&data));
    assert_eq!(Connection::open(&server.data, &authority, None).server(), before);
    let key = deployment.issue_text("live", &[]);
    assert_eq!(data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    let new = authority.serve(&deployment);
    server.until("the recovery", |_| degraded(&data) == json!([]));
    assert_eq!(Connection::open(&server.data, &authority, None).server(), new.der);
    let log = server.stop();
    assert!(log.contains("reload failed in part, retrying"), "{log}");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn tls_begins_and_ends_with_the_service_alone() {
    let authority = Authority::new("servers");
    let deployment = Deployment::new();
    authority.serve(&deployment);
    configure(&deployment, &["data"], "");
    let server = Server::start(&deployment);
    let data = server.data.over_tls(&authority, None);
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    let moved = text.replace("[data.tls]", "[metrics.tls]");
    replace(&deployment.file("bulla.toml"), &moved);
    let degraded = |data: &Http| data.get("/readyz").json()["degraded"].to_string();
    server.until("the reload", |_| degraded(&data).contains("[data.tls] was removed"));
    assert!(degraded(&data).contains("[metrics.tls] takes effect at"), "{}", degraded(&data));
    assert_eq!(server.metrics.get("/metrics").status, 200, "still without TLS");
}

#[test]
fn what_is_no_tls_ends_without_an_answer_and_without_a_line() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let metrics = server.metrics.over_tls(&authority, None);
    let failed = || metrics.get("/metrics").body.contains("bulla_tls_handshakes_failed_total{listener=\"data\"} 1");
    assert!(!failed());
    let answer = server.data.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!answer.contains("HTTP/"), "{answer:?}");
    server.until("the count", |_| failed());
    let log = server.stop();
    assert!(!log.contains("TLS handshake failed") && !log.contains("127.0.0.1:1"), "{log}");
}

#[test]
fn a_silent_handshake_keeps_nobody_out() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    deployment.configure("head_timeout = \"60s\"", "head_timeout = \"6s\"");
    deployment.configure("max_connections = 10000", "max_connections = 2");
    let server = Server::start(&deployment);
    let data = server.data.over_tls(&authority, None);
    let silent = server.data.connect();
    assert_eq!(data.get("/healthz").status, 200, "beside one that says nothing");
    drop(data);
    let mut places = [silent, server.data.connect()];
    // One begins to speak and goes no further.
    places[1].write_all(&[22, 3, 1, 2, 0, 1]).expect("written");
    let data = server.data.over_tls(&authority, None);
    assert_eq!(data.get("/healthz").status, 200, "when their time is over");
    for mut place in places {
        let _closed_or_reset = place.read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_stop_waits_for_nobody_who_only_shakes_hands_or_listens() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let silent = server.data.connect();
    let mut idle = Connection::open(&server.data, &authority, None);
    assert_eq!(idle.get("/healthz"), 200);
    let log = server.stop();
    assert!(!log.contains("did not finish in time"), "{log}");
    drop(silent);
}

#[test]
fn no_port_opens_on_files_that_do_not_make_tls() {
    let authority = Authority::new("servers");
    let other = Authority::new("others");
    type Spoil<'a> = (&'a str, &'a dyn Fn(&Deployment));
    let spoil: [Spoil<'_>; 7] = [
        ("cannot read", &|at| std::fs::remove_file(at.file("tls.crt")).expect("removed")),
        ("holds no PEM certificate", &|at| replace(&at.file("tls.crt"), "nonsense")),
        ("holds no private key", &|at| replace(&at.file("tls.key"), "nonsense")),
        ("others may read it: `chmod 600`", &|at| {
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(at.file("tls.key"), open).expect("its mode");
        }),
        ("is not the key of", &|at| {
            let key = std::fs::read_to_string(at.file("tls.key")).expect("the key");
            other.serve(at);
            replace(&at.file("tls.key"), &key);
        }),
        ("is encrypted", &|at| {
            let ran = Command::new("openssl")
                .args(["pkcs8", "-topk8", "-in", "tls.key", "-out", "sealed.key", "-passout", "pass:x"])
                .current_dir(at.path())
                .status();
            assert!(ran.expect("openssl runs").success());
            replace(&at.file("tls.key"), &std::fs::read_to_string(at.file("sealed.key")).expect("the sealed key"));
        }),
        ("invalid certificate", &|at| {
            replace(&at.file("tls.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        }),
    ];
    for (told, spoil) in spoil {
        let deployment = deployment(&authority, "");
        deployment.run(&["doctor"]).ok();
        spoil(&deployment);
        let refused = finish(bulla(deployment.path()).arg("serve"), "");
        assert!(refused.code == 2 && refused.err.contains(told), "{told}: {}", refused.err);
        assert!(refused.err.contains("[data.tls]") && !refused.err.contains("serving"), "{}", refused.err);
        let doctor = deployment.run(&["doctor"]);
        assert!(doctor.code == 1 && doctor.out.contains(told), "{told}: {}", doctor.out);
    }
}

#[test]
fn an_expired_certificate_is_shown_and_complained_of() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    authority.serve_until(&deployment, 2020);
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("expired at 2020-01-01"), "{}", doctor.out);
    let server = Server::start(&deployment);
    assert_eq!(curl(&authority, &server.data, "/healthz", &[]).0, 60, "curl does not like it");
    let (code, _) = curl(&authority, &server.data, "/readyz", &["--insecure"]);
    assert_eq!(code, 0);
    let page = Command::new("curl")
        .args(["--silent", "--insecure", &format!("https://{}/readyz", server.data.address)])
        .output()
        .expect("curl runs");
    let page = String::from_utf8(page.stdout).expect("text");
    assert!(page.contains("\"certificate\"") && page.contains("expired at"), "{page}");
    authority.serve(&deployment);
    server.until("the new certificate", |server| curl(&authority, &server.data, "/healthz", &[]).0 == 0);
    let data = server.data.over_tls(&authority, None);
    server.until("the recovery", |_| data.get("/readyz").json()["degraded"] == json!([]));
    assert!(server.stop().contains("expired at"));
}

#[test]
fn commands_trust_an_authority_of_ones_own() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let (ca, key_file) = (authority.file(), deployment.secret_file("admin.key", &deployment.admin_key));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (admin, data) = (format!("https://{}", server.admin.address), format!("https://{}", server.data.address));
    let ca = ca.to_str().expect("a path");
    let ask = |arguments: &[&str], input: &str| {
        finish(bulla(elsewhere.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", &key_file), input)
    };
    let issue = ["issue", "--realm", "live", "--app", APP, "--json", "--server", &admin];
    let unknown = ask(&issue, "");
    assert!(unknown.code == 2 && unknown.err.contains("authority that is not trusted"), "{}", unknown.err);
    let issued = ask(&[&issue[..], &["--ca", ca]].concat(), "").ok().json();
    let key = issued["api_key"].as_str().expect("a key");
    let verify = ["verify", "-", "--server", &data];
    let verified = finish(bulla(elsewhere.path()).args(verify).env("BULLA_CA_FILE", ca), key);
    verified.ok();
    let nonsense = ask(&[&issue[..], &["--ca", key_file.to_str().expect("a path")]].concat(), "");
    assert!(nonsense.code == 2 && nonsense.err.contains("holds no PEM certificate"), "{}", nonsense.err);
}

#[test]
fn commands_say_what_is_wrong_with_tls() {
    let authority = Authority::new("servers");
    let ca = authority.file();
    let ask = |url: String, more: &[&str]| {
        let elsewhere = tempfile::tempdir().expect("a folder");
        let mut verify = bulla(elsewhere.path());
        let ran = finish(verify.args(["verify", "-", "--server", &url]).args(more), "no key");
        assert_eq!(ran.code, 2, "{}", ran.out);
        ran.err
    };
    let trusting = ["--ca", ca.to_str().expect("a path")];
    let server = Server::start(&deployment(&authority, ""));
    let unknown = ask(format!("https://{}", server.data.address), &[]);
    assert!(unknown.contains("authority that is not trusted here: --ca FILE"), "{unknown}");
    let without = ask(format!("http://{}", server.data.address), &[]);
    assert!(without.contains("write https:// in --server"), "{without}");
    drop(server);

    let elsewhere = deployment(&authority, "");
    authority.server(&["elsewhere.example"], 4000, &elsewhere.file("tls"));
    let server = Server::start(&elsewhere);
    let name = ask(format!("https://{}", server.data.address), &trusting);
    assert!(name.contains("is not for `127.0.0.1`") && name.contains("elsewhere.example"), "{name}");
    drop(server);

    let late = deployment(&authority, "");
    authority.serve_until(&late, 2020);
    let server = Server::start(&late);
    let expired = ask(format!("https://{}", server.data.address), &trusting);
    assert!(expired.contains("the server's certificate expired at 2020-01-01T00:00:00Z: renew it"), "{expired}");
    drop(server);

    let server = Server::start(&Deployment::new());
    let plain = ask(format!("https://{}", server.data.address), &trusting);
    assert!(plain.contains("write http:// in --server"), "{plain}");
}

#[test]
fn the_librarys_follower_hears_over_tls() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority, "");
    let server = Server::start(&deployment);
    let shown = deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name).to_owned();
    let sources = Sources::new(deployment.path());
    let written = std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring");
    let mac = "file:keyring-mac.key".parse().expect("a URI");
    let document = KeyringDocument::parse(&written, &mac, &sources).expect("a keyring");
    let live = "live".parse().expect("a realm");
    let verifier = SharedVerifier::new(Verifier::new(&Keyring::load(&document, &sources, &[live]).expect("loaded")));
    let api_key = deployment.issue_text("bulla", &["--scope", "feed"]).parse().expect("an API key");
    let follow = |authority: &Authority| {
        let address = format!("https://{}/v1/revocations", server.data.address);
        let follower =
            Follower::new(&address, &api_key, document.id(), text("feed_public_key").parse().expect("a key"));
        let follower = follower.expect("a follower").trusting_roots(authority.pem().as_bytes()).expect("roots");
        follower.start(&verifier, WhenStale::CouldNotTell, now).expect("started")
    };
    let stranger = follow(&Authority::new("others"));
    server.until("the refusal", |_| stranger.status().failures > 0);
    let told = stranger.status().last_error.expect("an error").to_string();
    assert!(told.contains("certificate"), "{told}");
    drop(stranger);
    let following = follow(&authority);
    server.until("the end of the log", |_| following.status().complete);
    let key = deployment.issue("live", &[]);
    let (text, id) = (key["api_key"].as_str().expect("a key"), key["api_key_id"].as_str().expect("an id"));
    let accepts = || verifier.verify(text, &bulla::Expectations::realms(&[live]), now()).is_ok();
    assert!(accepts());
    deployment.run(&["revoke", id]).ok();
    server.until("the revocation", |_| !accepts());
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs()
}
