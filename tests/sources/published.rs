//! `bulla feed publish s3://…` against moto: what followers read over plain HTTP, compare-and-swap between publishers,
//! and what is said when something is wrong.

use std::{process::Command, thread};

use bulla::feed::{Answer, FeedState, MessageSource, Question, VerifyingKey, static_feed::PublishedSource};
use serde_json::{Value, json};

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::Deployment,
    edge::Edge,
    http::Http,
    server::Server,
};
use crate::{
    parts::{
        moto::{Moto, REGION},
        world,
    },
    service::trusting,
};

struct Bucket {
    moto: &'static Moto,
    deployment: Deployment,
    server: Server,
    name: String,
    keyring_id: String,
    public_key: VerifyingKey,
}

impl Bucket {
    fn new(name: &str) -> Self {
        world::folder();
        let (moto, deployment) = (Moto::get(), trusting(&[]));
        let place = format!("LocationConstraint={REGION}");
        moto.aws(&["s3api", "create-bucket", "--bucket", name, "--create-bucket-configuration", &place]);
        // Followers read it without credentials.
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{name}/feeds/live/*"),
        }]});
        moto.aws(&["s3api", "put-bucket-policy", "--bucket", name, "--policy", &policy.to_string()]);
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let (keyring_id, public_key) = (text("keyring_id"), text("feed_public_key").parse().expect("a key"));
        let server = Server::start(&deployment);
        Bucket { moto, deployment, server, name: name.to_owned(), keyring_id, public_key }
    }

    fn place(&self) -> String {
        format!("s3://{}/feeds/live?region={REGION}&endpoint={}", self.name, self.moto.url())
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = bulla(self.deployment.path());
        command.args(["feed", "publish", &self.place(), "--once", "--json"]).args(more);
        command
    }

    fn publish(&self, more: &[&str]) -> Ran {
        finish(&mut self.command(more), "")
    }

    fn revoke(&self, at: usize) {
        let answer = self.server.admin.post("/v1/revocations", &json!({"ids": [format!("live_00000X{at:016}")]}));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    fn keys(&self) -> Vec<String> {
        let listed = self.moto.aws(&["s3api", "list-objects-v2", "--bucket", &self.name, "--query", "Contents[].Key"]);
        listed.split_whitespace().map(str::to_owned).collect()
    }

    /// How many revocations a new follower hears of, over HTTP without credentials.
    fn heard(&self) -> usize {
        let address = format!("{}/{}/feeds/live/head", self.moto.url(), self.name);
        let source = PublishedSource::new(&address, self.keyring_id.parse().expect("an id"), self.public_key)
            .expect("an address");
        let mut state = FeedState::new(None);
        loop {
            let question = Question { after: state.seq(), log_id: state.log_id(), wait: 0 };
            let answer = source.ask(&question).expect("it is there");
            let (Answer::Next(newest) | Answer::Part { newest, .. }) = &answer;
            let head: Value =
                serde_json::from_slice(newest.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
            let now = head["this_update"].as_u64().expect("a time");
            let trusted = (self.keyring_id.parse().expect("an id"), &self.public_key);
            if answer.apply(&mut state, trusted, now).expect("it is whole").0.complete {
                return state.revocations().len();
            }
        }
    }
}

#[test]
fn followers_read_a_bucket_like_a_node() {
    let bucket = Bucket::new("feed-plain");
    for at in 0..10 {
        bucket.revoke(at);
        bucket.publish(&[]).ok();
        assert_eq!(bucket.heard(), at + 1);
    }
    let http = Http::new(&format!("127.0.0.1:{}", bucket.moto.port));
    let head = http.get("/feed-plain/feeds/live/head");
    assert_eq!(head.header("cache-control"), Some("public, max-age=1, stale-while-revalidate=5"));
    let file = bucket.keys().into_iter().find(|key| key.contains("/files/")).expect("a file");
    let file = http.get(&format!("/feed-plain/{file}"));
    assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let before = bucket.keys().len();
    bucket.publish(&["--keep", "0s"]).ok();
    assert!(bucket.keys().len() < before, "{:?}", bucket.keys());
    assert_eq!(bucket.heard(), 10);
}

#[test]
fn an_edge_reads_a_private_bucket_itself() {
    let bucket = Bucket::new("feed-private");
    bucket.moto.aws(&["s3api", "delete-bucket-policy", "--bucket", &bucket.name]);
    let key = bucket.deployment.issue("live", &[]);
    bucket.publish(&[]).ok();
    let edge = Edge::new(&bucket.deployment, &[&bucket.place()], &["live"]);
    let running = edge.start();
    let verdict = || running.data.post("/v1/verify", &json!({"api_key": key["api_key"]})).json();
    running.until("the key is good", |_| verdict()["active"] == true);
    // Long enough for a snapshot, and for the edge to find its way to the end from there.
    let ids: Vec<String> = (0..12_000).map(|at| format!("live_00000X{at:016}")).collect();
    for some in ids.chunks(6_000) {
        assert_eq!(bucket.server.admin.post("/v1/revocations", &json!({"ids": some})).status, 200);
    }
    let id = key["api_key_id"].as_str().expect("an id");
    assert_eq!(bucket.server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
    assert_eq!(bucket.publish(&[]).ok().json()["snapshot"], 12_001);
    running.until("the key is revoked", |_| verdict() == json!({"active": false}));
    assert!(bucket.keys().iter().any(|key| key.contains("/files/body-")), "{:?}", bucket.keys());
    let fresh = Edge::new(&bucket.deployment, &[&bucket.place()], &["live"]);
    let fresh = fresh.start();
    fresh.until("who begins knows it, too", |fresh| {
        fresh.data.post("/v1/verify", &json!({"api_key": key["api_key"]})).json() == json!({"active": false})
    });
    // By the snapshot it refuses the key already; it is well with the message behind that.
    fresh.until("it is well", |fresh| fresh.data.get("/readyz").json()["degraded"] == json!([]));
    let wrong = Edge::new(&bucket.deployment, &[&bucket.place().replace("feed-private", "feed-none")], &["live"]);
    let wrong = wrong.start();
    wrong.until("it is said what is wrong", |wrong| wrong.data.get("/readyz").body.contains("NoSuchBucket"));
}

#[test]
fn publishers_that_write_at_once_take_turns() {
    let bucket = Bucket::new("feed-turns");
    for round in 0..5 {
        bucket.revoke(round);
        let ran: Vec<Ran> = thread::scope(|scope| {
            let running: Vec<_> = (0..4).map(|_| scope.spawn(|| bucket.publish(&[]))).collect();
            running.into_iter().map(|one| one.join().expect("it ends")).collect()
        });
        assert!(ran.iter().any(|ran| ran.code == 0), "one of them was first");
        for late in ran.iter().filter(|ran| ran.code != 0) {
            assert!(late.err.contains("another publisher was first"), "{}", late.err);
        }
        assert_eq!(bucket.heard(), round + 1);
    }
}

#[test]
fn a_lost_file_is_written_anew_and_a_lost_head_is_no_secret() {
    let bucket = Bucket::new("feed-lost");
    bucket.revoke(0);
    bucket.publish(&[]).ok();
    for key in bucket.keys().iter().filter(|key| key.contains("/files/")) {
        bucket.moto.aws(&["s3api", "delete-object", "--bucket", &bucket.name, "--key", key]);
    }
    bucket.publish(&[]).ok();
    assert_eq!(bucket.heard(), 1);
    bucket.moto.aws(&["s3api", "delete-object", "--bucket", &bucket.name, "--key", "feeds/live/head"]);
    bucket.publish(&[]).ok();
    assert_eq!(bucket.heard(), 1);
}

#[test]
fn every_mistake_with_a_bucket_is_named() {
    let bucket = Bucket::new("feed-wrong");
    let ran = |place: &str, environment: &[(&str, &str)]| {
        let mut command = bulla(bucket.deployment.path());
        command.args(["feed", "publish", place, "--once"]).envs(environment.iter().copied());
        finish(&mut command, "")
    };
    let good = bucket.place();
    for (place, says) in [
        (good.replace("feed-wrong", "feed-missing"), "there is no such bucket (NoSuchBucket"),
        (good.replace(&format!("region={REGION}&"), ""), "no region, or an empty one: add region=…"),
        (good.replace(&bucket.moto.url(), "http://127.0.0.1:1"), "it cannot be reached"),
    ] {
        let ran = ran(&place, &[]);
        assert_eq!(ran.code, 2, "{place}");
        assert!(ran.err.contains(says), "{place}: {}", ran.err);
    }
    let strict = Moto::strict();
    let place = good.replace(&bucket.moto.url(), &strict.url());
    strict.aws(&[
        "s3api",
        "create-bucket",
        "--bucket",
        &bucket.name,
        "--create-bucket-configuration",
        &format!("LocationConstraint={REGION}"),
    ]);
    let denied = ran(&place, &[]);
    assert!(denied.err.contains("credentials"), "{}", denied.err);
    assert!(!denied.err.contains("test-secret-key"), "{}", denied.err);
    let none = ran(&good, &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]);
    assert!(none.err.contains("there are no AWS credentials here"), "{}", none.err);
}
