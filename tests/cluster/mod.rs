//! What bulla does when PostgreSQL, or what people put before it, misbehaves: each test against the real thing, with
//! nodes of the real service.

mod commits;
mod failover;
mod faults;
mod followers;
mod notifications;
mod poolers;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    http::Answer,
    server::Server,
};

/// How long anything may take that takes milliseconds or a few seconds; a deadline, not an expectation.
const DEADLINE: Duration = Duration::from_secs(120);

/// A node.
fn node(deployment: &Deployment, more: &[(&str, &str)]) -> Server {
    Server::start_with(deployment, more)
}

/// A node whose calls to the database take at most five seconds, or seven with an answer's way: for databases that
/// hang.
fn impatient_node(deployment: &Deployment, more: &[(&str, &str)]) -> Server {
    Server::start_with(deployment, &[&[("BULLA_STORE__STATEMENT_TIMEOUT", "5s")], more].concat())
}

/// A new key of the realm `live`.
fn issue(node: &Server) -> String {
    let issued = node.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    assert_eq!(issued.status, 201, "{}", issued.body);
    issued.json()["api_key"].as_str().expect("an API key").to_owned()
}

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

fn revoke(node: &Server, key: &str) -> Answer {
    node.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(key)), &[], "")
}

fn is_accepted(node: &Server, key: &str) -> bool {
    let answer = node.data.post("/v1/verify", &json!({"api_key": key, "realms": ["live"]}));
    answer.json()["active"].as_bool().expect("a verdict")
}

/// What `/readyz` says of `what`, where that fails.
fn degraded(node: &Server, what: &str) -> Option<String> {
    let ready = node.data.get("/readyz").json();
    let all = ready["degraded"].as_array().expect("a list").clone();
    all.iter().find(|one| one["what"] == what).map(|one| one["detail"].as_str().expect("a text").to_owned())
}

/// What a node's feed says from the beginning.
struct Feed {
    log_id: Value,
    /// The latest number.
    end: u64,
    /// The numbers of the entries.
    numbers: BTreeSet<u64>,
}

impl Feed {
    /// Reads it with a key of the scope `feed`, as soon as the node reads its own log.
    fn read(node: &Server, key: &str) -> Feed {
        let ask = || node.data.bearer(key).get("/v1/revocations?after=0");
        let mut answer = ask();
        until("the feed answers", || {
            answer = ask();
            answer.status == 200
        });
        let lines: Vec<Value> = answer.body.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let numbers = lines.iter().skip(1).filter_map(|event| event["seq"].as_u64()).collect();
        Feed { log_id: lines[0]["log_id"].clone(), end: lines[0]["head"].as_u64().expect("a number"), numbers }
    }

    /// The numbers of entries that `earlier` did not have, which are all higher than any that was given.
    fn behind(&self, earlier: &Feed) -> usize {
        let added: Vec<u64> = self.numbers.difference(&earlier.numbers).copied().collect();
        assert!(self.end > earlier.end && added.iter().all(|number| *number > earlier.end), "{added:?}");
        added.len()
    }
}

/// How long `done` takes to come about.
fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
