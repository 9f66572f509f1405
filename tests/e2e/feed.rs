//! The revocation feed: followers that share no store with the server hear of every revocation, and accept only what
//! the server signed.

mod ended_secret;
mod reading;

use std::process::{Child, Command, Stdio};

use bulla::feed::{FeedState, Message, VerifyingKey};
use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    http::Http,
    reference,
    server::Server,
};

/// What a follower's operator configures, and the library's follower.
struct Follower {
    feed: Http,
    keyring_id: String,
    public_key: String,
    followed: FeedState,
}

impl Follower {
    fn new(deployment: &Deployment, server: &Server, scope: &str) -> Self {
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let realm = scope.strip_prefix("feed:").map(|realm| realm.parse().expect("a realm"));
        Follower {
            feed: server.data.bearer(&deployment.issue_text("bulla", &["--scope", scope])),
            keyring_id: text("keyring_id"),
            public_key: text("feed_public_key"),
            followed: FeedState::new(realm),
        }
    }

    fn read(&self, bytes: &str) -> Message {
        let key: VerifyingKey = self.public_key.parse().expect("a key");
        Message::read(bytes.as_bytes(), self.keyring_id.parse().expect("an id"), &key)
            .expect("a message that is signed")
    }

    /// Asks until it is complete; how many messages that took.
    fn catch_up(&mut self) -> usize {
        for messages in 1.. {
            let answer = self.feed.get(&format!("/v1/revocations?after={}", self.followed.seq()));
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
            let message = self.read(&answer.body);
            let now = message.head().this_update;
            if self.followed.apply(&message, now).expect("what comes next").complete {
                return messages;
            }
        }
        unreachable!()
    }

    fn knows(&self, key: &Value) -> bool {
        let id = key["api_key_id"].as_str().expect("an id").parse().expect("an id");
        let issued_at: jiff::Timestamp = key["issued_at"].as_str().expect("a time").parse().expect("a time");
        let issued_at = u32::try_from(issued_at.as_second()).expect("in this century");
        self.followed.revocations().contains(&id, APP.parse().expect("a UUID"), issued_at)
    }

    /// The follower in Python, as a process that prints its state at the end.
    fn in_python(&self, server: &Server, more: &[&str]) -> Child {
        Command::new(reference::python())
            .arg(reference::script("bulla_feed.py"))
            .args(["follow", "--keyring-id", &self.keyring_id, "--public-key", &self.public_key])
            .args(more)
            .arg(format!("http://{}/v1/revocations", server.data.address))
            .env("BULLA_FEED_API_KEY", self.feed.key())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts")
    }
}

fn state(child: Child) -> Value {
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{:?}", output.status);
    serde_json::from_slice(&output.stdout).expect("a state")
}

fn act(server: &Server, key: &Value, action: &str) {
    let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
    let answer = match action {
        "revoke" => server.admin.request("DELETE", &path, &[], ""),
        action => server.admin.post(&format!("{path}/{action}"), &json!({})),
    };
    assert!(answer.status < 300, "{action}: {}", answer.body);
}

#[test]
fn followers_in_two_languages_hear_what_the_server_knows() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let keys: Vec<Value> = (0..5).map(|_| deployment.issue("live", &[])).collect();
    act(&server, &keys[0], "revoke");
    act(&server, &keys[1], "suspend");
    act(&server, &keys[2], "suspend");
    act(&server, &keys[2], "resume");
    act(&server, &keys[3], "reroll");
    server.admin.post("/v1/revocations", &json!({"realm": "test", "issued_before": "2020-01-01T00:00:00Z"}));
    let mut follower = Follower::new(&deployment, &server, "feed");
    assert_eq!(follower.catch_up(), 1);
    let known: Vec<bool> = keys.iter().map(|key| follower.knows(key)).collect();
    let active: Vec<bool> = keys
        .iter()
        .map(|key| server.data.post("/v1/verify", &json!({"api_key": key["api_key"]})).json()["active"] == true)
        .collect();
    assert_eq!(known, active.iter().map(|active| !active).collect::<Vec<_>>());
    assert_eq!(known, [true, true, false, false, false]);
    let in_a_day = follower.followed.log().scheduled().next().expect("the rerolled key waits").1;
    follower.followed.due(in_a_day.into());
    assert!(follower.knows(&keys[3]), "without hearing anything more");

    let told = state(follower.in_python(&server, &[]));
    let ids = |name: &str| -> Vec<String> {
        let all = told[name].as_array().unwrap_or_else(|| panic!("{name}: {told}"));
        all.iter().map(|one| one["id"].as_str().or(one.as_str()).expect("an id").to_owned()).collect()
    };
    let id = |at: usize| keys[at]["api_key_id"].as_str().expect("an id").to_owned();
    let mut revoked = [id(0), id(3)];
    revoked.sort();
    assert_eq!((ids("revoked"), ids("suspended")), (revoked.to_vec(), vec![id(1)]));
    assert_eq!(told["realms"][0]["realm"], "test");
}

/// Followers share messages of one moment, and each revocation is a new moment.
#[test]
fn a_message_is_never_older_than_what_the_node_has_acknowledged() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let mut follower = Follower::new(&deployment, &server, "feed");
    let keys: Vec<Value> = (0..20).map(|_| deployment.issue("live", &[])).collect();
    for key in &keys {
        let before = follower.feed.get(&format!("/v1/revocations?after={}", follower.followed.seq()));
        assert_eq!(before.status, 200);
        act(&server, key, "revoke");
        follower.catch_up();
        assert!(follower.knows(key));
    }
}

#[test]
fn a_follower_that_was_away_catches_up_exactly() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let mut follower = Follower::new(&deployment, &server, "feed");
    let before = deployment.issue("live", &[]);
    act(&server, &before, "suspend");
    follower.catch_up();
    assert!(follower.knows(&before));
    for batch in 0..3 {
        let ids: Vec<String> = (0..8_000).map(|at| format!("live_00000X{:016}", batch * 8_000 + at)).collect();
        let answer = server.admin.post("/v1/revocations", &json!({"ids": ids}));
        assert_eq!(answer.json()["revoked"], 8_000);
    }
    act(&server, &before, "resume");
    let after = deployment.issue("live", &[]);
    act(&server, &after, "revoke");
    assert_eq!(follower.catch_up(), 3, "ten thousand in a message");
    assert!(!follower.knows(&before) && follower.knows(&after));
    assert_eq!(follower.followed.revocations().len() as u64, server.metric("bulla_revocations"));
    assert_eq!(follower.catch_up(), 1, "nothing new is a message, too");
    let restarted = Follower { followed: FeedState::new(None), ..follower };
    let told = state(restarted.in_python(&server, &[]));
    assert_eq!(told["revoked"].as_array().expect("ids").len(), 24_001);
}

#[test]
fn waits_and_streams_hear_of_a_change_when_it_comes() {
    let deployment = Deployment::new();
    // Who waits or streams hears after half of that that nothing happened.
    let server = Server::start_with(&deployment, &[("BULLA_FEED__VALID_FOR", "20s")]);
    let key = deployment.issue("live", &[]);
    let mut follower = Follower::new(&deployment, &server, "feed");
    follower.catch_up();
    // Whether they come before the revocation or after it, they have heard of it with the second message.
    let polling = follower.in_python(&server, &["--more", "1", "--wait", "25s"]);
    let streaming = follower.in_python(&server, &["--more", "1", "--stream"]);
    let mut first = follower.feed.stream("/v1/revocations?after=0");
    assert_eq!(follower.read(&first.message()).events(), []);
    let waiting = std::thread::spawn({
        let feed = follower.feed.clone();
        move || feed.get("/v1/revocations?after=0&wait=60s").body
    });
    act(&server, &key, "revoke");
    assert_eq!(follower.read(&waiting.join().expect("an answer")).events().len(), 1);
    let message = follower.read(&first.message());
    assert_eq!((message.events().len(), message.head().after), (1, 0));
    for child in [polling, streaming] {
        assert_eq!(state(child)["revoked"].as_array().map(Vec::len), Some(1));
    }
    let resumed = follower.feed.stream_from("/v1/revocations?after=0", message.head().seq).message();
    assert_eq!(follower.read(&resumed).events(), [], "Last-Event-ID goes before `after`");
    let log = server.stop();
    assert!(!log.contains("did not finish in time"), "a stream does not hold up the end: {log}");
}

#[test]
fn a_stream_says_in_time_that_nothing_happened() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_FEED__VALID_FOR", "20s")]);
    let follower = Follower::new(&deployment, &server, "feed");
    let mut stream = follower.feed.stream("/v1/revocations");
    let (first, second) = (follower.read(&stream.message()), follower.read(&stream.message()));
    assert_eq!((first.events(), second.events()), (&[][..], &[][..]));
    assert!(second.head().this_update <= first.head().next_update);
    assert_eq!(first.head().next_update, first.head().this_update + 20);
}

#[test]
fn a_stream_outlives_the_idle_timeout_and_asks_proxies_not_to_buffer() {
    let deployment = Deployment::new();
    let environment = [("BULLA_FEED__VALID_FOR", "10m"), ("BULLA_SERVER__IDLE_TIMEOUT", "8s")];
    let server = Server::start_with(&deployment, &environment);
    let follower = Follower::new(&deployment, &server, "feed");
    let key = deployment.issue("live", &[]);
    let mut stream = follower.feed.stream("/v1/revocations");
    for header in ["\r\nx-accel-buffering: no\r\n", "\r\ncache-control: no-store\r\n"] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    assert_eq!(follower.read(&stream.message()).events(), []);
    let python = follower.in_python(&server, &["--more", "1", "--stream"]);
    // Each comes after four seconds, so three of them take longer than the idle timeout.
    (0..3).for_each(|_| stream.comment());
    act(&server, &key, "revoke");
    assert_eq!(follower.read(&stream.message()).events().len(), 1);
    assert_eq!(state(python)["revoked"].as_array().map(Vec::len), Some(1), "a follower reads comments and goes on");
}

#[test]
fn a_wait_ends_while_the_message_before_counts_and_before_the_connection_is_idle() {
    let deployment = Deployment::new();
    for (setting, value) in [("BULLA_FEED__VALID_FOR", "20s"), ("BULLA_SERVER__IDLE_TIMEOUT", "15s")] {
        let server = Server::start_with(&deployment, &[(setting, value)]);
        let follower = Follower::new(&deployment, &server, "feed");
        let before = follower.read(&follower.feed.get("/v1/revocations").body);
        let after = follower.read(&follower.feed.get("/v1/revocations?wait=10m").body);
        assert!(after.head().this_update <= before.head().next_update, "{setting}");
    }
}

#[test]
fn a_realm_s_follower_hears_of_that_realm_alone() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (live, test) = (deployment.issue("live", &[]), deployment.issue("test", &[]));
    act(&server, &live, "revoke");
    act(&server, &test, "revoke");
    let mut follower = Follower::new(&deployment, &server, "feed:live");
    follower.catch_up();
    assert!(follower.knows(&live) && !follower.knows(&test));
    let other = follower.feed.get("/v1/revocations?realm=test");
    assert_eq!((other.status, other.problem().as_str()), (403, "forbidden"));
    let all = Follower::new(&deployment, &server, "feed");
    let narrowed = all.feed.get("/v1/revocations?realm=test");
    assert_eq!(all.read(&narrowed.body).events().len(), 1);
    let head = all.read(&narrowed.body).head().clone();
    assert_eq!(head.realm.map(|realm| realm.to_string()).as_deref(), Some("test"));
}

#[test]
fn the_feed_tells_of_key_versions() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let uri = deployment.new_master(2);
    deployment.keyring(&["stage", "--source", &uri]);
    deployment.keyring(&["activate", "2"]);
    let mut follower = Follower::new(&deployment, &server, "feed");
    server.signal("HUP");
    server.until("the new version", |_| follower.feed.get("/v1/revocations").status == 200);
    follower.catch_up();
    deployment.keyring(&["compromise", "1"]);
    server.within("the compromise", |_| {
        let message = follower.read(&follower.feed.get("/v1/revocations").body);
        message.head().versions[0].1 == bulla::keyring::VersionState::Compromised
    });
    follower.catch_up();
    assert_eq!(follower.followed.refused(), [bulla::keyring::KeyVersion::FIRST]);
}

#[test]
fn callers_that_may_not_follow_or_ask_wrongly_are_told() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let ask = |caller: &Http, path: &str| caller.get(&format!("/v1/revocations{path}"));
    let nobody = ask(&server.data.anonymous(), "");
    assert_eq!((nobody.status, nobody.problem().as_str()), (401, "unauthorized"));
    let user = server.data.bearer(&deployment.issue_text("live", &["--scope", "feed"]));
    assert_eq!(ask(&user, "").status, 401, "a user's key opens nothing");
    let administrators = deployment.run(&["issue", "--realm", "bulla", "--app", APP, "--scope", "feed:bulla"]);
    assert!(
        administrators.code == 2 && administrators.err.contains("`feed:bulla` allows nothing"),
        "{}",
        administrators.err
    );
    for (scope, status) in [("read", 403), ("admin", 200), ("feed", 200)] {
        let caller = server.data.bearer(&deployment.issue_text("bulla", &["--scope", scope]));
        assert_eq!(ask(&caller, "").status, status, "{scope}");
    }
    let follower = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed"]));
    for query in ["?after=x", "?after=-1", "?wait=soon", "?realm=No", "?realm=nosuch", "?before=1", "?after=1&after=1"]
    {
        let wrong = ask(&follower, query);
        assert_eq!((wrong.status, wrong.problem().as_str()), (400, "bad-request"), "{query}");
    }
    let ahead = ask(&follower, "?after=7");
    assert_eq!((ahead.status, ahead.problem().as_str()), (409, "ahead-of-log"));
    for last in [&[("last-event-id", "x")][..], &[("last-event-id", "0"); 2]] {
        let headers = [&[("accept", "text/event-stream")], last].concat();
        assert_eq!(follower.request("GET", "/v1/revocations", &headers, "").status, 400, "{last:?}");
    }
    let packed = follower.raw(
        format!(
            "GET /v1/revocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\nauthorization: Bearer {}\r\n\r\n",
            follower.key()
        )
        .as_bytes(),
    );
    assert!(packed.contains("content-encoding: gzip"), "{packed}");
    server.stop();
    deployment.configure("signing_key = \"file:feed-signing.key\"\n", "");
    let server = Server::start(&deployment);
    let none = ask(&server.data.bearer(&deployment.admin_key), "");
    assert_eq!((none.status, none.problem().as_str()), (503, "unavailable"));
    assert_eq!(deployment.keyring(&["show"])["feed_public_key"], Value::Null);
}

#[test]
fn a_program_with_the_library_inside_follows_the_real_service() {
    use bulla::{
        Expectations, Realm, Rejection, SharedVerifier, Verifier, VerifyError,
        keyring::{Keyring, KeyringDocument},
        source::Sources,
    };
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let told = Follower::new(&deployment, &server, "feed");
    let (sources, live): (_, Realm) = (Sources::new(deployment.path()), "live".parse().expect("a realm"));
    let text = std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring");
    let mac = "file:keyring-mac.key".parse().expect("a URI");
    let document = KeyringDocument::parse(&text, &mac, &sources).expect("its document");
    let keyring = Keyring::load(&document, &sources, &[live]).expect("its keys");
    let verifier = SharedVerifier::new(Verifier::new(&keyring));
    #[allow(clippy::disallowed_methods, reason = "the time of the real service")]
    let clock = || jiff::Timestamp::now().as_second().unsigned_abs();
    let api_key = told.feed.key().parse().expect("an API key");
    let follower = bulla::feed::Follower::new(
        &format!("http://{}/v1/revocations", server.data.address),
        &api_key,
        document.id(),
        told.public_key.parse().expect("a key"),
    );
    let following = follower
        .and_then(|follower| follower.start(&verifier, bulla::feed::WhenStale::CouldNotTell, clock))
        .expect("it follows");
    let key = deployment.issue("live", &[]);
    let realms = [live];
    let verdict = || {
        let text = key["api_key"].as_str().expect("a key");
        verifier.verify(text, &Expectations::realms(&realms), clock()).map(drop)
    };
    server.until("the first message", |_| verdict().is_ok());
    act(&server, &key, "suspend");
    server.until("the suspension", |_| verdict() == Err(VerifyError::Rejected(Rejection::Revoked)));
    act(&server, &key, "resume");
    server.until("the resumption", |_| verdict().is_ok());
    act(&server, &key, "revoke");
    server.until("the revocation", |_| verdict().is_err());
    assert!(following.status().complete && following.status().last_error.is_none());
}

#[test]
fn streams_and_waits_end_with_the_key_that_opened_them() {
    const OF_ITS_OWN: &str = "00000000-0000-4000-8000-0000000000aa";
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let end = |kind: &str, key: &Value| {
        let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
        let answer = match kind {
            "revoke" => server.admin.request("DELETE", &path, &[], ""),
            "reroll-secret" => server.admin.post(&format!("{path}/reroll-secret"), &json!({"grace": "0s"})),
            "suspend" => server.admin.post(&format!("{path}/suspend"), &json!({})),
            "a rule for its app" => server.admin.post("/v1/revocations", &json!({"app_id": OF_ITS_OWN})),
            "a compromise of its version" => {
                deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
                deployment.keyring(&["compromise", "1", "--successor", "2"]);
                return;
            }
            // It ends by itself, and the command is another process.
            _ if kind == "expire" => return,
            _ => {
                deployment.run(&["revoke", key["api_key_id"].as_str().expect("an id")]).ok();
                return;
            }
        };
        assert!(answer.status < 300, "{kind}: {}", answer.body);
    };
    // The last one ends the administrator's key as well.
    for kind in [
        "revoke",
        "suspend",
        "reroll-secret",
        "expire",
        "revoke by the command",
        "a rule for its app",
        "a compromise of its version",
    ] {
        let life: &[&str] = if kind == "expire" { &["--ttl", "15s"] } else { &[] };
        let app = if kind == "a rule for its app" { OF_ITS_OWN } else { APP };
        let issue = ["issue", "--json", "--realm", "bulla", "--app", app, "--scope", "feed"];
        let key = deployment.run(&[&issue[..], life].concat()).ok().json();
        let follower = server.data.bearer(key["api_key"].as_str().expect("a key"));
        let mut stream = follower.stream("/v1/revocations");
        stream.message();
        let waiting = std::thread::spawn({
            let follower = follower.clone();
            move || {
                // Another follower's revocation may end the wait before the key ends: then it is asked for again.
                loop {
                    let seq = follower.get("/v1/revocations");
                    if seq.status != 200 {
                        return seq.status;
                    }
                    let head: Value = serde_json::from_str(seq.body.lines().next().expect("a head")).expect("JSON");
                    let answer = follower.get(&format!("/v1/revocations?after={}&wait=25s", head["seq"]));
                    if answer.status != 200 {
                        return answer.status;
                    }
                }
            }
        });
        end(kind, &key);
        // Were it to go on it would be silent for ten seconds, and a comment is more than nothing. One that expires has
        // the time to be silent, and a command takes some.
        let rest = stream.rest();
        let takes_time = ["expire", "revoke by the command", "a compromise of its version"].contains(&kind);
        assert!(takes_time || !rest.contains("\n:\n") && !rest.starts_with(':'), "{kind}: {rest}");
        assert_eq!(waiting.join().expect("an answer"), 401, "{kind}");
    }
}
