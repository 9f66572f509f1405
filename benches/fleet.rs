//! `cargo bench -p bulla-server --bench fleet`: thousands of followers on one node, and on a relay behind it, measured
//! beside a model.
//!
//! Node and relay are the real processes. The followers are connections of their own with the library's state, on one
//! thread of this process, so that on two cores they take as much as what they follow does. Then the traffic of some is
//! counted, with time compressed: a follower waits two seconds where it would wait 25. `-- node` and `-- relay` measure
//! one of the two alone, and count no traffic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "support/followers.rs"]
mod followers;
#[path = "support/model.rs"]
mod model;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use followers::{Followers, Trust};
use model::{Costs, Fleet};
use serde_json::json;
use support::{command::bulla, deployment::Deployment, http::Http, server::Server};
use tempfile::TempDir;

const AT_NODE: [usize; 3] = [100, 500, 2_000];
const AT_RELAY: [usize; 3] = [500, 2_000, 5_000];
/// Revocations that are timed, one after the other.
const TIMED: usize = 20;
/// A follower's wait here, and a real one's.
const SHORT_WAIT: Duration = Duration::from_secs(2);
const LONG_WAIT: f64 = 25.0;
/// The followers whose traffic is counted, for how long, and at which rates of revocations a second.
const COUNTED_FOLLOWERS: usize = 200;
const COUNTED: Duration = Duration::from_secs(20);
const RATES: [f64; 3] = [0.0, 0.25, 1.0];

fn main() {
    let only = std::env::args().find(|word| ["node", "relay"].contains(&word.as_str()));
    let measures = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let shown = deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name).to_owned();
    let trust = Trust {
        address: server.data.address.clone(),
        api_key: deployment.issue_text("bulla", &["--scope", "feed"]),
        keyring_id: text("keyring_id").parse().expect("an id"),
        key: text("feed_public_key").parse().expect("a key"),
    };
    // Not held to the description, which takes time.
    let admin = server.described_at().bearer(&deployment.admin_key);
    let mut node = Node { admin, revoked: 0, drawn: 1 };
    let mut costs = Costs { answer: 0.0, question: 0.0, event: 0.0, work: 0.0, memory: 0.0 };
    if measures("node") {
        println!("one node");
        costs = reach(&mut node, &server, &trust, &AT_NODE, costs);
    }
    if measures("relay") {
        println!("\none relay behind the node");
        let (relay, _folder) = relay_behind(&trust);
        let at_relay = Trust { address: relay.data.address.clone(), ..trust.clone() };
        reach(&mut node, &relay, &at_relay, &AT_RELAY, costs);
    }
    if only.is_none() {
        count_traffic(&mut node, &trust, costs);
    }
}

/// A relay that follows the node, and its folder.
fn relay_behind(trust: &Trust) -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[follow]\nsources = [\"http://{}\"]\nkeyring_id = \"{}\"\npublic_key = \"{}\"\n\
         api_key = \"feed.key\"\nopen = true\n",
        trust.address, trust.keyring_id, trust.key,
    );
    fs::write(folder.path().join("bulla.toml"), config).expect("written");
    let key = folder.path().join("feed.key");
    fs::write(&key, &trust.api_key).expect("written");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let mut serve = bulla(folder.path());
    serve.args(["serve", "--role", "relay", "--data-listen", "127.0.0.1:0"]);
    (Server::start_as(serve, "", &[]), folder)
}

/// Revokes ids in turn at the node, and prints when how many followers of `server` had heard of one. Returns the costs,
/// with those of the most followers.
fn reach(node: &mut Node, server: &Server, trust: &Trust, counts: &[usize], mut costs: Costs) -> Costs {
    let bare = server.memory();
    println!("followers  memory, MB  CPU an answer, µs  to the first, ms  to half  to 99 %  to the last, modelled");
    for &count in counts {
        let followers = Followers::start(count, trust, Duration::from_secs(60));
        followers.all_at(node.revoked, count);
        let (mut reached, before, spent) = (Vec::new(), followers.counted(), cpu(server));
        for _ in 0..TIMED {
            let acknowledged = node.revoke();
            let mut times = followers.all_at(node.revoked, count);
            times.sort();
            reached.push(
                times.iter().map(|at| at.saturating_duration_since(acknowledged).as_secs_f64()).collect::<Vec<_>>(),
            );
        }
        let answers = followers.counted()[0] - before[0];
        costs.work = (cpu(server) - spent) / answers;
        costs.memory = server.memory().saturating_sub(bare) as f64 * 1024.0 / count as f64;
        let median = |share: f64| {
            let mut all: Vec<f64> = reached.iter().map(|times| times[((count - 1) as f64 * share) as usize]).collect();
            all.sort_by(f64::total_cmp);
            all[TIMED / 2] * 1e3
        };
        let fleet = Fleet { edges: count as f64, servers: 1.0, cores: 1.0, rate: 0.0, wait: LONG_WAIT };
        println!(
            "{count:>9}  {:>10.1}  {:>17.0}  {:>16.1}  {:>7.1}  {:>7.1}  {:>11.1}, {:.1}",
            server.memory() as f64 / 1024.0,
            costs.work * 1e6,
            median(0.0),
            median(0.5),
            median(0.99),
            median(1.0),
            fleet.last(&costs) * 1e3,
        );
    }
    costs
}

/// Counts what some followers of the node send and get, and prints what a fleet would.
fn count_traffic(node: &mut Node, trust: &Trust, mut costs: Costs) {
    println!("\nrevocations/s  answers/s of one follower, modelled  bytes/s of one follower, modelled");
    for rate in RATES {
        let followers = Followers::start(COUNTED_FOLLOWERS, trust, SHORT_WAIT);
        followers.all_at(node.revoked, COUNTED_FOLLOWERS);
        let (begun, before, revoked) = (Instant::now(), followers.counted(), node.revoked);
        while begun.elapsed() < COUNTED {
            if rate == 0.0 {
                std::thread::sleep(COUNTED - begun.elapsed());
            } else {
                // As revocations come: none knows of the one before.
                let gap = Duration::from_secs_f64(-node.random().ln() / rate);
                let rest = COUNTED.saturating_sub(begun.elapsed());
                std::thread::sleep(gap.min(rest));
                if gap < rest {
                    node.revoke();
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = followers.counted();
        let one: Vec<f64> =
            after.iter().zip(before).map(|(after, before)| (after - before) / COUNTED_FOLLOWERS as f64).collect();
        if rate == 0.0 {
            (costs.answer, costs.question) = (one[1] / one[0], one[2] / one[0]);
        }
        // What came is what is modelled, not the rate that was asked for.
        let came = (node.revoked - revoked) as f64 / seconds;
        if rate > 0.0 && costs.event == 0.0 {
            costs.event = (one[1] - one[0] * costs.answer) / (came * seconds);
        }
        let fleet = Fleet {
            edges: COUNTED_FOLLOWERS as f64,
            servers: 1.0,
            cores: 1.0,
            rate: came,
            wait: SHORT_WAIT.as_secs_f64(),
        };
        println!(
            "{came:>13.2}  {:>25.3}, {:<8.3}  {:>21.0}, {:<8.0}",
            one[0] / seconds,
            fleet.answers(),
            (one[1] + one[2]) / seconds,
            fleet.bytes(&costs),
        );
    }
    println!(
        "\nconstants: answer {:.0} B, question {:.0} B, event {:.0} B, {:.0} µs of a core an answer, {:.0} B of memory a follower",
        costs.answer,
        costs.question,
        costs.event,
        costs.work * 1e6,
        costs.memory,
    );
    println!("\n10,000 edges on 3 servers with two cores each, a wait of 25 s\n");
    println!("revocations a day  answers a day and edge  MB a day and edge  cores a server  last edge, ms");
    for a_day in [0.0, 100.0, 10_000.0, 100_000.0, 1_000_000.0] {
        let fleet = Fleet { edges: 10_000.0, servers: 3.0, cores: 2.0, rate: a_day / 86_400.0, wait: LONG_WAIT };
        println!(
            "{a_day:>17}  {:>22.0}  {:>17.1}  {:>14.3}  {:>13.0}",
            fleet.answers() * 86_400.0,
            fleet.bytes(&costs) * 86_400.0 / 1e6,
            fleet.load(&costs),
            fleet.last(&costs) * 1e3,
        );
    }
}

struct Node {
    admin: Http,
    /// The end of its log.
    revoked: u64,
    drawn: u64,
}

impl Node {
    /// Revokes an id; when that was acknowledged.
    fn revoke(&mut self) -> Instant {
        let id = format!("live_00000X{:016}", self.revoked);
        let answer = self.admin.post("/v1/revocations", &json!({"ids": [id]}));
        let acknowledged = Instant::now();
        assert_eq!(answer.json()["revoked"], 1, "{}", answer.body);
        self.revoked += 1;
        acknowledged
    }

    /// A number above 0 and below 1, the same ones in every run.
    fn random(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.drawn >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

/// Seconds of processor time that a process has used.
fn cpu(server: &Server) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("its status");
    let fields: Vec<&str> = status.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}
