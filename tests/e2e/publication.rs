//! `bulla feed publish` into a folder, and followers that read it from the disk or through a cache that knows nothing
//! of it.

mod snapshots;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use bulla::feed::{
    FeedState, FollowError, LogId, Message, MessageSource, Question, VerifyingKey,
    static_feed::{HeadObject, PublishedSource},
};
use serde_json::{Value, json};

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::Deployment,
    edge::Edge,
    http::Http,
    process::{self, Process},
    programs, reference,
    server::Server,
};

/// What a follower's operator configures, and where the feed is published.
struct Publication {
    deployment: Deployment,
    server: Server,
    folder: PathBuf,
    keyring_id: String,
    public_key: String,
}

impl Publication {
    fn new() -> Self {
        let deployment = Deployment::new();
        let server = Server::start(&deployment);
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let (keyring_id, public_key, folder) = (text("keyring_id"), text("feed_public_key"), deployment.file("feed"));
        Publication { deployment, server, folder, keyring_id, public_key }
    }

    fn publish(&self, more: &[&str]) -> Ran {
        let folder = self.folder.display().to_string();
        self.deployment.run(&[&["feed", "publish", &folder, "--once", "--json"], more].concat())
    }

    /// Revokes so many keys that nobody has issued.
    fn revoke(&self, from: usize, keys: usize) {
        let ids: Vec<String> = (from..from + keys).map(|at| format!("live_00000X{at:016}")).collect();
        for some in ids.chunks(8_000) {
            let answer = self.server.admin.post("/v1/revocations", &json!({"ids": some}));
            assert_eq!(answer.json()["revoked"], some.len(), "{}", answer.body);
        }
    }

    fn head(&self) -> HeadObject {
        HeadObject::read(&fs::read(self.folder.join("head")).expect("published")).expect("a head object")
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.join("files")).expect("published").count()
    }

    fn follower(&self, address: &str) -> Follower {
        let key: VerifyingKey = self.public_key.parse().expect("a key");
        let source = PublishedSource::new(address, self.keyring_id.parse().expect("an id"), key).expect("an address");
        Follower { source: source.interval(Duration::from_millis(100)), key, state: FeedState::new(None) }
    }

    /// What the follower in Python, which was written from the page, knows after it has read the files.
    fn in_python(&self) -> Value {
        let mut python = Command::new(reference::python());
        python.arg(reference::script("bulla_static_feed.py"));
        python.args(["--keyring-id", &self.keyring_id, "--public-key", &self.public_key]);
        serde_json::from_str(&programs::run(python.arg(self.folder.join("head")))).expect("a state")
    }

    fn follower_here(&self) -> Follower {
        self.follower(&format!("file:{}/head", self.folder.display()))
    }
}

struct Follower {
    source: PublishedSource,
    key: VerifyingKey,
    state: FeedState,
}

impl Follower {
    fn ask(&mut self, wait: u64) -> Result<(bool, Message), FollowError> {
        let question = Question { after: self.state.seq(), log_id: self.state.log_id(), wait };
        let answer = self.source.ask(&question)?;
        let newest = match &answer {
            bulla::feed::Answer::Next(bytes) | bulla::feed::Answer::Part { newest: bytes, .. } => bytes,
        };
        let head: Value =
            serde_json::from_slice(newest.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
        let id = head["keyring_id"].as_str().expect("an id").parse().expect("an id");
        let now = head["this_update"].as_u64().expect("a time");
        let (applied, newest) = answer.apply(&mut self.state, (id, &self.key), now)?;
        Ok((applied.complete, newest))
    }

    /// Asks until the newest message is applied; how many answers that took.
    fn catch_up(&mut self) -> usize {
        (1..).find(|_| self.ask(0).expect("it goes on").0).expect("an end")
    }

    fn revoked(&self) -> usize {
        self.state.revocations().len()
    }
}

#[test]
fn what_is_published_once_is_what_a_node_would_say() {
    let publication = Publication::new();
    publication.revoke(0, 3);
    let published = publication.publish(&[]).ok().json();
    assert_eq!(
        (&published["seq"], &published["files"]),
        (&json!(3), &json!(2)),
        "one file, in the list and in the head"
    );
    let mut follower = publication.follower_here();
    assert_eq!((follower.catch_up(), follower.revoked()), (2, 3));
    assert!(!follower.state.is_stale(follower.state.this_update()));

    let feed = publication.server.data.bearer(&publication.deployment.issue_text("bulla", &["--scope", "feed"]));
    let from_node: LogId = {
        let message = feed.get("/v1/revocations").body;
        let head: Value = serde_json::from_str(message.lines().next().expect("a head")).expect("JSON");
        head["log_id"].as_str().expect("an id").parse().expect("an id")
    };
    assert_eq!(follower.state.log_id(), Some(from_node));
}

#[test]
fn each_publication_adds_a_file_and_small_files_become_one() {
    let publication = Publication::new();
    publication.publish(&[]).ok();
    let mut follower = publication.follower_here();
    assert_eq!((follower.catch_up(), follower.revoked()), (1, 0), "an empty log is a feed, too");
    for at in 0..20 {
        publication.revoke(at, 1);
        let published = publication.publish(&[]).ok().json();
        assert_eq!(published["seq"], at + 1);
        assert_eq!((follower.catch_up(), follower.revoked()), (2, at + 1));
    }
    let head = publication.head();
    assert!(head.files.len() < 12, "{:?}", head.files);
    let mut late = publication.follower_here();
    late.catch_up();
    assert_eq!(late.revoked(), 20);
}

#[test]
fn a_long_log_comes_in_several_files_and_is_made_anew_without_what_counts_no_more() {
    let publication = Publication::new();
    publication.revoke(0, 25_000);
    let published = publication.publish(&[]).ok().json();
    assert_eq!(published["seq"], 25_000);
    let mut follower = publication.follower_here();
    assert_eq!((follower.catch_up(), follower.revoked()), (4, 25_000));
    publication.revoke(25_000, 1);
    let told = publication.in_python();
    assert_eq!((told["revoked"].as_array().map(Vec::len), &told["files"]), (Some(25_000), &json!(3)));
    publication.publish(&["--renew", "0s"]).ok();
    assert_eq!((follower.catch_up(), follower.revoked()), (2, 25_001));
    let told = publication.in_python();
    assert_eq!((told["revoked"].as_array().map(Vec::len), &told["complete"]), (Some(25_001), &json!(true)));
    let mut late = publication.follower_here();
    late.catch_up();
    assert_eq!(late.revoked(), 25_001);
}

#[test]
fn files_are_removed_when_no_reader_can_need_them_any_more() {
    let publication = Publication::new();
    for at in 0..12 {
        publication.revoke(at, 1);
        publication.publish(&[]).ok();
    }
    let (needed, kept) =
        (publication.publish(&[]).ok().json()["files"].as_u64().expect("a number"), publication.files());
    assert!(kept as u64 > needed, "{kept} files, {needed} needed");
    let other = publication.folder.join("files/somebody-elses");
    fs::write(&other, "").expect("written");
    publication.publish(&["--keep", "0s"]).ok();
    // The list from the beginning is a file, and one file may stand in the list and in the head.
    assert!(publication.files() as u64 <= needed + 2, "{} files", publication.files());
    assert!(other.exists());
    let mut late = publication.follower_here();
    late.catch_up();
    assert_eq!(late.revoked(), 12);
}

#[test]
fn a_file_that_is_gone_is_made_anew() {
    let publication = Publication::new();
    publication.revoke(0, 2);
    publication.publish(&[]).ok();
    for file in fs::read_dir(publication.folder.join("files")).expect("published") {
        fs::remove_file(file.expect("a file").path()).expect("removed");
    }
    let mut follower = publication.follower_here();
    assert_eq!(follower.ask(0).expect_err("nothing is there").code(), "published");
    publication.publish(&[]).ok();
    let mut follower = publication.follower_here();
    follower.catch_up();
    assert_eq!(follower.revoked(), 2);
}

#[test]
fn another_feed_is_not_overwritten() {
    let (one, other) = (Publication::new(), Publication::new());
    one.publish(&[]).ok();
    let folder = one.folder.display().to_string();
    let refused = other.deployment.run(&["feed", "publish", &folder, "--once"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("the feed of another keyring"), "{}", refused.err);
    let refused = one.publish(&["--realm", "live"]);
    assert!(refused.err.contains("the feed of every realm, and this is the one of the realm live"), "{}", refused.err);
    fs::write(one.folder.join("head"), "hello\n").expect("written");
    let refused = one.publish(&[]);
    assert!(refused.err.contains("is not the head of a feed"), "{}", refused.err);
}

/// A publisher that asks a node, and has no key that signs.
fn publisher(publication: &Publication, name: &str, more: &[&str]) -> Process {
    let key = publication.deployment.issue_text("bulla", &["--scope", "feed"]);
    let key = publication.deployment.secret_file(&format!("{name}.key"), &key);
    let log = publication.deployment.file(&format!("{name}.log"));
    let prepare = |command: &mut Command| {
        command
            .args(["feed", "publish"])
            .arg(&publication.folder)
            .args(["--server", &format!("http://{}", publication.server.data.address)]);
        command.args(["--keyring-id", &publication.keyring_id, "--public-key", &publication.public_key]).args(more);
        command.env("BULLA_ADMIN_KEY_FILE", &key);
    };
    Process::start(Path::new(env!("CARGO_BIN_EXE_bulla")), prepare, &log)
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn two_publishers_of_one_node_do_no_harm_and_one_takes_over() {
    let publication = Publication::new();
    let mut first = publisher(&publication, "first", &["--interval", "1s"]);
    let metrics = process::free_port();
    let listen = format!("127.0.0.1:{metrics}");
    let _second = publisher(&publication, "second", &["--interval", "1s", "--metrics-listen", &listen]);
    wait_for("the first publication", || publication.folder.join("head").exists());
    let mut follower = publication.follower_here();
    follower.catch_up();
    for at in 0..30 {
        if at == 15 {
            first.kill();
        }
        publication.revoke(at, 1);
        let revoked = |follower: &mut Follower| {
            let _not_yet = follower.ask(1).expect("the feed is whole at every moment");
            follower.revoked() == at + 1
        };
        wait_for("a revocation", || revoked(&mut follower));
    }
    let page = || Http::new(&listen).get("/metrics").body;
    let metric = |name: &str| -> i64 {
        let page = page();
        let line =
            page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}: {page}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    wait_for("the second publisher", || metric("bulla_publisher_seq") == 30);
    wait_for("a fresh publication", || {
        metric("bulla_publisher_age_seconds") <= 10 && metric("bulla_publisher_valid_seconds") >= 40
    });
    drop(publication.server);
    wait_for("a failure", || metric("bulla_publisher_failures_total") > 0);
}

#[test]
fn a_publisher_says_what_it_needs() {
    let publication = Publication::new();
    let ran = publication.publish(&["--server", "http://127.0.0.1:1"]);
    assert!(ran.err.contains("BULLA_ADMIN_KEY_FILE is not set"), "{}", ran.err);
    let key = publication
        .deployment
        .secret_file("feed.key", &publication.deployment.issue_text("bulla", &["--scope", "feed"]));
    let ran = |arguments: &[&str]| {
        let mut command = bulla(publication.deployment.path());
        command.env("BULLA_ADMIN_KEY_FILE", &key).args(["feed", "publish"]).args(arguments);
        finish(&mut command, "")
    };
    for (arguments, code, says) in [
        (&["x", "--once", "--server", "http://127.0.0.1:1"][..], 64, "--server needs --keyring-id and --public-key"),
        (&["x", "--once", "--server", "unix:/x"], 2, "not over a Unix socket"),
        (&["x", "--interval", "100ms"], 64, "--interval is at least 1s"),
        (&["gs://bucket", "--once"], 2, "is not a place to publish in"),
        (&["s3://B", "--once"], 2, "a bucket's name has"),
        (&["x", "--once", "--realm", "nowhere"], 2, "there is no [realms.nowhere]"),
    ] {
        let ran = ran(arguments);
        assert_eq!(ran.code, code, "{arguments:?}");
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
}

/// nginx with a cache in front of another nginx that serves the folder.
fn nginx(folder: &Path, published: &Path, origin: u16, port: u16) -> Process {
    let configuration =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/static-feed/nginx.conf"))
            .expect("the page's file");
    let server = configuration
        .replace(
            "listen 127.0.0.1:8080;",
            &format!("listen 127.0.0.1:8080; access_log {}/origin.log;", folder.display()),
        )
        .replace("/srv/feed", &published.display().to_string())
        .replace("/var/cache/nginx/feed", &folder.join("cache").display().to_string())
        .replace("8080", &origin.to_string())
        .replace("8090", &port.to_string());
    let here = folder.display();
    let text = format!(
        "pid {here}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log {here}/access.log;\n\
         client_body_temp_path {here}/body;\nproxy_temp_path {here}/proxy;\nfastcgi_temp_path {here}/fastcgi;\n\
         uwsgi_temp_path {here}/uwsgi;\nscgi_temp_path {here}/scgi;\n{server}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).expect("written");
    let log = folder.join("log");
    let nginx = Process::start(
        &programs::find("nginx"),
        |command| {
            command.arg("-c").arg(&file).args(["-g", "daemon off; master_process off;"]);
        },
        &log,
    );
    process::wait_until("nginx", &log, || process::listens(port) && process::listens(origin));
    nginx
}

#[test]
fn a_cache_that_serves_stale_heads_and_keeps_files_for_ever_makes_no_follower_wrong() {
    let publication = Publication::new();
    publication.revoke(0, 5);
    let _publisher = publisher(&publication, "publisher", &["--interval", "1s"]);
    wait_for("the first publication", || publication.folder.join("head").exists());
    let folder = tempfile::tempdir().expect("a folder");
    let (origin, port) = (process::free_port(), process::free_port());
    let _nginx = nginx(folder.path(), &publication.folder, origin, port);
    let cache = Http::new(&format!("127.0.0.1:{port}"));
    let answer = cache.get("/feed/head");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=1, stale-while-revalidate=5"));
    assert!(answer.header("etag").is_some());
    let file = publication.head().files.first().expect("a file").to_string();
    let answer = cache.get(&format!("/feed/files/{file}"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));

    let mut followers: Vec<Follower> =
        (0..5).map(|_| publication.follower(&format!("http://127.0.0.1:{port}/feed/head"))).collect();
    for follower in &mut followers {
        follower.catch_up();
    }
    let began = Instant::now();
    publication.revoke(5, 1);
    for follower in &mut followers {
        wait_for("the revocation", || {
            let _older = follower.ask(2);
            follower.revoked() == 6
        });
    }
    println!("a revocation reached five followers through the cache after {:?}", began.elapsed());
    // The disk is asked for each file once, however many read it.
    let asked = fs::read_to_string(folder.path().join("origin.log")).expect("the log");
    let files: Vec<&str> = asked.lines().filter_map(|line| line.split("/feed/files/").nth(1)).collect();
    let mut once = files.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(files.len(), once.len(), "{asked}");
}

#[test]
fn an_edge_hears_of_revocations_through_a_cache() {
    let publication = Publication::new();
    let keys: Vec<String> = (0..4).map(|_| publication.deployment.issue_text("live", &[])).collect();
    let _publisher = publisher(&publication, "publisher", &["--interval", "1s"]);
    wait_for("the first publication", || publication.folder.join("head").exists());
    let folder = tempfile::tempdir().expect("a folder");
    let (origin, port) = (process::free_port(), process::free_port());
    let _nginx = nginx(folder.path(), &publication.folder, origin, port);
    // It is the edge's one source: it asks for no API key, and there is no node to ask.
    let files = Edge::new(&publication.deployment, &[&format!("http://127.0.0.1:{port}/feed/head")], &["live"]);
    fs::remove_file(files.file("feed-api.key")).expect("it needs none");
    let edge = files.start();
    edge.until("the files", |edge| edge.data.get("/readyz").status == 200);
    let verdict = |key: &str| {
        let answer = edge.data.post("/v1/verify", &json!({"api_key": key}));
        assert_eq!(answer.status, 200, "the cache never makes it stale: {}", answer.body);
        answer.json()["active"] == true
    };
    for (at, key) in keys[1..].iter().enumerate() {
        assert!(verdict(key));
        let id = key.parse::<bulla::ApiKey>().expect("an API key").id();
        let revoked = publication.server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "");
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        let began = Instant::now();
        wait_for("the revocation at the edge", || !verdict(key));
        println!("a revocation reached the edge through the cache after {:?}", began.elapsed());
        assert!(verdict(&keys[0]) && keys[1..=at].iter().all(|key| !verdict(key)));
    }
}
