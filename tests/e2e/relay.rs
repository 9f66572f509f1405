//! A relay: it hands the feed of a node on, byte for byte, to followers that it knows.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use bulla::feed::{FeedState, HttpSource, MessageSource, Question, Snapshot};
use serde_json::{Value, json};

use crate::support::{
    authority::{Authority, Issued, replace},
    clock,
    command::run,
    deployment::Deployment,
    http::{Answer, Http},
    process::{self, Process},
    programs, reference,
    server::Server,
};

/// A node, and a relay that follows it.
pub(super) struct Relayed {
    deployment: Deployment,
    node: Option<Server>,
    folder: tempfile::TempDir,
    port: u16,
    metrics: u16,
    token: String,
    relay: Option<Process>,
}

impl Relayed {
    pub(super) fn new(scope: &str, more: &str) -> Self {
        let deployment = Deployment::new();
        // On a port to which it can come back.
        let node = Server::start_on(&format!("127.0.0.1:{}", process::free_port()), &deployment, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let made = deployment.run(&["edge", "caller", "follower", "--json"]).ok().json();
        let (port, metrics) = (process::free_port(), process::free_port());
        let config = format!(
            "[follow]\nsources = [\"http://{}\"]\nkeyring_id = \"{}\"\npublic_key = \"{}\"\napi_key = \"feed.key\"\n{}\n\
             [follow.callers]\n{}\n[data]\nlisten = \"127.0.0.1:{port}\"\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n",
            node.data.address,
            text("keyring_id"),
            text("feed_public_key"),
            more,
            made["line"].as_str().expect("a line"),
        );
        fs::write(folder.path().join("bulla.toml"), config).expect("written");
        let key = folder.path().join("feed.key");
        fs::copy(deployment.secret_file("feed.key", &deployment.issue_text("bulla", &["--scope", scope])), &key)
            .expect("copied");
        let token = made["token"].as_str().expect("a token").to_owned();
        let mut relayed = Relayed { deployment, node: Some(node), folder, port, metrics, token, relay: None };
        relayed.start();
        relayed
    }

    fn start(&mut self) {
        let (folder, log) = (self.folder.path(), self.folder.path().join("log"));
        let prepare = |command: &mut Command| {
            command.args(["serve", "--role", "relay", "--config"]).arg(folder.join("bulla.toml"));
        };
        self.relay = Some(Process::start(Path::new(env!("CARGO_BIN_EXE_bulla")), prepare, &log));
        process::wait_until("the relay", &log, || process::listens(self.port));
    }

    fn relay(&self) -> Http {
        Http::new(&format!("127.0.0.1:{}", self.port)).bearer(&self.token)
    }

    /// Where its metrics are.
    pub(super) fn metrics(&self) -> Http {
        Http::new(&format!("127.0.0.1:{}", self.metrics))
    }

    fn node(&self) -> &Server {
        self.node.as_ref().expect("a running node")
    }

    /// Gives the token in the configuration to another follower, as the relay learns with a SIGHUP.
    fn exchange_token(&self) -> Http {
        let made = self.deployment.run(&["edge", "caller", "another", "--json"]).ok().json();
        let path = self.folder.path().join("bulla.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        let hash = |line: &str| line.split('"').find(|part| part.starts_with("sha256:")).expect("a hash").to_owned();
        let listed = text.lines().find(|line| line.contains("sha256:")).expect("a caller");
        replace(&path, &text.replace(&hash(listed), &hash(made["line"].as_str().expect("a line"))));
        self.hang_up();
        self.relay().bearer(made["token"].as_str().expect("a token"))
    }

    fn hang_up(&self) {
        let id = self.relay.as_ref().expect("a running relay").id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill runs").success());
    }

    /// Revokes so many keys that nobody has issued.
    fn revoke(&self, from: usize, keys: usize) {
        let ids: Vec<String> = (from..from + keys).map(|at| format!("live_00000X{at:016}")).collect();
        for some in ids.chunks(8_000) {
            assert_eq!(self.node().admin.post("/v1/revocations", &json!({"ids": some})).status, 200);
        }
    }

    /// The state of the follower in Python, which reads from the relay.
    fn in_python(&self) -> Value {
        let shown = self.deployment.keyring(&["show"]);
        let output = Command::new(reference::python())
            .arg(reference::script("bulla_feed.py"))
            .args(["follow", "--keyring-id", shown["keyring_id"].as_str().expect("an id")])
            .args(["--public-key", shown["feed_public_key"].as_str().expect("a key")])
            .arg(format!("http://127.0.0.1:{}/v1/revocations", self.port))
            .env("BULLA_FEED_API_KEY", &self.token)
            .output()
            .expect("Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a state")
    }

    pub(super) fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !done() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what} did not happen in time: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn head(message: &Answer) -> Value {
    assert_eq!(message.status, 200, "{}", message.body);
    serde_json::from_str(message.body.lines().next().expect("a head")).expect("JSON")
}

#[test]
fn a_relay_hands_on_what_it_got() {
    let relayed = Relayed::new("feed", "");
    relayed.revoke(0, 25_000);
    relayed.until("the end of the log", || relayed.relay().get("/v1/revocations?after=25000").status == 200);
    let told = relayed.in_python();
    assert_eq!((told["revoked"].as_array().map(Vec::len), &told["complete"]), (Some(25_000), &json!(true)));

    let relay = relayed.relay();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let relay = relay.clone();
            std::thread::spawn(move || relay.get("/v1/revocations?after=25000&wait=25s").body)
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    relayed.revoke(25_000, 1);
    let got: Vec<String> = waiting.into_iter().map(|one| one.join().expect("an answer")).collect();
    assert!(got[0].contains("\"revoke\":\"live_00000X0000000000025000\""), "{}", got[0]);
    assert!(got.iter().all(|one| *one == got[0]), "the same bytes for all, of one signature");
    let mut stream = relay.stream("/v1/revocations?after=25000");
    assert_eq!(stream.message(), got[0]);
    relayed.revoke(25_001, 1);
    assert!(stream.message().contains("25001"));
}

#[test]
fn a_relay_hands_snapshots_on() {
    let relayed = Relayed::new("feed", "");
    relayed.revoke(0, 25_000);
    relayed.until("the end of the log", || relayed.relay().get("/v1/revocations?after=25000").status == 200);
    let shown = relayed.deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name).to_owned();
    let (id, key) = (text("keyring_id").parse().expect("an id"), text("feed_public_key").parse().expect("a key"));
    let address = format!("http://127.0.0.1:{}", relayed.port);
    let source = HttpSource::with_token(&address, &relayed.token).expect("an address");
    let mut state = FeedState::new(None);
    let loaded = source.snapshot((id, &key)).expect("a snapshot of the node");
    state.load(loaded, clock::now()).expect("it fits");
    assert_eq!((state.seq(), state.revocations().len()), (25_000, 25_000));

    let relay = relayed.relay();
    let manifest = relay.get("/v1/revocations/snapshot");
    let name = Snapshot::read(manifest.body.as_bytes(), id, &key).expect("the node's signature").name();
    let body = format!("/v1/revocations/snapshots/{name}");
    let mut curl = Command::new(programs::find("curl"));
    curl.args(["--silent", "--range", "1000-1009", "--output", "/dev/null", "--dump-header", "-"]);
    curl.args(["--header", &format!("authorization: Bearer {}", relayed.token), &format!("{address}{body}")]);
    let part = programs::run(&mut curl).to_lowercase();
    assert!(part.contains("206") && part.contains("content-length: 10\r"), "{part}");
    assert!(part.contains(&format!("etag: \"{name}\"")), "{part}");
    assert_eq!(relay.get(&format!("/v1/revocations/snapshots/{}", "0".repeat(64))).problem(), "no-snapshot");
    let anonymous = Http::new(&format!("127.0.0.1:{}", relayed.port));
    for path in ["/v1/revocations/snapshot", &body] {
        assert_eq!(anonymous.get(path).status, 401, "{path}");
    }
    // A follower that begins gets on by it, and hears what comes next.
    relayed.revoke(25_000, 1);
    relayed.until("the next one", || {
        let question = Question { after: state.seq(), log_id: state.log_id(), wait: 0 };
        let answer = source.ask(&question).expect("an answer");
        answer.apply(&mut state, (id, &key), clock::now()).expect("it goes on");
        state.revocations().len() == 25_001
    });
}

#[test]
fn a_relay_knows_its_followers_and_the_realms_that_it_may_read() {
    let relayed = Relayed::new("feed:live", "realm = \"live\"");
    let relay = relayed.relay();
    relayed.until("the first message", || relay.get("/v1/revocations?realm=live").status == 200);
    let anonymous = Http::new(&format!("127.0.0.1:{}", relayed.port));
    for stranger in [anonymous.clone(), anonymous.bearer("caller-wrong")] {
        assert_eq!(stranger.get("/v1/revocations?realm=live").status, 401);
    }
    let refused = relay.get("/v1/revocations?realm=test");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("own API key does not open the feed"), "{}", refused.body);
    for (wrong, status) in [("after=x", 400), ("colour=red", 400), ("realm=live&after=99", 409)] {
        assert_eq!(relay.get(&format!("/v1/revocations?{wrong}")).status, status, "{wrong}");
    }
    for missing in ["/v1/verify", "/v1/introspect", "/v1/api-keys"] {
        assert_eq!(relay.get(missing).status, 404, "{missing}");
    }
}

#[test]
fn realms_that_the_node_does_not_have_take_no_place_of_others() {
    let relayed = Relayed::new("feed", "");
    let relay = relayed.relay();
    relayed.until("the first message", || relay.get("/v1/revocations").status == 200);
    let asked = |realm: String| {
        let relay = relay.clone();
        std::thread::spawn(move || relay.get(&format!("/v1/revocations?realm={realm}")))
    };
    for answer in (0..70).map(|at| asked(format!("x{at}"))).collect::<Vec<_>>() {
        let answer = answer.join().expect("an answer");
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{}", answer.body);
    }
    assert_eq!(relay.get("/v1/revocations/snapshot?realm=x70").status, 400);
    for realm in ["live", "test"] {
        assert_eq!(relay.get(&format!("/v1/revocations?realm={realm}")).status, 200, "{realm}");
    }
    let ready = relay.get("/readyz");
    assert!(ready.status == 200 && !ready.body.contains("the realm x"), "{}", ready.body);
}

#[test]
fn streams_and_waits_end_with_the_token_that_opened_them() {
    let relayed = Relayed::new("feed", "");
    let old = relayed.relay();
    relayed.until("the first message", || old.get("/v1/revocations").status == 200);
    let mut stream = old.stream("/v1/revocations");
    stream.message();
    let waiting = std::thread::spawn({
        let old = old.clone();
        move || old.get("/v1/revocations?wait=25s")
    });
    let new = relayed.exchange_token();
    // Nothing follows but comments, of which one may have come before.
    let rest = stream.rest();
    assert!(rest.lines().all(|line| line.is_empty() || line == ":"), "{rest}");
    let waited = waiting.join().expect("an answer");
    assert_eq!((waited.status, waited.problem().as_str()), (401, "unauthorized"), "{}", waited.body);
    assert_eq!(old.get("/v1/revocations").status, 401);
    let mut stream = new.stream("/v1/revocations");
    stream.message();
    relayed.hang_up();
    relayed.revoke(0, 1);
    assert!(stream.message().contains("live_00000X0000000000000000"), "a reload alone ends nothing");
}

#[test]
fn a_stream_is_not_buffered_and_outlives_the_idle_timeout() {
    let relayed = Relayed::new("feed", "[server]\nidle_timeout = \"6s\"");
    let relay = relayed.relay();
    let asked = || relay.try_request("GET", "/v1/revocations");
    relayed.until("the first message", || asked().is_some_and(|answer| answer.status == 200));
    let mut stream = relay.stream("/v1/revocations");
    assert!(stream.head.contains("x-accel-buffering: no"), "{}", stream.head);
    stream.message();
    // One for each half of it.
    (0..3).for_each(|_| stream.comment());
    relayed.revoke(0, 1);
    assert!(stream.message().contains("live_00000X0000000000000000"));
}

#[test]
fn a_wait_ends_with_the_certificate_that_opened_it() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let folder = tempfile::tempdir().expect("a folder");
    let own = servers.server(&["127.0.0.1"], 4000, &folder.path().join("tls"));
    let tls = format!(
        "[data.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n[data.tls.clients]\n\"shop\" = [\"feed\"]",
        own.certificate,
        own.key,
        clients.file(),
    );
    let relayed = Relayed::new("feed", &tls);
    let with = |client: &Issued| relayed.relay().anonymous().over_tls(&servers, Some(client));
    let lasting = with(&clients.client("shop"));
    relayed.until("the first message", || lasting.get("/v1/revocations").status == 200);
    let waited = with(&clients.client_for("shop", 12)).get("/v1/revocations?wait=25s");
    assert_eq!((waited.status, waited.problem().as_str()), (401, "certificate"), "{}", waited.body);
    assert_eq!(lasting.get("/v1/revocations?wait=1s").status, 200);
}

#[test]
fn a_certificate_for_one_realm_reads_that_realm_and_reports() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let folder = tempfile::tempdir().expect("a folder");
    let own = servers.server(&["127.0.0.1"], 4000, &folder.path().join("tls"));
    let tls = format!(
        "[data.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n[data.tls.clients]\n\"edge1\" = [\"feed:live\"]",
        own.certificate,
        own.key,
        clients.file(),
    );
    let relayed = Relayed::new("feed", &tls);
    let edge = relayed.relay().anonymous().over_tls(&servers, Some(&clients.client("edge1")));
    relayed.revoke(0, 1);
    relayed.until("the first message", || edge.get("/v1/revocations?realm=live").status == 200);
    for path in ["/v1/revocations", "/v1/revocations?wait=1s", "/v1/revocations?realm=live"] {
        assert_eq!(head(&edge.get(path))["realm"], "live", "{path}");
    }
    assert_eq!(edge.get("/v1/revocations/snapshot").status, 200);
    for path in ["/v1/revocations?realm=test", "/v1/revocations/snapshot?realm=test"] {
        let refused = edge.get(path);
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{path}: {}", refused.body);
    }
    let report = json!({"followers": [{
        "name": "edge-1", "role": "edge", "version": "1", "formats": ["feed/1"], "seq": 0, "this_update": 0,
        "keyring_serial": 0, "versions": [1], "realms": ["live"], "refused": 0,
    }]});
    let reported = edge.post("/v1/followers", &report);
    assert_eq!(reported.status, 200, "{}", reported.body);
    relayed.until("the report", || relayed.node().admin.get("/v1/followers").body.contains("\"edge-1\""));
    for (realm, status) in [("live", 200), ("test", 403), ("bulla", 400)] {
        let id = format!("{realm}_00000X0000000000000001");
        let uses = json!({"uses": [{"api_key_id": id, "last_used_at": 1, "count": 1}]});
        let noted = edge.post("/v1/followers/uses", &uses);
        assert_eq!(noted.status, status, "{realm}: {}", noted.body);
    }
    let told = run(relayed.folder.path(), &["doctor"]).out;
    assert!(told.contains("checked as a relay") && !told.contains("edge key"), "{told}");
}

#[test]
fn a_relay_reports_its_followers_and_itself() {
    let relayed = Relayed::new("feed", "name = \"relay-1\"");
    let relay = relayed.relay();
    let follower = |name: &str, seq: u64| {
        json!({
            "name": name, "role": "library", "version": "1", "formats": ["feed/1"], "seq": seq, "this_update": 0,
            "keyring_serial": 0, "versions": [1], "realms": ["live"], "refused": 0,
        })
    };
    let reported = relay.post("/v1/followers", &json!({"followers": [follower("one", 0), follower("two", 0)]}));
    assert_eq!((reported.status, &reported.json()["noted"]), (200, &json!(2)), "{}", reported.body);
    let fleet = || relayed.node().admin.get("/v1/followers").json();
    let named = |name: &str| -> Option<Value> {
        fleet()["followers"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned()
    };
    relayed.until("the reports", || ["one", "two", "relay-1"].iter().all(|name| named(name).is_some()));
    assert_eq!(named("relay-1").expect("it is there")["role"], "relay");
    assert_eq!(named("one").expect("it is there")["address"], "127.0.0.1", "its own, and not the relay's");
    relayed.revoke(0, 1);
    relayed.until("the relay's place", || named("relay-1").is_some_and(|relay| relay["seq"] == 1));
    relayed.until("the relay's state", || named("relay-1").is_some_and(|relay| relay["state"] == "current"));
    let wrong = relay.post("/v1/followers", &json!({"followers": [follower("a name", 0)]}));
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    let uses = json!({"uses": [{"api_key_id": "live_00000X0000000000000001", "last_used_at": 1, "count": 1}]});
    assert_eq!(relay.post("/v1/followers/uses", &uses).status, 200);
}

#[test]
fn another_keyring_is_news_for_the_followers_of_a_relay() {
    let mut relayed = Relayed::new("feed", "");
    let address = relayed.node().data.address.clone();
    drop(relayed.node.take());
    // Messages count for so long that a stream says nothing by itself for a quarter of an hour.
    relayed.node = Some(Server::start_on(&address, &relayed.deployment, &[("BULLA_FEED__VALID_FOR", "1h")]));
    let relay = relayed.relay();
    let counts_for = |head: &Value| head["next_update"].as_u64().zip(head["this_update"].as_u64());
    relayed.until("a message that counts for long", || {
        let newest = relay.get("/v1/revocations");
        newest.status == 200 && counts_for(&head(&newest)).is_some_and(|(until, from)| until - from == 3_600)
    });
    let mut stream = relay.stream("/v1/revocations");
    let of =
        |message: String| -> Value { serde_json::from_str(message.lines().next().expect("a head")).expect("JSON") };
    let first = of(stream.message());
    relayed.deployment.keyring(&["stage", "--source", &relayed.deployment.new_master(2)]);
    relayed.node().signal("HUP");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(stream.message()));
    let mut second = None;
    relayed.until("the news of the keyring", || {
        second = told.try_recv().ok();
        second.is_some()
    });
    let second = of(second.expect("a message"));
    assert!(second["keyring_serial"].as_u64() > first["keyring_serial"].as_u64(), "{first} and then {second}");
    assert_eq!(second["seq"], first["seq"], "the log says nothing of it");
}

#[test]
fn doctor_checks_of_a_relay_what_it_has() {
    let relayed = Relayed::new("feed", "");
    let told = run(relayed.folder.path(), &["doctor"]).out;
    assert!(told.contains("checked as a relay") && told.contains("ok       sources"), "{told}");
    for part in ["default_realms", "edge key", "exports"] {
        assert!(!told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_relay_outlives_its_node_and_says_how_it_is() {
    let mut relayed = Relayed::new("feed", "");
    relayed.revoke(0, 3);
    let relay = relayed.relay();
    relayed.until("the revocations", || relay.get("/v1/revocations?after=3").status == 200);
    assert_eq!(relay.get("/readyz").status, 200);
    let (address, first) = (relayed.node().data.address.clone(), relay.get("/v1/revocations").body);
    drop(relayed.node.take());
    relayed.until("the trouble", || relay.get("/readyz").body.contains("follow source"));
    assert_eq!(relay.get("/v1/revocations").body, first, "what it has, it hands on");
    assert_eq!(head(&relay.get("/v1/revocations?after=3"))["seq"], 3);
    relayed.node = Some(Server::start_on(&address, &relayed.deployment, &[]));
    relayed.until("the way back", || !relay.get("/readyz").body.contains("follow source"));
    relayed.revoke(3, 1);
    relayed.until("the next one", || head(&relay.get("/v1/revocations?after=3"))["seq"] == 4);
    let metrics = relayed.metrics();
    relayed.until("the metric", || metrics.get("/metrics").body.contains("bulla_follow_seq 4"));
}
